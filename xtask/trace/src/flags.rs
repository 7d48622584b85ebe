//! The names that io_uring borrows from other system calls: open flags, message flags, address
//! families and so on, from the `libc` crate under the headers' own names.

/// Numbers with their names. Where bits overlap (`O_SYNC` holds `O_DSYNC`), the larger first.
pub type Names = &'static [(u32, &'static str)];

macro_rules! names {
    ($($name:ident)*) => { &[$((libc::$name as u32, stringify!($name))),*] };
}

/// The names of the bits that are set; unknown ones as one number at the end.
pub fn bits(table: Names, bits: u32) -> Vec<String> {
    let mut rest = bits;
    let mut set = Vec::new();
    for (bit, name) in table {
        if *bit != 0 && rest & bit == *bit {
            set.push((*name).to_string());
            rest &= !bit;
        }
    }
    if rest != 0 {
        set.push(format!("{rest:#x}"));
    }
    set
}

/// The name of a code; of an unknown one the number.
pub fn code(table: Names, code: u32) -> String {
    let known = table.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| (code as i32).to_string(), |(_, name)| (*name).to_string())
}

/// `open(2)`: how the file may be used, in the two lowest bits.
pub const ACCESS: Names = names!(O_RDONLY O_WRONLY O_RDWR O_ACCMODE);
/// `open(2)`: everything else.
pub const OPEN: Names = names!(
    O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_ASYNC O_DIRECT
    O_LARGEFILE O_TMPFILE O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH
);
/// `openat2(2)`.
pub const RESOLVE: Names = names!(
    RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT
    RESOLVE_CACHED
);
/// `statx(2)`, `linkat(2)`.
pub const AT: Names = names!(
    AT_SYMLINK_NOFOLLOW AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_STATX_FORCE_SYNC
    AT_STATX_DONT_SYNC
);
/// `unlinkat(2)`, where the bit of `AT_EACCESS` has another meaning.
pub const UNLINK: Names = names!(AT_REMOVEDIR);
/// `statx(2)`: the fields that are wanted.
pub const STATX: Names = names!(
    STATX_BASIC_STATS STATX_TYPE STATX_MODE STATX_NLINK STATX_UID STATX_GID STATX_ATIME
    STATX_MTIME STATX_CTIME STATX_INO STATX_SIZE STATX_BLOCKS STATX_BTIME STATX_MNT_ID
    STATX_DIOALIGN STATX_MNT_ID_UNIQUE STATX_SUBVOL STATX_WRITE_ATOMIC
);
/// `renameat2(2)`.
pub const RENAME: Names = names!(RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT);
/// `setxattr(2)`.
pub const XATTR: Names = names!(XATTR_CREATE XATTR_REPLACE);
/// `preadv2(2)`, `pwritev2(2)`.
pub const RWF: Names = names!(
    RWF_HIPRI RWF_DSYNC RWF_SYNC RWF_NOWAIT RWF_APPEND RWF_NOAPPEND RWF_ATOMIC RWF_DONTCACHE
);
/// `sync_file_range(2)`.
pub const SYNC_RANGE: Names =
    names!(SYNC_FILE_RANGE_WAIT_BEFORE SYNC_FILE_RANGE_WRITE SYNC_FILE_RANGE_WAIT_AFTER);
/// `fallocate(2)`.
pub const FALLOCATE: Names = names!(
    FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE FALLOC_FL_COLLAPSE_RANGE FALLOC_FL_ZERO_RANGE
    FALLOC_FL_INSERT_RANGE FALLOC_FL_UNSHARE_RANGE
);
/// `posix_fadvise(2)`.
pub const FADVISE: Names = names!(
    POSIX_FADV_NORMAL POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED
    POSIX_FADV_DONTNEED POSIX_FADV_NOREUSE
);
/// `madvise(2)`.
pub const MADVISE: Names = names!(
    MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MADV_DONTNEED MADV_FREE MADV_REMOVE
    MADV_DONTFORK MADV_DOFORK MADV_MERGEABLE MADV_UNMERGEABLE MADV_HUGEPAGE MADV_NOHUGEPAGE
    MADV_DONTDUMP MADV_DODUMP MADV_WIPEONFORK MADV_KEEPONFORK MADV_COLD MADV_PAGEOUT
    MADV_POPULATE_READ MADV_POPULATE_WRITE MADV_COLLAPSE MADV_HWPOISON
);
/// `splice(2)`, `tee(2)`.
pub const SPLICE: Names = names!(SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE SPLICE_F_GIFT);
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
/// `epoll_ctl(2)`: what to do.
pub const EPOLL_CTL: Names = names!(EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD);
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
/// `socket(2)`: types, in the four lowest bits.
pub const SOCKET_TYPES: Names = names!(SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET);
/// `socket(2)`, `accept4(2)`: the bits beside the type.
pub const SOCKET_FLAGS: Names = names!(SOCK_NONBLOCK SOCK_CLOEXEC);
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
/// `waitid(2)`: whom to wait for.
pub const WAIT_FOR: Names = names!(P_ALL P_PID P_PGID P_PIDFD);
/// `waitid(2)`: for what.
pub const WAIT: Names = names!(WEXITED WSTOPPED WCONTINUED WNOHANG WNOWAIT);
/// `futex(2)`, the calls of Linux 6.7: the size, in the two lowest bits.
pub const FUTEX_SIZES: Names =
    names!(FUTEX2_SIZE_U8 FUTEX2_SIZE_U16 FUTEX2_SIZE_U32 FUTEX2_SIZE_U64);
/// The same calls: the other bits.
pub const FUTEX: Names = names!(FUTEX2_NUMA FUTEX2_PRIVATE);
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
