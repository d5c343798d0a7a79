//! The socket of a connection, as the transport of a shard.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use rustix::net::SendFlags;

use crate::handoff::SlotGuard;
use crate::shard::Transport;

/// A connection's socket.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// Held, not read: dropping it frees the connection's slot under the limits.
    _slot: SlotGuard,
}

impl Socket {
    pub(super) fn new(stream: std::net::TcpStream, slot: SlotGuard) -> Self {
        Socket { stream: TcpStream::from_std(stream), _slot: slot }
    }
}

impl Transport for Socket {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // One slice is the common case, and `send` is cheaper than `sendmsg`. The system call is made directly: `send` of the
            // C library is a cancellation point, which costs instructions before and after it.
            [one] => Ok(rustix::net::send(&self.stream, one, SendFlags::NOSIGNAL)?),
            _ => self.stream.write_vectored(slices),
        }
    }

    fn finish_writing(&mut self) {
        // Fails only if the peer has disconnected.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}
