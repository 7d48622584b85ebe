//! Programs to be joined. Each is this test executable, started again with `ATTACHED` naming one of
//! these functions, and runs until its standard input ends.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

use super::raw;

pub const AGAIN: [&str; 4] = ["--exact", "attached", "--nocapture", "--quiet"];

/// Becomes one of the programs, if this process was started to be one.
pub fn run_if_asked() {
    let Ok(name) = std::env::var("ATTACHED") else { return };
    match name.as_str() {
        "busy" => busy(&IoUring::new(8).expect("a ring")),
        "busy_large" => match IoUring::<squeue::Entry128, cqueue::Entry32>::builder().build(8) {
            Ok(ring) => busy(&ring),
            Err(error) => say(&format!("SKIPPED {error}")),
        },
        "busy_own_memory" => busy_own_memory(false),
        "busy_hidden" => busy_own_memory(true),
        "worker" => worker(),
        "stuck" => waits(false),
        "waits" => waits(true),
        "echo" => echo(),
        "hides" => {
            // SAFETY: plain numbers.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
            echo();
        }
        "starts" => starts(),
        other => panic!("no program {other}"),
    }
    std::process::exit(0);
}

fn say(words: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{words}").and_then(|()| out.flush()).expect("somebody listens");
}

/// Whether standard input has ended: no byte is written to it here.
fn over() -> bool {
    let mut input = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, ours.
    unsafe { libc::poll(&mut input, 1, 1) != 0 }
}

/// Rounds of four NOPs, with a receive in flight that nothing ends.
fn busy<S, C>(ring: &IoUring<S, C>)
where
    S: squeue::EntryMarker + From<squeue::Entry>,
    C: cqueue::EntryMarker + Into<cqueue::Entry>,
{
    let (reader, _writer) = UnixStream::pair().expect("two sockets");
    let mut byte = [0_u8; 1];
    let read = opcode::Read::new(types::Fd(reader.as_raw_fd()), byte.as_mut_ptr(), 1);
    let mut nops = 0_u64;
    // SAFETY: no other thread uses the queues. The byte lives until the process ends.
    let push = |entry: squeue::Entry| unsafe {
        ring.submission_shared().push(&S::from(entry)).expect("room");
    };
    push(read.build().user_data(77));
    ring.submit().expect("an enter");
    while !over() {
        for _ in 0..4 {
            nops += 1;
            push(opcode::Nop::new().build().user_data(1000 + nops));
        }
        assert_eq!(ring.submit_and_wait(4).expect("an enter"), 4);
        // SAFETY: as above.
        assert_eq!(unsafe { ring.completion_shared() }.count(), 4);
        // Enough to see how large entries and completions are.
        if nops == 12 {
            say("ready");
        }
    }
    say(&format!("{nops} NOPs"));
}

/// The same with queues in the program's own memory, and perhaps without a descriptor.
fn busy_own_memory(hidden: bool) {
    const NO_MMAP: u32 = 1 << 14;
    const REGISTERED_FD_ONLY: u32 = 1 << 15;
    const REGISTERED_RING: u32 = 1 << 4;
    const NO_SQARRAY: u32 = 1 << 16;
    let (rings, sqes) = (raw::map(-1, 0, 4096), raw::map(-1, 0, 4096));
    let mut params: raw::Params = [0; 30];
    params[2] = NO_MMAP | NO_SQARRAY | if hidden { REGISTERED_FD_ONLY } else { 0 };
    let by_index = if hidden { REGISTERED_RING } else { 0 };
    let words = |address: *mut u32| {
        let address = address as u64;
        [address as u32, (address >> 32) as u32]
    };
    params[18..20].copy_from_slice(&words(sqes));
    params[28..30].copy_from_slice(&words(rings));
    let Some(fd) = raw::setup(4, &mut params) else {
        return say("SKIPPED NO_MMAP came with Linux 6.5, NO_SQARRAY with 6.6");
    };
    let mut nops = 0;
    while !over() {
        nops += 1;
        raw::publish_nop(&params, rings, sqes, 1000 + nops);
        raw::enter(fd, 1, 1, by_index);
        // SAFETY: the mapping is live, and only this program moves the completions' head.
        unsafe { *rings.add(params[20] as usize / 4) += 1 };
        if nops == 9 {
            say("ready");
        }
    }
    say(&format!("{nops} NOPs"));
}

/// Has a worker of the kernel wait for a byte, until the input ends; prints the result.
fn worker() {
    let [mut from, mut to] = [[0; 2]; 2];
    // SAFETY: two numbers fit into each.
    assert_eq!(unsafe { libc::pipe(from.as_mut_ptr()) + libc::pipe(to.as_mut_ptr()) }, 0);
    let mut ring = IoUring::new(2).expect("a ring");
    let splice = opcode::Splice::new(types::Fd(from[0]), -1, types::Fd(to[1]), -1, 1);
    // SAFETY: it points at nothing.
    unsafe { ring.submission().push(&splice.build().user_data(9)) }.expect("room");
    ring.submit().expect("an enter");
    testkit::wait_until("a worker", || {
        testkit::has_worker(std::process::id()).expect("our own threads")
    });
    say("ready");
    while !over() {}
    // SAFETY: one byte of ours.
    assert_eq!(unsafe { libc::write(from[1], b"!".as_ptr().cast(), 1) }, 1);
    while ring.completion().is_empty() {
        let _ = ring.submit_and_wait(1);
    }
    say(&ring.completion().next().expect("a completion").result().to_string());
}

/// A child with one thread waits for a completion: that of a receive whose entry was overwritten
/// long ago, or for nothing.
fn waits(for_something: bool) {
    // SAFETY: the child uses nothing that another thread may have locked but its output, which is
    // idle; the test ends it.
    let child = unsafe { libc::fork() };
    if child > 0 {
        say(&format!("ready {child}"));
        // SAFETY: the status is not wanted.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        return;
    }
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let (reader, _writer) = UnixStream::pair().expect("two sockets");
    let mut byte = [0_u8; 1];
    let mut ring = IoUring::new(2).expect("a ring");
    let receive = opcode::Recv::new(types::Fd(reader.as_raw_fd()), byte.as_mut_ptr(), 1);
    if for_something {
        // SAFETY: the byte lives until the process ends.
        unsafe { ring.submission().push(&receive.build()) }.expect("room");
    }
    for user_data in 1..=20 {
        // SAFETY: a NOP points at nothing.
        unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(user_data)) }
            .expect("room");
        ring.submit_and_wait(1).expect("an enter");
        assert_eq!(ring.completion().count(), 1);
    }
    let _ = ring.submit_and_wait(1);
}

/// Reads bytes by submitting and waiting in one call, and prints each; prints `early` if the wait
/// ends without one.
fn echo() {
    let mut ring = IoUring::new(2).expect("a ring");
    let mut byte = [0_u8; 1];
    say("ready");
    loop {
        let read = opcode::Read::new(types::Fd(0), byte.as_mut_ptr(), 1).build().user_data(5);
        // SAFETY: the byte lives until the completion, which is waited for.
        unsafe { ring.submission().push(&read) }.expect("room");
        let mut submits = 1;
        let completion = loop {
            match ring.submit_and_wait(1) {
                Ok(taken) if taken == submits => {}
                other => say(&format!("a strange answer: {other:?}")),
            }
            submits = 0;
            match ring.completion().next() {
                Some(completion) => break completion,
                None => say("early"),
            }
        };
        match completion.result() {
            1 => say(&char::from(byte[0]).to_string()),
            _ => break,
        }
    }
}

/// For each byte of input starts a thread and a child, which make a ring each.
fn starts() {
    fn two_nops() {
        let mut ring = IoUring::new(2).expect("a ring");
        for user_data in 1..=2 {
            // SAFETY: a NOP points at nothing.
            unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(user_data)) }
                .expect("room");
            ring.submit_and_wait(1).expect("an enter");
            assert_eq!(ring.completion().count(), 1);
        }
    }
    say("ready");
    while std::io::stdin().read_exact(&mut [0]).is_ok() {
        std::thread::spawn(two_nops).join().expect("a thread");
        // SAFETY: this process has one thread again.
        match unsafe { libc::fork() } {
            0 => {
                two_nops();
                // SAFETY: it ends the child and nothing else.
                unsafe { libc::_exit(0) };
            }
            child => {
                // SAFETY: the status is not wanted.
                unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            }
        }
        std::thread::sleep(Duration::from_millis(1));
        say("started");
    }
}
