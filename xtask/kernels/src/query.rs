//! A kernel's answer to the question for everything at once (`IORING_REGISTER_QUERY`, Linux 6.18):
//! the only way to learn which register operations, enter flags and entry flags it has.

use std::io;

use serde::{Deserialize, Serialize};

/// The answer, as far as the catalogue has tables for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// How many register operations there are; their codes begin at 0.
    pub register_operations: u32,
    /// `IORING_SETUP_*`.
    pub setup_flags: u64,
    /// `IORING_ENTER_*`.
    pub enter_flags: u64,
    /// `IOSQE_*`.
    pub entry_flags: u64,
}

/// `struct io_uring_query_hdr` (`linux/io_uring/query.h`).
#[repr(C)]
#[derive(Default)]
struct Header {
    next_entry: u64,
    query_data: u64,
    query_op: u32,
    size: u32,
    result: i32,
    reserved: [u32; 3],
}

/// `struct io_uring_query_opcode`, as it was in 6.18. A later kernel writes no more than there is
/// room for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    request_opcodes: u32,
    register_opcodes: u32,
    feature_flags: u64,
    setup_flags: u64,
    enter_flags: u64,
    entry_flags: u64,
}

/// Asks the kernel that runs this; `None` if it is too old.
///
/// # Errors
/// The kernel's, if it knows the call and does not answer it.
pub fn ask() -> io::Result<Option<Query>> {
    const IORING_REGISTER_QUERY: u32 = 35;
    const NO_RING: i32 = -1;
    let mut answer = Answer::default();
    let mut header = Header {
        // The first question, 0, is for the operations and the flags.
        query_data: (&raw mut answer).expose_provenance() as u64,
        size: size_of::<Answer>() as u32,
        ..Header::default()
    };
    // SAFETY: the kernel reads and writes one header, and through its address writes at most
    // `size` bytes of the answer. Both are ours, have the header's layout and outlive the
    // call; the kernel keeps no pointer to them. Zero is the number of arguments it insists on.
    let answered = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            NO_RING,
            IORING_REGISTER_QUERY,
            &raw mut header,
            0,
        )
    };
    if answered < 0 {
        let error = io::Error::last_os_error();
        // A kernel without the operation refuses it, or first the missing ring.
        return match error.raw_os_error() {
            Some(libc::EINVAL | libc::EBADF) => Ok(None),
            _ => Err(error),
        };
    }
    if header.result < 0 {
        return Err(io::Error::from_raw_os_error(-header.result));
    }
    Ok(Some(Query {
        register_operations: answer.register_opcodes,
        setup_flags: answer.setup_flags,
        enter_flags: answer.enter_flags,
        entry_flags: answer.entry_flags,
    }))
}

#[cfg(test)]
mod tests {
    use testkit::io_uring_or_skip;

    use super::*;
    use crate::facts;

    #[test]
    fn the_structures_have_the_sizes_of_the_header() {
        assert_eq!(size_of::<Header>(), 40);
        assert_eq!(size_of::<Answer>(), 40);
    }

    #[test]
    fn this_kernel_takes_the_setup_flags_that_it_tells() {
        if !io_uring_or_skip("this_kernel_takes_the_setup_flags_that_it_tells") {
            return;
        }
        // A kernel that is too old is a valid answer, too.
        let Some(query) = ask().unwrap() else { return };
        let tried = u64::from(facts::ask().unwrap().setup_flags);
        assert_eq!(tried & !query.setup_flags, 0, "{tried:#x} {query:x?}");
        // The journal's register operations at least: files, buffers, the probe.
        assert!(query.register_operations > 8, "{query:?}");
    }
}
