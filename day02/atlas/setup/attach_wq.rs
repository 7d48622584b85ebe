//! ATTACH_WQ: share another ring's poller.
//!
//! Since 5.6. The other ring's descriptor stands in `params.wq_fd`; liburing:
//! `io_uring_queue_init_params`; crate: `Builder::setup_attach_wq`.
//! Several rings with SQPOLL then cost one thread, not one each. Workers were shared by it as well,
//! until 5.12 made them threads of the program, which all rings of a thread use anyway.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::IoUring;
use nix::errno::Errno;

use super::sqpoll::polled;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_ATTACH_WQ"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let alone = || IoUring::builder().setup_sqpoll(100).build(4);
    let Some(first) = polled(page, "SQPOLL", alone())? else { return Ok(()) };
    let attached = |to| IoUring::builder().setup_sqpoll(100).setup_attach_wq(to).build(4);
    let second: IoUring = page.call("SQPOLL, ATTACH_WQ to that", attached(first.as_raw_fd()))?;
    let Some(third) = polled(page, "SQPOLL", alone())? else { return Ok(()) };

    let (first_poller, second_poller) = (look::poller(&first)?, look::poller(&second)?);
    page.saw("/proc/self/fdinfo: both have the same poller", first_poller == second_poller)?;
    let apart = first_poller.is_none() || first_poller != look::poller(&third)?;
    page.saw("a third ring, not attached, has its own", apart)?;

    let plain = IoUring::new(4)?;
    let refused: std::io::Result<IoUring> = attached(plain.as_raw_fd());
    let why = "that ring has no poller to share";
    page.call_refused("SQPOLL, ATTACH_WQ to a ring without one", refused, Errno::EINVAL, why)?;
    let (not_a_ring, _other_end) = nix::unistd::pipe()?;
    let refused: std::io::Result<IoUring> = attached(not_a_ring.as_raw_fd());
    let why = "wq_fd must be a ring";
    page.call_refused("ATTACH_WQ to a pipe", refused, Errno::EINVAL, why)?;
    let refused: std::io::Result<IoUring> = attached(-1);
    let why = "wq_fd is no open descriptor: no EBADF here";
    page.call_refused("ATTACH_WQ to -1", refused, Errno::ENXIO, why)
}
// ANCHOR_END: show
