//! A listening TCP socket, made with plain system calls: it happens once, so a ring would
//! save nothing (`IORING_OP_BIND` and `IORING_OP_LISTEN` exist since Linux 6.11).

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, listen,
    setsockopt, socket, sockopt,
};

use crate::environment::Refusal;

/// Where the days listen unless told otherwise: the journal's port, on loopback only.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:4242";

/// Connections that the kernel completes before the program accepts them. The kernel cuts
/// it to `net.core.somaxconn`, 4096 since Linux 5.4.
const BACKLOG: i32 = 1024;

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds and listens. Port 0 takes a free one, which [`Listener::address`] tells.
    ///
    /// Accepted sockets inherit TCP_NODELAY from here: without it a reply sent in two pieces
    /// waits for the peer's delayed acknowledgement, 40 ms and more.
    ///
    /// # Errors
    /// A [`Refusal`] that says what to type if the address is taken, not ours, or reserved.
    pub fn bind(address: SocketAddr) -> Result<Listener> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)
            .with_context(|| format!("making a TCP socket for {address}"))?;
        // Without it the port stays refused for a minute after a server that had clients.
        setsockopt(&socket, sockopt::ReuseAddr, &true).context("setting SO_REUSEADDR")?;
        setsockopt(&socket, sockopt::TcpNoDelay, &true).context("setting TCP_NODELAY")?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
            .and_then(|()| listen(&socket, Backlog::new(BACKLOG)?))
            .map_err(|errno| cannot_listen(address, errno))?;
        Listener::from_socket(socket)
    }

    fn from_socket(socket: OwnedFd) -> Result<Listener> {
        let socket = TcpListener::from(socket);
        let address = socket.local_addr().context("asking for the listener's address")?;
        Ok(Listener { socket, address })
    }

    /// The address it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The descriptor, for `types::Fd`. It stays open as long as the listener lives; cancel
    /// every accept on it before dropping it, or the ring keeps accepting.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn cannot_listen(address: SocketAddr, errno: Errno) -> Refusal {
    let port = address.port();
    let (why, remedy) = match errno {
        Errno::EADDRINUSE => (
            "another program has the port".to_string(),
            format!(
                "`ss -ltnp 'sport = :{port}'` to see which, or --listen with port 0 for a free one"
            ),
        ),
        Errno::EADDRNOTAVAIL => (
            "no interface of this machine has that address".to_string(),
            "`ip address` to see them, or --listen 127.0.0.1:0".to_string(),
        ),
        Errno::EACCES => (
            "ports below 1024 are for privileged programs".to_string(),
            "--listen with a port of 1024 or more".to_string(),
        ),
        other => (other.desc().to_string(), "another --listen address".to_string()),
    };
    Refusal { what: format!("cannot listen on {address}: {errno:?}"), why, remedy }
}

/// Reads a `--listen` argument: `HOST:PORT`, the host a name or an address.
///
/// # Errors
/// In words, for clap to print.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.to_socket_addrs()
        .map_err(|error| format!("{error}; write HOST:PORT, as in {DEFAULT_ADDRESS} or [::1]:0"))?
        .next()
        .ok_or_else(|| format!("{text} names no address"))
}
