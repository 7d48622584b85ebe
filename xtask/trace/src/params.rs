//! `struct io_uring_params`: what a program asks of `io_uring_setup(2)`, what the kernel grants,
//! and where the fields lie in the ring's memory.

use std::io;

use serde::Serialize;

use super::codes::setup;
use super::sys;

/// The parameters of a ring, as the program or the kernel filled them in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Params {
    /// Submission queue entries, a power of two once granted.
    pub sq_entries: u32,
    /// Completion queue entries.
    pub cq_entries: u32,
    /// `IORING_SETUP_*`.
    pub flags: u32,
    /// The CPU of the submission queue thread.
    pub sq_thread_cpu: u32,
    /// Milliseconds until that thread sleeps.
    pub sq_thread_idle: u32,
    /// `IORING_FEAT_*`; zero in a question.
    pub features: u32,
    #[serde(skip)]
    sq: SqOffsets,
    #[serde(skip)]
    cq: CqOffsets,
}

/// Offsets in the submission queue's memory (`struct io_sqring_offsets`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqOffsets {
    /// The kernel's end: the next entry to take.
    pub head: u32,
    /// The program's end: one past the last entry.
    pub tail: u32,
    /// `IORING_SQ_*`.
    pub flags: u32,
    /// Entries whose index was out of range.
    pub dropped: u32,
    /// The index array; meaningless with `NO_SQARRAY`.
    pub array: u32,
    /// Where the program keeps the entries (`NO_MMAP`).
    pub user_addr: u64,
}

/// Offsets in the completion queue's memory (`struct io_cqring_offsets`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CqOffsets {
    /// The program's end: the next completion to reap.
    pub head: u32,
    /// The kernel's end: one past the last completion.
    pub tail: u32,
    /// Completions lost, on kernels without `IORING_FEAT_NODROP`.
    pub overflow: u32,
    /// The completions themselves.
    pub cqes: u32,
    /// Where the program keeps both rings (`NO_MMAP`).
    pub user_addr: u64,
}

impl Params {
    /// Size of `struct io_uring_params` in bytes.
    pub const SIZE: usize = 120;

    /// Reads the structure; any bytes will do.
    pub fn parse(bytes: &[u8; Params::SIZE]) -> Params {
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Params {
            sq_entries: word(0),
            cq_entries: word(4),
            flags: word(8),
            sq_thread_cpu: word(12),
            sq_thread_idle: word(16),
            features: word(20),
            sq: SqOffsets {
                head: word(40),
                tail: word(44),
                flags: word(56),
                dropped: word(60),
                array: word(64),
                user_addr: long(72),
            },
            cq: CqOffsets {
                head: word(80),
                tail: word(84),
                overflow: word(96),
                cqes: word(100),
                user_addr: long(112),
            },
        }
    }

    /// These parameters as the answer to a resize of a ring that was set up with `before`: sizes
    /// and offsets are new, flags and features stay.
    pub fn as_resized(self, before: &Params) -> Params {
        Params { flags: before.flags, features: before.features, ..self }
    }

    /// The offsets of this kernel for a ring of these sizes: it sets one up to find out.
    ///
    /// # Errors
    /// The kernel's, from `io_uring_setup(2)`.
    pub fn of_own_ring(entries: u32, completions: u32, flags: u32) -> io::Result<Params> {
        let mut bytes = [0; Params::SIZE];
        bytes[4..8].copy_from_slice(&completions.to_ne_bytes());
        bytes[8..12].copy_from_slice(&(flags | setup::CQSIZE).to_ne_bytes());
        sys::parameters_of_own_ring(&mut bytes, entries)?;
        Ok(Params::parse(&bytes))
    }

    /// The same with other flags.
    pub fn with(self, flags: u32) -> Params {
        Params { flags, ..self }
    }

    /// The same, in the program's own memory.
    pub fn at(mut self, rings: u64, entries: u64) -> Params {
        self.cq.user_addr = rings;
        self.sq.user_addr = entries;
        self
    }

    /// Whether a flag of [`setup`] is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Where things lie in the submission queue's memory.
    pub fn sq(&self) -> &SqOffsets {
        &self.sq
    }

    /// Where things lie in the completion queue's memory.
    pub fn cq(&self) -> &CqOffsets {
        &self.cq
    }

    /// Bytes from one submission entry to the next.
    pub fn sqe_size(&self) -> usize {
        if self.has(setup::SQE128) { 128 } else { 64 }
    }

    /// Bytes from one completion to the next. In a mixed ring a large one takes two places.
    pub fn cqe_size(&self) -> usize {
        if self.has(setup::CQE32) { 32 } else { 16 }
    }

    /// Exact bytes of the submission queue's memory: old kernels refuse to map one more.
    pub fn sq_bytes(&self) -> usize {
        let last = [self.sq.head, self.sq.tail, self.sq.flags, self.sq.dropped];
        let fields = last.into_iter().max().map_or(0, |offset| offset as usize + 4);
        if self.has(setup::NO_SQARRAY) {
            return fields;
        }
        fields.max(self.sq.array as usize + self.sq_entries as usize * 4)
    }

    /// Exact bytes of the completion queue's memory.
    pub fn cq_bytes(&self) -> usize {
        self.cq.cqes as usize + self.cq_entries as usize * self.cqe_size()
    }

    /// Exact bytes of the array of submission entries.
    pub fn sqe_bytes(&self) -> usize {
        self.sq_entries as usize * self.sqe_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_the_headers() {
        let mut bytes = [0; Params::SIZE];
        for (index, word) in bytes.chunks_exact_mut(4).enumerate() {
            word.copy_from_slice(&(index as u32).to_ne_bytes());
        }
        let params = Params::parse(&bytes);
        assert_eq!([params.sq_entries, params.cq_entries, params.flags], [0, 1, 2]);
        assert_eq!((params.sq.head, params.sq.array, params.cq.cqes), (10, 16, 25));
    }

    proptest! {
        #[test]
        fn any_bytes_give_sizes_without_a_panic(bytes in any::<[u8; 32]>(), fill in any::<u8>()) {
            let mut all = [fill; Params::SIZE];
            all[40..72].copy_from_slice(&bytes);
            let params = Params::parse(&all);
            let _ = (params.sq_bytes(), params.cq_bytes(), params.sqe_bytes());
        }
    }
}
