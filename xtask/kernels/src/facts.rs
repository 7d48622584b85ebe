//! A kernel's own facts, asked by plain system calls: its operations, its features, and which setup
//! flags it takes.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use common::catalog::SETUP_FLAGS;
use common::environment;
use serde::{Deserialize, Serialize};

use super::query::{self, Query};

/// What is compared with the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// The feature bits (`IORING_FEAT_*`).
    pub features: u32,
    /// The setup flags that it takes (`IORING_SETUP_*`), of those that the catalogue knows.
    pub setup_flags: u32,
    /// The codes of its operations (`IORING_OP_*`).
    pub operations: Vec<u32>,
    /// Further facts, from Linux 6.18 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Query>,
}

/// Asks the kernel that runs this.
///
/// # Errors
/// The kernel's, if it refuses the plainest ring, or the probe (Linux before 5.6).
pub fn ask() -> io::Result<Facts> {
    let (ring, parameters) = setup(Parameters::default())?;
    let flags = SETUP_FLAGS.entries.iter().map(|entry| entry.code);
    Ok(Facts {
        release: environment::kernel_release(),
        features: parameters.features,
        setup_flags: flags.filter(|flag| takes(*flag, &ring)).sum(),
        operations: probe(&ring)?,
        query: query::ask()?,
    })
}

/// `struct io_uring_params` (`linux/io_uring.h`): the offsets of the two rings are not read here,
/// so they are one block at the end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Parameters {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    offsets: [u64; 10],
}

fn setup(mut parameters: Parameters) -> io::Result<(OwnedFd, Parameters)> {
    const ENTRIES: u32 = 4;
    // SAFETY: the kernel reads and writes one `struct io_uring_params`, which is ours and has its
    // size and layout, and keeps no pointer to it. The descriptor that it returns is new and has no
    // other owner.
    unsafe {
        let fd = libc::syscall(libc::SYS_io_uring_setup, ENTRIES, &raw mut parameters);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(fd as i32), parameters))
    }
}

/// Whether the kernel knows a flag. A refusal other than EINVAL (a missing address, for instance)
/// comes from a kernel that knows it.
fn takes(flag: u32, other: &OwnedFd) -> bool {
    let parameters = Parameters {
        flags: flag | beside(flag),
        cq_entries: 8,
        wq_fd: other.as_raw_fd() as u32,
        ..Parameters::default()
    };
    match setup(parameters) {
        Ok(_) => true,
        Err(error) => error.raw_os_error() != Some(libc::EINVAL),
    }
}

/// The flag that a flag needs beside it. Source: `io_uring_setup(2)`.
fn beside(flag: u32) -> u32 {
    const NEEDS: [(&str, &str); 6] = [
        ("SQ_AFF", "SQPOLL"),
        ("TASKRUN_FLAG", "COOP_TASKRUN"),
        ("DEFER_TASKRUN", "SINGLE_ISSUER"),
        ("REGISTERED_FD_ONLY", "NO_MMAP"),
        ("HYBRID_IOPOLL", "IOPOLL"),
        ("SQ_REWIND", "NO_SQARRAY"),
    ];
    let code = |name| SETUP_FLAGS.by_name(name).map_or(0, |entry| entry.code);
    let needed = NEEDS.iter().find(|(needy, _)| code(needy) == flag);
    needed.map_or(0, |(_, needed)| code(needed))
}

/// How many operations are asked for: their codes are one byte.
const CODES: usize = 256;

/// `struct io_uring_probe` (`linux/io_uring.h`).
#[repr(C)]
struct Probe {
    last_op: u8,
    ops_len: u8,
    reserved: u16,
    reserved_too: [u32; 3],
    ops: [ProbeOp; CODES],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ProbeOp {
    op: u8,
    reserved: u8,
    flags: u16,
    reserved_too: u32,
}

fn probe(ring: &OwnedFd) -> io::Result<Vec<u32>> {
    const IORING_REGISTER_PROBE: u32 = 8;
    const IO_URING_OP_SUPPORTED: u16 = 1;
    // The kernel insists on zeros.
    let mut probe = Probe {
        last_op: 0,
        ops_len: 0,
        reserved: 0,
        reserved_too: [0; 3],
        ops: [ProbeOp::default(); CODES],
    };
    let (fd, argument) = (ring.as_raw_fd(), &raw mut probe);
    // SAFETY: the kernel writes one `struct io_uring_probe` with room for `CODES` operations,
    // which is ours and has its layout, and keeps no pointer to it.
    let answer = unsafe {
        libc::syscall(libc::SYS_io_uring_register, fd, IORING_REGISTER_PROBE, argument, CODES)
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let told = &probe.ops[..usize::from(probe.ops_len)];
    let supported = told.iter().filter(|op| op.flags & IO_URING_OP_SUPPORTED != 0);
    Ok(supported.map(|op| u32::from(op.op)).collect())
}

/// A kernel that has just what the catalogue says of its release.
#[cfg(test)]
pub fn sample(release: &str) -> Facts {
    use common::catalog::{FEATURES, Kernel, OPERATIONS, Table};
    let kernel = Kernel::parse(release).unwrap();
    let codes = |table: &'static Table| {
        table.entries.iter().filter(move |entry| entry.since <= kernel).map(|entry| entry.code)
    };
    Facts {
        release: release.to_string(),
        features: codes(&FEATURES).sum(),
        setup_flags: codes(&SETUP_FLAGS).sum(),
        operations: codes(&OPERATIONS).collect(),
        query: None,
    }
}

#[cfg(test)]
mod tests {
    use testkit::io_uring_or_skip;

    use super::*;

    #[test]
    fn this_kernel_answers() {
        if !io_uring_or_skip("this_kernel_answers") {
            return;
        }
        // Even the oldest kernel that the days know has these: NOP, and a ring with a larger
        // completion queue. The test takes them away.
        let facts = ask().unwrap();
        assert!(facts.operations.contains(&0), "{facts:?}");
        assert!(facts.setup_flags & SETUP_FLAGS.by_name("CQSIZE").unwrap().code != 0, "{facts:?}");
        assert_eq!(facts.release, environment::kernel_release());
    }

    #[test]
    fn a_flag_of_tomorrow_is_refused() {
        if !io_uring_or_skip("a_flag_of_tomorrow_is_refused") {
            return;
        }
        let (ring, _) = setup(Parameters::default()).unwrap();
        assert!(!takes(1 << 31, &ring));
    }

    #[test]
    fn the_structures_have_the_sizes_of_the_header() {
        assert_eq!(size_of::<Parameters>(), 120);
        assert_eq!(size_of::<Probe>(), 16 + 8 * CODES);
    }
}
