//! Programs with one fault each, and their mended twins. Each is this very test executable,
//! started again with `FAULT` naming one of these functions.

use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// The arguments that make this test executable one of the programs.
pub const AGAIN: [&str; 4] = ["--exact", "traced", "--nocapture", "--quiet"];

/// The exit status of a program whose feature this kernel has not got.
pub const NOT_HERE: i32 = 77;

/// A program: its name, the kind of its fault, and what it does, mended or not.
pub type Fault = (&'static str, &'static str, fn(bool));

/// Becomes a program, if this process was started to be one.
pub fn run_if_asked() {
    let Some(name) = std::env::var_os("FAULT") else { return };
    let mended = std::env::var_os("TWIN").is_some_and(|twin| twin == "mended");
    let (.., run) = ALL.iter().find(|(known, ..)| name == **known).expect("a fault of that name");
    run(mended);
    std::process::exit(0);
}

/// All of them.
pub const ALL: &[Fault] = &[
    ("pushes_after_submit", "never-submitted", pushes_after_submit),
    ("bad_entry_in_a_batch", "submit-stopped", bad_entry_in_a_batch),
    ("disabled_ring", "enter-refused", disabled_ring),
    ("left_in_the_queue", "left-over", disabled_ring),
    ("chain_in_two_submits", "link-cut", chain_in_two_submits),
    ("takes_one_of_two", "never-reaped", takes_one_of_two),
    ("never_seen", "head-never-moved", never_seen),
    ("seen_twice", "head-past-tail", seen_twice),
    ("too_many_completions", "overflow", too_many_completions),
    ("poll_that_ended", "multishot-ended", poll_that_ended),
    ("cancels_its_own_name", "cancel-misses", cancels_its_own_name),
    ("cancels_what_has_not_started", "cancel-misses", cancels_what_has_not_started),
    ("one_name_for_all", "one-user-data-for-two", one_name_for_all),
    ("waits_for_more", "dead-wait", waits_for_more),
    ("throws_answers_away", "dead-wait", throws_answers_away),
    ("endless_timeout", "timeout-never-fires", endless_timeout),
    ("link_behind_a_multishot", "behind-a-multishot", link_behind_a_multishot),
    ("drain_behind_a_read", "drain-holds", drain_behind_a_read),
    ("workers_in_fifos", "workers-busy", workers_in_fifos),
    ("sleeps_in_poll", "asleep-elsewhere", sleeps_in_poll),
    ("eventfd_async", "quiet-eventfd", eventfd_async),
    ("submits_and_looks", "not-asked-for", submits_and_looks),
    ("asks_again_and_again", "spin", asks_again_and_again),
    ("reads_past_the_end", "again-and-again", reads_past_the_end),
    ("receives_without_buffers", "again-and-again", receives_without_buffers),
    ("cloexec_for_a_slot", "refused-arguments", cloexec_for_a_slot),
    ("multishot_without_buffers", "refused-arguments", multishot_without_buffers),
    ("multishot_into_one_slot", "refused-arguments", multishot_into_one_slot),
    ("timeout_for_nothing", "refused-arguments", timeout_for_nothing),
    ("direct_and_odd", "refused-arguments", direct_and_odd),
    ("half_an_eventfd", "refused-arguments", half_an_eventfd),
    ("flags_of_the_one_before", "left-over-fields", flags_of_the_one_before),
    ("slot_for_a_descriptor", "bad-file", slot_for_a_descriptor),
    ("length_of_zero", "length-zero", length_of_zero),
    ("timespec_of_a_function", "dead-stack", timespec_of_a_function),
    ("buffer_of_a_function", "dead-stack", buffer_of_a_function),
    ("wrong_address", "unmapped-memory", wrong_address),
    ("unmaps_in_flight", "unmapped-memory", unmaps_in_flight),
    ("writes_while_it_sends", "changed-in-flight", writes_while_it_sends),
    ("writes_before_the_notification", "changed-before-notification", zero_copy),
    ("one_buffer_for_two", "memory-shared", one_buffer_for_two),
    ("keeps_buffers", "buffers-not-returned", keeps_buffers),
    ("keeps_buffers_of_a_ring", "buffers-not-returned", keeps_buffers_of_a_ring),
    ("no_group", "no-buffer-group", no_group),
    ("gives_back_twice", "buffer-twice", gives_back_twice),
    ("cancelled_too_late", "descriptor-lost", cancelled_too_late),
    ("forgets_clients", "descriptor-lost", forgets_clients),
    ("keeps_the_dead", "not-closed", keeps_the_dead),
    ("short_read_in_a_chain", "slot-lost", short_read_in_a_chain),
    ("fills_the_table", "table-full", fills_the_table),
    ("half_an_answer", "short-send", half_an_answer),
    ("lines_over_lines", "written-over", lines_over_lines),
    ("thread_that_ends", "submitter-ended", thread_that_ends),
    ("interrupted", "wait-cut-short", interrupted),
    ("closes_under_a_read", "closed-in-use", closes_under_a_read),
    ("gives_rights_up_late", "poller-has-old-rights", gives_rights_up_late),
    ("too_large", "setup-refused", too_large),
    ("masks_no_index", "entry-dropped", masks_no_index),
    ("waits_for_the_silent", "dead-wait", waits_for_the_silent),
    ("moment_of_long_ago", "timeout-in-the-past", moment_of_long_ago),
    ("multishot_without_buffers_left", "multishot-ended", multishot_without_buffers_left),
    ("past_a_registered_buffer", "outside-registered-buffer", past_a_registered_buffer),
    ("number_of_a_slot", "slot-taken-for-a-descriptor", number_of_a_slot),
    ("registers_twice", "register-refused", registers_twice),
    ("child_in_the_ring", "ring-shared-by-fork", child_in_the_ring),
    ("poller_for_nothing", "poller-burns", poller_for_nothing),
];

/// Ends a program that this kernel cannot run.
fn not_here(why: &str) -> ! {
    eprintln!("SKIPPED: {why}");
    std::process::exit(NOT_HERE)
}

/// What a step gives, if this kernel can do it.
fn here<T, E: std::fmt::Display>(step: Result<T, E>) -> T {
    step.unwrap_or_else(|error| not_here(&error.to_string()))
}

fn ring() -> IoUring {
    here(IoUring::new(8))
}

fn push(ring: &mut IoUring, entry: squeue::Entry, user_data: u64) {
    // SAFETY: what entries point at lives as long as the fault of the program lets it.
    unsafe { ring.submission().push(&entry.user_data(user_data)) }.expect("room for an entry");
}

/// Waits for `count` completions and takes all: what they say.
fn take(ring: &mut IoUring, count: usize) -> Vec<(u64, i32, u32)> {
    ring.submit_and_wait(count).expect("an enter");
    let about = |done: cqueue::Entry| (done.user_data(), done.result(), done.flags());
    ring.completion().map(about).collect()
}

/// Submits one entry, waits for its completion and takes it.
fn run(ring: &mut IoUring, entry: squeue::Entry, user_data: u64) -> (i32, u32) {
    push(ring, entry, user_data);
    let (_, result, flags) = take(ring, 1)[0];
    (result, flags)
}

fn nop() -> squeue::Entry {
    opcode::Nop::new().build()
}

fn fd(file: &impl AsRawFd) -> types::Fd {
    types::Fd(file.as_raw_fd())
}

fn read(file: &impl AsRawFd, buffer: &mut [u8]) -> squeue::Entry {
    opcode::Read::new(fd(file), buffer.as_mut_ptr(), buffer.len() as u32).offset(u64::MAX).build()
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("two sockets")
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the kernel fills two numbers, of descriptors that nobody else has.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

fn eventfd() -> i32 {
    // SAFETY: plain numbers.
    unsafe { libc::eventfd(0, libc::EFD_NONBLOCK) }
}

fn cancel(user_data: u64) -> squeue::Entry {
    opcode::AsyncCancel::new(user_data).build()
}

fn passwd() -> std::fs::File {
    std::fs::File::open("/etc/passwd").expect("a file that every system has")
}

fn pushes_after_submit(mended: bool) {
    let mut ring = ring();
    run(&mut ring, nop(), 1);
    push(&mut ring, nop(), 2);
    if mended {
        take(&mut ring, 1);
    }
}

fn bad_entry_in_a_batch(mended: bool) {
    let mut ring = ring();
    // The second is no operation at all: it is refused while it is prepared.
    let bad = opcode::Fsync::new(types::Fd(1)).flags(types::FsyncFlags::from_bits_retain(1 << 12));
    let second = if mended { nop() } else { bad.build() };
    for (entry, user_data) in [(nop(), 1), (second, 2), (nop(), 3)] {
        push(&mut ring, entry, user_data);
    }
    ring.submit().expect("an enter");
    for _ in 0..3 {
        while ring.completion().next().is_none() {
            // SAFETY: no argument. It submits nothing, for that was done.
            unsafe { ring.submitter().enter::<libc::sigset_t>(0, 1, 1, None) }.expect("an enter");
        }
    }
}

fn disabled_ring(mended: bool) {
    let mut ring: IoUring = here(IoUring::builder().setup_r_disabled().build(8));
    push(&mut ring, nop(), 1);
    if mended {
        ring.submitter().register_enable_rings().expect("an enabled ring");
    }
    let first = ring.submit();
    assert_eq!(first.is_ok(), mended);
    if !mended {
        ring.submitter().register_enable_rings().expect("an enabled ring");
    }
    push(&mut ring, nop(), 2);
    while take(&mut ring, 1).iter().all(|(user_data, ..)| *user_data != 2) {}
}

fn chain_in_two_submits(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop().flags(squeue::Flags::IO_LINK), 1);
    if !mended {
        take(&mut ring, 1);
    }
    push(&mut ring, nop(), 2);
    take(&mut ring, if mended { 2 } else { 1 });
}

fn takes_one_of_two(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    push(&mut ring, nop(), 2);
    ring.submit_and_wait(2).expect("an enter");
    assert!(ring.completion().next().is_some());
    if mended {
        assert!(ring.completion().next().is_some());
    }
}

fn never_seen(mended: bool) {
    let mut ring = ring();
    for user_data in 1..=3 {
        push(&mut ring, nop(), user_data);
        ring.submit_and_wait(1).expect("an enter");
        if mended {
            assert_eq!(ring.completion().count(), 1);
        }
    }
}

/// The head of a ring's completion queue, written past the crate.
fn seen_twice(mended: bool) {
    let params = &mut [0_u32; 30];
    // SAFETY: the kernel fills the structure, and the mapping is of the ring that it made.
    let head = unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr());
        assert!(ring >= 0);
        let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let map = libc::mmap(std::ptr::null_mut(), 4096, access, shared, ring as i32, 0);
        // `cq_off.head`: the 20th word.
        let head = map.byte_add(params[20] as usize).cast::<u32>();
        head.write_volatile(if mended { 0 } else { 2 });
        libc::syscall(libc::SYS_io_uring_enter, ring, 0, 0, 0, 0, 0);
        head
    };
    assert!(!head.is_null());
}

fn too_many_completions(mended: bool) {
    let mut ring: IoUring = here(IoUring::builder().setup_cqsize(8).build(8));
    for round in 0..2 {
        for user_data in 0..8 {
            push(&mut ring, nop(), user_data);
        }
        if mended {
            assert_eq!(take(&mut ring, 8).len(), 8, "round {round}");
        } else {
            ring.submit().expect("an enter");
        }
    }
    let mut left = if mended { 0 } else { 16 };
    while left > 0 {
        left -= take(&mut ring, 1).len();
    }
}

/// A poll of an eventfd that ends when completions overflow.
fn poll_that_ended(mended: bool) {
    let mut ring: IoUring = here(IoUring::builder().setup_cqsize(4).build(4));
    let bell = eventfd();
    let ring_it = || {
        // SAFETY: plain numbers.
        unsafe { libc::eventfd_write(bell, 1) }
    };
    let poll = || opcode::PollAdd::new(types::Fd(bell), libc::POLLIN as u32).multi(true).build();
    push(&mut ring, poll(), 9);
    ring.submit().expect("an enter");
    if !mended {
        for user_data in 0..4 {
            push(&mut ring, nop(), user_data);
        }
        ring.submit().expect("an enter");
    }
    ring_it();
    let mut more = true;
    while !ring.completion().is_empty() || more && ring_flags(&mut ring) != 0 {
        more &= take(&mut ring, 1).iter().all(|(name, _, flags)| *name != 9 || flags & 2 != 0);
    }
    if mended {
        run(&mut ring, cancel(9), 1);
        return;
    }
    ring_it();
    take(&mut ring, 1);
}

/// Whether a completion of the poll is still to come.
fn ring_flags(ring: &mut IoUring) -> u32 {
    u32::from(ring.submission().cq_overflow())
}

fn cancels_its_own_name(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    ring.submit().expect("an enter");
    let (result, _) = run_first(&mut ring, cancel(if mended { 1 } else { 77 }), 77);
    assert_eq!(result == -libc::ENOENT, !mended);
}

/// As [`run`], whatever else completes.
fn run_first(ring: &mut IoUring, entry: squeue::Entry, user_data: u64) -> (i32, u32) {
    push(ring, entry, user_data);
    loop {
        let all = take(ring, 1);
        if let Some((_, result, flags)) = all.into_iter().find(|(name, ..)| *name == user_data) {
            // What was cancelled is seen, too.
            sleep(Duration::from_millis(20));
            while ring.completion().next().is_some() {}
            return (result, flags);
        }
    }
}

fn cancels_what_has_not_started(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer).flags(squeue::Flags::IO_LINK), 1);
    push(&mut ring, nop(), 2);
    ring.submit().expect("an enter");
    run_first(&mut ring, cancel(if mended { 1 } else { 2 }), 3);
}

fn one_name_for_all(mended: bool) {
    let mut ring = ring();
    let (one, two) = pair();
    let mut buffers = [[0; 8]; 2];
    let [first, second] = &mut buffers;
    push(&mut ring, read(&one, first), 1);
    ring.submit().expect("an enter");
    push(&mut ring, read(&two, second), if mended { 2 } else { 1 });
    ring.submit().expect("an enter");
    (&one).write_all(b"one").expect("three bytes");
    (&two).write_all(b"two").expect("three bytes");
    let mut taken = 0;
    while taken < 2 {
        taken += take(&mut ring, 1).len();
    }
}

fn waits_for_more(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    take(&mut ring, if mended { 1 } else { 2 });
}

fn throws_answers_away(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    push(&mut ring, nop(), 2);
    let all = take(&mut ring, 2);
    assert_eq!(all.len(), 2);
    if !mended {
        take(&mut ring, 1);
    }
}

fn endless_timeout(mended: bool) {
    let mut ring = ring();
    let (seconds, nanoseconds) = if mended { (0, 1_000_000) } else { (i64::MAX as u64, 0) };
    let time = types::Timespec::new().sec(seconds).nsec(nanoseconds);
    run(&mut ring, opcode::Timeout::new(&time).build(), 1);
}

fn link_behind_a_multishot(mended: bool) {
    let mut ring = ring();
    let bell = eventfd();
    let poll = opcode::PollAdd::new(types::Fd(bell), libc::POLLIN as u32).multi(!mended);
    let mut count = [0; 8];
    push(&mut ring, poll.build().flags(squeue::Flags::IO_LINK), 1);
    let read = opcode::Read::new(types::Fd(bell), count.as_mut_ptr(), 8).build();
    push(&mut ring, read, 2);
    ring.submit().expect("an enter");
    // SAFETY: plain numbers.
    unsafe { libc::eventfd_write(bell, 1) };
    while take(&mut ring, 1).iter().all(|(name, ..)| *name != 2) {}
}

fn drain_behind_a_read(mended: bool) {
    let mut ring = ring();
    let (here, mut there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    push(&mut ring, nop().flags(squeue::Flags::IO_DRAIN), 2);
    ring.submit().expect("an enter");
    if mended {
        there.write_all(b"go on").expect("five bytes");
    }
    let mut taken = 0;
    while taken < 2 {
        taken += take(&mut ring, 1).len();
    }
}

fn workers_in_fifos(mended: bool) {
    let mut ring: IoUring = here(IoUring::new(4));
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<CString> = (0..5)
        .map(|nth| folder.path().join(nth.to_string()))
        .map(|path| CString::new(path.into_os_string().into_encoded_bytes()).expect("no zero"))
        .collect();
    for (path, user_data) in paths.iter().zip(1..) {
        // SAFETY: the path ends with a zero.
        unsafe { libc::mkfifo(path.as_ptr(), 0o600) };
        if !mended {
            let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
            push(&mut ring, open.flags(squeue::Flags::ASYNC), user_data);
            ring.submit().expect("an enter");
        }
    }
    let plain = c"/etc/passwd";
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), plain.as_ptr());
    let (file, _) = run(&mut ring, open.build().flags(squeue::Flags::ASYNC), 100);
    run(&mut ring, opcode::Close::new(types::Fd(file)).build(), 101);
}

/// `poll(2)` of nothing, for `ms` milliseconds.
fn poll_for(ms: i32) {
    // SAFETY: an empty list.
    unsafe { libc::poll(std::ptr::null_mut(), 0, ms) };
}

fn sleeps_in_poll(mended: bool) {
    let mut ring = ring();
    push(&mut ring, nop(), 1);
    ring.submit().expect("an enter");
    if mended {
        assert_eq!(ring.completion().count(), 1);
    }
    poll_for(700);
    let _ = ring.completion().count();
}

fn eventfd_async(mended: bool) {
    let mut ring = ring();
    let bell = eventfd();
    match mended {
        true => ring.submitter().register_eventfd(bell).expect("an eventfd"),
        false => ring.submitter().register_eventfd_async(bell).expect("an eventfd"),
    }
    push(&mut ring, nop(), 1);
    ring.submit().expect("an enter");
    let mut bell = libc::pollfd { fd: bell, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which outlives the call.
    unsafe { libc::poll(&mut bell, 1, 700) };
    let _ = ring.completion().count();
}

fn submits_and_looks(mended: bool) {
    let builder = &mut IoUring::builder();
    let mut ring: IoUring = here(builder.setup_single_issuer().setup_defer_taskrun().build(8));
    let (here, mut there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    ring.submit().expect("an enter");
    there.write_all(b"bytes").expect("five bytes");
    if mended {
        take(&mut ring, 1);
    }
    sleep(Duration::from_millis(700));
}

fn asks_again_and_again(mended: bool) {
    let mut ring = ring();
    for _ in 0..if mended { 10 } else { 1100 } {
        // SAFETY: no argument.
        unsafe { ring.submitter().enter::<libc::sigset_t>(0, 0, 1, None) }.expect("an enter");
    }
    run(&mut ring, nop(), 1);
}

fn reads_past_the_end(mended: bool) {
    let mut ring = ring();
    let (from, to) = pipe();
    drop(to);
    let mut buffer = [0; 8];
    for user_data in 0..if mended { 1 } else { 20 } {
        run(&mut ring, read(&from, &mut buffer), user_data);
    }
}

fn receive(file: &impl AsRawFd, group: u16) -> squeue::Entry {
    let receive = opcode::Recv::new(fd(file), std::ptr::null_mut(), 64).buf_group(group).build();
    receive.flags(squeue::Flags::BUFFER_SELECT)
}

fn provide(ring: &mut IoUring, memory: &mut [u8], count: u16, first: u16) {
    let provide = opcode::ProvideBuffers::new(memory.as_mut_ptr(), 64, count, 0, first);
    assert!(run(ring, provide.build(), 99).0 >= 0);
}

fn receives_without_buffers(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 64];
    provide(&mut ring, &mut memory, 1, 0);
    let (here, mut there) = pair();
    for user_data in 0..if mended { 1 } else { 20 } {
        there.write_all(b"x").expect("a byte");
        run(&mut ring, receive(&here, 0), user_data);
    }
}

fn cloexec_for_a_slot(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(4));
    let slot = types::DestinationSlot::auto_target();
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"/etc/passwd".as_ptr())
        .file_index(Some(slot))
        .flags(if mended { 0 } else { libc::O_CLOEXEC });
    run(&mut ring, open.build(), 1);
}

fn multishot_without_buffers(mended: bool) {
    const MULTISHOT: u16 = 1 << 1;
    let mut ring = ring();
    let (here, mut there) = pair();
    there.write_all(b"bytes").expect("five bytes");
    let mut buffer = [0; 8];
    let mut entry = opcode::Recv::new(fd(&here), buffer.as_mut_ptr(), 8).build();
    if !mended {
        set_ioprio(&mut entry, MULTISHOT);
    }
    run(&mut ring, entry, 1);
}

/// Sets the field that the crate sets for multishots.
fn set_ioprio(entry: &mut squeue::Entry, flags: u16) {
    // SAFETY: an entry is 64 plain bytes, `ioprio` the third and fourth of them.
    unsafe { (&raw mut *entry).cast::<u16>().add(1).write(flags) };
}

fn multishot_into_one_slot(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(4));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let _client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let slot = types::DestinationSlot::try_from_slot_target(1).expect("a slot");
    let none = std::ptr::null_mut();
    let accept = opcode::Accept::new(fd(&listener), none, none.cast()).file_index(Some(slot));
    let mut entry = accept.build();
    if !mended {
        set_ioprio(&mut entry, 1);
    }
    run(&mut ring, entry, 1);
    if mended {
        run(&mut ring, opcode::Close::new(types::Fixed(1)).build(), 2);
    }
}

fn timeout_for_nothing(mended: bool) {
    let mut ring = ring();
    let time = types::Timespec::new().nsec(1_000_000);
    if mended {
        push(&mut ring, nop().flags(squeue::Flags::IO_LINK), 1);
        push(&mut ring, opcode::LinkTimeout::new(&time).build(), 2);
        take(&mut ring, 2);
    } else {
        run(&mut ring, opcode::LinkTimeout::new(&time).build(), 1);
    }
}

#[repr(align(4096))]
struct Page([u8; 4096 + 512]);

fn direct_and_odd(mended: bool) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut ring = ring();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, [7; 8192]).expect("a file");
    let direct = std::fs::File::options().read(true).custom_flags(libc::O_DIRECT).open(&path);
    let file = here(direct);
    let mut page = Box::new(Page([0; 4608]));
    let odd = usize::from(!mended);
    let buffer = &mut page.0[odd..4096 + odd];
    let (result, _) =
        run(&mut ring, opcode::Read::new(fd(&file), buffer.as_mut_ptr(), 4096).build(), 1);
    if !mended && result >= 0 {
        not_here("the file system takes any address");
    }
}

fn half_an_eventfd(mended: bool) {
    let mut ring = ring();
    let bell = eventfd();
    let one = 1_u64.to_ne_bytes();
    let length = if mended { 8 } else { 4 };
    run(&mut ring, opcode::Write::new(types::Fd(bell), one.as_ptr(), length).build(), 1);
}

/// The flags that a send had in the same place of the queue.
fn flags_of_the_one_before(mended: bool) {
    let mut ring: IoUring = here(IoUring::new(1));
    let (here, _there) = pair();
    let send = opcode::Send::new(fd(&here), b"x".as_ptr(), 1).flags(libc::MSG_NOSIGNAL).build();
    run(&mut ring, send, 1);
    let mut buffer = [0; 8];
    let flags = if mended { 0 } else { libc::MSG_NOSIGNAL };
    let file = passwd();
    let read = opcode::Read::new(fd(&file), buffer.as_mut_ptr(), 8).rw_flags(flags);
    run(&mut ring, read.build(), 2);
}

fn slot_for_a_descriptor(mended: bool) {
    let mut ring = ring();
    let file = passwd();
    ring.submitter().register_files(&[file.as_raw_fd(), -1]).expect("a table");
    let mut buffer = [0; 8];
    let slot = types::Fixed(if mended { 0 } else { 1 });
    run(&mut ring, opcode::Read::new(slot, buffer.as_mut_ptr(), 8).build(), 1);
}

fn length_of_zero(mended: bool) {
    let mut ring = ring();
    let file = passwd();
    let mut buffer = [0; 8];
    let length = if mended { 8_u64 } else { 1 << 32 } as u32;
    run(&mut ring, opcode::Read::new(fd(&file), buffer.as_mut_ptr(), length).build(), 1);
}

/// An entry with a time of a function that has returned.
#[inline(never)]
fn dead_timeout(ring: &mut IoUring) {
    let time = types::Timespec::new().nsec(1_000_000);
    push(ring, opcode::Timeout::new(std::hint::black_box(&time)).build(), 1);
}

/// Calls it with a stack that is deep by then.
#[inline(never)]
fn deep_down(ring: &mut IoUring) {
    let room = std::hint::black_box([0_u8; 1 << 14]);
    dead_timeout(ring);
    std::hint::black_box(&room);
}

fn timespec_of_a_function(mended: bool) {
    let mut ring = ring();
    let time = types::Timespec::new().nsec(1_000_000);
    match mended {
        true => push(&mut ring, opcode::Timeout::new(&time).build(), 1),
        false => deep_down(&mut ring),
    }
    ring.submit().expect("an enter");
    sleep(Duration::from_millis(20));
    let _ = ring.completion().count();
}

#[inline(never)]
fn dead_buffer(ring: &mut IoUring, file: &impl AsRawFd) {
    let mut room = std::hint::black_box([0_u8; 8192]);
    push(ring, read(file, &mut room[..64]), 1);
    ring.submit().expect("an enter");
    std::hint::black_box(&room);
}

fn buffer_of_a_function(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let mut buffer = [0; 64];
    if mended {
        push(&mut ring, read(&here, &mut buffer), 1);
        ring.submit().expect("an enter");
    } else {
        dead_buffer(&mut ring, &here);
    }
    run_first(&mut ring, cancel(1), 2);
}

fn wrong_address(mended: bool) {
    let mut ring = ring();
    let file = passwd();
    let mut buffer = [0; 8];
    let address = if mended { buffer.as_mut_ptr() } else { 64 as *mut u8 };
    run(&mut ring, opcode::Read::new(fd(&file), address, 8).build(), 1);
}

/// Fresh pages.
fn pages(count: usize) -> *mut u8 {
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: fresh pages are nobody else's.
    unsafe { libc::mmap(std::ptr::null_mut(), count * 4096, access, flags, -1, 0).cast() }
}

fn unmaps_in_flight(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let memory = pages(1);
    push(&mut ring, opcode::Read::new(fd(&here), memory, 4096).offset(u64::MAX).build(), 1);
    ring.submit().expect("an enter");
    if mended {
        run_first(&mut ring, cancel(1), 2);
    }
    // SAFETY: the pages are ours, and nothing of Rust is in them.
    unsafe { libc::munmap(memory.cast(), 4096) };
    if !mended {
        run_first(&mut ring, cancel(1), 2);
    }
}

/// A pipe that is full, so that a write to it waits.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (from, to) = pipe();
    // SAFETY: plain numbers.
    let size = unsafe { libc::fcntl(to.as_raw_fd(), libc::F_GETPIPE_SZ) } as usize;
    let bytes = vec![b'-'; size];
    // SAFETY: `bytes` outlives the call.
    unsafe { libc::write(to.as_raw_fd(), bytes.as_ptr().cast(), size) };
    (from, to)
}

fn writes_while_it_sends(mended: bool) {
    let mut ring = ring();
    let (from, to) = full_pipe();
    let mut message = [b'1'; 64];
    push(&mut ring, opcode::Write::new(fd(&to), message.as_ptr(), 64).offset(u64::MAX).build(), 1);
    ring.submit().expect("an enter");
    if !mended {
        message.fill(b'2');
    }
    let mut all = vec![0; 1 << 20];
    // SAFETY: `all` outlives the call.
    unsafe { libc::read(from.as_raw_fd(), all.as_mut_ptr().cast(), all.len()) };
    take(&mut ring, 1);
    message.fill(b'3');
}

fn zero_copy(mended: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let (server, _) = listener.accept().expect("the client");
    let mut ring = ring();
    let mut message = vec![b'1'; 1 << 16];
    let length = message.len();
    let send = opcode::SendZc::new(fd(&server), message.as_ptr(), length as u32).build();
    push(&mut ring, send, 1);
    ring.submit_and_wait(1).expect("an enter");
    let first = ring.completion().next().expect("a completion");
    if first.result() < 0 {
        not_here("no zero-copy sends");
    }
    if !mended {
        message.fill(b'2');
    }
    let mut received = vec![0; first.result() as usize];
    client.read_exact(&mut received).expect("what was sent");
    take(&mut ring, 1);
    message.fill(b'3');
}

fn one_buffer_for_two(mended: bool) {
    let mut ring = ring();
    let (one, two) = pair();
    let mut buffers = [[0; 8]; 2];
    push(&mut ring, read(&one, &mut buffers[0]), 1);
    ring.submit().expect("an enter");
    push(&mut ring, read(&two, &mut buffers[usize::from(mended)]), 2);
    ring.submit().expect("an enter");
    (&one).write_all(b"one").expect("three bytes");
    (&two).write_all(b"two").expect("three bytes");
    let mut taken = 0;
    while taken < 2 {
        taken += take(&mut ring, 1).len();
    }
}

fn keeps_buffers(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 128];
    provide(&mut ring, &mut memory, 2, 0);
    let (here, mut there) = pair();
    for user_data in 1..=4 {
        there.write_all(b"message").expect("seven bytes");
        let (_, flags) = run(&mut ring, receive(&here, 0), user_data);
        if let Some(id) = cqueue::buffer_select(flags).filter(|_| mended) {
            provide(&mut ring, &mut memory[usize::from(id) * 64..], 1, id);
        }
    }
}

/// A ring of two buffers of 64 bytes.
struct BufferRing {
    places: *mut u8,
    memory: *mut u8,
    tail: u16,
}

impl BufferRing {
    fn new(ring: &IoUring) -> BufferRing {
        let (places, memory) = (pages(1), pages(1));
        // SAFETY: the page outlives the ring: it is never unmapped.
        here(unsafe { ring.submitter().register_buf_ring_with_flags(places as u64, 2, 0, 0) });
        let mut buffers = BufferRing { places, memory, tail: 0 };
        buffers.give(0);
        buffers.give(1);
        buffers
    }

    fn give(&mut self, id: u16) {
        // SAFETY: `struct io_uring_buf`: address, length, id; the tail is in the last two bytes of
        // the first.
        unsafe {
            let place = self.places.add(usize::from(self.tail % 2) * 16);
            place.cast::<u64>().write(self.memory.add(usize::from(id) * 64) as u64);
            place.add(8).cast::<u32>().write(64);
            place.add(12).cast::<u16>().write(id);
            self.tail += 1;
            self.places.add(14).cast::<u16>().write_volatile(self.tail);
        }
    }
}

fn keeps_buffers_of_a_ring(mended: bool) {
    let mut ring = ring();
    let mut buffers = BufferRing::new(&ring);
    let (here, mut there) = pair();
    for user_data in 1..=5 {
        there.write_all(b"message").expect("seven bytes");
        let (_, flags) = run(&mut ring, receive(&here, 0), user_data);
        if let Some(id) = cqueue::buffer_select(flags).filter(|_| mended) {
            buffers.give(id);
        }
    }
}

fn no_group(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 64];
    provide(&mut ring, &mut memory, 1, 0);
    let (here, mut there) = pair();
    there.write_all(b"message").expect("seven bytes");
    run(&mut ring, receive(&here, if mended { 0 } else { 7 }), 1);
}

fn gives_back_twice(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 128];
    provide(&mut ring, &mut memory, 2, 0);
    let (here, mut there) = pair();
    there.write_all(b"message").expect("seven bytes");
    let (_, flags) = run(&mut ring, receive(&here, 0), 1);
    let id = cqueue::buffer_select(flags).expect("a buffer");
    for _ in 0..if mended { 1 } else { 2 } {
        provide(&mut ring, &mut memory[usize::from(id) * 64..], 1, id);
    }
}

fn accept(listener: &TcpListener) -> squeue::Entry {
    let none = std::ptr::null_mut();
    opcode::Accept::new(fd(listener), none, none.cast()).build()
}

fn close(file: i32) {
    // SAFETY: a descriptor that a completion gave is nobody else's.
    unsafe { libc::close(file) };
}

fn cancelled_too_late(mended: bool) {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    push(&mut ring, accept(&listener), 1);
    ring.submit().expect("an enter");
    let _client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    push(&mut ring, cancel(1), 2);
    let mut taken = 0;
    while taken < 2 {
        for (name, result, _) in take(&mut ring, 1) {
            taken += 1;
            if name == 1 && mended {
                close(result);
            }
        }
    }
}

fn forgets_clients(mended: bool) {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let _client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let (client, _) = run(&mut ring, accept(&listener), 1);
    if mended {
        close(client);
    }
    sleep(Duration::from_millis(200));
}

fn keeps_the_dead(mended: bool) {
    let mut ring = ring();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client = TcpStream::connect(listener.local_addr().expect("a port")).expect("a client");
    let (served, _) = run(&mut ring, accept(&listener), 1);
    drop(client);
    let mut buffer = [0; 8];
    let end = opcode::Recv::new(types::Fd(served), buffer.as_mut_ptr(), 8).build();
    assert_eq!(run(&mut ring, end, 2).0, 0);
    if mended {
        run(&mut ring, opcode::Close::new(types::Fd(served)).build(), 3);
    }
    sleep(Duration::from_millis(200));
}

fn short_read_in_a_chain(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(4));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, b"four").expect("a file");
    let path = CString::new(path.into_os_string().into_encoded_bytes()).expect("no zero");
    let slot = types::DestinationSlot::try_from_slot_target(1).expect("a slot");
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).file_index(Some(slot));
    let mut buffer = [0; 64];
    let length = if mended { 4 } else { 64 };
    let read = opcode::Read::new(types::Fixed(1), buffer.as_mut_ptr(), length).build();
    push(&mut ring, open.build().flags(squeue::Flags::IO_LINK), 1);
    push(&mut ring, read.flags(squeue::Flags::IO_LINK), 2);
    push(&mut ring, opcode::Close::new(types::Fixed(1)).build(), 3);
    take(&mut ring, 3);
}

fn fills_the_table(mended: bool) {
    let mut ring = ring();
    here(ring.submitter().register_files_sparse(3));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let at = listener.local_addr().expect("a port");
    for _ in 0..4 {
        let client = TcpStream::connect(at).expect("a client");
        let none = std::ptr::null_mut();
        let slot = Some(types::DestinationSlot::auto_target());
        let accept = opcode::Accept::new(fd(&listener), none, none.cast()).file_index(slot);
        let (slot, _) = run(&mut ring, accept.build(), 1);
        drop(client);
        if slot < 0 {
            continue;
        }
        let mut buffer = [0; 8];
        let slot = types::Fixed(slot as u32);
        run(&mut ring, opcode::Recv::new(slot, buffer.as_mut_ptr(), 8).build(), 2);
        // The others have been gone for a while when the last one comes.
        sleep(Duration::from_millis(120));
        if mended {
            run(&mut ring, opcode::Close::new(slot).build(), 3);
        }
    }
}

fn half_an_answer(mended: bool) {
    let mut ring = ring();
    let (server, mut client) = pair();
    server.set_nonblocking(true).expect("a socket");
    let answer = vec![b'x'; 4 << 20];
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        client.read_to_end(&mut all).expect("the answer")
    });
    let mut sent = 0;
    while sent < answer.len() {
        let rest = &answer[sent..];
        let send = opcode::Send::new(fd(&server), rest.as_ptr(), rest.len() as u32).build();
        sent += run(&mut ring, send, 1).0.max(0) as usize;
        if !mended {
            break;
        }
    }
    drop(server);
    reader.join().expect("the client");
}

fn lines_over_lines(mended: bool) {
    let mut ring = ring();
    let mut file = tempfile::tempfile().expect("a file");
    for line in ["09:00 start\n", "09:01 tests\n", "09:02 stops\n"] {
        let write = opcode::Write::new(fd(&file), line.as_ptr(), line.len() as u32);
        let offset = if mended { u64::MAX } else { 0 };
        run(&mut ring, write.offset(offset).build(), 1);
    }
    file.flush().expect("nothing to flush");
}

fn thread_that_ends(mended: bool) {
    let ring = Mutex::new(ring());
    let (here, there) = pair();
    let mut buffer = [0; 8];
    let memory = &mut buffer[..];
    let submit = |memory: &mut [u8]| {
        let mut ring = ring.lock().expect("the ring");
        push(&mut ring, read(&here, memory), 1);
        ring.submit().expect("an enter");
    };
    if mended {
        submit(memory);
    } else {
        std::thread::scope(|scope| _ = scope.spawn(|| submit(memory)));
        // A scope ends before its threads have.
        sleep(Duration::from_millis(100));
    }
    (&there).write_all(b"bytes").expect("five bytes");
    take(&mut ring.lock().expect("the ring"), 1);
}

/// A signal comes while it waits for a read that was submitted by the same call.
fn interrupted(mended: bool) {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: a handler that does nothing, for a signal to this very thread.
    let me = unsafe {
        libc::signal(libc::SIGUSR1, nothing as extern "C" fn(i32) as usize);
        libc::pthread_self()
    };
    let mut ring = ring();
    let (here, mut there) = pair();
    let mut buffer = [0; 8];
    push(&mut ring, read(&here, &mut buffer), 1);
    std::thread::spawn(move || {
        sleep(Duration::from_millis(200));
        // SAFETY: the thread lives until the write.
        unsafe { libc::pthread_kill(me, libc::SIGUSR1) };
        sleep(Duration::from_millis(200));
        let _ = there.write_all(b"bytes");
    });
    if ring.submit_and_wait(1).is_err() || ring.completion().is_empty() {
        if !mended {
            std::process::exit(1);
        }
        take(&mut ring, 1);
    } else {
        let _ = ring.completion().count();
    }
}

fn closes_under_a_read(mended: bool) {
    let mut ring = ring();
    let (here, _there) = pair();
    let number = here.into_raw_fd();
    let mut buffers = [[0; 8]; 2];
    let [first, second] = &mut buffers;
    push(&mut ring, opcode::Read::new(types::Fd(number), first.as_mut_ptr(), 8).build(), 1);
    ring.submit().expect("an enter");
    if mended {
        run_first(&mut ring, cancel(1), 2);
    }
    close(number);
    let file = passwd();
    assert_eq!(file.as_raw_fd(), number, "the number is given again");
    run_first(&mut ring, opcode::Read::new(fd(&file), second.as_mut_ptr(), 8).build(), 3);
    if !mended {
        run_first(&mut ring, cancel(1), 2);
    }
}

fn gives_rights_up_late(mended: bool) {
    // SAFETY: plain numbers; it stays who it is.
    let give_up = || unsafe { libc::setresuid(libc::getuid(), libc::getuid(), libc::getuid()) };
    if mended {
        give_up();
    }
    let mut ring: IoUring = here(IoUring::builder().setup_sqpoll(100).build(8));
    if !mended {
        give_up();
    }
    push(&mut ring, nop(), 1);
    ring.submit_and_wait(1).expect("an enter");
    while ring.completion().next().is_none() {}
}

fn too_large(mended: bool) {
    let entries = if mended { 8 } else { 70_000 };
    assert_eq!(IoUring::new(entries).is_ok(), mended);
}

/// A ring by hand, whose index array holds what `index` makes of the tail.
fn masks_no_index(mended: bool) {
    let params = &mut [0_u32; 30];
    let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: the kernel fills the structure; the mapping is of the ring that it made, and holds
    // both queues.
    unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, 2, params.as_mut_ptr());
        assert!(ring >= 0);
        let map = libc::mmap(std::ptr::null_mut(), 4096, access, shared, ring as i32, 0);
        // `sq_off` begins with the tenth word: head, tail, mask, entries, flags, dropped, array;
        // `cq_off` with the twentieth.
        let word = |offset: u32| map.byte_add(offset as usize).cast::<u32>();
        let (tail, array) = (word(params[11]), word(params[16]));
        for at in 0..4 {
            array.add(at as usize & 1).write_volatile(if mended { at & 1 } else { at });
            tail.write_volatile(at + 1);
            libc::syscall(libc::SYS_io_uring_enter, ring, 1, 0, 0, 0, 0);
            let (head, tail) = (word(params[20]), word(params[21]));
            head.write_volatile(tail.read_volatile());
        }
    }
}

fn waits_for_the_silent(mended: bool) {
    let mut ring = ring();
    let silent = if mended { squeue::Flags::empty() } else { squeue::Flags::SKIP_SUCCESS };
    push(&mut ring, nop().flags(silent), 1);
    push(&mut ring, nop(), 2);
    take(&mut ring, 2);
}

fn moment_of_long_ago(mended: bool) {
    let mut ring = ring();
    let time = types::Timespec::new().nsec(1_000_000);
    let flags = if mended { types::TimeoutFlags::empty() } else { types::TimeoutFlags::ABS };
    run(&mut ring, opcode::Timeout::new(&time).flags(flags).build(), 1);
}

fn multishot_without_buffers_left(mended: bool) {
    let mut ring = ring();
    let mut memory = [0; 64];
    provide(&mut ring, &mut memory, 1, 0);
    let (here, mut there) = pair();
    let multi = || opcode::RecvMulti::new(fd(&here), 0).build();
    push(&mut ring, multi(), 1);
    for _ in 0..3 {
        there.write_all(b"message").expect("seven bytes");
        let all = take(&mut ring, 1);
        if let Some(&(_, result, flags)) = all.iter().find(|(name, ..)| *name == 1) {
            if result == -libc::EINVAL {
                not_here("no multishot receives");
            }
            if mended {
                if cqueue::buffer_select(flags).is_some() {
                    provide(&mut ring, &mut memory, 1, 0);
                }
                if !cqueue::more(flags) {
                    push(&mut ring, multi(), 1);
                }
            }
        }
    }
    run_first(&mut ring, cancel(1), 2);
}

fn past_a_registered_buffer(mended: bool) {
    let mut ring = ring();
    let memory = pages(2);
    let buffer = libc::iovec { iov_base: memory.cast(), iov_len: 4096 };
    // SAFETY: the pages are never unmapped.
    here(unsafe { ring.submitter().register_buffers(&[buffer]) });
    let file = passwd();
    // SAFETY: inside of the two pages.
    let at = if mended { memory } else { unsafe { memory.add(2048) } };
    run(&mut ring, opcode::ReadFixed::new(fd(&file), at, 4096, 0).build(), 1);
}

fn number_of_a_slot(mended: bool) {
    let mut ring = ring();
    ring.submitter().register_files(&[passwd().as_raw_fd()]).expect("a table");
    let mut buffer = [0; 8];
    let read = match mended {
        true => opcode::Read::new(types::Fixed(0), buffer.as_mut_ptr(), 8),
        false => opcode::Read::new(types::Fd(0), buffer.as_mut_ptr(), 8),
    };
    run(&mut ring, read.build(), 1);
}

fn registers_twice(mended: bool) {
    let mut ring = ring();
    ring.submitter().register_files(&[1, 2]).expect("a table");
    if mended {
        ring.submitter().unregister_files().expect("no table");
    }
    if ring.submitter().register_files(&[2, 1]).is_err() {
        std::process::exit(1);
    }
    run(&mut ring, nop(), 1);
}

fn child_in_the_ring(mended: bool) {
    let mut shared = ring();
    run(&mut shared, nop(), 1);
    // SAFETY: the child is one thread, and does nothing but enter a ring and end.
    match unsafe { libc::fork() } {
        0 => {
            if mended {
                run(&mut ring(), nop(), 2);
            } else {
                run(&mut shared, nop(), 2);
            }
            // SAFETY: a number.
            unsafe { libc::_exit(0) }
        }
        // SAFETY: nobody wants the status.
        child => _ = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) },
    }
    run(&mut shared, nop(), 3);
}

/// The ticks that the thread has taken which polls our ring.
fn poller_ticks() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("our threads").flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let poller = stats.filter(|stat| stat.contains("(iou-sqp")).find_map(|stat| {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
    });
    poller.unwrap_or(0)
}

fn poller_for_nothing(mended: bool) {
    let idle = if mended { 10 } else { 60_000 };
    let mut ring: IoUring = here(IoUring::builder().setup_sqpoll(idle).build(8));
    push(&mut ring, nop(), 1);
    ring.submit_and_wait(1).expect("an enter");
    while ring.completion().next().is_none() {}
    for _ in 0..if mended { 10 } else { 600 } {
        sleep(Duration::from_millis(100));
        if poller_ticks() >= 50 {
            break;
        }
    }
    sleep(Duration::from_millis(250));
}
