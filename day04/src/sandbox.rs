//! `--sandbox`: the kernel refuses everything that this server does not need, even if an attacker
//! controls the server.
//!
//! The system calls of io_uring can do most of what other system calls can: open files, connect,
//! send. A server that was taken over could use its ring for that.

use std::fmt;

use anyhow::{Context, Result};
use io_uring::register::Restriction;
use io_uring::squeue::Flags;
use io_uring::{Submitter, opcode};
use nix::errno::Errno;
use serde::Serialize;

use crate::later_rings;

// ANCHOR: list
/// The operations of this server.
const OPERATIONS: [u8; 7] = [
    opcode::Accept::CODE,
    opcode::Read::CODE, // the signals
    opcode::Recv::CODE,
    opcode::Send::CODE,
    opcode::Shutdown::CODE,
    opcode::Close::CODE,
    opcode::AsyncCancel::CODE,
];

/// The flags that its entries may have.
const FLAGS: Flags =
    Flags::FIXED_FILE.union(Flags::BUFFER_SELECT).union(Flags::IO_LINK).union(Flags::SKIP_SUCCESS);

/// Its register calls after the start, `IORING_REGISTER_RING_FDS` and `…_UNREGISTER_…`
/// (`linux/io_uring.h`): `Queues` makes them. Slots and buffers are registered before.
const REGISTER_CALLS: [u8; 2] = [20, 21];
// ANCHOR_END: list

/// What is locked.
#[derive(Serialize)]
pub struct Sandbox {
    /// The server's ring takes what is on the list.
    ring: bool,
    /// Rings that this thread sets up later, or a program that it starts, take nothing: Linux 7.0.
    later_rings: bool,
}

impl Sandbox {
    // ANCHOR: lock
    /// Restricts the ring, which was set up with R_DISABLED, and enables it.
    ///
    /// The server needs no other ring. So where the kernel can, later ones are restricted to NOP.
    pub fn lock(submitter: &Submitter<'_>) -> Result<Sandbox> {
        let operations = OPERATIONS.map(Restriction::sqe_op);
        let calls = REGISTER_CALLS.map(Restriction::register_op);
        let flags = [Restriction::sqe_flags_allowed(FLAGS.bits())];
        let mut list: Vec<_> = operations.into_iter().chain(calls).chain(flags).collect();
        let ring = match submitter.register_restrictions(&mut list) {
            Ok(()) => true,
            // The program that started this one has restricted all its rings, which also binds this
            // ring.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => false,
            Err(error) => return Err(error).context("restricting the ring (--sandbox)"),
        };
        submitter.register_enable_rings().context("enabling the ring (--sandbox)")?;
        let later_rings = match restrict_later_rings() {
            Ok(()) => true,
            // Before 7.0 only a ring can be restricted; and a thread only once.
            Err(Errno::EINVAL | Errno::EBADF | Errno::EPERM) => false,
            Err(error) => return Err(error).context("restricting later rings (--sandbox)"),
        };
        Ok(Sandbox { ring, later_rings })
    }
    // ANCHOR_END: lock
}

/// Later rings take NOP. The list names a register call as well: if it named none, Linux 7.3 would
/// allow all of them.
fn restrict_later_rings() -> Result<(), Errno> {
    const PROBE: u8 = 8; // `IORING_REGISTER_PROBE`
    later_rings::restrict([Restriction::sqe_op(opcode::Nop::CODE), Restriction::register_op(PROBE)])
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.ring {
            return f.write_str("sandbox: what started this program has set its limits already");
        }
        let (operations, calls) = (OPERATIONS.len(), REGISTER_CALLS.len());
        write!(f, "sandbox: the ring takes {operations} operations and {calls} register calls; ")?;
        f.write_str(match self.later_rings {
            true => "later rings take NOP only",
            false => "this kernel cannot limit later rings (Linux 7.0 can)",
        })
    }
}

#[cfg(test)]
#[path = "../tests/unit/sandbox.rs"]
mod tests;
