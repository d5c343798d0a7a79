//! A TCP proxy between a store and PostgreSQL that counts round trips.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// What a client sends without a pause of this length is one message to the server. The client must be faster than this while it
/// sends what belongs together; whatever it sends after an answer counts again, since no answer comes before the pause.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until the process ends.
pub(super) struct CountingProxy {
    pub(super) port: u16,
    turns: Arc<AtomicU32>,
}

impl CountingProxy {
    pub(super) fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let turns = Arc::<AtomicU32>::default();
        let counter = Arc::clone(&turns);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)).unwrap();
                let (from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || copy(from, &mut to));
                let counter = Arc::clone(&counter);
                thread::spawn(move || forward(client, server, &counter));
            }
        });
        CountingProxy { port, turns }
    }

    /// The round trips since the last call.
    pub(super) fn take_turns(&self) -> u32 {
        self.turns.swap(0, Ordering::SeqCst)
    }
}

fn copy(mut from: TcpStream, to: &mut TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn forward(mut client: TcpStream, mut server: TcpStream, turns: &AtomicU32) {
    client.set_read_timeout(Some(PAUSE)).unwrap();
    let (mut buffer, mut held) = (vec![0; 64 << 10], Vec::new());
    loop {
        match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => held.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if held.is_empty() {
                    continue;
                }
                turns.fetch_add(1, Ordering::SeqCst);
                if server.write_all(&std::mem::take(&mut held)).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}
