//! A connection in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use crate::shard::Transport;

/// The server's end of a connection in memory; clones are the same connection.
#[derive(Clone, Default)]
pub(crate) struct Pipe(pub(crate) Rc<Wire>);

impl Pipe {
    /// Whether the server has dropped its clone: the client comes to the end of what was written to it.
    pub(crate) fn is_hung_up(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

/// What lies between the two ends.
#[derive(Default)]
pub(crate) struct Wire {
    pub(crate) to_server: RefCell<VecDeque<u8>>,
    pub(crate) to_client: RefCell<Vec<u8>>,
    /// How many bytes the socket still takes.
    pub(crate) room: Cell<usize>,
    /// What one write takes at most, if that is less.
    pub(crate) mouthful: Cell<Option<usize>>,
    /// How often the server wrote.
    pub(crate) writes: Cell<usize>,
    /// A write was cut short: the server waits to be told that there is room again.
    pub(crate) starved: Cell<bool>,
    /// The client has ended its side.
    pub(crate) ended: Cell<bool>,
    /// The connection was reset.
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
        let taken = offered.min(self.0.room.get()).min(self.0.mouthful.take().unwrap_or(usize::MAX));
        self.0.starved.set(taken < offered);
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
