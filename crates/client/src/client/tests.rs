use std::net::TcpListener;
use std::thread::{JoinHandle, spawn};

use protocol::{ErrorCode, RoomId, UserId};
use websocket::handshake::accept_key;
use websocket::{close_frame, ping_frame, text_frame};

use super::*;

const WELCOME: &str = r#"{"type":"welcome","you":{"id":"u7","name":"Li"},"epoch":"e1","limits":{"body_bytes":8192,"frame_bytes":65536,"room_name_chars":64,"user_name_chars":32,"catch_up_events":1000,"history_events":500},"server":"teahouse 0.1.0"}"#;

/// A server for one connection. It sends `first`, answers each text message with the result of `answer`, and returns every
/// message it received.
fn server(
    first: Vec<u8>,
    answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
) -> (SocketAddr, JoinHandle<(String, Vec<Received>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        while head_len(&bytes).is_none() {
            let read = stream.read(&mut chunk).unwrap();
            bytes.extend_from_slice(&chunk[..read]);
        }
        let head = String::from_utf8(bytes).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let protocol = if head.contains(Options::JSON) {
            format!("Sec-WebSocket-Protocol: {}\r\n", Options::JSON)
        } else {
            String::new()
        };
        let mut response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{protocol}Sec-WebSocket-Accept: {}\r\n\r\n",
            accept_key(key)
        )
        .into_bytes();
        // In one segment with the response, as a fast server does.
        response.extend(first);
        stream.write_all(&response).unwrap();
        let (mut decoder, mut received) = (Decoder::server(), Vec::new());
        loop {
            let read = stream.read(&mut chunk).unwrap_or(0);
            if read == 0 {
                return (head, received);
            }
            let mut input = &mut chunk[..read];
            while let Some(message) = decoder.next(&mut input).unwrap() {
                match message {
                    Message::Text(text) => {
                        stream.write_all(&answer(text)).unwrap();
                        received.push(Received::Text(text.to_owned()));
                    }
                    Message::Pong(payload) => received.push(Received::Pong(payload.to_owned())),
                    Message::Close(_) => stream.write_all(&websocket::close_reply(None)).unwrap(),
                    _ => {}
                }
            }
        }
    });
    (addr, thread)
}

fn frame(text: &str) -> Vec<u8> {
    text_frame(text.as_bytes())
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn connect_sends_the_session_and_waits_for_welcome() {
    let (addr, thread) = server(frame(WELCOME), |_| Vec::new());
    let options = Options { origin: Some("https://a.example".to_owned()), ..Options::bearer("secret") };
    let client = Client::connect(addr, options).unwrap();
    assert_eq!(client.welcome().unwrap().you.id, UserId(7));
    assert_eq!(client.protocol(), Some(Options::JSON));
    drop(client);
    let (head, _) = thread.join().unwrap();
    assert!(head.starts_with("GET /ws HTTP/1.1\r\n"));
    assert!(
        head.contains("Authorization: Bearer secret\r\n") && head.contains("Origin: https://a.example\r\n")
    );
}

#[test]
fn frames_before_a_reply_are_kept_in_order() {
    let (addr, _thread) = server(frame(WELCOME), |_| {
        let event = |seq: u64| {
            format!(
                r#"{{"type":"member_joined","room":"r1","seq":{seq},"n":0,"by":{{"id":"u9","name":"Ann"}},"at":"2026-11-22T10:00:02.000Z"}}"#
            )
        };
        [
            frame(&event(1)),
            frame(&format!("[{},{}]", event(2), event(3))),
            frame(r#"{"type":"ok","id":1,"seq":9}"#),
        ]
        .concat()
    });
    let mut client = Client::connect(addr, Options::default()).unwrap();
    assert_eq!(client.send_body(RoomId(1), "hi").unwrap(), Seq(9));
    assert_eq!(client.event_where(|event| event.seq == Seq(2)).unwrap().seq, Seq(2));
    assert_eq!(client.next_event().unwrap().seq, Seq(1));
    assert_eq!(client.next_event().unwrap().seq, Seq(3));
    assert!(matches!(client.next_frame(Duration::from_millis(1)), Err(Error::Timeout)));
}

#[test]
fn rejection_is_an_error_with_its_code() {
    let (addr, _thread) = server(frame(WELCOME), |_| {
        frame(r#"{"type":"error","id":1,"code":"not_a_member","message":"no","retryable":false}"#)
    });
    let mut client = Client::connect(addr, Options::default()).unwrap();
    assert_eq!(client.send_body(RoomId(1), "hi").unwrap_err().code(), Some(ErrorCode::NotAMember));
}

#[test]
fn pings_are_answered_and_close_code_is_returned() {
    let first =
        [frame(WELCOME), ping_frame(b"tick"), close_frame(CloseCode::new(4100).unwrap(), "bye")].concat();
    let (addr, thread) = server(first, |_| Vec::new());
    let mut client = Client::connect(addr, Options::default()).unwrap();
    assert_eq!(client.next_frame(SECOND).unwrap_err().close_code(), Some(4100));
    drop(client);
    assert_eq!(thread.join().unwrap().1, [Received::Pong(b"tick".to_vec())]);
}

#[test]
fn end_without_a_close_frame_is_1006() {
    let (addr, thread) = server(frame(WELCOME), |_| Vec::new());
    let mut client = Client::connect(addr, Options::default()).unwrap();
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    thread.join().unwrap();
    assert_eq!(client.closed().unwrap(), 1006);
}

#[test]
fn plain_text_offers_no_subprotocol_and_reads_lines() {
    let (addr, thread) = server(Vec::new(), |line| frame(&format!("Li: {line}")));
    let mut client = Client::connect(addr, Options::plain_text()).unwrap();
    client.send_text("hi").unwrap();
    assert_eq!(client.next_line().unwrap(), "Li: hi");
    assert_eq!(client.close().unwrap(), 1005);
    assert!(!thread.join().unwrap().0.contains("Sec-WebSocket-Protocol"));
}

#[test]
fn rejected_upgrade_returns_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    assert!(matches!(Client::connect(addr, Options::bearer("old")), Err(Error::Upgrade(401))));
    thread.join().unwrap();
}

#[test]
fn dial_uses_the_given_source_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let stream = dial(addr, Some("127.3.2.1".parse().unwrap()), None, SECOND).unwrap();
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(peer, stream.local_addr().unwrap());
    assert_eq!(peer.ip().to_string(), "127.3.2.1");
}
