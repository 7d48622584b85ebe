//! `io_uring_register(2)`: what a call is about.

use libc::pid_t;

use super::names;
use super::sys::read_memory;

/// The operations that the tracer follows or explains (`enum io_uring_register_op`).
pub mod op {
    #![allow(missing_docs, reason = "the names are the header's, and the catalogue explains them")]
    pub const BUFFERS: u32 = 0;
    pub const FILES: u32 = 2;
    pub const EVENTFD: u32 = 4;
    pub const FILES_UPDATE: u32 = 6;
    pub const EVENTFD_ASYNC: u32 = 7;
    pub const FILES2: u32 = 13;
    pub const FILES_UPDATE2: u32 = 14;
    pub const BUFFERS2: u32 = 15;
    pub const BUFFERS_UPDATE: u32 = 16;
    pub const RING_FDS: u32 = 20;
    pub const UNREGISTER_RING_FDS: u32 = 21;
    pub const PBUF_RING: u32 = 22;
    pub const UNREGISTER_PBUF_RING: u32 = 23;
    pub const FILE_ALLOC_RANGE: u32 = 25;
    pub const RESIZE_RINGS: u32 = 33;
}

/// Set in the opcode: the ring is named by its registered index.
pub const USE_REGISTERED_RING: u32 = 1 << 31;

/// One element of `IORING_REGISTER_RING_FDS` (`struct io_uring_rsrc_update`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingIndex {
    /// The index.
    pub index: u32,
    /// The ring's descriptor.
    pub fd: i32,
}

/// Reads the elements of a (un)registration of ring descriptors, as many as can be read.
pub fn ring_indices(pid: pid_t, address: u64, count: u64) -> Vec<RingIndex> {
    /// `IO_RINGFD_REG_MAX` in the kernel.
    const MOST: u64 = 16;
    let mut indices = Vec::new();
    for element in 0..count.min(MOST) {
        let mut bytes = [0; 16];
        let Some(at) = address.checked_add(element * 16) else { break };
        if read_memory(pid, at, &mut bytes).is_err() {
            break;
        }
        indices.push(RingIndex { index: word(&bytes, 0), fd: word(&bytes, 8) as i32 });
    }
    indices
}

/// What a call is about, in words; empty where the name says it all.
pub fn detail(pid: pid_t, operation: u32, argument: u64, count: u64) -> String {
    describe(pid, operation, argument, count).unwrap_or_default()
}

fn describe(pid: pid_t, operation: u32, argument: u64, count: u64) -> Option<String> {
    const SPARSE: u32 = 1;
    let text = match operation {
        op::FILES | op::FILES_UPDATE => plural(count as u32, "file"),
        op::BUFFERS => plural(count as u32, "buffer"),
        op::FILES2 | op::BUFFERS2 => {
            let bytes: [u8; 8] = read(pid, argument)?;
            let what = if operation == op::FILES2 { "slot" } else { "buffer" };
            let empty = if word(&bytes, 4) & SPARSE != 0 { "empty " } else { "" };
            plural(word(&bytes, 0), &format!("{empty}{what}"))
        }
        op::FILES_UPDATE2 | op::BUFFERS_UPDATE => {
            let bytes: [u8; 32] = read(pid, argument)?;
            format!("{} from slot {}", word(&bytes, 24), word(&bytes, 0))
        }
        op::EVENTFD | op::EVENTFD_ASYNC => {
            let bytes: [u8; 4] = read(pid, argument)?;
            format!("fd {}", word(&bytes, 0))
        }
        op::RING_FDS | op::UNREGISTER_RING_FDS => {
            let first = ring_indices(pid, argument, count).into_iter().next()?;
            match (operation, first.index) {
                (op::RING_FDS, u32::MAX) => format!("fd {}", first.fd),
                (op::RING_FDS, index) => format!("fd {} as index {index}", first.fd),
                (_, index) => format!("index {index}"),
            }
        }
        op::PBUF_RING => {
            let bytes: [u8; 16] = read(pid, argument)?;
            format!("{}, group {}", plural(word(&bytes, 8), "buffer"), half(&bytes, 12))
        }
        op::UNREGISTER_PBUF_RING => {
            let bytes: [u8; 16] = read(pid, argument)?;
            format!("group {}", half(&bytes, 12))
        }
        op::FILE_ALLOC_RANGE => {
            let bytes: [u8; 8] = read(pid, argument)?;
            format!("{} slots from {}", word(&bytes, 4), word(&bytes, 0))
        }
        _ => return None,
    };
    Some(text)
}

fn plural(count: u32, what: &str) -> String {
    names::plural(u64::from(count), what)
}

fn read<const N: usize>(pid: pid_t, address: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    read_memory(pid, address, &mut bytes).ok()?;
    Some(bytes)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().expect("2 bytes"))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}
