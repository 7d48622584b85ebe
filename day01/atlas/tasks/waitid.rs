//! WAITID: wait until a child process changes state.
//!
//! Since 6.7. Stands for waitid(2); liburing: `io_uring_prep_waitid`; crate: `opcode::WaitId`.
//! Takes which child to wait for (`P_PID`, `P_PIDFD`, `P_PGID`, `P_ALL`) with its number, which
//! changes (`WEXITED`, `WSTOPPED`, `WCONTINUED`), and a `siginfo_t` to fill in, or none. Returns 0,
//! not the child's number: that is in `si_pid`. No thread waits meanwhile, and it can be cancelled:
//! the child lives on. It has no timeout: link a LINK_TIMEOUT to it, which ends with ETIME (seen on
//! 6.12) or with 1, as a cancel that found something (seen on 6.18).
//! It takes the child away from all other waiters, `std::process::Child` included, unless `WNOWAIT`
//! leaves it.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use atlas::{Ask, Entry, Page, Result};
use common::memory::forever;
use io_uring::types::Timespec;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_WAITID",
        "P_PID",
        "P_PGID",
        "P_PIDFD",
        "P_ALL",
        "WNOHANG",
        "WSTOPPED",
        "WEXITED",
        "WCONTINUED",
        "WNOWAIT",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    // SAFETY: zeros are a siginfo_t.
    let info = &raw mut *forever(unsafe { std::mem::zeroed::<libc::siginfo_t>() });
    let wait = |target, id, options| opcode::WaitId::new(target, id, options).infop(info).build();
    let pid = child(Some(7))?;
    let look = wait(libc::P_PID, pid, libc::WEXITED | libc::WNOWAIT);
    // SAFETY: here and below, `info` is never freed.
    unsafe { page.ask("EXITED, NOWAIT: the end of a child", &mut ring, look) }?;
    let is_zombie = fs::read_to_string(format!("/proc/{pid}/stat"))?.contains(") Z ");
    page.saw("/proc has it as a zombie", is_zombie)?;
    let take = wait(libc::P_PID, pid, libc::WEXITED);
    // SAFETY: as above.
    unsafe { page.ask("EXITED: the same child", &mut ring, take) }?;
    // SAFETY: the kernel is done with it.
    let told = unsafe { ((*info).si_pid() as u32, (*info).si_code, (*info).si_status()) };
    page.saw("siginfo: its number, and exit status 7", told == (pid, libc::CLD_EXITED, 7))?;
    page.saw("/proc has it no more", !fs::exists(format!("/proc/{pid}"))?)?;
    let again = waitpid(Pid::from_raw(pid as i32), None);
    let why = "a child can be waited for once: the ring has done it";
    page.call_refused("waitpid(2) of the same child", again, Errno::ECHILD, why)?;

    changes(page, &mut ring, info)?;
    limits(page, &mut ring, info)?;
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

/// A child that is stopped, goes on, and is killed.
fn changes(page: &mut Page, ring: &mut IoUring, info: *mut libc::siginfo_t) -> Result<()> {
    let wait = |target, id, options| opcode::WaitId::new(target, id, options).infop(info).build();
    let pid = child(None)?;
    // SAFETY: it takes no memory.
    let pidfd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd as i32) };
    let by_pidfd = wait(libc::P_PIDFD, pidfd.as_raw_fd() as u32, libc::WEXITED);
    for (asked, entry, signal, code) in [
        ("STOPPED", wait(libc::P_PID, pid, libc::WSTOPPED), Signal::SIGSTOP, libc::CLD_STOPPED),
        (
            "CONTINUED",
            wait(libc::P_PGID, 0, libc::WCONTINUED),
            Signal::SIGCONT,
            libc::CLD_CONTINUED,
        ),
        ("EXITED, by PIDFD", by_pidfd, Signal::SIGKILL, libc::CLD_KILLED),
    ] {
        // SAFETY: `info` is never freed.
        let waiting = unsafe { page.start(asked, ring, entry) };
        kill(Pid::from_raw(pid as i32), signal)?;
        page.answer(&waiting, ring)?;
        // SAFETY: the kernel is done with it.
        let told = unsafe { ((*info).si_pid() as u32, (*info).si_code, (*info).si_status()) };
        page.saw(
            &format!("siginfo: its number, and {signal}"),
            told == (pid, code, signal as i32),
        )?;
    }
    Ok(())
}

/// Not waiting, and not for long.
fn limits(page: &mut Page, ring: &mut IoUring, info: *mut libc::siginfo_t) -> Result<()> {
    let pid = child(None)?;
    let wait = |options| opcode::WaitId::new(libc::P_PID, pid, options).infop(info).build();
    let entry = wait(libc::WEXITED | libc::WNOHANG);
    // SAFETY: here and below, `info` is never freed.
    unsafe { page.ask("EXITED, NOHANG: of a child that runs", ring, entry) }?;
    // SAFETY: the kernel is done with it.
    page.saw("siginfo: nobody", unsafe { (*info).si_pid() } == 0)?;
    let a_millisecond = Timespec::new().nsec(1_000_000);
    let chain = [
        Ask::new("EXITED, linked", wait(libc::WEXITED).flags(squeue::Flags::IO_LINK))
            .refused(Errno::ECANCELED, "it has not ended in time"),
        Ask::new("LINK_TIMEOUT of 1 ms", opcode::LinkTimeout::new(&a_millisecond).build())
            .or_refused(Errno::ETIME, "the time is over"),
    ];
    // SAFETY: as above, and the time outlives the call.
    unsafe { page.ask_all(ring, chain) }?;
    page.saw("the child lives on", kill(Pid::from_raw(pid as i32), None).is_ok())?;
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL)?;
    let entry = opcode::WaitId::new(libc::P_ALL, 0, libc::WEXITED).build();
    // SAFETY: it points at no memory.
    unsafe { page.ask("EXITED: ALL, without a siginfo", ring, entry) }?;
    Ok(())
}

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let me = std::process::id();
    let wait = |target, id, options| opcode::WaitId::new(target, id, options).build();
    for (asked, entry, errno, why) in [
        (
            "WAITID for no change",
            wait(libc::P_ALL, 0, 0),
            Errno::EINVAL,
            "say EXITED, STOPPED or CONTINUED",
        ),
        (
            "EXITED: of this process",
            wait(libc::P_PID, me, libc::WEXITED),
            Errno::ECHILD,
            "it is no child of ours",
        ),
        (
            "EXITED: ALL, again",
            wait(libc::P_ALL, 0, libc::WEXITED),
            Errno::ECHILD,
            "no child is left",
        ),
        (
            "EXITED: with sqe->waitid_flags 1",
            opcode::WaitId::new(libc::P_ALL, 0, libc::WEXITED).flags(1).build(),
            Errno::EINVAL,
            "it has no flags: options go into file_index",
        ),
    ] {
        // SAFETY: they point at no memory.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// A child that ends at once with a status, or waits for signals until its parent ends.
fn child(status: Option<i32>) -> Result<u32> {
    // SAFETY: the child makes system calls and nothing else, so no lock of the parent matters.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child.as_raw() as u32),
        // SAFETY: three system calls that take no memory; none of them returns to Rust's runtime.
        ForkResult::Child => unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            while status.is_none() {
                libc::pause();
            }
            libc::_exit(status.unwrap_or_default())
        },
    }
}
