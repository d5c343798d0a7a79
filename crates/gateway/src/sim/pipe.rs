//! An in-memory connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use crate::shard::Transport;

/// The server's end of an in-memory connection; clones share the connection.
#[derive(Clone, Default)]
pub(crate) struct Pipe(pub(crate) Rc<PipeState>);

impl Pipe {
    /// Whether the server has dropped its clone, which the client sees as the end of the stream.
    pub(crate) fn is_hung_up(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

/// The state between the two ends.
#[derive(Default)]
pub(crate) struct PipeState {
    pub(crate) to_server: RefCell<VecDeque<u8>>,
    pub(crate) to_client: RefCell<Vec<u8>>,
    /// The free space in the send buffer.
    pub(crate) room: Cell<usize>,
    /// The limit of the next write, if it is less.
    pub(crate) max_write: Cell<Option<usize>>,
    pub(crate) writes: Cell<usize>,
    /// A write was incomplete, and the server waits for the socket to become writable.
    pub(crate) write_blocked: Cell<bool>,
    /// The client has shut down its write side.
    pub(crate) ended: Cell<bool>,
    pub(crate) broken: Cell<bool>,
}

impl Transport for Pipe {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.broken.get() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let mut waiting = self.0.to_server.borrow_mut();
        if waiting.is_empty() {
            return if self.0.ended.get() { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let len = waiting.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(waiting.drain(..len)) {
            *slot = byte;
        }
        Ok(len)
    }

    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.0.broken.get() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = offered.min(self.0.room.get()).min(self.0.max_write.take().unwrap_or(usize::MAX));
        self.0.write_blocked.set(taken < offered);
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.writes.set(self.0.writes.get() + 1);
        self.0.room.set(self.0.room.get() - taken);
        let mut left = taken;
        let mut to_client = self.0.to_client.borrow_mut();
        for slice in slices {
            let piece = slice.len().min(left);
            to_client.extend_from_slice(&slice[..piece]);
            left -= piece;
        }
        Ok(taken)
    }

    fn finish_writing(&mut self) {}
}
