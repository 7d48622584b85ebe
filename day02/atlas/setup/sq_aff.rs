//! SQ_AFF: bind the poller to a CPU.
//!
//! Since 5.1, with SQPOLL. The CPU stands in `params.sq_thread_cpu`; liburing:
//! `io_uring_queue_init_params`; crate: `Builder::setup_sqpoll_cpu`.

use atlas::{Entry, Page, Result, raw};
use common::environment;
use io_uring::IoUring;
use nix::errno::Errno;

use super::flag;
use super::sqpoll::polled;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_SQ_AFF"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let why = "it binds the poller, and a ring without SQPOLL has no poller";
    page.call_refused("SQ_AFF alone", raw::ring(4, flag("SQ_AFF")), Errno::EINVAL, why)?;

    let Some(cpu) = environment::online_cpus().into_iter().last() else { return Ok(()) };
    let built = IoUring::builder().setup_sqpoll(100).setup_sqpoll_cpu(cpu).build(4);
    let asked = format!("SQPOLL, SQ_AFF, CPU {cpu}");
    let Some(ring) = polled(page, &asked, built)? else { return Ok(()) };
    if let Some(poller) = look::poller(&ring)? {
        let allowed = look::status(poller, "Cpus_allowed_list")?;
        page.saw("the poller may run on that CPU only", allowed == Some(cpu.to_string()))?;
    }

    let built: std::io::Result<IoUring> =
        IoUring::builder().setup_sqpoll(100).setup_sqpoll_cpu(100_000).build(4);
    let why = "there is no such CPU, or this process may not run on it";
    page.call_refused("SQPOLL, SQ_AFF, CPU 100000", built, Errno::EINVAL, why)
}
// ANCHOR_END: show
