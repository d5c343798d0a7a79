//! A minimal server for a load run, which violates one guarantee once.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use protocol::{Command, CommandEnvelope, RoomRef, parse_frame};
use websocket::handshake::{accept_key, head_len};
use websocket::{CloseCode, Decoder, Message, close_frame, text_frame};

/// The fault, injected at the tenth message towards the last member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Arrays,
    Drop,
    Duplicate,
    Swap,
    Gap,
    Alter,
    WrongRoom,
    Trailing,
    WrongOkSeq,
    NoReply,
    RateLimitOnce,
    Close,
    Disconnect,
}

const LIMITS: &str = r#"{"body_bytes":8192,"frame_bytes":65536,"room_name_chars":64,"user_name_chars":32,"catch_up_events":1000,"history_events":500}"#;

#[derive(Default)]
struct Server {
    rooms: HashMap<String, Room>,
    users: u64,
}

#[derive(Default)]
struct Room {
    id: u64,
    seq: u64,
    messages: u64,
    members: Vec<TcpStream>,
    /// Bytes that the last member receives after the next event.
    held_back: Vec<u8>,
}

pub(crate) fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Arc::new(Mutex::new(Server::default()));
    spawn(move || {
        for stream in listener.incoming() {
            let server = Arc::clone(&server);
            spawn(move || serve_connection(stream.unwrap(), &server, fault));
        }
    });
    addr
}

/// Serves one connection. Ends with it, or on any error: the generator sends no close frame.
fn serve_connection(mut stream: TcpStream, server: &Mutex<Server>, fault: Fault) -> Option<()> {
    let (mut head, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    while head_len(&head).is_none() {
        let read = stream.read(&mut chunk).ok().filter(|&read| read > 0)?;
        head.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    let user = {
        let mut server = server.lock().unwrap();
        server.users += 1;
        server.users
    };
    let accept = accept_key(key);
    let mut hello = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: teahouse.v1.json\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes();
    hello.extend(text_frame(
        format!(
            r#"{{"type":"welcome","you":{{"id":"u{user}","name":"G"}},"epoch":"e1","limits":{LIMITS},"server":"x"}}"#
        )
        .as_bytes(),
    ));
    stream.write_all(&hello).ok()?;
    let mut decoder = Decoder::server();
    loop {
        let read = stream.read(&mut chunk).ok().filter(|&read| read > 0)?;
        let mut input = &mut chunk[..read];
        while let Some(message) = decoder.next(&mut input).unwrap() {
            let Message::Text(text) = message else { continue };
            for command in parse_frame(text, 8192).unwrap() {
                server.lock().unwrap().handle(&mut stream, user, command.unwrap(), fault)?;
            }
        }
    }
}

impl Server {
    fn handle(
        &mut self,
        stream: &mut TcpStream,
        user: u64,
        envelope: CommandEnvelope,
        fault: Fault,
    ) -> Option<()> {
        let id = envelope.id.unwrap();
        match envelope.command {
            Command::Join(join) => {
                let next_id = self.rooms.len() as u64 + 1;
                let room = self.rooms.entry(join.room.to_string()).or_default();
                room.id = if room.id == 0 { next_id } else { room.id };
                room.broadcast(user, r#""type":"member_joined""#, Fault::None);
                let joined = format!(
                    r#"{{"type":"joined","id":{id},"room":"r{}","name":"x","head":{},"n":0,"count":1,"online":[]}}"#,
                    room.id, room.seq
                );
                stream.write_all(&text_frame(joined.as_bytes())).ok()?;
                room.members.push(stream.try_clone().ok()?);
            }
            Command::Send(send) => {
                let RoomRef::Id(room) = send.room else { panic!("by id") };
                let room = self.rooms.values_mut().find(|found| found.id == room.0)?;
                room.messages += 1;
                let fault = if room.messages == 10 { fault } else { fault.every_message() };
                if fault == Fault::RateLimitOnce {
                    let rejection = format!(
                        r#"{{"type":"error","id":{id},"code":"rate_limited","message":"x","retryable":true,"retry_after_ms":5}}"#
                    );
                    stream.write_all(&text_frame(rejection.as_bytes())).ok()?;
                    return Some(());
                }
                let kind = format!(
                    r#""type":"message","client_message_id":"{}","body":"{}""#,
                    send.client_message_id,
                    send.body.as_str()
                );
                room.broadcast(user, &kind, fault);
                let seq = if fault == Fault::WrongOkSeq { room.seq - 1 } else { room.seq };
                if fault != Fault::NoReply {
                    let ok = format!(r#"{{"type":"ok","id":{id},"seq":{seq}}}"#);
                    stream.write_all(&text_frame(ok.as_bytes())).ok()?;
                }
            }
            other => panic!("not for a load run: {other:?}"),
        }
        Some(())
    }
}

impl Fault {
    /// Injects the fault at every message, and not only at the tenth.
    fn every_message(self) -> Self {
        if self == Fault::Arrays { Fault::Arrays } else { Fault::None }
    }
}

impl Room {
    fn broadcast(&mut self, user: u64, kind: &str, fault: Fault) {
        self.seq += 1;
        let (seq, n, id) = (self.seq, self.messages, self.id);
        let rest = format!(
            r#""room":"r{id}","seq":{seq},"n":{n},"by":{{"id":"u{user}","name":"G"}},"at":"2026-11-22T10:00:00.123Z""#
        );
        let json = format!("{{{kind},{rest}}}");
        let event = text_frame(json.as_bytes());
        let last = self.members.len().saturating_sub(1);
        for (at, member) in self.members.iter_mut().enumerate() {
            let bytes = match fault {
                Fault::Arrays if at % 2 == 0 => {
                    let presence = format!(r#"{{"type":"presence","room":"r{id}","count":3}}"#);
                    text_frame(format!("[{json},{presence}]").as_bytes())
                }
                _ if at != last => event.clone(),
                Fault::Drop => Vec::new(),
                Fault::Duplicate => event.repeat(2),
                Fault::Swap => {
                    self.held_back = event.clone();
                    continue;
                }
                Fault::Gap => {
                    let gap = format!(r#"{{"type":"gap","room":"r{id}","from":{seq},"to":{seq}}}"#);
                    text_frame(gap.as_bytes())
                }
                Fault::Alter => {
                    let at = json.find(r#""body""#).unwrap() + 50;
                    text_frame([&json.as_bytes()[..at], b"~", &json.as_bytes()[at + 1..]].concat().as_slice())
                }
                Fault::WrongRoom => {
                    text_frame(json.replace(&format!(r#""room":"r{id}""#), r#""room":"r99""#).as_bytes())
                }
                Fault::Trailing => text_frame(format!("{json}{{}}").as_bytes()),
                Fault::Close => close_frame(CloseCode::new(4001).unwrap(), "enough"),
                _ => [event.clone(), std::mem::take(&mut self.held_back)].concat(),
            };
            // A closed connection receives nothing.
            let _ = member.write_all(&bytes);
            if matches!(fault, Fault::Close | Fault::Disconnect) && at == last {
                let _ = member.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}
