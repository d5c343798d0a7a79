//! A load run against a bare hub that breaks one promise once: the report says which, and no other.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::Duration;

use teahouse_load::generator::{Findings, Peer, Plan, run};
use websocket::handshake::{accept_key, head_len};
use websocket::{Decoder, Message, text_frame};

/// What the hub does at the tenth message, to the last who came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// Nothing either: the tenth is told in one frame with the eleventh, each on its line.
    Lines,
    Lose,
    Double,
    Alter,
}

#[derive(Default)]
struct Hub {
    members: Vec<TcpStream>,
    messages: u32,
    /// A text that waits to be told with the next one.
    held: Option<String>,
}

fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let hub = Arc::new(Mutex::new(Hub::default()));
    spawn(move || {
        for stream in listener.incoming() {
            let hub = Arc::clone(&hub);
            spawn(move || one_connection(stream.unwrap(), &hub, fault));
        }
    });
    addr
}

/// Ends with the connection, by any error: the generator does not say goodbye.
fn one_connection(mut stream: TcpStream, hub: &Mutex<Hub>, fault: Fault) -> Option<()> {
    let (mut head, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    while head_len(&head).is_none() {
        let read = stream.read(&mut chunk).ok().filter(|&read| read > 0)?;
        head.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    assert!(!head.contains("Sec-WebSocket-Protocol"), "a hub is offered no protocol");
    let accept = accept_key(head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?);
    {
        let mut hub = hub.lock().unwrap();
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(response.as_bytes()).ok()?;
        hub.members.push(stream.try_clone().ok()?);
    }
    let mut decoder = Decoder::server();
    loop {
        let read = stream.read(&mut chunk).ok().filter(|&read| read > 0)?;
        let mut input = &mut chunk[..read];
        while let Some(message) = decoder.next(&mut input).unwrap() {
            let Message::Text(text) = message else { continue };
            hub.lock().unwrap().tell(text, fault);
        }
    }
}

impl Hub {
    fn tell(&mut self, text: &str, fault: Fault) {
        self.messages += 1;
        let text = match (fault, self.held.take()) {
            // With more than one message in flight there is another one to come.
            (Fault::Lines, None) if self.messages == 10 => {
                self.held = Some(text.to_owned());
                return;
            }
            (_, Some(held)) => format!("{held}\n{text}"),
            _ => text.to_owned(),
        };
        let (now, last) = (self.messages == 10, self.members.len() - 1);
        for (at, member) in self.members.iter_mut().enumerate() {
            let frame = text_frame(text.as_bytes());
            let bytes = match fault {
                _ if !now || at != last => frame,
                Fault::Lose => Vec::new(),
                Fault::Double => frame.repeat(2),
                Fault::Alter => text_frame(text.replace("body", "Body").as_bytes()),
                Fault::Nothing | Fault::Lines => frame,
            };
            // Whoever is gone hears nothing.
            let _ = member.write_all(&bytes);
        }
    }
}

fn findings(fault: Fault) -> Findings {
    let plan = Plan {
        url: format!("ws://{}", serve(fault)),
        peer: Some(Peer::Hub),
        connections: 6,
        rooms: 1,
        rooms_each: 1,
        room_names: None,
        stalled: 0,
        senders: 2,
        rate: None,
        window: 4,
        in_flight: None,
        body: 80,
        duration: Duration::from_millis(150),
        warmup: Duration::from_millis(20),
        sources: 1,
        // One after the other, so that the last who came is none of the senders.
        parallel: 1,
        settle: Duration::ZERO,
        patience: Duration::from_millis(700),
        server_pid: None,
    };
    let report = run(&plan, || {}).unwrap();
    assert!(report.acknowledged > 20 && report.deliveries > 0, "{report}");
    assert_eq!((report.acknowledged, report.unanswered), (report.sent, 0), "{report}");
    report.findings
}

#[test]
fn a_good_hub_is_clean() {
    assert_eq!(findings(Fault::Nothing), Findings::default());
}

#[test]
fn two_messages_in_one_frame_are_both_heard() {
    assert_eq!(findings(Fault::Lines), Findings::default());
}

#[test]
fn what_a_hub_loses_or_doubles_is_reported() {
    assert_eq!(findings(Fault::Lose), Findings { lost: 1, ..Findings::default() });
    assert_eq!(findings(Fault::Double), Findings { doubled: 1, ..Findings::default() });
}

#[test]
fn what_a_hub_alters_is_reported_and_missing() {
    assert_eq!(findings(Fault::Alter), Findings { altered: 1, lost: 1, ..Findings::default() });
}
