//! What the kernel answers about restrictions: the measurements of the chapter *Locked down, not
//! locked out*.
//!
//! ```text
//! cargo run -p day04 --example lock_answers
//! ```
//!
//! What a thread gives up it never gets back, so such questions are asked by separate threads and
//! programs. It changes nothing outside of itself, and needs no rights.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result};
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::register::Restriction;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::pipe;

use self::system_calls::{ALLOW, DENY, install};

mod handed_over;
#[path = "../src/later_rings.rs"]
mod later_rings;
mod of_this_thread;
mod system_calls;

/// `IORING_REGISTER_PROBE` (`linux/io_uring.h`), for lists that allow some call and not another.
const PROBE: u8 = 8;
/// The most that a READ brings here.
const LENGTH: u32 = 5;

fn main() -> ExitCode {
    // SAFETY: no memory. Whatever happens, the program ends.
    unsafe { libc::alarm(60) };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let answered = match &arguments[..] {
        [] => ask_all(),
        [what, address, descriptor] => {
            child(what, address.parse().unwrap_or(0), descriptor.parse().unwrap_or(-1))
        }
        _ => Err(anyhow::anyhow!("it takes no arguments")),
    };
    environment::report(env!("CARGO_BIN_NAME"), answered)
}

fn ask_all() -> Result<()> {
    // If there are no rings here, this says why.
    drop(ring::build_best(&RingOptions::default(), 8)?);
    lists()?;
    several()?;
    demanded()?;
    handed_over()?;
    in_a_thread(seccomp)?;
    in_a_thread(landlock)?;
    in_a_thread(tasks)?;
    in_a_thread(filters)
}

/// A ring that takes no entry yet, but a list.
fn disabled() -> Result<IoUring> {
    Ok(IoUring::builder().setup_r_disabled().build(8)?)
}

/// Binds a ring to a list, and enables it.
fn restrict(ring: IoUring, list: &mut [Restriction]) -> Result<IoUring> {
    ring.submitter().register_restrictions(list).context("REGISTER_RESTRICTIONS")?;
    ring.submitter().register_enable_rings().context("REGISTER_ENABLE_RINGS")?;
    Ok(ring)
}

/// What is on the list, and what is not.
fn lists() -> Result<()> {
    let list = &mut [Restriction::sqe_op(opcode::Nop::CODE), Restriction::register_op(PROBE)];
    let mut ring = restrict(disabled()?, list)?;
    say("NOP, which is on the list", completion(&mut ring, nop())?);
    say("READ, which is not", submit(&mut ring, &[read(Fd(-1))])?);
    say("NOP with IOSQE_ASYNC, which is not", completion(&mut ring, nop().flags(Flags::ASYNC))?);
    say("register_files, which is not", word(ring.submitter().register_files(&[-1])));
    let again = ring.submitter().register_restrictions(list);
    say("a second list, for an enabled ring", word(again));

    let ring = disabled()?;
    ring.submitter().register_restrictions(list)?;
    let again = ring.submitter().register_restrictions(list);
    say("a second list, before the ring is enabled", word(again));
    let files = ring.submitter().register_files(&[-1]);
    say("register_files, while it is not enabled", word(files));

    let ring = restrict(disabled()?, &mut list[..1])?;
    let files = ring.submitter().register_files(&[-1]);
    say("register_files, with a list of operations only", word(files));
    let mut ring = restrict(disabled()?, &mut list[1..])?;
    say("NOP, with a list of register calls only", completion(&mut ring, nop())?);
    let mut ring = restrict(disabled()?, &mut [])?;
    say("NOP, with an empty list", completion(&mut ring, nop())?);

    let ring = disabled()?;
    let kept = ring.submitter().register_personality()?;
    let answer = completion(&mut restrict(ring, list)?, nop().personality(kept))?;
    say("NOP with a personality, of which no list can speak", answer);
    Ok(())
}

/// A refused entry among others.
fn several() -> Result<()> {
    let ring = || {
        let links = Restriction::sqe_flags_allowed(Flags::IO_LINK.bits());
        restrict(disabled()?, &mut [Restriction::sqe_op(opcode::Nop::CODE), links])
    };
    let (first, second, third) = (nop(), read(Fd(-1)), nop());
    say("NOP, READ, NOP", submit(&mut ring()?, &[first, second, third])?);
    let link = |entry: Entry| entry.flags(Flags::IO_LINK);
    let chain = [link(nop()), link(read(Fd(-1))), nop()];
    say("NOP, READ, NOP as a chain", submit(&mut ring()?, &chain)?);
    Ok(())
}

/// FIXED_FILE demanded of every entry: does that keep plain descriptors out?
fn demanded() -> Result<()> {
    let (first, from_first) = UnixStream::pair()?;
    let (second, from_second) = UnixStream::pair()?;
    (&first).write_all(b"first")?;
    let (_reader, writer) = pipe()?;
    let (source, filled) = pipe()?;
    File::from(filled).write_all(b"other")?;
    let ring = disabled()?;
    ring.submitter().register_files(&[from_first.as_raw_fd(), writer.as_raw_fd()])?;
    let mut list = [
        Restriction::sqe_op(opcode::Read::CODE),
        Restriction::sqe_op(opcode::Splice::CODE),
        Restriction::sqe_flags_required(Flags::FIXED_FILE.bits()),
    ];
    let mut ring = restrict(ring, &mut list)?;
    let plain = completion(&mut ring, read(Fd(from_second.as_raw_fd())))?;
    say("READ of a plain descriptor, FIXED_FILE is demanded", plain);
    say("READ of a slot, FIXED_FILE is demanded", completion(&mut ring, read_slot(0))?);
    // The flag speaks of the entry's `fd`, and a SPLICE has a second descriptor.
    let splice = opcode::Splice::new(Fd(source.as_raw_fd()), -1, Fixed(1), -1, LENGTH);
    say(
        "SPLICE from a plain descriptor to a slot, FIXED_FILE is demanded",
        completion(&mut ring, splice.build())?,
    );
    drop(second);
    Ok(())
}

/// A ring in another process.
fn handed_over() -> Result<()> {
    let ring: IoUring = IoUring::new(8)?;
    let (ours, _theirs) = UnixStream::pair()?;
    let (bytes, descriptors) = ([io::IoSlice::new(b"x")], [ring.as_raw_fd()]);
    let message = [ControlMessage::ScmRights(&descriptors)];
    let sent = sendmsg::<()>(ours.as_raw_fd(), &bytes, &message, MsgFlags::empty(), None);
    say("a ring's descriptor in a message (SCM_RIGHTS)", word(sent.map_err(io::Error::from)));

    let (mut writer, reader) = UnixStream::pair()?;
    writer.write_all(b"first")?;
    ring.submitter().register_files(&[reader.as_raw_fd()])?;
    // An exec closes the child's copy.
    let ours_alone = reader.as_raw_fd().to_string();
    handed_over::start(&ring, &["slot", &ours_alone])?.wait()?;
    match IoUring::builder().setup_single_issuer().build(8) {
        Ok(ring) => drop(handed_over::start(&ring, &["alone", "0"])?.wait()?),
        Err(_) => say(ALONE, "no such flag".to_string()),
    }
    let mut polled: IoUring = IoUring::builder().setup_sqpoll(60_000).build(8)?;
    polled.submitter().register_files(&[-1])?;
    submit(&mut polled, &[nop()])?; // The poller is awake from now on, for a minute.
    let path = c"/proc/self/status".as_ptr().addr().to_string();
    handed_over::start(&polled, &["polled", &path])?.wait()?;
    Ok(())
}

const ALONE: &str = "a child's NOP on our SINGLE_ISSUER ring";

/// What a child does with the ring that it inherited.
fn child(what: &str, address: usize, descriptor: RawFd) -> Result<()> {
    if what == "task" {
        let mut ring = IoUring::new(8)?;
        let question = "READ on a ring of a program started after the list";
        say(question, completion(&mut ring, read(Fd(-1)))?);
        return Ok(());
    }
    // SAFETY: `handed_over::start` has passed the descriptor and the parameters.
    let mut ring = unsafe { handed_over::inherited(descriptor) }?;
    match what {
        "slot" => {
            say("a child's READ of a slot", completion(&mut ring, read_slot(0))?);
            let plain = completion(&mut ring, read(Fd(address as i32)))?;
            say("a child's READ of a descriptor that only we have open", plain);
        }
        "alone" => say(ALONE, submit(&mut ring, &[nop()])?),
        _ => poller(&mut ring, address)?,
    }
    Ok(())
}

/// This process may make no call of io_uring and open nothing. The poller does it, as its maker.
fn poller(ring: &mut IoUring, path: usize) -> Result<()> {
    let (setup, enter) = (libc::SYS_io_uring_setup, libc::SYS_io_uring_enter);
    install(&[setup, enter, libc::SYS_io_uring_register, libc::SYS_openat], DENY, ALLOW)?;
    let slot = DestinationSlot::try_from_slot_target(0).ok();
    // The poller reads the path in its maker's memory, where we cannot even look.
    let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), std::ptr::without_provenance(path));
    // SAFETY: the path is a text of the maker's program.
    unsafe { ring.submission().push(&open.file_index(slot).build()) }?;
    let result = loop {
        match ring.completion().next() {
            Some(completion) => break completion.result(),
            None => thread::yield_now(),
        }
    };
    say(
        "OPENAT by a child without any call of io_uring, on our ring with a poller",
        number(result),
    );
    Ok(())
}

/// What a filter of system calls sees of a ring: its three calls, and no operation.
fn seccomp() -> Result<()> {
    let mut ring: IoUring = IoUring::new(8)?;
    install(&[libc::SYS_openat], DENY, ALLOW)?;
    say("open(2), where seccomp forbids openat", word(File::open("/proc/self/comm")));
    say("OPENAT, where seccomp forbids openat", open(&mut ring, libc::O_RDONLY)?);
    install(&[libc::SYS_io_uring_setup], DENY, ALLOW)?;
    say("a new ring, where seccomp forbids io_uring_setup", word(IoUring::new(8)));
    say(
        "NOP on a ring from before, where seccomp forbids io_uring_setup",
        completion(&mut ring, nop())?,
    );
    Ok(())
}

/// A security module looks at what is done, whichever way it was asked for.
fn landlock() -> Result<()> {
    let mut ring: IoUring = IoUring::new(8)?;
    let restricted = of_this_thread::open_nothing();
    let refused = restricted.is_err();
    say("Landlock, a rule set against reading files", word(restricted));
    if !refused {
        say(
            "OPENAT on a ring from before, where Landlock forbids to read",
            open(&mut ring, libc::O_RDONLY)?,
        );
    }
    Ok(())
}

/// A list for all rings that this thread makes afterwards.
fn tasks() -> Result<()> {
    let mut before: IoUring = IoUring::new(8)?;
    let restricted = allow_only_nop();
    let refused = restricted.is_err();
    say("a list for the thread, NOP only", word(restricted));
    if refused {
        return Ok(());
    }
    say("READ on a ring from before the thread's list", completion(&mut before, read(Fd(-1)))?);
    let mut after: IoUring = IoUring::new(8)?;
    say("READ on a ring made after the thread's list", completion(&mut after, read(Fd(-1)))?);
    say(
        "NOP with IOSQE_ASYNC on a ring made after the thread's list",
        completion(&mut after, nop().flags(Flags::ASYNC))?,
    );
    say(
        "register_files on a ring made after the thread's list",
        word(after.submitter().register_files(&[-1])),
    );
    in_a_thread(|| {
        let answer = completion(&mut IoUring::new(8)?, read(Fd(-1)))?;
        say("READ on a ring of a thread started after the list", answer);
        Ok(())
    })?;
    Command::new("/proc/self/exe").args(["task", "0", "-1"]).status()?;
    say("a second list for the thread", word(allow_only_nop()));
    let mut own = [Restriction::sqe_op(opcode::Nop::CODE)];
    let own = disabled()?.submitter().register_restrictions(&mut own);
    say("a list for a ring made after the thread's list", word(own));
    Ok(())
}

fn allow_only_nop() -> io::Result<()> {
    Ok(later_rings::restrict([Restriction::sqe_op(opcode::Nop::CODE)])?)
}

/// A filter looks at the arguments, of the few operations that show some.
fn filters() -> Result<()> {
    let mut ring: IoUring = IoUring::new(8)?;
    let filtered = of_this_thread::open_for_reading_only(ring.as_raw_fd());
    let refused = filtered.is_err();
    say("a BPF filter, OPENAT for reading only", word(filtered));
    if !refused {
        say("OPENAT for reading, with that filter", open(&mut ring, libc::O_RDONLY)?);
        say("OPENAT for writing, with that filter", open(&mut ring, libc::O_WRONLY)?);
    }
    Ok(())
}

fn in_a_thread(ask: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    thread::scope(|scope| scope.spawn(ask).join()).expect("the thread does not panic")
}

fn nop() -> Entry {
    opcode::Nop::new().build()
}

fn read(from: Fd) -> Entry {
    opcode::Read::new(from, forever([0_u8; LENGTH as usize]).as_mut_ptr(), LENGTH).build()
}

fn read_slot(slot: u32) -> Entry {
    opcode::Read::new(Fixed(slot), forever([0_u8; LENGTH as usize]).as_mut_ptr(), LENGTH).build()
}

fn open(ring: &mut IoUring, flags: i32) -> Result<String> {
    let path = c"/proc/self/comm".as_ptr();
    let entry = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path).flags(flags).build();
    let answer = completion(ring, entry)?;
    let Ok(descriptor) = answer.parse() else { return Ok(answer) };
    // SAFETY: the descriptor is new and has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    Ok("opened".to_string())
}

/// Submits entries. What the call returned, and all results that came, in the entries' order.
fn submit(ring: &mut IoUring, entries: &[Entry]) -> Result<String> {
    for (nth, entry) in entries.iter().enumerate() {
        // SAFETY: the entries of this program point at memory that is never freed and used by
        // nobody else, or at texts of the program.
        unsafe { ring.submission().push(&entry.clone().user_data(nth as u64)) }?;
    }
    let submitted = match ring.submit_and_wait(entries.len().min(1)) {
        Ok(submitted) => submitted,
        Err(error) => return Ok(format!("submit {}", word(Err::<(), _>(error)))),
    };
    let mut results: Vec<_> =
        ring.completion().map(|one| (one.user_data(), one.result())).collect();
    results.sort_by_key(|(nth, _)| *nth);
    let results: Vec<_> = results.iter().map(|(_, result)| number(*result)).collect();
    Ok(format!("submit {submitted}; completions {}", results.join(", ")))
}

/// Submits an entry: its result.
fn completion(ring: &mut IoUring, entry: Entry) -> Result<String> {
    let answer = submit(ring, &[entry])?;
    Ok(answer.rsplit_once("completions ").map_or(answer.clone(), |(_, result)| result.to_string()))
}

fn number(result: i32) -> String {
    if result < 0 { format!("{:?}", Errno::from_raw(-result)) } else { result.to_string() }
}

fn word<T>(answer: io::Result<T>) -> String {
    answer.map_or_else(|error| environment::errno_name(&error), |_| "granted".into())
}

fn say(question: &str, answer: String) {
    let _ = writeln!(io::stdout(), "{question}: {answer}");
}
