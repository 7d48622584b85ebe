//! What the kernel answers: the steps of the day.

use std::io;

use anyhow::Result;
use common::buffers::Buffers;
use common::environment::{self, Environment, Refusal};
use common::ring::{RingOptions, SetupFlags, locked_memory, register_slots};
use io_uring::{IoUring, Probe, opcode};
use serde::{Deserialize, Serialize};

/// Everything that the day found out. Tests read it back from `--json` and print what other
/// kernels answered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Survey {
    /// What the machine allows.
    pub machine: Environment,
    /// What ended the survey early, if something did.
    pub refusal: Option<Refusal>,
    /// The ring.
    pub ring: Option<Sizes>,
    /// The greeting, after its journey.
    pub greeting: Option<Greeting>,
    /// Codes of the operations that the kernel has; `None` if it cannot be asked.
    pub supported: Option<Vec<u8>>,
    /// The four days, in order.
    pub days: Vec<Day>,
}

/// A ring's queues in entries.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sizes {
    /// What `io_uring_setup(2)` was asked for.
    pub asked: u32,
    /// The submission queue that the kernel granted.
    pub sq_entries: u32,
    /// The completion queue that the kernel granted.
    pub cq_entries: u32,
}

/// What came back in the NOP's completion.
#[derive(Debug, Serialize, Deserialize)]
pub struct Greeting {
    /// The completion's `user_data`.
    pub user_data: u64,
    /// The same eight bytes as text.
    pub text: String,
    /// The operation's own result.
    pub res: i32,
    /// Calls of `io_uring_enter(2)` that it took.
    pub enters: u32,
}

/// Whether one of the days can run here.
#[derive(Debug, Serialize, Deserialize)]
pub struct Day {
    /// Its program.
    pub name: String,
    /// Whether the kernel granted all that it needs.
    pub ready: bool,
    /// If not, why.
    pub why_not: Option<String>,
}

// ANCHOR: survey
impl Survey {
    /// Asks the kernel, step by step, until it is done or something is refused.
    pub fn take() -> Survey {
        let mut survey = Survey { machine: Environment::read(), ..Survey::default() };
        survey.refusal = survey.ask().err();
        if let Some(refusal) = &survey.refusal {
            survey.days = NAMES.map(|name| Day::new(name, Some(refusal.why.clone()))).into();
        }
        survey
    }

    fn ask(&mut self) -> Result<(), Refusal> {
        let mut ring = IoUring::new(ENTRIES).map_err(|error| refused(&error))?;
        self.ring = Some(sizes(&ring));
        self.greeting = Some(greet(&mut ring)?);
        self.supported = probe(&ring)?;
        self.days = days(&ring);
        Ok(())
    }
}

/// What we ask for: the journal's first ring.
const ENTRIES: u32 = 8;
// ANCHOR_END: survey

fn refused(error: &io::Error) -> Refusal {
    let bytes = locked_memory(&RingOptions::default(), ENTRIES, SetupFlags::default());
    environment::explain_memory("io_uring_setup", error, bytes)
}

fn sizes(ring: &IoUring) -> Sizes {
    let granted = ring.params();
    Sizes { asked: ENTRIES, sq_entries: granted.sq_entries(), cq_entries: granted.cq_entries() }
}

// ANCHOR: greet
/// Eight bytes of text are 64 bits: they fit into `user_data`.
const GREETING: [u8; 8] = *b"hello io";

/// Sends an operation that does nothing through the ring. What comes back in its completion
/// is what we wrote into its entry: the kernel carries `user_data` and reads no meaning into it.
fn greet(ring: &mut IoUring) -> Result<Greeting, Refusal> {
    let entry = opcode::Nop::new().build().user_data(u64::from_le_bytes(GREETING));
    // SAFETY: a NOP points at no memory, so nothing has to outlive its completion.
    unsafe { ring.submission().push(&entry) }.expect("a new queue of 8 has room for one");

    let enters =
        submit_and_wait(ring).map_err(|error| environment::explain("io_uring_enter", &error))?;

    let completion = ring.completion().next().expect("the wait for one completion succeeded");
    // The wait succeeded. Whether the *operation* did is another question.
    if completion.result() < 0 {
        let error = io::Error::from_raw_os_error(-completion.result());
        return Err(environment::explain("IORING_OP_NOP", &error));
    }
    let user_data = completion.user_data();
    let text = user_data.to_le_bytes().escape_ascii().to_string();
    Ok(Greeting { user_data, text, res: completion.result(), enters })
}
// ANCHOR_END: greet

// ANCHOR: wait
/// Submits what is queued and waits for one completion, in one system call. A signal can
/// interrupt the wait (EINTR): that is not a failure, and we wait again.
fn submit_and_wait(ring: &IoUring) -> io::Result<u32> {
    let mut enters = 0;
    loop {
        enters += 1;
        match ring.submit_and_wait(1) {
            Ok(_submitted) => return Ok(enters),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
// ANCHOR_END: wait

// ANCHOR: probe
/// The codes of all operations that this kernel has (`IORING_REGISTER_PROBE`, Linux 5.6).
/// Asks for every code there can be, whether a name is known for it or not.
///
/// `None`: the kernel is too old to be asked.
fn probe(ring: &IoUring) -> Result<Option<Vec<u8>>, Refusal> {
    let mut probe = Probe::new();
    match ring.submitter().register_probe(&mut probe) {
        Ok(()) => Ok(Some((0..=u8::MAX).filter(|&code| probe.is_supported(code)).collect())),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(environment::explain("IORING_REGISTER_PROBE", &error)),
    }
}
// ANCHOR_END: probe

const NAMES: [&str; 4] = ["day01", "day02", "day03", "day04"];

// ANCHOR: days
/// Which days can run here. The version proves nothing, because distributions backport features,
/// and the probe knows operations but not their flags. So each thing is tried once.
fn days(ring: &IoUring) -> Vec<Day> {
    // Both came with multishot accept, in Linux 5.19.
    let slots = why_not(register_slots(&ring.submitter(), ENTRIES));
    let buffers = why_not(try_buffers(ring));
    let needs = [None, None, slots.clone(), slots.or(buffers)];
    NAMES.into_iter().zip(needs).map(|(name, why_not)| Day::new(name, why_not)).collect()
}

fn try_buffers(ring: &IoUring) -> Result<()> {
    let buffers = Buffers::register(&ring.submitter(), 0, 1, 1024)?;
    // It was only a try: the ring does not need them.
    Ok(ring.submitter().unregister_buf_ring(buffers.group())?)
}
// ANCHOR_END: days

impl Day {
    fn new(name: &str, why_not: Option<String>) -> Day {
        Day { name: name.to_string(), ready: why_not.is_none(), why_not }
    }
}

fn why_not(tried: Result<()>) -> Option<String> {
    let error = tried.err()?;
    Some(match error.downcast_ref::<Refusal>() {
        Some(refusal) => refusal.why.clone(),
        None => format!("{error:#}"),
    })
}
