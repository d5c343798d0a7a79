//! TCP connections from a chosen address. `std` and mio connect from wherever the kernel likes; a load of more than 28,232
//! connections needs more than one address, and so does a test of limits per address.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use socket2::{Domain, Protocol, Socket, Type};

/// What Linux answers to a connect that does not wait.
const EINPROGRESS: i32 = 115;

/// A socket that is bound but not connected.
fn socket(addr: SocketAddr, source: Option<IpAddr>, receive_buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(bytes) = receive_buffer {
        // Before connecting: the window's scale is agreed upon in the handshake.
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = source {
        // Otherwise bind() looks for a port that no other socket has, whatever that is connected to: with some ten thousand
        // sockets that is a millisecond for each.
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// Connects, from this address and with this receive buffer (or what the kernel chooses), and waits for it.
pub fn dial(
    addr: SocketAddr,
    source: Option<IpAddr>,
    receive_buffer: Option<usize>,
    timeout: Duration,
) -> io::Result<TcpStream> {
    let socket = socket(addr, source, receive_buffer)?;
    socket.connect_timeout(&addr.into(), timeout)?;
    Ok(socket.into())
}

/// Begins to connect; the socket does not block.
pub fn dial_nonblocking(
    addr: SocketAddr,
    source: Option<IpAddr>,
    receive_buffer: Option<usize>,
) -> io::Result<TcpStream> {
    let socket = socket(addr, source, receive_buffer)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&addr.into()) {
        Err(error)
            if error.kind() != io::ErrorKind::WouldBlock && error.raw_os_error() != Some(EINPROGRESS) =>
        {
            Err(error)
        }
        _ => Ok(socket.into()),
    }
}
