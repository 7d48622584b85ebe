//! Sentences of the book about the kernel that no day shows, each tried on the running kernel.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use io_uring::squeue::Flags;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode, squeue};
use nix::sys::signal::{SigSet, Signal};
use testkit::{io_uring_or_skip, skipped};

/// `IORING_RECVSEND_POLL_FIRST` (`linux/io_uring.h`).
const POLL_FIRST: u16 = 1;

/// A ring; `None`, with a message, where no ring is available.
fn ring(test: &str) -> Option<IoUring> {
    io_uring_or_skip(test).then(|| IoUring::builder().build(8).expect("a ring"))
}

/// Queues entries and submits them. Their `user_data` is 1, 2 and so on.
///
/// # Safety
/// What they point at must be valid until they have completed.
unsafe fn submit(ring: &mut IoUring, entries: &[squeue::Entry]) {
    for (user_data, entry) in (1..).zip(entries) {
        // SAFETY: passed on to our caller.
        unsafe { ring.submission().push(&entry.clone().user_data(user_data)) }.expect("room");
    }
    assert_eq!(ring.submit().expect("a submit"), entries.len());
}

/// Waits for `count` completions: `user_data` and result of each.
fn wait(ring: &mut IoUring, count: usize) -> Vec<(u64, i32)> {
    while ring.completion().len() < count {
        match ring.submit_and_wait(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            waited => drop(waited.expect("a wait")),
        }
    }
    ring.completion().map(|completion| (completion.user_data(), completion.result())).collect()
}

/// Defect 7 of the journal: the kernel adds MSG_NOSIGNAL to every SEND, but not to a WRITE.
#[test]
fn a_send_never_raises_sigpipe_and_a_write_does() {
    let Some(mut ring) = ring("a_send_never_raises_sigpipe_and_a_write_does") else {
        return;
    };
    // Rust ignores it, but a blocked signal stays pending, and the test can look at it.
    let sigpipe = SigSet::from(Signal::SIGPIPE);
    sigpipe.thread_block().expect("a signal can be blocked");
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    drop(theirs);
    let byte = [0u8];
    let (fd, address) = (Fd(ours.as_raw_fd()), byte.as_ptr());
    // SAFETY: `byte` outlives the completion, which is waited for.
    unsafe { submit(&mut ring, &[opcode::Send::new(fd, address, 1).flags(0).build()]) };
    assert_eq!(wait(&mut ring, 1), [(1, -libc::EPIPE)]);
    assert!(!is_pending(Signal::SIGPIPE), "after a SEND");
    // SAFETY: as before.
    unsafe { submit(&mut ring, &[opcode::Write::new(fd, address, 1).build()]) };
    assert_eq!(wait(&mut ring, 1), [(1, -libc::EPIPE)]);
    assert!(is_pending(Signal::SIGPIPE), "after a WRITE");
    sigpipe.wait().expect("it is pending, and gone now");
}

fn is_pending(signal: Signal) -> bool {
    let mut pending = std::mem::MaybeUninit::uninit();
    // SAFETY: sigpending fills the set in before it returns, and sigismember reads it.
    unsafe {
        assert_eq!(libc::sigpending(pending.as_mut_ptr()), 0);
        libc::sigismember(pending.as_ptr(), signal as i32) == 1
    }
}

/// `IORING_FEAT_SUBMIT_STABLE` protects what an entry *says*, not the bytes that a send sends.
#[test]
fn a_send_that_waits_reads_its_buffer_when_there_is_room() {
    const NAME: &str = "a_send_that_waits_reads_its_buffer_when_there_is_room";
    let Some(mut ring) = ring(NAME) else { return };
    assert!(ring.params().is_feature_submit_stable());
    let (mut ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    ours.set_nonblocking(true).expect("a socket can be");
    let mut filler = 0;
    while let Ok(written) = ours.write(&[0; 4096]) {
        filler += written;
    }
    ours.set_nonblocking(false).expect("a socket can be");
    let mut bytes = *b"at first";
    let (fd, address) = (Fd(ours.as_raw_fd()), bytes.as_mut_ptr());
    // SAFETY: `bytes` outlives the completion, which is waited for.
    unsafe { submit(&mut ring, &[opcode::Send::new(fd, address, 8).build()]) };
    // SAFETY: through the pointer that the kernel has. To write here is the mistake that this
    // test is about; no reference to `bytes` exists meanwhile.
    unsafe { address.cast::<[u8; 8]>().write(*b"changed!") };
    theirs.read_exact(&mut vec![0; filler]).expect("what filled the socket");
    assert_eq!(wait(&mut ring, 1), [(1, 8)]);
    let mut received = [0; 8];
    theirs.read_exact(&mut received).expect("what was sent");
    assert_eq!(&received, b"changed!");
}

/// Pitfall 8 of the book: the remedy for a receive on a silent socket.
#[test]
fn pitfall_08_a_receive_that_polls_first_needs_no_buffer_until_bytes_come() {
    const NAME: &str = "pitfall_08_a_receive_that_polls_first_needs_no_buffer_until_bytes_come";
    let Some(mut ring) = ring(NAME) else { return };
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    // This group has no buffer.
    let receive = |ioprio| {
        opcode::Recv::new(Fd(ours.as_raw_fd()), std::ptr::null_mut(), 64)
            .buf_group(7)
            .ioprio(ioprio)
            .build()
            .flags(Flags::BUFFER_SELECT)
    };
    // SAFETY: the entries point at no memory.
    unsafe { submit(&mut ring, &[receive(0)]) };
    assert_eq!(wait(&mut ring, 1), [(1, -libc::ENOBUFS)], "though nothing was sent");
    // SAFETY: as before.
    unsafe { submit(&mut ring, &[receive(POLL_FIRST)]) };
    ring.submit().expect("a submit of nothing");
    if let Some(refused) = ring.completion().next() {
        assert_eq!(refused.result(), -libc::EINVAL);
        return skipped(NAME, "IORING_RECVSEND_POLL_FIRST came with Linux 5.19");
    }
    theirs.write_all(b"!").expect("a byte");
    assert_eq!(wait(&mut ring, 1), [(1, -libc::ENOBUFS)], "when the byte has come");
}

/// An entry with DRAIN holds back all entries behind it, even those that are submitted later.
#[test]
fn a_drain_holds_back_what_is_submitted_after_it() {
    const NAME: &str = "a_drain_holds_back_what_is_submitted_after_it";
    let Some(mut ring) = ring(NAME) else { return };
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    let poll = opcode::PollAdd::new(Fd(ours.as_raw_fd()), libc::POLLIN as u32).build();
    let nop = opcode::Nop::new().build();
    // SAFETY: none of the entries points at memory.
    unsafe { submit(&mut ring, &[poll, nop.clone().flags(Flags::IO_DRAIN), nop.clone()]) };
    // SAFETY: as before.
    unsafe { submit(&mut ring, &[nop]) };
    assert!(ring.completion().is_empty(), "not one of three NOPs");
    theirs.write_all(b"!").expect("a byte");
    assert_eq!(wait(&mut ring, 4).len(), 4);
}

/// A link goes on after a *full* success.
#[test]
fn a_short_read_breaks_a_link() {
    let Some(mut ring) = ring("a_short_read_breaks_a_link") else { return };
    let path = std::env::temp_dir().join(format!("short-read-{}", std::process::id()));
    fs::write(&path, "abc").expect("a file");
    let file = fs::File::open(&path).expect("the same file");
    fs::remove_file(&path).expect("it stays open");
    let mut bytes = [0u8; 64];
    let mut read = |len| {
        opcode::Read::new(Fd(file.as_raw_fd()), bytes.as_mut_ptr(), len)
            .build()
            .flags(Flags::IO_LINK)
    };
    let (all, too_much) = (read(3), read(64));
    for (read, linked) in [(all, 0), (too_much, -libc::ECANCELED)] {
        // SAFETY: `bytes` outlives the completions, which are waited for.
        unsafe { submit(&mut ring, &[read, opcode::Nop::new().build()]) };
        assert_eq!(wait(&mut ring, 2), [(1, 3), (2, linked)]);
    }
}

/// What the journal's code for day 02 asks for. The crate sets the idle time with SQPOLL alone, so
/// the system call is made by hand.
#[test]
fn journal_02_an_idle_time_without_sqpoll_is_taken_and_does_nothing() {
    if !io_uring_or_skip("journal_02_an_idle_time_without_sqpoll_is_taken_and_does_nothing") {
        return;
    }
    // `struct io_uring_params` is 30 words (`linux/io_uring.h`), these among them.
    const FLAGS: usize = 2;
    const SQ_THREAD_IDLE: usize = 4;
    let mut params = [0u32; 30];
    params[SQ_THREAD_IDLE] = 100;
    // SAFETY: the kernel reads and writes the 120 bytes of `params` before it returns.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    assert!(ring >= 0, "{}", io::Error::last_os_error());
    // SAFETY: a new descriptor, which has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(ring as i32) });
    assert_eq!(params[FLAGS], 0, "no SQPOLL: no thread");
}

/// Pitfall 11 of the book: up to 0.7.15 the crate's `ReadMulti` lost the flag that makes a slot of
/// `Fixed`, and read from the descriptor of the same number.
#[test]
fn pitfall_11_a_multishot_read_of_a_slot_reads_the_slot() {
    let entry = opcode::ReadMulti::new(Fixed(0), 0, 7).build();
    let both = Flags::FIXED_FILE | Flags::BUFFER_SELECT;
    assert!(format!("{entry:?}").contains(&format!("flags: {}", both.bits())), "{entry:?}");
}
