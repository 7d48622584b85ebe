//! The learner's programs: good ones, and each mistake.

use std::time::Duration;

use common::listener::Listener;
use io_uring::{IoUring, opcode, squeue, types};

pub const PROGRAMS: &[(&str, fn())] = &[
    ("nothing", || {}),
    ("one_nop", one_nop),
    ("never_submitted", never_submitted),
    ("never_reaped", never_reaped),
    ("waits_for_two", waits_for_two),
    ("spins_unsubmitted", spins_unsubmitted),
    ("ignores_the_answer", ignores_the_answer),
    ("waits_for_a_pipe", waits_for_a_pipe),
    ("sleeps", || std::thread::sleep(Duration::from_secs(600))),
    ("spins", || while std::hint::black_box(true) {}),
    ("panics", || panic!("the ring is on fire")),
    ("aborts", || std::process::abort()),
    ("status_three", || std::process::exit(3)),
    ("never_submitted_and_fails", never_submitted_and_fails),
    ("ends_in_a_loop", ends_in_a_loop),
    ("serves_one", serves_one),
    ("closes_after_one", closes_after_one),
    ("writes_by_itself", writes_by_itself),
    ("writes_beside_the_line", writes_beside_the_line),
    ("hides_a_child", hides_a_child),
    ("calls_as_32_bit", calls_as_32_bit),
    ("submits_by_aio", submits_by_aio),
    ("retries_for_ever", retries_for_ever),
    ("waits_silently", waits_silently),
    ("publishes_nothing", publishes_nothing),
    ("leaves_an_accept", leaves_an_accept),
    ("serves_in_slots", || serves_in_slots(true, false)),
    ("keeps_the_slots", || serves_in_slots(false, false)),
    ("serves_behind_a_copy", || serves_in_slots(true, true)),
    ("works_for_a_while", works_for_a_while),
    ("asks_for_a_write", asks_for_a_write),
    ("says_who_watches", says_who_watches),
    ("says_how_it_is_run", says_how_it_is_run),
    ("never_says_the_same", || println!("{}", std::process::id())),
    ("writes_twice", writes_twice),
    ("forks_and_waits", forks_and_waits),
    ("ends_before_its_child", ends_before_its_child),
    ("stops", || nix::sys::signal::raise(nix::sys::signal::SIGSTOP).expect("a stop")),
    ("takes_its_time", takes_its_time),
];

fn ring_with_a_nop() -> IoUring {
    let mut ring = IoUring::new(8).expect("a ring");
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(7)).expect("room") };
    ring
}

fn one_nop() {
    let mut ring = ring_with_a_nop();
    ring.submit_and_wait(1).expect("a NOP");
    let completion = ring.completion().next().expect("its completion");
    println!("{}", completion.user_data());
}

fn never_submitted() {
    drop(ring_with_a_nop());
}

/// Like a server that forgets to submit: in the end its queue is full.
fn never_submitted_and_fails() {
    let _ring = ring_with_a_nop();
    eprintln!("Error: submission queue is full");
    std::process::exit(1);
}

/// The program takes its completion, and then runs endlessly.
fn ends_in_a_loop() {
    one_nop();
    loop {
        println!("still here");
    }
}

fn never_reaped() {
    ring_with_a_nop().submit_and_wait(1).expect("a NOP");
}

fn waits_for_two() {
    ring_with_a_nop().submit_and_wait(2).expect("never");
}

fn spins_unsubmitted() {
    let mut ring = ring_with_a_nop();
    while ring.completion().next().is_none() {}
}

/// Looks at a completion queue without a `sync()`.
fn ignores_the_answer() {
    let mut ring = ring_with_a_nop();
    let (submitter, mut sq, cq) = ring.split();
    sq.sync();
    submitter.submit_and_wait(1).expect("a NOP");
    while cq.is_empty() {}
}

fn waits_for_a_pipe() {
    let (reader, _writer) = nix::unistd::pipe().expect("a pipe");
    let mut ring = IoUring::new(8).expect("a ring");
    let mut byte = [0; 1];
    let fd = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&reader));
    let read = opcode::Read::new(fd, byte.as_mut_ptr(), 1).build();
    // SAFETY: the byte outlives the wait, which never ends.
    unsafe { ring.submission().push(&read).expect("room") };
    ring.submit_and_wait(1).expect("never");
}

fn accepting() -> (IoUring, Listener) {
    let mut ring = IoUring::new(8).expect("a ring");
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    println!("listening on {}", listener.address());
    let null = std::ptr::null_mut();
    let accept = opcode::Accept::new(types::Fd(listener.fd()), null, null.cast()).build();
    // SAFETY: the entry points at no memory.
    unsafe { ring.submission().push(&accept).expect("room") };
    (ring, listener)
}

/// Accepts one client, and no other.
fn serves_one() {
    let (ring, _listener) = accepting();
    ring.submit_and_wait(1).expect("a client");
    ring.submit_and_wait(2).expect("never");
}

fn closes_after_one() {
    let (ring, _listener) = accepting();
    ring.submit_and_wait(1).expect("a client");
}

fn writes_by_itself() {
    one_nop();
    eprintln!("to the standard error one may");
}

/// The ring writes the line, to a copy of the standard output; plain calls write elsewhere, and by
/// another descriptor to the standard output, too.
fn writes_beside_the_line() {
    let out = nix::unistd::dup(std::io::stdout()).expect("a copy");
    let (near, far) = nix::sys::socket::socketpair(
        nix::sys::socket::AddressFamily::Unix,
        nix::sys::socket::SockType::Stream,
        None,
        nix::sys::socket::SockFlag::empty(),
    )
    .expect("two sockets");
    nix::unistd::write(&near, b"wake").expect("four bytes");
    nix::unistd::read(&far, &mut [0; 4]).expect("four bytes");
    let mut ring = IoUring::new(8).expect("a ring");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&out);
    let line = b"by the ring\n";
    let write = |fd| opcode::Write::new(fd, line.as_ptr(), line.len() as u32).offset(u64::MAX);
    ring.submitter().register_files(&[fd]).expect("a table");
    for entry in [write(types::Fd(fd)).build(), write(types::Fd(-1)).build()] {
        // SAFETY: the line lives as long as the program.
        unsafe { ring.submission().push(&entry) }.expect("room");
        ring.submit_and_wait(1).expect("a write");
    }
    let fixed = opcode::Write::new(types::Fixed(0), line.as_ptr(), line.len() as u32);
    // SAFETY: as above.
    unsafe { ring.submission().push(&fixed.offset(u64::MAX).build()) }.expect("room");
    ring.submit_and_wait(1).expect("a write");
    nix::unistd::write(&out, b"by hand\n").expect("a line");
}

/// `CLONE_UNTRACED`: no tracer sees what the child does.
fn hides_a_child() {
    let flags = (libc::CLONE_UNTRACED | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: without memory of its own the child is as after fork, and it ends at once.
    unsafe {
        let child = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        if child == 0 {
            libc::_exit(0);
        }
        libc::waitpid(child as i32, std::ptr::null_mut(), libc::__WALL);
    }
}

/// getpid(2) as a 32-bit program calls it.
fn calls_as_32_bit() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the call touches no memory.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") 20 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
}

/// An io_submit(2) of nothing, which fails.
fn submits_by_aio() {
    // SAFETY: with a count of 0 the kernel reads no list.
    unsafe { libc::syscall(libc::SYS_io_submit, 0, 0, std::ptr::null::<u8>()) };
}

/// Repeats an operation that fails each time for lack of room.
fn retries_for_ever() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut ring = IoUring::new(8).expect("a ring");
    let fd = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&full));
    let write = opcode::Write::new(fd, b"line".as_ptr(), 4).build();
    while ring.completion().next().is_none_or(|completion| completion.result() < 0) {
        // SAFETY: the bytes live as long as the program.
        unsafe { ring.submission().push(&write) }.expect("room");
        ring.submit_and_wait(1).expect("a write");
    }
}

/// A read that posts a completion only on failure, and never ends.
fn waits_silently() {
    let (reader, _writer) = nix::unistd::pipe().expect("a pipe");
    let mut ring = ring_with_a_nop();
    let mut byte = [0; 1];
    let fd = types::Fd(std::os::fd::AsRawFd::as_raw_fd(&reader));
    let read = opcode::Read::new(fd, byte.as_mut_ptr(), 1).build();
    // SAFETY: the byte outlives the wait, which never ends.
    unsafe { ring.submission().push(&read.flags(squeue::Flags::SKIP_SUCCESS)) }.expect("room");
    ring.submit_and_wait(2).expect("never");
}

/// Its entry is behind a tail that the program has not published.
fn publishes_nothing() {
    let mut ring: IoUring = IoUring::builder().setup_sqpoll(50).build(8).expect("a ring");
    let (_submitter, mut sq, mut cq) = ring.split();
    // SAFETY: a NOP points at no memory.
    unsafe { sq.push(&opcode::Nop::new().build()) }.expect("room");
    while cq.is_empty() {
        cq.sync();
    }
}

/// Ends with an armed accept, and with a taken slot.
fn leaves_an_accept() {
    let (ring, listener) = accepting();
    ring.submitter().register_files(&[-1, listener.fd()]).expect("a table");
    ring.submit().expect("an accept");
    drop(ring);
}

/// A server whose listener is in a slot, too. It sends "hi" to each client, and closes its slot or
/// not. It may send by a plain call, on a copy of a descriptor that it makes of the slot.
fn serves_in_slots(closes: bool, by_hand: bool) {
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let mut ring = IoUring::new(8).expect("a ring");
    ring.submitter().register_files(&[-1, -1, -1, listener.fd()]).expect("a table");
    println!("listening on {}", listener.address());
    let mut run = |entry: squeue::Entry| {
        // SAFETY: what is sent lives as long as the program, and nothing else is pointed at.
        unsafe { ring.submission().push(&entry) }.expect("room");
        ring.submit_and_wait(1).expect("a completion");
        ring.completion().next().expect("a completion").result()
    };
    let null = std::ptr::null_mut();
    loop {
        let accept = opcode::Accept::new(types::Fixed(3), null, null.cast());
        let slot = run(accept.file_index(Some(types::DestinationSlot::auto_target())).build());
        let slot = types::Fixed(u32::try_from(slot).expect("a slot"));
        if by_hand {
            let fd = run(opcode::FixedFdInstall::new(slot, 0).build());
            // SAFETY: the descriptor is new, and stays open.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            nix::unistd::write(nix::unistd::dup(fd).expect("a copy"), b"hi").expect("two bytes");
        } else {
            run(opcode::Send::new(slot, b"hi".as_ptr(), 2).build());
        }
        run(opcode::Shutdown::new(slot, libc::SHUT_RDWR).build());
        if closes {
            run(opcode::Close::new(slot).build());
        }
    }
}

/// Half a second of work with pauses, and then nothing.
fn works_for_a_while() {
    let mut ring = ring_with_a_nop();
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(100));
        ring.submit_and_wait(1).expect("a NOP");
        ring.completion().next().expect("its completion");
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&opcode::Nop::new().build()) }.expect("room");
    }
    std::thread::sleep(Duration::from_secs(600));
}

fn asks_for_a_write() {
    let ring = IoUring::new(8).expect("a ring");
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe).expect("an answer");
    let there = [opcode::Read::CODE, opcode::Write::CODE].map(|code| probe.is_supported(code));
    println!("reads and writes: {there:?}");
}

fn says_who_watches() {
    let status = std::fs::read_to_string("/proc/self/status").expect("our own");
    println!("watched: {}", !status.contains("TracerPid:\t0\n"));
}

fn says_how_it_is_run() {
    let names = std::env::vars().map(|(name, _)| name);
    let told: Vec<String> =
        names.filter(|name| name.starts_with("CARGO") || name.starts_with("RUST")).collect();
    println!("told by: {told:?}");
}

/// Four bytes and four bytes, into a file; says how each write ended.
fn writes_twice() {
    use std::io::Write;
    let mut file = tempfile::tempfile().expect("a file");
    let results = [file.write(b"four"), file.write(b"four")];
    println!("results: {:?}", results.map(|result| result.map_err(|error| error.kind())));
}

fn forks_and_waits() {
    // SAFETY: the child only sleeps.
    let child = unsafe { nix::unistd::fork() }.expect("a child");
    std::thread::sleep(Duration::from_secs(600));
    let _ = child;
}

fn ends_before_its_child() {
    // SAFETY: the child only sleeps.
    if unsafe { nix::unistd::fork() }.expect("a child").is_child() {
        std::thread::sleep(Duration::from_secs(600));
    }
}

/// Each step takes a while, and events come all the time.
fn takes_its_time() {
    let mut ring = IoUring::new(8).expect("a ring");
    let pause = types::Timespec::new().nsec(400_000_000);
    for _ in 0..5 {
        let timeout = opcode::Timeout::new(&pause).build().flags(squeue::Flags::empty());
        // SAFETY: the time outlives the wait.
        unsafe { ring.submission().push(&timeout).expect("room") };
        ring.submit_and_wait(1).expect("a timeout");
        ring.completion().next().expect("its completion");
    }
}
