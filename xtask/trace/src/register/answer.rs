//! What a register call has returned, and the ring descriptors that it was given.

use libc::pid_t;

use crate::codes::call;
use crate::context::{Reader, word};
use crate::describe::Details;
use crate::names::{self, error_name};

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
    let program = Reader::of(pid);
    let index = |element: u64| {
        let bytes: [u8; 16] = program.bytes(address.checked_add(element * 16)?)?;
        Some(RingIndex { index: word(&bytes, 0), fd: word(&bytes, 8) as i32 })
    };
    (0..count.min(MOST)).map_while(index).collect()
}

/// Adds what a call has returned, if that is more than success.
pub fn answer(pid: pid_t, operation: u32, argument: u64, result: i64, details: &mut Details) {
    let program = Reader::of(pid);
    match operation {
        call::REGISTER_PERSONALITY => {
            details.add("personality", result, format!("as personality {result}"))
        }
        call::REGISTER_RING_FDS => {
            if let Some(RingIndex { index, fd }) = ring_indices(pid, argument, 1).first() {
                *details = Details::default();
                details.add("fd", *fd, "");
                details.add("index", *index, format!("fd {fd} as index {index}"));
            }
        }
        call::REGISTER_PROBE => {
            if let Some(probe) = program.bytes::<2>(argument) {
                // The last operation that the kernel knows.
                let last = probe[0];
                details.add("last", last, format!("the last is {}", names::operation(last)));
            }
        }
        call::REGISTER_IOWQ_MAX_WORKERS => {
            if let Some([bounded, unbounded]) = program.numbers(argument, 2, 2).as_deref() {
                let words = format!("instead of {bounded} and {unbounded}");
                details.add("before", vec![*bounded, *unbounded], words);
            }
        }
        call::REGISTER_QUERY => {
            // `struct io_uring_query_hdr`: the answer is an error number or 0.
            if let Some(query) = program.bytes::<28>(argument) {
                let result = word(&query, 24) as i32;
                if result < 0 {
                    let words = format!("unanswered: {}", error_name(-result));
                    details.add("answer", result, words);
                }
            }
        }
        call::REGISTER_PBUF_STATUS => {
            if let Some(status) = program.bytes::<8>(argument) {
                let head = word(&status, 4);
                details.add("head", head, format!("the kernel is at {head}"));
            }
        }
        _ => {}
    }
}
