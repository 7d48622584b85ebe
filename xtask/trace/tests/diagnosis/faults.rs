//! Programs with one fault each, and their mended twins. Each is this test executable, started
//! again with `FAULT` naming one of these functions.

mod books;
mod entries;
mod outside;
mod queues;
mod waits;

use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// The arguments that make this test executable one of the programs.
pub const AGAIN: [&str; 4] = ["--exact", "traced", "--nocapture", "--quiet"];

/// The exit status of a program that needs a feature which this kernel lacks.
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
    ("pushes_after_submit", "never-submitted", queues::pushes_after_submit),
    ("bad_entry_in_a_batch", "submit-stopped", queues::bad_entry_in_a_batch),
    ("disabled_ring", "enter-refused", queues::disabled_ring),
    ("left_in_the_queue", "left-over", queues::disabled_ring),
    ("chain_in_two_submits", "link-cut", queues::chain_in_two_submits),
    ("takes_one_of_two", "never-reaped", queues::takes_one_of_two),
    ("never_seen", "head-never-moved", queues::never_seen),
    ("seen_twice", "head-past-tail", queues::seen_twice),
    ("too_many_completions", "overflow", queues::too_many_completions),
    ("looks_without_asking", "overflow", queues::looks_without_asking),
    ("poll_that_ended", "multishot-ended", queues::poll_that_ended),
    ("cancels_its_own_name", "cancel-misses", queues::cancels_its_own_name),
    ("cancels_what_has_not_started", "cancel-misses", queues::cancels_what_has_not_started),
    ("one_name_in_one_enter", "one-user-data-for-two", queues::one_name_in_one_enter),
    ("slot_for_a_descriptor_to_cancel", "cancel-misses", queues::cancels_a_slot_by_number),
    ("one_name_for_all", "one-user-data-for-two", queues::one_name_for_all),
    ("waits_for_more", "dead-wait", waits::waits_for_more),
    ("throws_answers_away", "dead-wait", waits::throws_answers_away),
    ("endless_timeout", "timeout-never-fires", waits::endless_timeout),
    ("link_behind_a_multishot", "behind-a-multishot", waits::link_behind_a_multishot),
    ("drain_behind_a_read", "drain-holds", waits::drain_behind_a_read),
    ("workers_in_fifos", "workers-busy", waits::workers_in_fifos),
    ("sleeps_in_poll", "asleep-elsewhere", waits::sleeps_in_poll),
    ("eventfd_async", "quiet-eventfd", waits::eventfd_async),
    ("submits_and_looks", "not-asked-for", waits::submits_and_looks),
    ("asks_again_and_again", "spin", waits::asks_again_and_again),
    ("reads_past_the_end", "again-and-again", waits::reads_past_the_end),
    ("receives_without_buffers", "again-and-again", waits::receives_without_buffers),
    ("cloexec_for_a_slot", "refused-arguments", entries::cloexec_for_a_slot),
    ("multishot_without_buffers", "refused-arguments", entries::multishot_without_buffers),
    ("multishot_into_one_slot", "refused-arguments", entries::multishot_into_one_slot),
    ("timeout_for_nothing", "refused-arguments", entries::timeout_for_nothing),
    ("direct_and_odd", "refused-arguments", entries::direct_and_odd),
    ("half_an_eventfd", "refused-arguments", entries::half_an_eventfd),
    ("flags_of_the_one_before", "left-over-fields", entries::flags_of_the_one_before),
    ("slot_for_a_descriptor", "bad-file", entries::slot_for_a_descriptor),
    ("length_of_zero", "length-zero", entries::length_of_zero),
    ("timespec_of_a_function", "dead-stack", entries::timespec_of_a_function),
    ("buffer_of_a_function", "dead-stack", entries::buffer_of_a_function),
    ("wrong_address", "unmapped-memory", entries::wrong_address),
    ("unmaps_in_flight", "unmapped-memory", entries::unmaps_in_flight),
    ("writes_while_it_sends", "changed-in-flight", entries::writes_while_it_sends),
    ("writes_before_the_notification", "changed-before-notification", entries::zero_copy),
    ("reads_before_the_notification", "changed-before-notification", entries::zero_copy_read),
    ("reader_who_sleeps", "notification-missing", entries::reader_who_sleeps),
    ("spins_over_what_it_pushed", "never-submitted", queues::spins_over_what_it_pushed),
    ("one_buffer_in_one_enter", "memory-shared", entries::one_buffer_in_one_enter),
    ("one_buffer_for_two", "memory-shared", entries::one_buffer_for_two),
    ("keeps_buffers", "buffers-not-returned", books::keeps_buffers),
    ("keeps_buffers_of_a_ring", "buffers-not-returned", books::keeps_buffers_of_a_ring),
    ("no_group", "no-buffer-group", books::no_group),
    ("never_advances_the_tail", "no-buffer-group", books::never_advances_the_tail),
    ("buffers_too_close", "buffers-overlap", books::buffers_too_close),
    ("gives_back_twice", "buffer-twice", books::gives_back_twice),
    ("cancelled_too_late", "descriptor-lost", books::cancelled_too_late),
    ("forgets_clients", "descriptor-lost", books::forgets_clients),
    ("keeps_the_dead", "not-closed", books::keeps_the_dead),
    ("short_read_in_a_chain", "slot-lost", books::short_read_in_a_chain),
    ("fills_the_table", "table-full", books::fills_the_table),
    ("half_an_answer", "short-send", books::half_an_answer),
    ("lines_over_lines", "written-over", books::lines_over_lines),
    ("thread_that_ends", "submitter-ended", outside::thread_that_ends),
    ("interrupted", "wait-cut-short", outside::interrupted),
    ("closes_under_a_read", "closed-in-use", outside::closes_under_a_read),
    ("closes_a_slot_under_a_receive", "closed-in-use", outside::closes_a_slot_under_a_receive),
    ("gives_rights_up_late", "poller-has-old-rights", outside::gives_rights_up_late),
    ("too_large", "setup-refused", outside::too_large),
    ("masks_no_index", "entry-dropped", queues::masks_no_index),
    ("waits_for_the_silent", "dead-wait", waits::waits_for_the_silent),
    ("moment_of_long_ago", "timeout-in-the-past", waits::moment_of_long_ago),
    ("multishot_without_buffers_left", "multishot-ended", queues::multishot_without_buffers_left),
    ("past_a_registered_buffer", "outside-registered-buffer", entries::past_a_registered_buffer),
    ("number_of_a_slot", "slot-taken-for-a-descriptor", entries::number_of_a_slot),
    ("registers_twice", "register-refused", outside::registers_twice),
    ("child_in_the_ring", "ring-shared-by-fork", outside::child_in_the_ring),
    ("poller_for_nothing", "poller-burns", outside::poller_for_nothing),
];

/// Ends a program that this kernel cannot run.
fn not_here(why: &str) -> ! {
    eprintln!("SKIPPED: {why}");
    std::process::exit(NOT_HERE)
}

/// The result of a step, if this kernel supports it.
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

/// Waits for `count` completions and takes all; returns their results.
fn take(ring: &mut IoUring, count: usize) -> Vec<(u64, i32, u32)> {
    ring.submit_and_wait(count).expect("an enter");
    let about = |done: cqueue::Entry| (done.user_data(), done.result(), done.flags());
    ring.completion().map(about).collect()
}

/// As [`take`], until `count` completions have come.
fn take_all(ring: &mut IoUring, mut count: usize) {
    while count > 0 {
        count -= take(ring, 1).len();
    }
}

/// Two receives, with their `user_data`, that are in flight at once: so many of them go in with an
/// enter. Then both get a message.
fn at_once(
    (one, two): &(UnixStream, UnixStream),
    entries: [(squeue::Entry, u64); 2],
    per_enter: usize,
) {
    let mut ring = ring();
    for batch in entries.chunks(per_enter) {
        for (entry, user_data) in batch {
            push(&mut ring, entry.clone(), *user_data);
        }
        ring.submit().expect("an enter");
    }
    for mut file in [one, two] {
        file.write_all(b"message").expect("seven bytes");
    }
    take_all(&mut ring, 2);
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
    // SAFETY: the kernel fills two numbers, of descriptors without another owner.
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

/// As [`run`], and takes any other completions as well.
fn run_first(ring: &mut IoUring, entry: squeue::Entry, user_data: u64) -> (i32, u32) {
    push(ring, entry, user_data);
    loop {
        let all = take(ring, 1);
        if let Some((_, result, flags)) = all.into_iter().find(|(name, ..)| *name == user_data) {
            // The cancelled entry is seen, too.
            sleep(Duration::from_millis(20));
            while ring.completion().next().is_some() {}
            return (result, flags);
        }
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

/// Fresh pages.
fn pages(count: usize) -> *mut u8 {
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: fresh pages have no other owner.
    unsafe { libc::mmap(std::ptr::null_mut(), count * 4096, access, flags, -1, 0).cast() }
}

fn close(file: i32) {
    // SAFETY: a descriptor that a completion gave has no other owner.
    unsafe { libc::close(file) };
}
