//! TCP connections from a chosen source address, which `std` and mio leave to the kernel. A load of more than 28,232
//! connections needs several addresses, and so does a test of the limits per address.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use socket2::{Domain, Protocol, Socket, Type};

/// What a nonblocking connect returns on Linux while the connection is not established (errno 115).
const EINPROGRESS: i32 = 115;

/// Creates a socket that is bound but not connected.
fn socket(addr: SocketAddr, source: Option<IpAddr>, receive_buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(bytes) = receive_buffer {
        // Set before connecting, because the handshake negotiates the window scale.
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = source {
        // Without this option, bind() searches for a port that no other socket uses, for any destination. With some ten
        // thousand sockets that takes a millisecond each.
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// Connects from this source address and with this receive buffer (the kernel's choice if `None`), and waits until the
/// connection is established.
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

/// Starts to connect and returns at once. The socket is nonblocking and becomes writable when the connection is established.
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
