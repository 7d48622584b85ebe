//! How the grader runs a learner's program, and explains its hangs. The programs are this test
//! executable, started again with the name of a function below in `LEARNER`.

use std::io::Read;
use std::time::Duration;

use common::listener::Listener;
use grader::exercise::attempt::Attempt;
use grader::exercise::checks::{left, served};
use grader::exercise::failure::Failure;
use grader::exercise::ids::{self, Id};
use grader::exercise::launch::Launch;
use grader::exercise::record::{Record, Target};
use grader::exercise::run::Run;
use io_uring::{IoUring, opcode, squeue, types};
use testkit::io_uring_or_skip;

/// The arguments that make this executable one of the programs. The harness gives it a thread
/// of its own; the main thread waits for that.
const AGAIN: [&str; 4] = ["--exact", "learner", "--nocapture", "--quiet"];

/// Not a test: the program that the other tests run.
#[test]
fn learner() {
    let Some(name) = std::env::var_os("LEARNER") else { return };
    let (_, program) = PROGRAMS.iter().find(|(known, _)| name == **known).expect("a program");
    program();
    std::process::exit(0);
}

const PROGRAMS: &[(&str, fn())] = &[
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

fn attempt() -> Attempt {
    let program = std::env::current_exe().expect("this program");
    Attempt::new(
        "an_exercise",
        program,
        std::env::temp_dir().join(format!("attempt.{}", std::process::id())),
    )
}

/// A run with little patience, which is the longest wait of these tests.
fn launch(program: &str) -> Launch {
    let launch = attempt().run(format!("The program was run as {program}."));
    let launch = AGAIN.into_iter().fold(launch, Launch::arg);
    launch.env("LEARNER", program).patience(Duration::from_secs(3))
}

fn record(program: &str) -> Record {
    launch(program).to_end().expect("a program that ends")
}

#[track_caller]
fn hang(program: &str, id: Id) -> Failure {
    let failure = launch(program).to_end().expect_err("a program that hangs");
    assert_eq!(failure.id, id, "{failure:#?}");
    assert_eq!(failure.client, format!("The program was run as {program}."));
    assert!(!failure.rule.is_empty() && !failure.kernel.is_empty(), "{failure:#?}");
    failure
}

#[track_caller]
fn fails(answer: Result<(), Failure>, id: Id) -> Failure {
    let failure = answer.expect_err("a failure");
    assert_eq!(failure.id, id, "{failure:#?}");
    failure
}

#[test]
fn a_program_that_does_it_is_recorded() {
    if !io_uring_or_skip("a_program_that_does_it_is_recorded") {
        return;
    }
    let record = record("one_nop");
    record.need_exit().expect("status 0");
    record.need_entries("NOP", 1).expect("one NOP");
    record.need_all_submitted().expect("submitted");
    record.need_all_reaped().expect("reaped");
    assert_eq!(record.summary.enters, 1);
    assert!(record.stdout.lines().any(|line| line == "7"), "{}", record.stdout);
    fails(record.need_entries("NOP", 2), ids::NO_ENTRY);
    fails(record.need_entries("ACCEPT", 1), ids::NO_ENTRY);
}

#[test]
fn what_is_missing_has_its_id() {
    if !io_uring_or_skip("what_is_missing_has_its_id") {
        return;
    }
    fails(record("nothing").need_ring(), ids::NO_RING);
    let record_of = record("never_submitted");
    fails(record_of.need_entries("NOP", 1), ids::NOT_SUBMITTED);
    fails(record("never_reaped").need_all_reaped(), ids::NOT_REAPED);
}

#[test]
fn a_plain_call_is_told_from_one_to_the_standard_error() {
    if !io_uring_or_skip("a_plain_call_is_told_from_one_to_the_standard_error") {
        return;
    }
    let record = record("writes_by_itself");
    let writes = |record: &Record| record.plain_calls(&["write"]).len();
    // The harness prints a few lines, too.
    assert_eq!(writes(&record), writes(&self::record("one_nop")), "{:?}", record.calls);
    fails(record.need_no_plain(&["write"]), ids::NOT_THROUGH_RING);
    record.need_no_plain(&["accept4", "read"]).expect("none of these");
}

#[test]
fn whose_bytes_arrived_is_known_behind_every_descriptor() {
    if !io_uring_or_skip("whose_bytes_arrived_is_known_behind_every_descriptor") {
        return;
    }
    let record = record("writes_beside_the_line");
    let through_ring = record.bytes_into(Target::File(&record.stdout_is));
    assert_eq!(through_ring, 24, "a copy, and a slot: {:#?}", record.submitted("WRITE"));
    let by_hand = record.plain_writes_into(&record.stdout_is);
    assert!(by_hand.iter().any(|call| call.args[2] == 8), "{by_hand:#?}");
    assert!(record.plain_talk().is_empty(), "two local sockets are no connection");
    assert_eq!(record.out_of_sight(), None);
}

#[test]
fn what_no_check_can_look_into_is_found() {
    let mut programs = vec!["hides_a_child", "submits_by_aio"];
    if cfg!(target_arch = "x86_64") {
        programs.push("calls_as_32_bit");
    }
    for program in programs {
        let record = record(program);
        if program == "calls_as_32_bit" && record.status != Some(0) {
            testkit::skipped("what_no_check_can_look_into_is_found", "a kernel for 64 bits only");
            continue;
        }
        let failure = record.out_of_sight().expect(program);
        assert_eq!(failure.id, ids::NOT_THROUGH_RING, "{failure:#?}");
    }
}

/// Runs it to its end, and then without a tracer.
fn unwatched(program: &str) -> Result<(), Failure> {
    let attempt = attempt();
    let launch = attempt.run(format!("The program was run as {program}."));
    let launch = AGAIN.into_iter().fold(launch, Launch::arg).env("LEARNER", program);
    launch.to_end().expect("a program that ends");
    attempt.need_the_same_unwatched()
}

#[test]
fn a_program_that_is_another_when_nobody_watches_is_found_out() {
    let failure = unwatched("says_who_watches").expect_err("it prints something else");
    assert_eq!(failure.id, ids::OUTPUT, "{failure:#?}");
    unwatched("says_how_it_is_run").expect("the same");
    unwatched("never_says_the_same").expect("nothing to compare");
    let failure = unwatched("hides_a_child").expect_err("nobody knows what it does");
    assert_eq!(failure.id, ids::NOT_THROUGH_RING, "{failure:#?}");
}

#[test]
fn nothing_in_the_environment_says_that_a_program_is_checked() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "Cargo says it to us");
    let record = record("says_how_it_is_run");
    assert!(record.stdout.contains("told by: []"), "{}", record.stdout);
}

#[test]
fn any_write_can_be_made_to_fail() {
    let record = launch("writes_twice").file_limit(4).to_end().expect("an end");
    assert!(record.stdout.contains("results: [Ok(4), Err(FileTooLarge)]"), "{}", record.stdout);
}

#[test]
fn an_operation_can_be_denied() {
    if !io_uring_or_skip("an_operation_can_be_denied") {
        return;
    }
    assert!(record("asks_for_a_write").stdout.contains("[true, true]"));
    let launch = launch("asks_for_a_write").denied(opcode::Write::CODE);
    let record = launch.to_end().expect("an end");
    assert!(record.stdout.contains("[true, false]"), "{}", record.stdout);
}

#[test]
fn every_bad_end_has_its_id() {
    let failure = fails(record("panics").need_exit(), ids::PANIC);
    assert!(failure.rule.contains("the ring is on fire"), "{}", failure.rule);
    let failure = fails(record("aborts").need_exit(), ids::SIGNAL);
    assert!(failure.rule.contains("SIGABRT"), "{}", failure.rule);
    let failure = fails(record("status_three").need_exit(), ids::EXIT);
    assert!(failure.rule.contains("status 3"), "{}", failure.rule);
    record("status_three").need_exit_status(3).expect("as asked");
}

#[test]
fn a_program_that_fails_for_nothing_was_submitted_is_told_that() {
    if !io_uring_or_skip("a_program_that_fails_for_nothing_was_submitted_is_told_that") {
        return;
    }
    let failure = fails(record("never_submitted_and_fails").need_exit(), ids::NOT_SUBMITTED);
    assert!(failure.rule.contains("submission queue is full"), "{}", failure.rule);
}

#[test]
fn a_loop_after_the_last_completion_is_not_told_to_wait() {
    if !io_uring_or_skip("a_loop_after_the_last_completion_is_not_told_to_wait") {
        return;
    }
    let failure = hang("ends_in_a_loop", ids::SPIN);
    assert!(failure.rule.contains("nothing left to wait for"), "{}", failure.rule);
    assert!(failure.rule.contains("It has printed"), "{}", failure.rule);
}

#[test]
fn a_wait_for_what_nobody_submitted_is_found_out_at_once() {
    if !io_uring_or_skip("a_wait_for_what_nobody_submitted_is_found_out_at_once") {
        return;
    }
    let launch = launch("waits_for_two").patience(Duration::from_secs(600));
    let failure = launch.to_end().expect_err("a hang");
    assert_eq!(failure.id, ids::HANG_WAIT);
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("it waits for 2; in the queue: 1"), "{last}");
}

#[test]
fn entries_that_were_pushed_and_never_submitted_explain_a_hang() {
    if !io_uring_or_skip("entries_that_were_pushed_and_never_submitted_explain_a_hang") {
        return;
    }
    let failure = hang("spins_unsubmitted", ids::HANG_PUSHED);
    assert!(failure.kernel[0].contains("1 entry is pushed"), "{failure:#?}");
}

#[test]
fn completions_that_are_never_taken_explain_a_hang() {
    if !io_uring_or_skip("completions_that_are_never_taken_explain_a_hang") {
        return;
    }
    hang("ignores_the_answer", ids::HANG_NOT_REAPED);
}

#[test]
fn an_operation_that_does_not_complete_explains_a_hang() {
    if !io_uring_or_skip("an_operation_that_does_not_complete_explains_a_hang") {
        return;
    }
    let failure = hang("waits_for_a_pipe", ids::HANG_IN_FLIGHT);
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("in flight: READ fd"), "{last}");
}

#[test]
fn an_operation_that_is_silent_when_it_succeeds_may_be_in_flight() {
    if !io_uring_or_skip("an_operation_that_is_silent_when_it_succeeds_may_be_in_flight") {
        return;
    }
    let failure = hang("waits_silently", ids::HANG_IN_FLIGHT);
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("READ fd") && last.contains("CQE_SKIP_SUCCESS"), "{last}");
}

#[test]
fn an_error_that_is_tried_again_for_ever_is_named() {
    if !io_uring_or_skip("an_error_that_is_tried_again_for_ever_is_named") {
        return;
    }
    let failure = hang("retries_for_ever", ids::SPIN);
    assert!(failure.rule.contains("a WRITE is answered with ENOSPC"), "{failure:#?}");
}

#[test]
fn who_polls_a_queue_that_was_never_published_is_not_told_to_enter() {
    if !io_uring_or_skip("who_polls_a_queue_that_was_never_published_is_not_told_to_enter") {
        return;
    }
    let failure = hang("publishes_nothing", ids::SPIN);
    assert!(failure.rule.contains("when they are published"), "{failure:#?}");
}

#[test]
fn what_a_ring_leaves_behind_is_asked_of_proc() {
    if !io_uring_or_skip("what_a_ring_leaves_behind_is_asked_of_proc") {
        return;
    }
    let record = record("leaves_an_accept");
    let left = record.left().expect("the kernel tells");
    assert_eq!((left.slots, left.waiting), (vec![1], vec![u32::from(opcode::Accept::CODE)]));
}

#[test]
fn sleeping_elsewhere_and_spinning_are_told_apart() {
    let failure = hang("sleeps", ids::HANG_CALL);
    assert!(failure.rule.contains("nanosleep(2)"), "{}", failure.rule);
    hang("spins", ids::SPIN);
}

#[test]
fn a_program_that_stops_or_ends_before_its_child_is_not_said_to_burn_cpu_time() {
    let failure = hang("stops", ids::HANG_CALL);
    assert!(failure.rule.contains("SIGCONT"), "{failure:#?}");
    let failure = hang("ends_before_its_child", ids::HANG_CALL);
    assert!(failure.rule.contains("all that it started"), "{failure:#?}");
}

#[test]
fn something_that_happens_all_along_is_no_hang() {
    if !io_uring_or_skip("something_that_happens_all_along_is_no_hang") {
        return;
    }
    let record = launch("takes_its_time").patience(Duration::from_secs(1)).to_end();
    assert_eq!(record.expect("no hang").completed("TIMEOUT").len(), 5);
}

#[test]
fn nothing_is_left_behind_of_a_program_that_forks() {
    let run = launch("forks_and_waits").start().expect("a run");
    let pid = run.pid();
    testkit::wait_until("the child", || children(pid).len() == 1);
    let child = children(pid).remove(0);
    drop(run);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    // It may be a zombie, which no process in a container reaps.
    let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

/// Of any of its threads.
fn children(pid: u32) -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    let text: String = tasks.flatten().filter_map(|task| of(task).ok()).collect();
    text.split_whitespace().map(str::to_string).collect()
}

#[test]
fn a_client_that_waits_in_vain_is_told_what_the_server_waits_for() {
    if !io_uring_or_skip("a_client_that_waits_in_vain_is_told_what_the_server_waits_for") {
        return;
    }
    let mut run = launch("serves_one").start().expect("a run");
    let mut client = run.connect().expect("a server that listens");
    // Unlike a plain read, it begins again when a signal interrupts it.
    let error = client.read_exact(&mut [0; 1]).expect_err("no answer");
    let failure = run.trouble("A client waits for an answer.", &error);
    assert_eq!(failure.id, ids::NO_ANSWER, "{failure:#?}");
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("it waits for 2; in the queue: 1"), "{last}");
    assert_eq!(failure.client, "A client waits for an answer.");
}

/// Serves two clients. Returns the run.
fn two_clients(program: &str) -> Run {
    let mut run = launch(program).start().expect("a run");
    for _ in 0..2 {
        let mut client = run.connect().expect("a server that listens");
        let mut got = Vec::new();
        client.read_to_end(&mut got).expect("an answer");
        assert_eq!(got, b"hi");
    }
    run
}

#[test]
fn slots_are_counted_that_clients_have_left() {
    if !io_uring_or_skip("slots_are_counted_that_clients_have_left") {
        return;
    }
    let mut run = two_clients("serves_in_slots");
    left::need_free_slots(&mut run, "Two clients came.").expect("the listener's does not count");
    let mut run = two_clients("keeps_the_slots");
    let failure = left::need_free_slots(&mut run, "Two clients came.").expect_err("two slots");
    assert_eq!(failure.id, ids::NOT_CLOSED);
    let last = failure.kernel.last().expect("a line");
    assert_eq!(last, "now: slots 0, 1 are taken");
}

#[test]
fn what_clients_got_is_what_the_ring_sent() {
    if !io_uring_or_skip("what_clients_got_is_what_the_ring_sent") {
        return;
    }
    let record = two_clients("serves_in_slots").record();
    served::need_slots(&record).expect("all in slots");
    served::need_served(&record, 2, 4).expect("two bytes each");
    fails(served::need_served(&record, 3, 4), ids::NOT_THROUGH_RING);
    fails(served::need_served(&record, 2, 5), ids::NOT_THROUGH_RING);
    let kernel = common::environment::kernel_release();
    if grader::exercise::exercises::release(&kernel) < Some((6, 8)) {
        testkit::skipped(
            "what_clients_got_is_what_the_ring_sent",
            "no FIXED_FD_INSTALL before 6.8",
        );
        return;
    }
    let record = two_clients("serves_behind_a_copy").record();
    let failure = fails(served::need_slots(&record), ids::NOT_THROUGH_RING);
    assert!(failure.rule.starts_with("write(2) moves bytes"), "{failure:#?}");
}

#[test]
fn a_program_has_settled_when_all_is_done() {
    if !io_uring_or_skip("a_program_has_settled_when_all_is_done") {
        return;
    }
    let run = launch("works_for_a_while").start().expect("a run");
    assert!(run.settles());
    assert_eq!(run.record().completed("NOP").len(), 5);
    assert!(run.clock() > run.record().events.last().expect("events").us);
}

#[test]
fn a_server_that_ends_while_it_is_needed_is_told_so() {
    if !io_uring_or_skip("a_server_that_ends_while_it_is_needed_is_told_so") {
        return;
    }
    let mut run = launch("closes_after_one").start().expect("a run");
    drop(run.connect().expect("the first client"));
    testkit::wait_until("the server's end", || run.ended());
    let failure = run.connect().expect_err("nobody listens any more");
    assert_eq!(failure.id, ids::ENDED_EARLY, "{failure:#?}");
    // The record stays available.
    assert_eq!(run.record().completed("ACCEPT").len(), 1);
}

#[test]
fn a_program_that_does_not_listen_is_told_so() {
    let mut run = launch("nothing").start().expect("a run");
    let failure = run.listening().expect_err("no listener");
    assert_eq!(failure.id, ids::NO_RING, "{failure:#?}");
    let mut run = launch("sleeps").start().expect("a run");
    let failure = run.listening().expect_err("no listener");
    assert_eq!(failure.id, ids::NO_LISTENER, "{failure:#?}");
}

#[test]
fn numbers_and_words_are_not_known_beforehand() {
    let attempt = attempt();
    assert_ne!((attempt.tag(), attempt.word(12)), (attempt.tag(), attempt.word(12)));
    for _ in 0..100 {
        assert!((5..=6).contains(&attempt.number(5..=6)));
    }
}
