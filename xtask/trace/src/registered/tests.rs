//! Register calls, entries and completions whose memory lies in this process.

use super::*;
use crate::codes::sqe;
use crate::context::Wait;

fn me() -> Reader {
    Reader::of(std::process::id() as i32)
}

/// A `struct io_uring_buf` as two numbers: its length and id are in the second.
fn buffer(id: u16, length: u32) -> [u64; 2] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&id.to_ne_bytes());
    [0x1000 * u64::from(id), u64::from_ne_bytes(bytes)]
}

/// A `struct io_uring_buf_reg`.
fn ring_of(buffers: &[[u64; 2]], group: u16, flags: u16) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&(buffers.as_ptr() as u64).to_ne_bytes());
    bytes[8..12].copy_from_slice(&(buffers.len() as u32).to_ne_bytes());
    bytes[12..14].copy_from_slice(&group.to_ne_bytes());
    bytes[14..16].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

fn receive(bundle: bool) -> Entry {
    let ioprio = u16::from(bundle) << 4;
    Entry { opcode: op::RECV, flags: sqe::BUFFER_SELECT, buf_index: 3, ioprio, ..Entry::default() }
}

fn ids(filled: &[Filled]) -> Vec<u16> {
    filled.iter().map(|buffer| buffer.id).collect()
}

#[test]
fn a_bundle_takes_buffers_in_the_order_of_their_ring() {
    let buffers = [buffer(0, 100), buffer(5, 100), buffer(2, 100), buffer(1, 100)];
    let mut registered = Registered::default();
    registered.call(me(), call::REGISTER_PBUF_RING, ring_of(&buffers, 3, 0).as_ptr() as u64, 1);
    let mut filled =
        |id, bytes, bundle| registered.filled(me(), &receive(bundle), id, bytes, false);
    assert_eq!(ids(&filled(0, 250, true)), [0, 5, 2]);
    // Round the end of the ring.
    assert_eq!(ids(&filled(1, 101, true)), [1, 0]);
    let one = filled(5, 101, false);
    assert_eq!(one, [Filled { id: 5, address: 0x5000, length: 100 }]);
    assert_eq!(filled(77, 1, false), [], "which is not in the ring");
}

#[test]
fn a_buffer_that_fills_in_parts() {
    const INCREMENTAL: u16 = 1 << 1;
    let mut buffers = [buffer(5, 100), buffer(2, 100)];
    let mut registered = Registered::default();
    let ring = ring_of(&buffers, 3, INCREMENTAL);
    registered.call(me(), call::REGISTER_PBUF_RING, ring.as_ptr() as u64, 1);
    registered.entering(me());
    // The kernel moves the buffer's beginning as it fills.
    buffers[0][0] += 30;
    std::hint::black_box(&buffers);
    let mut part = |id, bytes, more| registered.filled(me(), &receive(false), id, bytes, more);
    let filled = |id, address, length| vec![Filled { id, address, length }];
    assert_eq!(part(5, 10, true), filled(5, 0x5000, 10));
    assert_eq!(part(5, 20, true), filled(5, 0x500a, 20));
    assert_eq!(part(5, 70, false), filled(5, 0x501e, 70));
    assert_eq!(part(2, 10, true), [], "what the ring says of it may have changed");
    registered.entering(me());
    let part = registered.filled(me(), &receive(false), 2, 10, true);
    assert_eq!(part, filled(2, 0x2000, 10));
}

#[test]
fn single_buffers_are_known_by_their_ids() {
    let mut registered = Registered::default();
    registered.submitted(
        me(),
        &Entry {
            opcode: op::PROVIDE_BUFFERS,
            fd: 4,
            addr: 0x8000,
            len: 16,
            off: 10,
            buf_index: 3,
            ..Entry::default()
        },
    );
    let filled = registered.filled(me(), &receive(false), 12, 5, false);
    assert_eq!(filled, [Filled { id: 12, address: 0x8020, length: 16 }]);
}

#[test]
fn an_entry_may_name_the_last_slot_or_any() {
    let list = [0, 0, 0];
    let update = |off: u64| Entry {
        opcode: op::FILES_UPDATE,
        addr: list.as_ptr() as u64,
        len: 3,
        off,
        ..Entry::default()
    };
    let mut registered = Registered::default();
    registered.submitted(me(), &update(FILE_INDEX_ALLOC.into()));
    assert!(registered.files.is_empty(), "the slots are not known yet");
    registered.submitted(me(), &update(u64::from(u32::MAX) - 1));
    assert!(registered.files.keys().all(|slot| *slot >= u32::MAX - 1));
    let provide = Entry { opcode: op::PROVIDE_BUFFERS, fd: 4, off: u64::MAX, ..update(0) };
    registered.submitted(me(), &provide);
    assert_eq!(registered.filled(me(), &Entry::default(), 0, 0, false).len(), 1);
}

#[test]
fn registered_waits_show_their_times() {
    // `struct io_uring_reg_wait`: half a second, at once after 100 us, the time counts.
    let (min_wait, counts) = (100_u32, 1_u32);
    let numbers = [min_wait.to_ne_bytes(), counts.to_ne_bytes()].concat();
    let numbers = u64::from_ne_bytes(numbers.try_into().expect("8 bytes"));
    let waits = [[0_u64; 8], [0, 500_000_000, numbers, 0, 0, 0, 0, 0]];
    // The memory is the program's own, and for waits.
    let memory = [
        waits.as_ptr() as u64,
        128,
        u64::from_ne_bytes([1_u32.to_ne_bytes(), [0; 4]].concat().try_into().expect("8 bytes")),
    ];
    let region = [memory.as_ptr() as u64, 1];
    let mut registered = Registered::default();
    registered.call(me(), call::REGISTER_MEM_REGION, region.as_ptr() as u64, 1);
    let args = [3, 0, 1, 1 << 3 | 1 << 6, 64, 64];
    let wait = Wait::of(me(), &args, registered.waits());
    assert_eq!(wait, Wait { at_most_us: Some(500_000), min_wait_us: Some(100) });
}

#[test]
fn a_close_in_the_same_submit_does_not_hide_the_kind_of_the_file() {
    let mut registered = Registered::default();
    let slot = 1;
    let open = Entry { opcode: op::OPENAT, file_index: slot + 1, ..Entry::default() };
    let flags = sqe::FIXED_FILE;
    let read = Entry { opcode: op::READ, flags, fd: slot as i32, ..Entry::default() };
    let close = Entry { opcode: op::CLOSE, file_index: slot + 1, ..Entry::default() };
    for entry in [&open, &read, &close] {
        registered.submitted(me(), entry);
    }
    assert_eq!(registered.kind_of(&read), Some(File::Disk));
}
