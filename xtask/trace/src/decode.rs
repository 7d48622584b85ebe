//! The bytes of submission entries and completions as fields. Pure functions that take any bytes.

use super::codes::{cqe, op, sqe};

/// A submission queue entry (`struct io_uring_sqe`). A field has the header's name if it has one
/// meaning, and its position's name if it has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Which operation.
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: u8,
    /// Priority, or the operation's own flags (multishot is among them).
    pub ioprio: u16,
    /// Descriptor, or slot with `IOSQE_FIXED_FILE`; some operations mean something else.
    pub fd: i32,
    /// Offset in a file, or a second address.
    pub off: u64,
    /// Address in the program's memory, or something else.
    pub addr: u64,
    /// Length, or a count.
    pub len: u32,
    /// The operation's flags: `msg_flags`, `timeout_flags`, `open_flags` ….
    pub op_flags: u32,
    /// Comes back with the completion, unseen by the kernel.
    pub user_data: u64,
    /// Index of a registered buffer, or a group of provided ones.
    pub buf_index: u16,
    /// Registered credentials to act with.
    pub personality: u16,
    /// Slot to fill plus one (`file_index`), or a second descriptor.
    pub file_index: u32,
    /// A third address.
    pub addr3: u64,
}

impl Entry {
    /// Bytes that this reads: the first half of a 128-byte entry is the same.
    pub const SIZE: usize = 64;

    /// Reads an entry; any bytes will do.
    pub fn parse(bytes: &[u8; Entry::SIZE]) -> Entry {
        Entry {
            opcode: bytes[0],
            flags: bytes[1],
            ioprio: half(bytes, 2),
            fd: word(bytes, 4) as i32,
            off: long(bytes, 8),
            addr: long(bytes, 16),
            len: word(bytes, 24),
            op_flags: word(bytes, 28),
            user_data: long(bytes, 32),
            buf_index: half(bytes, 40),
            personality: half(bytes, 42),
            file_index: word(bytes, 44),
            addr3: long(bytes, 48),
        }
    }

    /// Whether an `IOSQE_*` flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether the next entry waits for this one.
    pub fn linked(&self) -> bool {
        self.has(sqe::IO_LINK | sqe::IO_HARDLINK)
    }

    /// Whether it may be answered by more than one completion, each but the last with
    /// `IORING_CQE_F_MORE`. Zero-copy sends are not meant here, see [`Entry::zero_copy`].
    pub fn multishot(&self) -> bool {
        match self.opcode {
            op::ACCEPT => self.ioprio & 1 != 0,
            op::RECV | op::RECVMSG | op::RECV_ZC => self.ioprio & 2 != 0,
            op::POLL_ADD => self.len & 1 != 0,
            op::TIMEOUT => self.op_flags & (1 << 6) != 0,
            op::URING_CMD | op::URING_CMD128 => self.op_flags & (1 << 1) != 0,
            op::READ_MULTISHOT => true,
            _ => false,
        }
    }

    /// Whether bytes go from the file into the program's memory.
    pub fn takes(&self) -> bool {
        matches!(
            self.opcode,
            op::READ
                | op::READV
                | op::READ_FIXED
                | op::READV_FIXED
                | op::READ_MULTISHOT
                | op::RECV
                | op::RECVMSG
                | op::RECV_ZC
                | op::GETXATTR
                | op::FGETXATTR
        )
    }

    /// Whether bytes go from the program's memory into the file.
    pub fn gives(&self) -> bool {
        matches!(
            self.opcode,
            op::WRITE
                | op::WRITEV
                | op::WRITE_FIXED
                | op::WRITEV_FIXED
                | op::SEND
                | op::SENDMSG
                | op::SEND_ZC
                | op::SENDMSG_ZC
        )
    }

    /// Whether it uses as many provided buffers as it takes (`IORING_RECVSEND_BUNDLE`).
    pub fn bundles(&self) -> bool {
        matches!(self.opcode, op::SEND | op::RECV) && self.ioprio & (1 << 4) != 0
    }

    /// Whether it is tried only once its file is ready (`IORING_RECVSEND_POLL_FIRST`).
    pub fn poll_first(&self) -> bool {
        let socket = matches!(self.opcode, op::SEND | op::SENDMSG | op::RECV | op::RECVMSG);
        (socket || self.zero_copy()) && self.ioprio & 1 != 0
    }

    /// Whether `addr` is a list of buffers. For a send, a flag decides (`IORING_SEND_VECTORIZED`).
    pub fn vectorized(&self) -> bool {
        matches!(self.opcode, op::SEND | op::SEND_ZC) && self.ioprio & (1 << 5) != 0
    }

    /// Whether a second completion (`IORING_CQE_F_NOTIF`) gives the buffer back.
    pub fn zero_copy(&self) -> bool {
        matches!(self.opcode, op::SEND_ZC | op::SENDMSG_ZC)
    }

    /// The slot in which the operation puts the file that it opens or accepts.
    pub fn direct(&self) -> Direct {
        let makes_a_file =
            matches!(self.opcode, op::ACCEPT | op::OPENAT | op::OPENAT2 | op::SOCKET | op::PIPE);
        match self.file_index {
            0 => Direct::No,
            _ if !makes_a_file => Direct::No,
            u32::MAX => Direct::Any,
            index => Direct::Slot(index - 1),
        }
    }
}

/// Whether an operation fills a slot of the registered table instead of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// It makes an ordinary descriptor, or no file at all.
    No,
    /// The kernel picks a free slot (`IORING_FILE_INDEX_ALLOC`).
    Any,
    /// This slot.
    Slot(u32),
}

/// A completion queue entry (`struct io_uring_cqe`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// What the entry carried.
    pub user_data: u64,
    /// A value, or an error number as a negative one.
    pub res: i32,
    /// `IORING_CQE_F_*`, and a buffer's id in the upper half.
    pub flags: u32,
    /// The second half of a 32-byte completion.
    pub extra: Option<[u64; 2]>,
}

impl Completion {
    /// Reads a completion; any bytes will do.
    pub fn parse(bytes: &[u8; 16], extra: Option<&[u8; 16]>) -> Completion {
        Completion {
            user_data: long(bytes, 0),
            res: word(bytes, 8) as i32,
            flags: word(bytes, 12),
            extra: extra.map(|bytes| [long(bytes, 0), long(bytes, 8)]),
        }
    }

    /// Whether an `IORING_CQE_F_*` flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The provided buffer that it gives to the program.
    pub fn buffer(&self) -> Option<u16> {
        self.has(cqe::BUFFER).then_some((self.flags >> 16) as u16)
    }

    /// The error that it reports. A notification's negative result is a flag, not an error.
    pub fn error(&self) -> Option<i32> {
        let errors = -4095..0;
        (errors.contains(&self.res) && !self.has(cqe::NOTIF)).then(|| -self.res)
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().expect("2 bytes"))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accept_reads_as_the_header_lays_it_out() {
        let mut bytes = [0; 64];
        bytes[0] = op::ACCEPT;
        bytes[2] = 1;
        bytes[4..8].copy_from_slice(&3_i32.to_ne_bytes());
        bytes[32..40].copy_from_slice(&42_u64.to_ne_bytes());
        bytes[44..48].copy_from_slice(&u32::MAX.to_ne_bytes());
        let entry = Entry::parse(&bytes);
        assert_eq!((entry.fd, entry.user_data), (3, 42));
        assert!(entry.multishot());
        assert_eq!(entry.direct(), Direct::Any);
    }

    #[test]
    fn a_notification_is_no_error() {
        let completion = Completion { res: i32::MIN, flags: cqe::NOTIF, ..Default::default() };
        assert_eq!(completion.error(), None);
        let completion = Completion { res: -libc::EPIPE, ..Default::default() };
        assert_eq!(completion.error(), Some(libc::EPIPE));
    }
}
