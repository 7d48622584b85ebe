//! A plug-in that is not trusted: it counts lines, and can do nothing else.
//!
//! ```text
//! cargo run -p day04 --example plugin -- Cargo.toml README.md
//! cargo run -p day04 --example plugin -- --misbehave Cargo.toml
//! ```
//!
//! The host opens the files, and gives them to a child as slots of a ring: slot 0, slot 1, and last
//! a pipe for the answer. The ring takes READ and WRITE on slots. The child inherits it, gives up
//! its system calls, and then runs the plug-in.
//!
//! What it does not do:
//! - The plug-in may use the CPU and memory until the host loses patience. `setrlimit(2)` and
//!   control groups limit that.
//! - It is a part of this program, for the sake of brevity. A real one would be loaded by the
//!   child, before that gives up its calls.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::process::{self, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions, SetupFlags};
use io_uring::register::Restriction;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::unistd::pipe2;

use self::system_calls::{ALLOW, DENY};

mod handed_over;
mod system_calls;

/// How long the host waits for the next bytes of the plug-in, in milliseconds.
const PATIENCE: u16 = 2000;
/// The most that the plug-in may say.
const LONGEST: usize = 64 << 10;

/// Counts the lines of files, by a plug-in that can read them and nothing else
#[derive(Parser)]
struct Options {
    /// What the plug-in may read
    #[arg(required_unless_present = "inherited")]
    files: Vec<PathBuf>,

    /// Let the plug-in try what it must not do
    #[arg(long)]
    misbehave: bool,

    /// For the child: how many slots are files
    #[arg(long, hide = true, default_value_t = 0)]
    slots: u32,

    /// For the child: the descriptor of its ring
    #[arg(long, hide = true)]
    inherited: Option<RawFd>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ended = match options.inherited {
        Some(descriptor) => child(&options, descriptor),
        None => host(&options),
    };
    environment::report(env!("CARGO_BIN_NAME"), ended)
}

/// Gives the files to the plug-in, and prints what it says.
fn host(options: &Options) -> Result<()> {
    let open = |path: &PathBuf| File::open(path).with_context(|| path.display().to_string());
    let files = options.files.iter().map(open).collect::<Result<Vec<_>>>()?;
    let (answer, pipe) = pipe2(OFlag::O_CLOEXEC)?;
    let mut answer = File::from(answer);
    let mut slots: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
    slots.push(pipe.as_raw_fd());
    let ring = locked_ring(&slots)?;

    let number = files.len().to_string();
    let mut arguments = vec!["--slots", number.as_str(), "--inherited"];
    if options.misbehave {
        arguments.insert(0, "--misbehave");
    }
    let mut child = handed_over::start(&ring, &arguments)?;
    // The ring holds the pipe, and ends with the last process that has it: the child.
    drop((ring, pipe, files));

    let (mut said, mut ended) = (Vec::new(), false);
    while !ended && said.len() <= LONGEST && has_more(&answer)? {
        let mut part = [0; 4096];
        let length = answer.read(&mut part)?;
        said.extend_from_slice(&part[..length]);
        ended = length == 0;
    }
    let _ = child.kill(); // If it has said too much, or nothing for too long.
    let status = child.wait()?;
    // Escaped: a terminal must not obey it.
    for line in String::from_utf8_lossy(&said).lines() {
        writeln!(io::stdout(), "{}", line.escape_debug())?;
    }
    if !ended || !status.success() {
        bail!("the plug-in did not end by itself, or failed ({status})");
    }
    Ok(())
}

/// Whether bytes or the end of the pipe come before the host loses patience.
fn has_more(pipe: &File) -> nix::Result<bool> {
    Ok(poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PATIENCE)? > 0)
}

// ANCHOR: locked_ring
/// A ring with these slots. It takes READ and WRITE, on a slot and without any other flag.
fn locked_ring(slots: &[RawFd]) -> Result<IoUring> {
    // No SINGLE_ISSUER: another process will submit. And never a poller: it would run the child's
    // entries as ours, with our memory and our descriptors.
    let options = RingOptions { disabled: true, ..RingOptions::default() };
    let flags = SetupFlags::default();
    let ring = ring::build(&options, 8, flags)
        .map_err(|error| ring::refusal(&options, 8, flags, &error))?;
    let submitter = ring.submitter();
    submitter.register_files(slots).context("registering the files")?;
    submitter.register_restrictions(&mut [
        Restriction::sqe_op(opcode::Read::CODE),
        Restriction::sqe_op(opcode::Write::CODE),
        Restriction::sqe_flags_required(Flags::FIXED_FILE.bits()),
        // Without any register call on the list, Linux 7.3 would allow all of them.
        Restriction::register_op(PROBE),
    ])?;
    // Here, not in the child: until then, it could register what it likes.
    submitter.register_enable_rings()?;
    Ok(ring)
}
// ANCHOR_END: locked_ring

/// `IORING_REGISTER_PROBE` (`linux/io_uring.h`): says what the kernel has, and changes nothing.
const PROBE: u8 = 8;

// ANCHOR: child
/// The child: our own code, until the plug-in begins.
fn child(options: &Options, descriptor: RawFd) -> Result<()> {
    // SAFETY: `host` has passed a ring and its parameters, and nobody else here has them.
    let ring = unsafe { handed_over::inherited(descriptor) }?;
    let buffer = forever([0; 4096]);
    let mut plugin = Plugin { ring, buffer, pipe: options.slots };
    let calls = [
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register, // Not needed: the ring itself refuses it.
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_brk,
        libc::SYS_futex, // glibc's own locks
        libc::SYS_sigaltstack,
        libc::SYS_exit_group,
    ];
    system_calls::install(&calls, ALLOW, DENY)?;
    let ended = if options.misbehave { plugin.misbehave() } else { plugin.count(options.slots) };
    // There is no descriptor left to say why.
    process::exit(i32::from(ended.is_err()))
}
// ANCHOR_END: child

/// The plug-in: all that it has.
struct Plugin {
    ring: IoUring,
    buffer: &'static mut [u8; 4096],
    /// The slot to write to.
    pipe: u32,
}

impl Plugin {
    /// What it is for: counts the lines of each file.
    fn count(&mut self, files: u32) -> Result<()> {
        for slot in 0..files {
            let (mut offset, mut lines) = (0, 0);
            let end = loop {
                let read = self.read(slot).offset(offset).build();
                match self.ask(read)? {
                    length @ 1.. => {
                        let bytes = &self.buffer[..length as usize];
                        lines += bytes.iter().filter(|byte| **byte == b'\n').count();
                        offset += length as u64;
                    }
                    end => break end,
                }
            };
            self.say(&match end {
                0 => format!("slot {slot}: {lines} lines\n"),
                error => format!("slot {slot}: {}\n", in_words(error)),
            })?;
        }
        Ok(())
    }

    /// What it must not do.
    fn misbehave(&mut self) -> Result<()> {
        let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), c"/etc/passwd".as_ptr()).build();
        let standard_input = opcode::Read::new(Fd(0), self.buffer.as_mut_ptr(), 1).build();
        let to_a_file = opcode::Write::new(Fixed(0), self.buffer.as_ptr(), 1).build();
        for (what, entry) in [
            ("OPENAT", open.clone()),
            ("OPENAT with FIXED_FILE", open.flags(Flags::FIXED_FILE)),
            ("READ of descriptor 0", standard_input),
            ("READ of slot 0, ASYNC", self.read(0).build().flags(Flags::ASYNC)),
            ("READ of slot 99", self.read(99).build()),
            ("WRITE to slot 0", to_a_file),
        ] {
            let answer = in_words(self.ask(entry)?);
            self.say(&format!("{what}: {answer}\n"))?;
        }
        let files = self.ring.submitter().register_files_update(0, &[0]).map(drop);
        for (what, answer) in [
            ("descriptor 0 into slot 0", files),
            ("open(2)", File::open("/etc/passwd").map(drop)),
            ("a ring of its own", IoUring::new(8).map(drop)),
        ] {
            let answer =
                answer.map_or_else(|error| environment::errno_name(&error), |()| "granted".into());
            self.say(&format!("{what}: {answer}\n"))?;
        }
        Ok(())
    }

    fn read(&mut self, slot: u32) -> opcode::Read {
        opcode::Read::new(Fixed(slot), self.buffer.as_mut_ptr(), self.buffer.len() as u32)
    }

    fn say(&mut self, text: &str) -> Result<()> {
        let write = opcode::Write::new(Fixed(self.pipe), text.as_ptr(), text.len() as u32);
        // The pipe is empty, or it takes a line as a whole (`pipe(7)`).
        match self.ask(write.offset(u64::MAX).build())? {
            length if length as usize == text.len() => Ok(()),
            result => bail!("writing to the pipe: {}", in_words(result)),
        }
    }

    /// Submits an entry and waits for its completion: there is never another one.
    fn ask(&mut self, entry: Entry) -> Result<i32> {
        // SAFETY: the buffer and the path are never freed, a text lives until this returns, and
        // nobody uses any of them meanwhile.
        unsafe { self.ring.submission().push(&entry) }?;
        self.ring.submit_and_wait(1)?;
        Ok(self.ring.completion().next().context("no completion")?.result())
    }
}

/// A completion's result: a number, or the name of its error.
fn in_words(result: i32) -> String {
    if result < 0 { format!("{:?}", Errno::from_raw(-result)) } else { result.to_string() }
}
