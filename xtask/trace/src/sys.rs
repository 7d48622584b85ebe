//! The system calls that a tracer makes, thin and checked: the only file here, with
//! [`super::memory`] and [`super::launch`], that needs `unsafe`.
//!
//! Not nix's `ptrace` and `waitpid`: they know only the classic signals, and a program that
//! uses a real-time one (glibc's own thread cancellation does) would be an error there.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_void, pid_t};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

/// What `waitpid` reports about a traced task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It ended by itself, with this code.
    Exited(i32),
    /// It was ended by this signal.
    Signaled(i32),
    /// It stopped at the entry or the exit of a system call.
    Syscall,
    /// A `PTRACE_EVENT_*` stop; the second value is the signal part of the status.
    Event(c_int, i32),
    /// A signal is about to be delivered.
    Signal(i32),
}

/// The options every task is traced with: children and threads are traced, too, and all are killed
/// if the tracer dies.
pub const OPTIONS: c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEEXIT
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_EXITKILL;

/// Waits for any task that this thread traces, and not for children of other threads
/// (`__WNOTHREAD`): a program that uses the tracer as a library has its own children.
/// `None` if a signal, such as that of [`wake`], ended the wait.
///
/// # Errors
/// `ECHILD` when no task is left.
pub fn wait_any() -> io::Result<Option<(pid_t, Status)>> {
    wait(0)
}

/// As [`wait_any`], without waiting: `None` if nothing has happened.
///
/// # Errors
/// As [`wait_any`].
pub fn any_stopped() -> io::Result<Option<(pid_t, Status)>> {
    wait(libc::WNOHANG)
}

fn wait(options: c_int) -> io::Result<Option<(pid_t, Status)>> {
    let mut status = 0;
    let options = options | libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: the kernel writes one c_int, ours, before the call returns.
    let pid = unsafe { libc::waitpid(-1, &mut status, options) };
    if pid >= 0 {
        return Ok((pid > 0).then(|| (pid, decode(status))));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EINTR) => Ok(None),
        error => Err(error),
    }
}

/// The signal of [`wake`]: by default it does nothing.
const WAKES: c_int = libc::SIGURG;

/// Makes [`wake`] end a wait of this process's threads.
pub fn heed_wakes() {
    extern "C" fn nothing(_: c_int) {}
    // SAFETY: the handler does nothing. Without `SA_RESTART` it ends a `waitpid`.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        libc::sigaction(WAKES, &action, std::ptr::null_mut());
    }
}

/// Ends the wait of a thread of this process, if it waits.
pub fn wake(thread: pid_t) {
    // SAFETY: plain numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, WAKES) };
}

fn decode(status: c_int) -> Status {
    if libc::WIFEXITED(status) {
        return Status::Exited(libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        return Status::Signaled(libc::WTERMSIG(status));
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        0 if signal == libc::SIGTRAP | 0x80 => Status::Syscall,
        0 => Status::Signal(signal),
        event => Status::Event(event, signal),
    }
}

fn ptrace(request: libc::c_uint, pid: pid_t, addr: usize, data: usize) -> io::Result<c_long> {
    // SAFETY: every caller below passes either plain numbers, or in `data` the address of a
    // live buffer of at least the `addr` bytes that the request reads or writes before it
    // returns.
    let result = unsafe { libc::ptrace(request, pid, addr as *mut c_void, data as *mut c_void) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Starts to trace a task without stopping it (`PTRACE_SEIZE`).
pub fn seize(pid: pid_t) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, pid, 0, OPTIONS as usize).map(drop)
}

/// As [`seize`], but the task outlives its tracer.
pub fn seize_lightly(pid: pid_t) -> io::Result<()> {
    let options = OPTIONS & !libc::PTRACE_O_EXITKILL;
    ptrace(libc::PTRACE_SEIZE, pid, 0, options as usize).map(drop)
}

/// Stops a seized task (`PTRACE_INTERRUPT`). A call that it sleeps in is cut short.
pub fn interrupt(pid: pid_t) -> io::Result<()> {
    ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0).map(drop)
}

/// The registers of a stopped task.
pub fn registers(pid: pid_t) -> io::Result<libc::user_regs_struct> {
    // SAFETY: zeros are registers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let mut into = all_of(&raw mut registers);
    ptrace(libc::PTRACE_GETREGSET, pid, NT_PRSTATUS, &raw mut into as usize)?;
    Ok(registers)
}

/// Sets the registers of a stopped task.
pub fn set_registers(pid: pid_t, mut registers: libc::user_regs_struct) -> io::Result<()> {
    let mut from = all_of(&raw mut registers);
    ptrace(libc::PTRACE_SETREGSET, pid, NT_PRSTATUS, &raw mut from as usize).map(drop)
}

const NT_PRSTATUS: usize = 1;

fn all_of(registers: *mut libc::user_regs_struct) -> libc::iovec {
    libc::iovec { iov_base: registers.cast(), iov_len: size_of::<libc::user_regs_struct>() }
}

/// Lets a task go on to its next system call stop, delivering `signal` unless it is 0.
pub fn to_next_syscall(pid: pid_t, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SYSCALL, pid, 0, signal as usize).map(drop)
}

/// Lets a task go on without stopping at system calls, delivering `signal` unless it is 0.
pub fn go_on(pid: pid_t, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_CONT, pid, 0, signal as usize).map(drop)
}

/// Leaves a task in its job-control stop, but reports its end (`PTRACE_LISTEN`).
pub fn listen(pid: pid_t) -> io::Result<()> {
    ptrace(libc::PTRACE_LISTEN, pid, 0, 0).map(drop)
}

/// The number that belongs to an event stop: a new task's id, or the id before an exec.
pub fn event_message(pid: pid_t) -> io::Result<u64> {
    let mut message: libc::c_ulong = 0;
    ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut message as usize)?;
    Ok(message)
}

/// The signals that a stopped task blocks: bit 0 is signal 1.
pub fn blocked_signals(pid: pid_t) -> io::Result<u64> {
    let mut set = 0_u64;
    ptrace(libc::PTRACE_GETSIGMASK, pid, size_of::<u64>(), &raw mut set as usize)?;
    Ok(set)
}

/// Sets the signals that a stopped task blocks.
pub fn block_signals(pid: pid_t, set: u64) -> io::Result<()> {
    ptrace(libc::PTRACE_SETSIGMASK, pid, size_of::<u64>(), &raw const set as usize).map(drop)
}

/// `struct ptrace_syscall_info` of `linux/ptrace.h`, the union as words.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct RawSyscallInfo {
    /// `PTRACE_SYSCALL_INFO_*`.
    pub op: u8,
    pub(super) pad: [u8; 3],
    /// `AUDIT_ARCH_*` of the system call's convention.
    pub arch: u32,
    pub(super) instruction_pointer: u64,
    pub(super) stack_pointer: u64,
    /// Entry and seccomp: number and six arguments. Exit: value, and in the lowest byte of
    /// the second word whether it is an error.
    pub words: [u64; 8],
}

/// Asks the kernel which system call a task stopped at (Linux 5.3, any architecture).
pub fn syscall_info(pid: pid_t) -> io::Result<RawSyscallInfo> {
    let mut info = RawSyscallInfo::default();
    let size = size_of::<RawSyscallInfo>();
    ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info as usize)?;
    Ok(info)
}

/// Copies another process's memory; an error if it is too short or unreadable.
pub fn read_memory(pid: pid_t, address: u64, into: &mut [u8]) -> io::Result<()> {
    let length = into.len();
    let remote = [RemoteIoVec { base: address as usize, len: length }];
    let got = process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(into)], &remote)?;
    if got == length { Ok(()) } else { Err(Errno::EFAULT.into()) }
}

/// Writes to another process's memory; an error if not all of it can be written.
pub fn write_memory(pid: pid_t, address: u64, bytes: &[u8]) -> io::Result<()> {
    let remote = [RemoteIoVec { base: address as usize, len: bytes.len() }];
    let wrote = process_vm_writev(Pid::from_raw(pid), &[IoSlice::new(bytes)], &remote)?;
    if wrote == bytes.len() { Ok(()) } else { Err(Errno::EFAULT.into()) }
}

/// A duplicate of another process's descriptor (`pidfd_getfd(2)`, Linux 5.6).
///
/// `task` may be a thread other than its process's first, which may have ended already:
/// then only Linux 6.9 and later can help.
pub fn take_descriptor(process: pid_t, task: pid_t, fd: RawFd) -> io::Result<OwnedFd> {
    /// `O_EXCL`: the descriptor is for a thread, not for a process (Linux 6.9).
    const PIDFD_THREAD: c_int = libc::O_EXCL;
    let pidfd = match pidfd_open(task, PIDFD_THREAD) {
        Ok(pidfd) => pidfd,
        Err(_) => pidfd_open(process, 0)?,
    };
    owned(
        // SAFETY: plain numbers; `pidfd` is open for the whole call.
        unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) },
    )
}

/// Cancels an operation of a ring by its `user_data`, from outside
/// (`IORING_REGISTER_SYNC_CANCEL`, `io_uring_register(2)`, Linux 6.0).
pub fn cancel(ring: &OwnedFd, user_data: u64) -> io::Result<()> {
    const SYNC_CANCEL: c_int = 24;
    /// `struct io_uring_sync_cancel_reg`.
    #[repr(C)]
    struct Cancel {
        user_data: u64,
        fd: i32,
        flags: u32,
        seconds: i64,
        nanoseconds: i64,
        rest: [u64; 4],
    }
    let cancel = Cancel { user_data, fd: -1, flags: 0, seconds: 1, nanoseconds: 0, rest: [0; 4] };
    // SAFETY: the kernel only reads the structure, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            ring.as_raw_fd(),
            SYNC_CANCEL,
            &raw const cancel,
            1,
        )
    };
    Errno::result(result)?;
    Ok(())
}

/// Makes a ring, reads from the answer where the kernel keeps each field, and closes it.
pub fn parameters_of_own_ring(params: &mut [u8; 120], entries: u32) -> io::Result<()> {
    // SAFETY: the kernel reads and writes the 120 bytes before the call returns.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, params.as_mut_ptr()) };
    owned(ring).map(drop)
}

/// Whether two descriptors of this process refer to one open file (`kcmp(2)`).
pub fn same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    /// `KCMP_FILE` of `linux/kcmp.h`.
    const FILE: c_int = 0;
    let us = std::process::id();
    // SAFETY: plain numbers.
    unsafe { libc::syscall(libc::SYS_kcmp, us, us, FILE, one.as_raw_fd(), other.as_raw_fd()) == 0 }
}

fn pidfd_open(pid: pid_t, flags: c_int) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })
}

fn owned(result: c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all callers' system calls return a new descriptor with no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

/// Columns of the terminal behind a descriptor; `None` if there is no terminal.
pub fn columns(terminal: BorrowedFd<'_>) -> Option<usize> {
    terminal_size(terminal).map(|(columns, _)| columns)
}

/// Columns and rows of the terminal behind a descriptor; `None` if there is no terminal, or it does not
/// know.
pub fn terminal_size(terminal: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize`, ours, before the call returns.
    let answer = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (answer == 0 && size.ws_col > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_every_kind() {
        assert_eq!(decode(0x0300), Status::Exited(3));
        assert_eq!(decode(0x0009), Status::Signaled(9));
        assert_eq!(decode(0x857f), Status::Syscall);
        assert_eq!(decode(0x227f), Status::Signal(34), "a real-time signal");
        assert_eq!(decode(0x0006_057f), Status::Event(libc::PTRACE_EVENT_EXIT, 5));
    }

    #[test]
    fn own_memory_is_readable_and_a_hole_is_an_error() {
        let secret = *b"sixteen bytes...";
        let mut copy = [0; 16];
        let me = std::process::id() as pid_t;
        read_memory(me, secret.as_ptr() as u64, &mut copy).expect("reading our own stack");
        assert_eq!(copy, secret);
        assert!(read_memory(me, 8, &mut copy).is_err());
    }
}
