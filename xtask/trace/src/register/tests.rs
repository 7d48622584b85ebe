//! Register calls whose arguments lie in this process.

use super::*;

fn me() -> pid_t {
    std::process::id() as pid_t
}

fn told(operation: u32, argument: u64, count: u64) -> String {
    details(me(), operation, argument, count).words()
}

/// A structure of 4-byte numbers, aligned for 8-byte ones.
fn words<const N: usize>(numbers: [u32; N]) -> Vec<u64> {
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(8) + 64, 0);
    bytes.chunks_exact(8).map(|bytes| long(bytes, 0)).collect()
}

fn at(numbers: &[u64]) -> u64 {
    numbers.as_ptr() as u64
}

/// A structure of one call in place of its address.
fn of<const N: usize>(operation: u32, count: u64, numbers: [u32; N]) -> String {
    told(operation, at(&words(numbers)), count)
}

#[test]
fn sizes_are_shown() {
    let vectors = [0x1000_u64, 4096, 0x2000, 4096];
    assert_eq!(told(call::REGISTER_BUFFERS, at(&vectors), 2), "2 buffers of 8192 bytes together");
    assert_eq!(told(call::REGISTER_BUFFERS, at(&vectors), 1), "1 buffer of 4096 bytes");
    let fds = [4_i32, -1, 7, 0];
    assert_eq!(told(call::REGISTER_FILES, fds.as_ptr() as u64, 3), "3 files, fds 4 -1 7");
    let update = [2_u64, fds.as_ptr() as u64];
    assert_eq!(told(call::REGISTER_FILES_UPDATE, at(&update), 1), "1 file, fds 4, from slot 2 on");
    let table = [2_u64, 0, at(&vectors), 0x3000];
    let told = told(call::REGISTER_BUFFERS2, at(&table), 32);
    assert_eq!(told, "2 buffers of 8192 bytes together, with tags");
    assert_eq!(of(call::REGISTER_FILES2, 32, [8, 1]), "8 empty slots");
    assert_eq!(
        of(call::REGISTER_PBUF_RING, 1, [0, 0, 16, 7 | 2 << 16]),
        "16 buffers, group 7, INC"
    );
    assert_eq!(of(call::REGISTER_FILE_ALLOC_RANGE, 0, [5, 20]), "20 slots, from slot 5 on");
    assert_eq!(
        of(call::REGISTER_RESIZE_RINGS, 1, [64, 256, 1 << 3]),
        "to 64 entries, 256 completions"
    );
}

#[test]
fn workers_clocks_and_cards_are_shown() {
    assert_eq!(of(call::REGISTER_IOWQ_MAX_WORKERS, 2, [4, 0]), "4 bounded, unbounded as before");
    assert_eq!(of(call::REGISTER_IOWQ_AFF, 1, [0b101]), "CPUs 0 2");
    assert_eq!(of(call::REGISTER_IOWQ_AFF, 1, [0b10]), "CPU 1");
    assert_eq!(of(call::REGISTER_NAPI, 1, [50, 1]), "busy for 50 us, prefer busy polling");
    assert_eq!(of(call::REGISTER_NAPI, 1, [0, 1 << 8, 9]), "STATIC_ADD_ID, of queue 9");
    assert_eq!(of(call::REGISTER_CLOCK, 0, [7]), "CLOCK_BOOTTIME");
    assert_eq!(of(call::REGISTER_CLONE_BUFFERS, 1, [9, 0, 0, 0, 0]), "all buffers, of ring fd 9");
    let some = of(call::REGISTER_CLONE_BUFFERS, 1, [9, 2, 3, 4, 5]);
    assert_eq!(some, "5 buffers, of ring fd 9, from 3 on, to 4 on, DST_REPLACE");
    let queue = of(call::REGISTER_ZCRX_IFQ, 1, [2, 1, 256]);
    assert_eq!(queue, "interface 2, queue 1, 256 entries");
    assert_eq!(told(call::UNREGISTER_PERSONALITY, 0, 3), "personality 3");
}

#[test]
fn a_cancel_shows_what_and_how_long() {
    let all_on_fd = 0b11;
    let cancel = of(call::REGISTER_SYNC_CANCEL, 1, [0, 0, 9, all_on_fd, 2, 0, 0, 0]);
    assert_eq!(cancel, "all on fd 9, at most 2 s");
    let ever = u32::MAX;
    let cancel = of(call::REGISTER_SYNC_CANCEL, 1, [55, 0, 0, 0, ever, ever, ever, ever]);
    assert_eq!(cancel, "one of [55]");
}

#[test]
fn memory_and_restrictions_are_shown() {
    let memory = words([0x1000, 0, 4096, 0, 1]);
    let region = [at(&memory), 1];
    assert_eq!(
        told(call::REGISTER_MEM_REGION, at(&region), 1),
        "4096 bytes, of its own memory, for the arguments of waits"
    );
    // An operation, and a register call.
    let rules = words([1 | 22 << 16, 0, 0, 0, 20 << 16, 0, 0, 0]);
    assert_eq!(told(call::REGISTER_RESTRICTIONS, at(&rules), 2), "only READ, REGISTER_RING_FDS");
    // The same list of a thread: behind its length.
    let of_thread = words([2 << 16, 0, 0, 0, 1 | 22 << 16, 0, 0, 0, 20 << 16, 0, 0, 0]);
    assert_eq!(
        restrictions_of_thread(me(), at(&of_thread)).words(),
        "this thread's later rings, only READ, REGISTER_RING_FDS"
    );
}

#[test]
fn questions_are_shown_with_their_answers() {
    let answered = |operation, numbers: &[u64], count| {
        let mut details = super::details(me(), operation, at(numbers), count);
        answer(me(), operation, at(numbers), 0, &mut details);
        details.words()
    };
    let probe = words([22, 0]);
    let told = answered(call::REGISTER_PROBE, &probe, 64);
    assert_eq!(told, "asks for 64 operations, the last is READ");
    let query = words([0, 0, 0, 0, 0, 40, 0]);
    assert_eq!(answered(call::REGISTER_QUERY, &query, 0), "OPCODES");
    let query = words([0, 0, 0, 0, 1, 40, libc::EOPNOTSUPP.wrapping_neg() as u32]);
    assert_eq!(answered(call::REGISTER_QUERY, &query, 0), "ZCRX, unanswered: EOPNOTSUPP");
    let workers = words([8, 100]);
    let told = answered(call::REGISTER_IOWQ_MAX_WORKERS, &workers, 2);
    assert_eq!(told, "8 bounded, 100 unbounded, instead of 8 and 100");
}

#[test]
fn what_a_call_gives_back_is_shown() {
    let mut details = Details::default();
    answer(me(), call::REGISTER_PERSONALITY, 0, 4, &mut details);
    assert_eq!(details.words(), "as personality 4");
    let index = words([1, 0, 3]);
    let mut details = super::details(me(), call::REGISTER_RING_FDS, at(&index), 1);
    answer(me(), call::REGISTER_RING_FDS, at(&index), 1, &mut details);
    assert_eq!(details.words(), "fd 3 as index 1");
}

#[test]
fn bad_addresses_are_left_out() {
    for operation in 0..40 {
        // Only the number of the arguments is known.
        let words = told(operation, 8, 3);
        assert!(!words.contains("fd"), "{operation}: {words}");
    }
}
