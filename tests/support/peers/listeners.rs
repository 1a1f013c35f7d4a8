//! Addresses of this machine at which there is no server: nobody listens, nobody answers, or nobody is let in.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, SocketType};

/// An address that accepts connections and never reads or answers. It stops when it is dropped.
pub struct Silent {
    /// Where it listens.
    pub address: SocketAddr,
    // The system accepts up to its backlog for a listener that nobody looks after.
    _listener: TcpListener,
}

impl Silent {
    /// Begins to listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { address: listener.local_addr().unwrap(), _listener: listener }
    }
}

/// An address that refuses connections. It is kept from others until this is dropped.
pub struct Nobody {
    /// Where nobody listens.
    pub address: SocketAddr,
    // Bound, and so nobody else's; not listening, and so refusing.
    _socket: OwnedFd,
}

impl Nobody {
    /// Takes an address.
    pub fn take() -> Self {
        let (socket, address) = bound();
        Self { address, _socket: socket }
    }
}

/// An address that neither accepts nor refuses connections, as behind a firewall that drops what it does not like.
pub struct Full {
    /// Where connections are neither accepted nor refused.
    pub address: SocketAddr,
    _socket: OwnedFd,
    // The one that the backlog has room for. The system drops the first packet of any other.
    _first: TcpStream,
}

impl Full {
    /// Begins to listen, and fills its backlog.
    pub fn start() -> Self {
        let (socket, address) = bound();
        net::listen(&socket, 0).unwrap();
        Self { address, _socket: socket, _first: TcpStream::connect(address).unwrap() }
    }
}

fn bound() -> (OwnedFd, SocketAddr) {
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = net::getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}
