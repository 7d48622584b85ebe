//! The names that io_uring takes from other system calls and that the catalogue does not have:
//! open flags, message flags, address families and so on, from the `libc` crate under the
//! headers' own names.

use common::catalog::Table;

/// Numbers with their names. Where bits overlap (`O_SYNC` holds `O_DSYNC`), the larger first.
pub type Names = &'static [(u32, &'static str)];

/// A list of names: one of this module's, or a table of the catalogue.
pub trait List {
    /// The numbers with their names.
    fn pairs(&self) -> impl Iterator<Item = (u32, &'static str)>;
}

impl List for Names {
    fn pairs(&self) -> impl Iterator<Item = (u32, &'static str)> {
        self.iter().copied()
    }
}

impl List for &Table {
    fn pairs(&self) -> impl Iterator<Item = (u32, &'static str)> {
        self.entries.iter().map(|entry| (entry.code, entry.name))
    }
}

macro_rules! names {
    ($($name:ident)*) => { &[$((libc::$name as u32, stringify!($name))),*] };
}

/// The names of the bits that are set; unknown ones as one number at the end.
pub fn bits(list: impl List, bits: u32) -> Vec<String> {
    let mut rest = bits;
    let mut set = Vec::new();
    for (bit, name) in list.pairs() {
        if bit != 0 && rest & bit == bit {
            set.push(name.to_string());
            rest &= !bit;
        }
    }
    if rest != 0 {
        set.push(format!("{rest:#x}"));
    }
    set
}

/// The name of a code; of an unknown one the number.
pub fn code(list: impl List, code: u32) -> String {
    let known = list.pairs().find(|(known, _)| *known == code);
    known.map_or_else(|| (code as i32).to_string(), |(_, name)| name.to_string())
}

/// `open(2)`: how the file may be used, in the two lowest bits.
pub const ACCESS: Names = names!(O_RDONLY O_WRONLY O_RDWR O_ACCMODE);
/// `open(2)`: everything else.
pub const OPEN: Names = names!(
    O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_ASYNC O_DIRECT
    O_LARGEFILE O_TMPFILE O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH
);
/// `statx(2)`: the fields that are wanted.
pub const STATX: Names = names!(
    STATX_BASIC_STATS STATX_TYPE STATX_MODE STATX_NLINK STATX_UID STATX_GID STATX_ATIME
    STATX_MTIME STATX_CTIME STATX_INO STATX_SIZE STATX_BLOCKS STATX_BTIME STATX_MNT_ID
    STATX_DIOALIGN STATX_MNT_ID_UNIQUE STATX_SUBVOL STATX_WRITE_ATOMIC
);
/// `send(2)`, `recv(2)`.
pub const MSG: Names = names!(
    MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL
    MSG_CONFIRM MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE MSG_WAITFORONE MSG_ZEROCOPY MSG_FASTOPEN
    MSG_CMSG_CLOEXEC
);
/// `poll(2)`; the last four from `epoll_ctl(2)`.
pub const POLL: Names = &[
    (libc::POLLIN as u32, "POLLIN"),
    (libc::POLLPRI as u32, "POLLPRI"),
    (libc::POLLOUT as u32, "POLLOUT"),
    (libc::POLLERR as u32, "POLLERR"),
    (libc::POLLHUP as u32, "POLLHUP"),
    (libc::POLLNVAL as u32, "POLLNVAL"),
    (libc::POLLRDNORM as u32, "POLLRDNORM"),
    (libc::POLLRDBAND as u32, "POLLRDBAND"),
    (libc::POLLWRNORM as u32, "POLLWRNORM"),
    (libc::POLLWRBAND as u32, "POLLWRBAND"),
    (libc::POLLRDHUP as u32, "POLLRDHUP"),
    (libc::EPOLLEXCLUSIVE as u32, "EPOLLEXCLUSIVE"),
    (libc::EPOLLWAKEUP as u32, "EPOLLWAKEUP"),
    (libc::EPOLLONESHOT as u32, "EPOLLONESHOT"),
    (libc::EPOLLET as u32, "EPOLLET"),
];
/// `epoll_ctl(2)`, `epoll_wait(2)`: the events.
pub const EPOLL: Names = names!(
    EPOLLIN EPOLLPRI EPOLLOUT EPOLLERR EPOLLHUP EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM EPOLLWRBAND
    EPOLLMSG EPOLLRDHUP EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET
);
/// `socket(2)`: families.
pub const FAMILIES: Names = names!(
    AF_UNSPEC AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK AF_ALG AF_CAN AF_BLUETOOTH
    AF_TIPC AF_XDP
);
/// `socket(2)`: protocols of the two internet families.
pub const PROTOCOLS: Names = names!(
    IPPROTO_IP IPPROTO_ICMP IPPROTO_TCP IPPROTO_UDP IPPROTO_ICMPV6 IPPROTO_SCTP IPPROTO_UDPLITE
    IPPROTO_RAW IPPROTO_MPTCP
);
/// `getsockopt(2)`: levels.
pub const LEVELS: Names =
    names!(SOL_SOCKET IPPROTO_IP IPPROTO_TCP IPPROTO_UDP IPPROTO_IPV6 SOL_TLS);
/// `socket(7)`: the options of `SOL_SOCKET`.
pub const SOCKET_OPTIONS: Names = names!(
    SO_DEBUG SO_REUSEADDR SO_TYPE SO_ERROR SO_DONTROUTE SO_BROADCAST SO_SNDBUF SO_RCVBUF
    SO_KEEPALIVE SO_OOBINLINE SO_PRIORITY SO_LINGER SO_REUSEPORT SO_PASSCRED SO_PEERCRED
    SO_RCVLOWAT SO_SNDLOWAT SO_RCVTIMEO SO_SNDTIMEO SO_ACCEPTCONN SO_PEERSEC SO_SNDBUFFORCE
    SO_RCVBUFFORCE SO_PROTOCOL SO_DOMAIN SO_BUSY_POLL
);
/// `tcp(7)`.
pub const TCP_OPTIONS: Names = names!(
    TCP_NODELAY TCP_MAXSEG TCP_CORK TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_SYNCNT
    TCP_LINGER2 TCP_DEFER_ACCEPT TCP_WINDOW_CLAMP TCP_INFO TCP_QUICKACK TCP_CONGESTION
    TCP_USER_TIMEOUT TCP_FASTOPEN
);
/// `clock_gettime(2)`.
pub const CLOCKS: Names = names!(CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_BOOTTIME);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_bits_are_named_once() {
        assert_eq!(bits(OPEN, libc::O_SYNC as u32), ["O_SYNC"]);
        assert_eq!(bits(OPEN, libc::O_DSYNC as u32), ["O_DSYNC"]);
        assert_eq!(bits(OPEN, libc::O_TMPFILE as u32), ["O_TMPFILE"]);
        assert_eq!(
            bits(STATX, libc::STATX_BASIC_STATS | 0x800),
            ["STATX_BASIC_STATS", "STATX_BTIME"]
        );
    }

    #[test]
    fn unknown_numbers_stay_numbers() {
        assert_eq!(bits(MSG, 0x0400_0040), ["MSG_DONTWAIT", "MSG_ZEROCOPY"]);
        assert_eq!(bits(MSG, 0x1000_0000 | 0x2), ["MSG_PEEK", "0x10000000"]);
        assert_eq!(bits(MSG, 0), [""; 0]);
        assert_eq!(code(FAMILIES, 10), "AF_INET6");
        assert_eq!(code(FAMILIES, u32::MAX), "-1");
    }
}
