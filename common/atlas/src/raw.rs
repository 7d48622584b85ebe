//! Entries and rings that the `io_uring` crate has no builder for.
//!
//! Everything that goes around the crate is in this file. What makes it sound:
//! - `squeue::Entry` and `squeue::Entry128` are `#[repr(C)]` and begin with the kernel's
//!   `struct io_uring_sqe`, 64 bytes of integers, so that any bytes are a valid entry. To write
//!   into one is safe; to push it is not: the code that pushes answers for what it points at.
//! - `Parameters` is `#[repr(transparent)]` over `struct io_uring_params`, 120 bytes of integers.

use std::io;
use std::os::fd::RawFd;
use std::ptr;

use common::catalog::{OPERATIONS, SETUP_FLAGS};
use io_uring::{IoUring, Parameters, opcode, squeue};
use nix::errno::Errno;

/// The fields of `struct io_uring_sqe` that builders leave out, by their offsets.
///
/// ```
/// use atlas::raw::Fields;
/// use common::catalog::NOP_FLAGS;
/// use io_uring::opcode;
///
/// let nop = opcode::Nop::new().build().op_flags(NOP_FLAGS.code("TW"));
/// ```
pub trait Fields: Sized {
    /// Writes bytes into the entry.
    fn bytes<const N: usize>(self, offset: usize, bytes: [u8; N]) -> Self;

    /// `opcode`: another operation with the same fields.
    fn opcode(self, opcode: u8) -> Self {
        self.bytes(0, [opcode])
    }
    /// `ioprio`, where sends, receives and accepts have flags of their own.
    fn ioprio(self, flags: u32) -> Self {
        self.bytes(2, (flags as u16).to_ne_bytes())
    }
    /// `fd`: a descriptor or a slot.
    fn fd(self, fd: i32) -> Self {
        self.bytes(4, fd.to_ne_bytes())
    }
    /// `off`, also `addr2` and, in its first half, `cmd_op`.
    fn off(self, off: u64) -> Self {
        self.bytes(8, off.to_ne_bytes())
    }
    /// `addr`, also `splice_off_in`.
    fn addr(self, addr: u64) -> Self {
        self.bytes(16, addr.to_ne_bytes())
    }
    /// `len`, also the flags of polls.
    fn len(self, len: u32) -> Self {
        self.bytes(24, len.to_ne_bytes())
    }
    /// The union of `rw_flags`, `nop_flags`, `cancel_flags`, `timeout_flags` and others.
    fn op_flags(self, flags: u32) -> Self {
        self.bytes(28, flags.to_ne_bytes())
    }
    /// `buf_index`, also `buf_group`.
    fn buf_index(self, index: u16) -> Self {
        self.bytes(40, index.to_ne_bytes())
    }
    /// `file_index`, also `splice_fd_in`, `optlen` and, in its first half, `addr_len`.
    fn file_index(self, index: u32) -> Self {
        self.bytes(44, index.to_ne_bytes())
    }
    /// `addr3`, also `optval` and the first bytes of a command.
    fn addr3(self, addr: u64) -> Self {
        self.bytes(48, addr.to_ne_bytes())
    }
}

impl<E: squeue::EntryMarker> Fields for E {
    fn bytes<const N: usize>(mut self, offset: usize, bytes: [u8; N]) -> Self {
        let last = size_of::<E>().checked_sub(N);
        assert!(last.is_some_and(|last| offset <= last), "a field lies inside its entry");
        // SAFETY: the bytes lie inside the entry, as was just asserted, and any bytes are an entry.
        unsafe { (&raw mut self).cast::<u8>().add(offset).cast::<[u8; N]>().write(bytes) };
        self
    }
}

/// The operation's code and the `IOSQE_*` flags: the first two bytes of any entry.
pub(crate) fn opcode_and_flags<S: squeue::EntryMarker>(entry: &S) -> [u8; 2] {
    // SAFETY: the crate has two types of entries and allows no others (the trait is sealed). Both
    // begin with these two bytes.
    unsafe { ptr::from_ref(entry).cast::<[u8; 2]>().read() }
}

/// An entry of 128 bytes as the two places of 64 bytes that it takes in a ring with
/// `IORING_SETUP_SQE_MIXED`.
pub(crate) fn halves(entry: squeue::Entry128) -> [squeue::Entry; 2] {
    // SAFETY: two entries of 64 bytes have the size of one of 128, and any bytes are an entry.
    unsafe { std::mem::transmute::<squeue::Entry128, [squeue::Entry; 2]>(entry) }
}

/// `IORING_OP_NOP128`, for which the crate has no builder.
pub fn nop128() -> squeue::Entry128 {
    let code = const { OPERATIONS.code("NOP128") as u8 };
    squeue::Entry128::from(opcode::Nop::new().build()).opcode(code)
}

/// `IORING_OP_URING_CMD128`, for which the crate has no builder: the entry that
/// `opcode::UringCmd80` builds for a ring of `IORING_SETUP_SQE128`, with the other code.
pub fn uring_cmd128(entry: squeue::Entry128) -> squeue::Entry128 {
    let code = const { OPERATIONS.code("URING_CMD128") as u8 };
    entry.opcode(code)
}

/// Sets up a ring with flags that the crate's builder does not have (`io_uring_setup(2)`).
///
/// The crate maps and reads the queues of this ring as if they were plain ones.
///
/// # Errors
/// The kernel's; EINVAL for a flag that it does not know.
///
/// If the kernel grants a flag that changes the queues (`NO_MMAP`, `SQE128`, `CQE32`, `SQ_REWIND`):
/// it would read other entries than those that were pushed.
pub fn ring(entries: u32, flags: u32) -> io::Result<IoUring> {
    // SAFETY: with the assertion below, the kernel reads what is pushed.
    let ring = unsafe { ring_taken_for_plain(entries, flags) }?;
    assert_eq!(flags & UNLIKE_PLAIN, 0, "a ring whose queues the crate can read");
    Ok(ring)
}

/// Flags for queues that lie elsewhere, or have places of another size or in another order.
const UNLIKE_PLAIN: u32 = SETUP_FLAGS.code("NO_MMAP")
    | SETUP_FLAGS.code("SQE128")
    | SETUP_FLAGS.code("CQE32")
    | SETUP_FLAGS.code("SQ_REWIND");

/// As [`ring`], for a page that makes the mistake of reading any ring as a plain one.
///
/// # Errors
/// The kernel's.
///
/// # Safety
/// With `SQE128` and `SQ_REWIND` the kernel reads other places of the queue than those that were
/// pushed last. What was ever pushed must point at no memory.
pub unsafe fn ring_taken_for_plain(entries: u32, flags: u32) -> io::Result<IoUring> {
    /// `struct io_uring_params`: the flags are its third number.
    const NUMBERS: usize = size_of::<Parameters>() / size_of::<u32>();
    let mut params = [0_u32; NUMBERS];
    params[2] = flags;
    // SAFETY: the kernel writes to `params`, which has the size of its structure.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, params.as_mut_ptr()) };
    let fd = Errno::result(fd)? as i32;
    // SAFETY: the numbers are what the kernel filled in for this ring, and its descriptor has no
    // other owner.
    unsafe { IoUring::from_fd(fd, std::mem::transmute::<[u32; NUMBERS], Parameters>(params)) }
}

/// The features that the kernel wrote back at the setup (`IORING_FEAT_*`).
pub fn features(params: &Parameters) -> u32 {
    // SAFETY: 30 numbers, of which the features are the sixth.
    unsafe { ptr::from_ref(params).cast::<u32>().add(5).read() }
}

/// `io_uring_register(2)`, for calls that the crate has no method for. `ring` is a descriptor; with
/// `IORING_REGISTER_USE_REGISTERED_RING` an index; and -1 for the calls that need no ring.
///
/// # Errors
/// The kernel's.
///
/// # Safety
/// `argument` and `count` must be what the call takes, and what `argument` points at must live as
/// long as the call says: registered memory until it is unregistered.
pub unsafe fn register<T>(
    ring: RawFd,
    call: u32,
    argument: *const T,
    count: u32,
) -> io::Result<u32> {
    // SAFETY: the caller's promise.
    let answer = unsafe { libc::syscall(libc::SYS_io_uring_register, ring, call, argument, count) };
    Ok(Errno::result(answer)? as u32)
}

/// `io_uring_enter(2)` with flags that the crate does not combine. `argument` is an address or,
/// with `IORING_ENTER_EXT_ARG_REG`, an offset.
///
/// # Errors
/// The kernel's. EINTR is not among them: a wait begins again.
///
/// # Safety
/// An address must be that of `size` bytes of the kind that the flags name. It must be sound to
/// push the entries that are submitted.
pub unsafe fn enter(
    ring: RawFd,
    submit: u32,
    wait: u32,
    flags: u32,
    argument: usize,
    size: usize,
) -> io::Result<u32> {
    loop {
        // SAFETY: the caller's promise.
        let answer = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, ring, submit, wait, flags, argument, size)
        };
        match Errno::result(answer) {
            Err(Errno::EINTR) => {}
            answer => return Ok(answer? as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "inside its entry")]
    fn a_field_behind_the_entry_is_refused() {
        let _ = opcode::Nop::new().build().bytes(usize::MAX, [0]);
    }

    #[test]
    fn a_ring_that_the_crate_would_misread_is_refused() {
        if !testkit::io_uring_or_skip("a_ring_that_the_crate_would_misread_is_refused") {
            return;
        }
        let made = std::panic::catch_unwind(|| ring(4, SETUP_FLAGS.code("SQE128")).map(drop));
        // A kernel before 5.19 refuses it by itself.
        assert!(made.is_err() || made.is_ok_and(|made| made.is_err()));
    }

    #[test]
    fn fields_lie_where_the_builders_write_them() {
        let text = |entry: &squeue::Entry| {
            // SAFETY: a builder's entry has no uninitialised bytes: it begins as zeros.
            unsafe { std::mem::transmute_copy::<squeue::Entry, [u8; 64]>(entry) }
        };
        let fd = io_uring::types::Fd(7);
        let built = opcode::Write::new(fd, ptr::without_provenance(0x1234), 5)
            .offset(6)
            .ioprio(8)
            .rw_flags(9)
            .build();
        let by_hand = opcode::Nop::new().build();
        let by_hand = by_hand.opcode(opcode::Write::CODE).fd(7).addr(0x1234).len(5).off(6);
        assert_eq!(text(&built), text(&by_hand.ioprio(8).op_flags(9)));

        let fixed = opcode::ReadFixed::new(fd, ptr::null_mut(), 5, 3).build();
        let by_hand = opcode::Nop::new().build().opcode(opcode::ReadFixed::CODE).fd(7).len(5);
        assert_eq!(text(&fixed), text(&by_hand.buf_index(3)));

        let pipe = opcode::Pipe::new(ptr::null_mut()).build();
        assert_eq!(opcode_and_flags(&pipe), [opcode::Pipe::CODE, 0]);
        let [first, second] = halves(nop128());
        assert_eq!((first.get_opcode(), text(&second)), (63, [0; 64]));
    }
}
