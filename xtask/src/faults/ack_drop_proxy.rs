//! A proxy that destroys acknowledgements on their way from the server to its clients.
//!
//! Out of a stream of bytes nothing can be taken unnoticed, so it reads the server's frames, leaves some out, and writes the
//! others anew.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use websocket::handshake::head_len;
use websocket::{
    Decoder, Message, Role, append_text, binary_frame, close_frame, close_reply, ping_frame, pong_frame,
};

use super::rng::Rng;

/// The longest message of the server: a page of history has 256 KiB and the last event.
const MESSAGE_LIMIT: u32 = 1024 * 1024;
/// How long a connection may go on from which something was taken, if it is to be cut.
const MAX_UPTIME: Duration = Duration::from_millis(300);

/// Stands between a server and its clients until it is dropped.
pub(super) struct AckDropProxy {
    /// Where the clients find it.
    pub(super) address: SocketAddr,
    state: Arc<ProxyState>,
}

/// What all its connections share.
struct ProxyState {
    server: SocketAddr,
    is_transparent: AtomicBool,
    has_ended: AtomicBool,
    seen: AtomicU64,
    destroyed: AtomicU64,
    cut: AtomicU64,
    rng: Mutex<Rng>,
    /// Both ends of every connection that is open. A few dozen at a time.
    open: Mutex<Vec<(u64, [TcpStream; 2])>>,
}

/// How a connection goes on from which an acknowledgement was taken.
enum AfterDrop {
    NetworkFault(Instant),
    /// The client has to notice by itself that it was not answered.
    Silence,
}

impl AckDropProxy {
    pub(super) fn start(server: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let state = Arc::new(ProxyState {
            server,
            is_transparent: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            seen: AtomicU64::new(0),
            destroyed: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            rng: Mutex::new(Rng::new(seed)),
            open: Mutex::default(),
        });
        let inside = Arc::clone(&state);
        thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                if inside.has_ended.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&inside);
                // What goes wrong between the two ends is an end, and both see it.
                thread::spawn(move || state.serve(number as u64, client));
            }
        });
        Ok(Self { address, state })
    }

    /// From now on it takes nothing, and whoever it took something from is given the chance to ask again.
    pub(super) fn stop_dropping(&self) {
        self.state.is_transparent.store(true, Ordering::SeqCst);
        self.state.cut_all();
    }

    pub(super) fn counts(&self) -> DropCounts {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        DropCounts {
            seen: of(&self.state.seen),
            destroyed: of(&self.state.destroyed),
            cut: of(&self.state.cut),
        }
    }
}

impl Drop for AckDropProxy {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::SeqCst);
        self.state.cut_all();
        // So that the one who waits for connections sees it. If that fails, it has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

/// What came of it.
pub(super) struct DropCounts {
    /// Acknowledgements that came by.
    pub(super) seen: u64,
    pub(super) destroyed: u64,
    /// Connections that were cut after one was destroyed.
    pub(super) cut: u64,
}

impl ProxyState {
    fn serve(&self, number: u64, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.server)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let ends = [client.try_clone()?, server.try_clone()?];
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push((number, ends));
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        let upwards = thread::spawn(move || {
            let ended = copy(&from, &to);
            cut(&[from, to]);
            ended
        });
        let ended = self.carry_down(&server, &client);
        cut(&[client, server]);
        // A thread that only copies does not panic.
        let _ = upwards.join();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(other, _)| *other != number);
        ended
    }

    fn cut_all(&self) {
        for (_, ends) in self.open.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            cut(ends);
        }
    }

    /// What the server says: first the answer to a request, and then, if that was to become a WebSocket, its frames.
    fn carry_down(&self, mut server: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut head = Vec::new();
        let end = loop {
            if let Some(end) = head_len(&head) {
                break end;
            }
            match server.read(&mut buffer)? {
                0 => return client.write_all(&head),
                read => head.extend_from_slice(&buffer[..read]),
            }
        };
        if !head.starts_with(b"HTTP/1.1 101 ") {
            client.write_all(&head)?;
            return copy(server, client);
        }
        client.write_all(&head[..end])?;
        let mut decoder = Decoder::new(Role::Client, MESSAGE_LIMIT);
        let mut doom = None;
        let mut out = Vec::new();
        let mut input = &mut head[end..];
        loop {
            out.clear();
            while let Some(message) = decoder.next(&mut input).map_err(io::Error::other)? {
                if let Some(then) = self.pass_on(&mut out, message) {
                    doom = doom.or(match then {
                        AfterDrop::NetworkFault(when) => Some(when),
                        AfterDrop::Silence => None,
                    });
                }
            }
            client.write_all(&out)?;
            let left = doom.map(|doom| doom.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                self.cut.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            server.set_read_timeout(left)?;
            match server.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => input = &mut buffer[..read],
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    input = &mut [];
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the frame again, without the acknowledgements that are destroyed.
    fn pass_on(&self, out: &mut Vec<u8>, message: Message<'_>) -> Option<AfterDrop> {
        match message {
            Message::Text(text) => match self.take_from(text) {
                Some((rest, then)) => {
                    if let Some(rest) = rest {
                        append_text(out, rest.as_bytes());
                    }
                    return Some(then);
                }
                None => append_text(out, text.as_bytes()),
            },
            Message::Binary(bytes) => out.extend(binary_frame(bytes)),
            Message::Ping(payload) => out.extend(ping_frame(payload)),
            Message::Pong(payload) => out.extend(pong_frame(payload)),
            Message::Close(Some((code, reason))) => out.extend(close_frame(code, reason)),
            Message::Close(None) => out.extend(close_reply(None)),
        }
        None
    }

    /// What is left of the text, if something is taken from it.
    fn take_from(&self, text: &str) -> Option<(Option<String>, AfterDrop)> {
        if self.is_transparent.load(Ordering::SeqCst) || !text.contains("\"ok\"") {
            return None;
        }
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = 0;
        let mut takes = |said: &Value| {
            if !is_acknowledgement(said) {
                return false;
            }
            self.seen.fetch_add(1, Ordering::Relaxed);
            let takes = rng.below(2) == 0;
            taken += u64::from(takes);
            takes
        };
        let rest = match serde_json::from_str(text).ok()? {
            Value::Array(mut all) => {
                all.retain(|said| !takes(said));
                (!all.is_empty()).then(|| Value::Array(all).to_string())
            }
            one => (!takes(&one)).then(|| text.to_owned()),
        };
        if taken == 0 {
            return None;
        }
        self.destroyed.fetch_add(taken, Ordering::Relaxed);
        let then = match rng.below(3) {
            0 => AfterDrop::NetworkFault(Instant::now()),
            1 => AfterDrop::NetworkFault(Instant::now() + rng.moment_within(MAX_UPTIME)),
            _ => AfterDrop::Silence,
        };
        Some((rest, then))
    }
}

/// An `ok` that says under which number something is stored. (That to `read` has an `n` beside it.)
fn is_acknowledgement(said: &Value) -> bool {
    said["type"] == "ok" && said["seq"].is_u64() && said["n"].is_null()
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to).map(drop)
}

/// What is on its way still arrives; nothing more can be sent.
fn cut(ends: &[TcpStream; 2]) {
    for end in ends {
        // Fails if the other side has ended it, which is as good.
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_where_something_is_stored_is_an_acknowledgement() {
        let is = |text| is_acknowledgement(&serde_json::from_str(text).unwrap());
        assert!(is(r#"{"type":"ok","id":4,"seq":58}"#));
        for other in [
            r#"{"type":"ok","id":4}"#,
            r#"{"type":"ok","id":4,"seq":58,"n":52}"#,
            r#"{"type":"joined","id":1,"room":"r1","seq":58}"#,
            r#"{"type":"message","room":"r1","seq":58,"n":52,"body":"ok"}"#,
        ] {
            assert!(!is(other), "{other}");
        }
    }

    /// What a proxy before nobody makes of so many times this.
    fn taken(text: &str, times: u64) -> (u64, Vec<Option<String>>) {
        let proxy = AckDropProxy::start("127.0.0.1:9".parse().unwrap(), 7).unwrap();
        let rests: Vec<_> =
            (0..times).filter_map(|_| proxy.state.take_from(text)).map(|(rest, _)| rest).collect();
        (proxy.counts().destroyed, rests)
    }

    #[test]
    fn about_half_of_the_acknowledgements_are_taken() {
        let (destroyed, rests) = taken(r#"{"type":"ok","id":4,"seq":58}"#, 1_000);
        assert!((400..600).contains(&destroyed), "{destroyed}");
        assert!(rests.iter().all(Option::is_none));
    }

    #[test]
    fn what_stands_beside_an_acknowledgement_is_passed_on() {
        let (destroyed, rests) = taken(r#"[{"type":"ok","id":4,"seq":58},{"type":"ok","id":5}]"#, 100);
        assert!(destroyed > 0);
        assert!(rests.iter().all(|rest| rest.as_deref() == Some(r#"[{"id":5,"type":"ok"}]"#)), "{rests:?}");
    }

    #[test]
    fn whoever_has_reformed_takes_nothing() {
        let proxy = AckDropProxy::start("127.0.0.1:9".parse().unwrap(), 7).unwrap();
        proxy.stop_dropping();
        assert!((0..100).all(|_| proxy.state.take_from(r#"{"type":"ok","id":4,"seq":58}"#).is_none()));
    }
}
