//! The TCP connection of an HTTP request. ureq's own transport cannot bind a source address.

use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::dial::dial;

/// Connects to `addr`, whatever the host of the request is.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) addr: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    /// For the connection, and for each read and write.
    pub(crate) timeout: Duration,
}

impl Connector<()> for Dialer {
    type Out = Tcp;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Tcp>, Error> {
        let stream = dial(self.addr, self.source, None, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Tcp { stream, buffers }))
    }
}

pub(crate) struct Tcp {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    // The timeouts of the socket are fixed: each request has its own connection.
    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Called only for pooled connections, of which there are none.
        false
    }
}
