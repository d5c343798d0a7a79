//! A proxy that drops acknowledgements on their way from the server to its clients.
//!
//! Bytes cannot be removed from a WebSocket stream unnoticed, so the proxy decodes the server's frames, omits some, and encodes
//! the others again.

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

/// Bounds a message of the server: a page of history has 256 KiB and the last event.
const MESSAGE_LIMIT: u32 = 1024 * 1024;
/// Bounds the delay before a connection is cut after a drop.
const MAX_CUT_DELAY: Duration = Duration::from_millis(300);

/// A proxy that forwards between a server and its clients until this value is dropped.
pub(super) struct AckDropProxy {
    /// The address for clients.
    pub(super) address: SocketAddr,
    state: Arc<ProxyState>,
}

/// The state that all connections share.
struct ProxyState {
    server: SocketAddr,
    is_transparent: AtomicBool,
    has_ended: AtomicBool,
    seen: AtomicU64,
    dropped: AtomicU64,
    cut: AtomicU64,
    rng: Mutex<Rng>,
    /// Both ends of every open connection; a few dozen at a time.
    open: Mutex<Vec<(u64, [TcpStream; 2])>>,
}

/// The fate of a connection after an acknowledgement was dropped.
enum AfterDrop {
    CutAt(Instant),
    /// The connection stays open: the client must detect the missing answer by its own timeout.
    KeepOpen,
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
            dropped: AtomicU64::new(0),
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
                // An error on either side closes both.
                thread::spawn(move || state.serve(number as u64, client));
            }
        });
        Ok(Self { address, state })
    }

    /// Stops dropping. All connections are closed, so that clients send their unanswered messages again.
    pub(super) fn stop_dropping(&self) {
        self.state.is_transparent.store(true, Ordering::SeqCst);
        self.state.cut_all();
    }

    pub(super) fn counts(&self) -> DropCounts {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        DropCounts { seen: of(&self.state.seen), dropped: of(&self.state.dropped), cut: of(&self.state.cut) }
    }
}

impl Drop for AckDropProxy {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::SeqCst);
        self.state.cut_all();
        // Wakes the accepting thread. If this fails, the thread has already ended.
        let _ = TcpStream::connect(self.address);
    }
}

/// Totals over all connections.
pub(super) struct DropCounts {
    /// Acknowledgements that the server sent.
    pub(super) seen: u64,
    pub(super) dropped: u64,
    /// Connections that were cut after a drop.
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
        let ended = self.forward_from_server(&server, &client);
        cut(&[client, server]);
        // The thread only copies bytes, and does not panic.
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

    /// Forwards the server's bytes: the HTTP response, and after an upgrade the frames.
    fn forward_from_server(&self, mut server: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
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
        let mut cut_at = None;
        let mut out = Vec::new();
        let mut input = &mut head[end..];
        loop {
            out.clear();
            while let Some(message) = decoder.next(&mut input).map_err(io::Error::other)? {
                if let Some(after_drop) = self.forward_frame(&mut out, message) {
                    cut_at = cut_at.or(match after_drop {
                        AfterDrop::CutAt(when) => Some(when),
                        AfterDrop::KeepOpen => None,
                    });
                }
            }
            client.write_all(&out)?;
            let left = cut_at.map(|cut_at| cut_at.saturating_duration_since(Instant::now()));
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

    /// Encodes the frame again without the dropped acknowledgements.
    fn forward_frame(&self, out: &mut Vec<u8>, message: Message<'_>) -> Option<AfterDrop> {
        match message {
            Message::Text(text) => match self.drop_acks(text) {
                Some((rest, after_drop)) => {
                    if let Some(rest) = rest {
                        append_text(out, rest.as_bytes());
                    }
                    return Some(after_drop);
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

    /// Returns the rest of the text if something is dropped from it.
    fn drop_acks(&self, text: &str) -> Option<(Option<String>, AfterDrop)> {
        if self.is_transparent.load(Ordering::SeqCst) || !text.contains("\"ok\"") {
            return None;
        }
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped_here = 0;
        let mut drops = |frame: &Value| {
            if !is_acknowledgement(frame) {
                return false;
            }
            self.seen.fetch_add(1, Ordering::Relaxed);
            let drops = rng.below(2) == 0;
            dropped_here += u64::from(drops);
            drops
        };
        let rest = match serde_json::from_str(text).ok()? {
            Value::Array(mut all) => {
                all.retain(|frame| !drops(frame));
                (!all.is_empty()).then(|| Value::Array(all).to_string())
            }
            one => (!drops(&one)).then(|| text.to_owned()),
        };
        if dropped_here == 0 {
            return None;
        }
        self.dropped.fetch_add(dropped_here, Ordering::Relaxed);
        let after_drop = match rng.below(3) {
            0 => AfterDrop::CutAt(Instant::now()),
            1 => AfterDrop::CutAt(Instant::now() + rng.moment_within(MAX_CUT_DELAY)),
            _ => AfterDrop::KeepOpen,
        };
        Some((rest, after_drop))
    }
}

/// Whether the frame is an `ok` with the number of a stored message. The reply to `read` has an `n` as well.
fn is_acknowledgement(frame: &Value) -> bool {
    frame["type"] == "ok" && frame["seq"].is_u64() && frame["n"].is_null()
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to).map(drop)
}

/// Ends a connection: bytes in transit still arrive, nothing more can be sent.
fn cut(ends: &[TcpStream; 2]) {
    for end in ends {
        // Fails if the other side has already closed it, which has the same effect.
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ok_with_a_seq_counts_as_an_acknowledgement() {
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

    /// The proxy's output for this text, given several times, without a server.
    fn dropped_here(text: &str, times: u64) -> (u64, Vec<Option<String>>) {
        let proxy = AckDropProxy::start("127.0.0.1:9".parse().unwrap(), 7).unwrap();
        let rests: Vec<_> =
            (0..times).filter_map(|_| proxy.state.drop_acks(text)).map(|(rest, _)| rest).collect();
        (proxy.counts().dropped, rests)
    }

    #[test]
    fn about_half_of_the_acknowledgements_are_dropped() {
        let (dropped, rests) = dropped_here(r#"{"type":"ok","id":4,"seq":58}"#, 1_000);
        assert!((400..600).contains(&dropped), "{dropped}");
        assert!(rests.iter().all(Option::is_none));
    }

    #[test]
    fn frames_next_to_a_dropped_acknowledgement_are_forwarded() {
        let (dropped, rests) = dropped_here(r#"[{"type":"ok","id":4,"seq":58},{"type":"ok","id":5}]"#, 100);
        assert!(dropped > 0);
        assert!(rests.iter().all(|rest| rest.as_deref() == Some(r#"[{"id":5,"type":"ok"}]"#)), "{rests:?}");
    }

    #[test]
    fn transparent_proxy_drops_nothing() {
        let proxy = AckDropProxy::start("127.0.0.1:9".parse().unwrap(), 7).unwrap();
        proxy.stop_dropping();
        assert!((0..100).all(|_| proxy.state.drop_acks(r#"{"type":"ok","id":4,"seq":58}"#).is_none()));
    }
}
