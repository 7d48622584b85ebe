//! REGISTER_NAPI, UNREGISTER_NAPI: poll the network card while waiting.
//!
//! Since 6.9; ids chosen by the program (static tracking) since 6.13. Takes how long to poll, in
//! microseconds, and gives back the settings of before; liburing: `io_uring_register_napi`; crate:
//! `Submitter::register_napi`.
//! A wait then first looks at the card's queues of the ring's sockets, without an interrupt: less
//! delay, at the cost of a CPU. The call works anywhere; an effect needs a card with NAPI: loopback
//! has none.

use atlas::{Entry, Page, Result, Where, raw};
use common::catalog::SETUP_FLAGS;
use io_uring::IoUring;
use io_uring::types::{Napi, NapiTracking};
use nix::errno::Errno;

use crate::look;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_NAPI",
        "IORING_UNREGISTER_NAPI",
        "IO_URING_NAPI_REGISTER_OP",
        "IO_URING_NAPI_STATIC_ADD_ID",
        "IO_URING_NAPI_STATIC_DEL_ID",
        "IO_URING_NAPI_TRACKING_DYNAMIC",
        "IO_URING_NAPI_TRACKING_STATIC",
        "IO_URING_NAPI_TRACKING_INACTIVE",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring = IoUring::new(4)?;
    let mut settings = Napi::new().set_busy_poll_timeout(50);
    let registered = ring.submitter().register_napi(&mut settings);
    let name = "IORING_REGISTER_NAPI";
    if page.call_since(name, "register_napi: 50 µs", registered)?.is_none() {
        return Ok(());
    }
    page.saw("it gave back what was before: 0 µs", settings.busy_poll_timeout() == 0)?;
    page.saw("/proc/self/fdinfo says enabled", is_polled(&ring)? != Some(false))?;
    settings = Napi::new().set_busy_poll_timeout(70);
    page.call("register_napi: 70 µs", ring.submitter().register_napi(&mut settings))?;
    page.saw("it gave back 50 µs", settings.busy_poll_timeout() == 50)?;
    page.call("unregister_napi", ring.submitter().unregister_napi(&mut settings))?;
    page.saw("it gave back 70 µs", settings.busy_poll_timeout() == 70)?;
    page.saw("/proc/self/fdinfo says disabled", is_polled(&ring)? != Some(true))?;
    let why = "no card with NAPI carries this page's sockets";
    page.cannot("the effect of NAPI on a wait", why, Where::OtherMachine)?;

    chosen_by_the_program(page, &ring)?;
    let polled = raw::ring(4, SETUP_FLAGS.code("IOPOLL"))?;
    let why = "such a ring polls disks, and has no sockets";
    let refused = polled.submitter().register_napi(&mut settings);
    page.call_refused("register_napi of a ring with IOPOLL", refused, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// Static tracking: the program names the card's queues to poll, by their ids.
fn chosen_by_the_program(page: &mut Page, ring: &IoUring) -> Result<()> {
    let submitter = ring.submitter();
    let why = "the ring does not track ids that the program chose";
    page.call_refused(
        "an id, polling off",
        submitter.register_napi_add_id(ID),
        Errno::EINVAL,
        why,
    )?;
    let mut settings = Napi::new().set_busy_poll_timeout(50).set_tracking(NapiTracking::Static);
    let name = "IO_URING_NAPI_TRACKING_STATIC";
    let tracked = submitter.register_napi(&mut settings);
    if page.call_since(name, "register_napi, static tracking", tracked)?.is_none() {
        return Ok(());
    }
    page.call("the id 100000 of a card's queue", submitter.register_napi_add_id(ID))?;
    let again = submitter.register_napi_add_id(ID);
    page.call_refused("that id again", again, Errno::EEXIST, "it is polled already")?;
    page.call("not that id", submitter.register_napi_del_id(ID))?;
    let again = submitter.register_napi_del_id(ID);
    page.call_refused("not that id, again", again, Errno::ENOENT, "it is not polled")?;
    let why = "no id: they begin above the number of CPUs";
    page.call_refused("the id 1", submitter.register_napi_add_id(1), Errno::EINVAL, why)?;
    settings = Napi::new().set_tracking(NapiTracking::Inactive);
    let inactive = submitter.register_napi(&mut settings);
    let why = "inactive is what a ring is without the call: unregister_napi makes it so";
    page.call_refused("register_napi, inactive", inactive, Errno::EINVAL, why)?;
    page.call("unregister_napi", submitter.unregister_napi(&mut settings)).map(drop)
}

/// An id that no card here has: the kernel only keeps it.
const ID: u32 = 100_000;

/// The line of `/proc/self/fdinfo`, if it has one.
fn is_polled(ring: &IoUring) -> Result<Option<bool>> {
    Ok(look::fdinfo(ring, "NAPI")?.map(|state| state != "disabled"))
}
