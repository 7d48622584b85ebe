//! A listening TCP socket, made with plain system calls: it happens once, so a ring would
//! save nothing (`IORING_OP_BIND` and `IORING_OP_LISTEN` exist since Linux 6.11).

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    listen, setsockopt, shutdown, socket, sockopt,
};

use crate::environment::Refusal;

/// Where the days listen without `--listen`: the journal's port, on loopback only.
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
    /// Binds and listens. Port 0 takes a free one, which [`Listener::address`] returns.
    ///
    /// Accepted sockets inherit TCP_NODELAY from here: without it a reply sent in two pieces
    /// waits for the peer's delayed acknowledgement, 40 ms and more.
    ///
    /// # Errors
    /// A [`Refusal`] that says what to type if the address is taken, not ours, or reserved.
    pub fn bind(address: SocketAddr) -> Result<Listener> {
        Listener::open(address, false)
    }

    /// Like [`Listener::bind`], but several listeners can share the address if all use this
    /// function (`SO_REUSEPORT`, `socket(7)`): the kernel spreads the clients over them. Bind
    /// the first, and the others to its [`Listener::address`].
    ///
    /// Another program of the same user can join in as well, so a taken port may go unnoticed.
    ///
    /// # Errors
    /// As [`Listener::bind`].
    pub fn bind_shared(address: SocketAddr) -> Result<Listener> {
        Listener::open(address, true)
    }

    fn open(address: SocketAddr, shared: bool) -> Result<Listener> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)
            .with_context(|| format!("making a TCP socket for {address}"))?;
        // Without it the port stays refused for a minute after a server that had clients.
        setsockopt(&socket, sockopt::ReuseAddr, &true).context("setting SO_REUSEADDR")?;
        if shared {
            setsockopt(&socket, sockopt::ReusePort, &true).context("setting SO_REUSEPORT")?;
        }
        setsockopt(&socket, sockopt::TcpNoDelay, &true).context("setting TCP_NODELAY")?;
        set_unsent_mark(&socket).context("setting TCP_NOTSENT_LOWAT")?;
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

    /// The address that it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The descriptor, for `types::Fd`. It stays open as long as the listener lives; cancel
    /// every accept on it before dropping it, or the ring keeps accepting.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Stops listening, whichever ring accepts here: an armed accept ends with EINVAL, and
    /// clients that were not accepted are reset (`shutdown(2)`).
    pub fn shut(&self) {
        // It fails only if the socket no longer listens.
        let _ = shutdown(self.fd(), Shutdown::Both);
    }
}

/// For servers that do without a ring: the same socket, with the same settings.
impl From<Listener> for TcpListener {
    fn from(listener: Listener) -> TcpListener {
        listener.socket
    }
}

/// Accepted sockets inherit this, too: a send completes when fewer than this many bytes wait for
/// the client's window, not when a third of a buffer of megabytes is free. So a completed send
/// shows that the client reads, however slowly (`tcp(7)`, TCP_NOTSENT_LOWAT).
fn set_unsent_mark(socket: &OwnedFd) -> io::Result<()> {
    let bytes: libc::c_int = 16 << 10;
    // SAFETY: the kernel reads one `c_int`, ours, before the call returns.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// Pitfall 3 of the book: a reply sent in two pieces waits for the peer's delayed
    /// acknowledgement, unless the accepted socket has TCP_NODELAY.
    #[test]
    fn pitfall_03_accepted_sockets_inherit_tcp_nodelay() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpStream::connect(listener.address()).unwrap();
        assert!(!client.nodelay().unwrap(), "it is not the default");
        let (accepted, _) = listener.socket.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }

    #[test]
    fn a_shared_address_is_shared_with_those_alone_who_ask_for_it() {
        let first = Listener::bind_shared("127.0.0.1:0".parse().unwrap()).unwrap();
        let second = Listener::bind_shared(first.address()).unwrap();
        assert_eq!(first.address(), second.address());
        let error = Listener::bind(first.address()).unwrap_err();
        assert!(error.to_string().contains("EADDRINUSE"), "{error:#}");
    }

    #[test]
    fn a_listener_that_is_shut_takes_no_more_clients() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        TcpStream::connect(listener.address()).unwrap();
        listener.shut();
        let error = TcpStream::connect(listener.address()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        listener.shut();
    }

    /// Defect 14 of the journal: it listens on every interface.
    #[test]
    fn journal_14_the_default_address_is_loopback() {
        let address = parse_address(DEFAULT_ADDRESS).unwrap();
        assert!(address.ip().is_loopback(), "{address}");
        assert_eq!(address.port(), 4242);
    }

    /// Against defect 15 of the journal: an error says what happened and what to type, not "Success".
    #[test]
    fn journal_15_a_taken_port_is_explained() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.address().port();
        let error = Listener::bind(listener.address()).unwrap_err();
        let refusal = error.downcast_ref::<Refusal>().expect("a refusal");
        assert_eq!(refusal.what, format!("cannot listen on 127.0.0.1:{port}: EADDRINUSE"));
        assert_eq!(refusal.why, "another program has the port");
        assert!(refusal.remedy.contains(&format!("sport = :{port}")), "{}", refusal.remedy);
    }

    #[test]
    fn an_address_of_another_machine_is_explained() {
        // For documentation only (RFC 5737): no machine has it.
        let error = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("EADDRNOTAVAIL"), "{error:#}");
    }

    #[test]
    fn an_argument_that_is_no_address_is_explained() {
        for text in ["nonsense", "127.0.0.1", "127.0.0.1:65536", ":"] {
            let error = parse_address(text).unwrap_err();
            assert!(error.ends_with("write HOST:PORT, as in 127.0.0.1:4242 or [::1]:0"), "{error}");
        }
    }
}
