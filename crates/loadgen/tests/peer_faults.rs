//! Load runs against a hub, and against a NATS server, that violates one guarantee once: the report must name only that one.

mod plan;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use plan::plan;
use teahouse_loadgen::generator::{Findings, Peer, Plan, run};
use websocket::handshake::{accept_key, head_len};
use websocket::{Decoder, Message, binary_frame, text_frame};

/// The fault, injected at the tenth message towards the last connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// No fault: the tenth and the eleventh message share a frame, each on its own line.
    Lines,
    /// The last connection of another channel receives the message, too.
    WrongChannel,
    Drop,
    Duplicate,
    Alter,
}

struct Hub {
    protocol: Peer,
    /// Each connection with the path that it requested.
    members: Vec<(String, TcpStream)>,
    messages: u32,
    /// A text that is sent together with the next one.
    held: Option<String>,
}

fn serve(fault: Fault, protocol: Peer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let hub = Arc::new(Mutex::new(Hub { protocol, members: Vec::new(), messages: 0, held: None }));
    spawn(move || {
        for stream in listener.incoming() {
            let hub = Arc::clone(&hub);
            spawn(move || serve_connection(stream.unwrap(), &hub, fault));
        }
    });
    addr
}

/// Serves one connection. Ends with it, or on any error: the generator sends no close frame.
fn serve_connection(mut stream: TcpStream, hub: &Mutex<Hub>, fault: Fault) -> Option<()> {
    let (mut head, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    while head_len(&head).is_none() {
        let read = stream.read(&mut chunk).ok().filter(|&read| read > 0)?;
        head.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    assert!(!head.contains("Sec-WebSocket-Protocol"), "a hub is offered no protocol");
    let accept = accept_key(head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    let path = head.split(' ').nth(1)?.to_owned();
    let protocol = {
        let mut hub = hub.lock().unwrap();
        stream.write_all(response.as_bytes()).ok()?;
        match hub.protocol {
            Peer::Hub => hub.members.push((path.clone(), stream.try_clone().ok()?)),
            Peer::Nats => stream.write_all(&binary_frame(b"INFO {}\r\n")).ok()?,
        }
        hub.protocol
    };
    let (mut decoder, mut commands) = (Decoder::server(), Vec::new());
    loop {
        let read = stream.read(&mut chunk).ok().filter(|&read| read > 0)?;
        let mut input = &mut chunk[..read];
        while let Some(message) = decoder.next(&mut input).unwrap() {
            match message {
                Message::Text(text) if protocol == Peer::Hub => {
                    hub.lock().unwrap().broadcast(&path, text, fault)
                }
                Message::Binary(bytes) if protocol == Peer::Nats => {
                    commands.extend_from_slice(bytes);
                    while let Some(line) = next_line(&mut commands) {
                        hub.lock().unwrap().handle_command(
                            &path,
                            &mut stream,
                            &line,
                            &mut commands,
                            fault,
                        )?;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Takes the first line; the generator sends whole commands.
fn next_line(commands: &mut Vec<u8>) -> Option<String> {
    let end = commands.windows(2).position(|two| two == b"\r\n")?;
    let line: Vec<u8> = commands.drain(..end + 2).take(end).collect();
    Some(String::from_utf8(line).unwrap())
}

impl Hub {
    fn handle_command(
        &mut self,
        path: &str,
        stream: &mut TcpStream,
        line: &str,
        rest: &mut Vec<u8>,
        fault: Fault,
    ) -> Option<()> {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["CONNECT", options] => assert!(options.contains(r#""verbose":false"#)),
            ["SUB", "load-0", "1"] => self.members.push((path.to_owned(), stream.try_clone().ok()?)),
            ["PING"] => stream.write_all(&binary_frame(b"PONG\r\n")).ok()?,
            ["PONG"] => {}
            ["PUB", "load-0", length] => {
                let payload: Vec<u8> = rest.drain(..length.parse::<usize>().unwrap() + 2).collect();
                self.broadcast(path, std::str::from_utf8(&payload).unwrap().trim_end(), fault);
            }
            _ => panic!("{line}"),
        }
        Some(())
    }

    /// Encodes a text. NATS splits its stream anywhere.
    fn frame(&self, text: &str) -> Vec<u8> {
        if self.protocol == Peer::Hub {
            return text_frame(text.as_bytes());
        }
        let frame = format!("MSG load-0 1 {}\r\n{text}\r\nPING\r\n", text.len());
        let (one, other) = frame.as_bytes().split_at(frame.len() / 2);
        [binary_frame(one), binary_frame(other)].concat()
    }

    fn broadcast(&mut self, path: &str, text: &str, fault: Fault) {
        self.messages += 1;
        let text = match (fault, self.held.take()) {
            // With several messages in flight, another one follows.
            (Fault::Lines, None) if self.messages == 10 => {
                self.held = Some(text.to_owned());
                return;
            }
            (_, Some(held)) => format!("{held}\n{text}"),
            _ => text.to_owned(),
        };
        let now = self.messages == 10;
        let last_where = |is_here| self.members.iter().rposition(|(other, _)| (other == path) == is_here);
        let (last, other_channel) = (last_where(true), last_where(false));
        let frame = self.frame(&text);
        let altered = self.frame(&text.replace("body", "Body"));
        for (at, (other, member)) in self.members.iter_mut().enumerate() {
            let bytes = match fault {
                Fault::WrongChannel if now && Some(at) == other_channel => frame.clone(),
                _ if other != path => Vec::new(),
                _ if !now || Some(at) != last => frame.clone(),
                Fault::Drop => Vec::new(),
                Fault::Duplicate => frame.repeat(2),
                Fault::Alter => altered.clone(),
                Fault::None | Fault::Lines | Fault::WrongChannel => frame.clone(),
            };
            // A closed connection receives nothing.
            let _ = member.write_all(&bytes);
        }
    }
}

fn findings(fault: Fault, peer: Peer) -> Findings {
    findings_in(1, fault, peer)
}

fn findings_in(channels: u32, fault: Fault, peer: Peer) -> Findings {
    let plan = Plan {
        peer: Some(peer),
        rooms: channels,
        room_names: Some("load".to_owned()),
        sources: 1,
        // One at a time, so that the last connection is not a sender.
        parallel: 1,
        server_pid: None,
        ..plan(format!("ws://{}", serve(fault, peer)))
    };
    let report = run(&plan, || {}).unwrap();
    assert!(report.acknowledged > 20 && report.deliveries > 0, "{report}");
    assert_eq!((report.acknowledged, report.unanswered), (report.sent, 0), "{report}");
    report.findings
}

#[test]
fn correct_hub_is_clean() {
    assert_eq!(findings(Fault::None, Peer::Hub), Findings::default());
    assert_eq!(findings(Fault::None, Peer::Nats), Findings::default());
}

#[test]
fn two_messages_in_one_frame_are_both_received() {
    assert_eq!(findings(Fault::Lines, Peer::Hub), Findings::default());
}

#[test]
fn loss_and_duplicate_of_a_hub_are_reported() {
    for peer in [Peer::Hub, Peer::Nats] {
        assert_eq!(findings(Fault::Drop, peer), Findings { lost: 1, ..Findings::default() });
        assert_eq!(findings(Fault::Duplicate, peer), Findings { duplicated: 1, ..Findings::default() });
    }
}

#[test]
fn altered_message_of_a_hub_is_reported_and_missing() {
    for peer in [Peer::Hub, Peer::Nats] {
        assert_eq!(findings(Fault::Alter, peer), Findings { altered: 1, lost: 1, ..Findings::default() });
    }
}

#[test]
fn each_of_several_channels_is_verified() {
    let clean = Findings::default;
    assert_eq!(findings_in(2, Fault::None, Peer::Hub), clean());
    assert_eq!(findings_in(2, Fault::Drop, Peer::Hub), Findings { lost: 1, ..clean() });
    assert_eq!(findings_in(2, Fault::Duplicate, Peer::Hub), Findings { duplicated: 1, ..clean() });
    assert_eq!(findings_in(2, Fault::Alter, Peer::Hub), Findings { altered: 1, lost: 1, ..clean() });
}

#[test]
fn message_of_another_channel_is_reported() {
    assert_eq!(
        findings_in(2, Fault::WrongChannel, Peer::Hub),
        Findings { unexpected: 1, ..Findings::default() }
    );
}
