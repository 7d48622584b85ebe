//! The means by which an operation is ended, and what completes then.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use common::memory::forever;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, Fixed, Timespec};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

use super::operation::{Make, Operation};
use super::operations::{GROUP, OPERATIONS};
use super::say;

/// The `user_data` of the operation, and of what ends it.
const IT: u64 = 1;
const MEANS: u64 = 2;
const PREPARED: u64 = 3;

/// What has not come after this time does not come.
const QUIET: Duration = Duration::from_millis(200);
/// What has to come.
const PATIENCE: Duration = Duration::from_secs(20);

static MOMENT: Timespec = Timespec::new().nsec(5_000_000);

/// How an operation is ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Means {
    LinkTimeout,
    Cancel(Key),
    SyncCancel,
    /// CLOSE of the one descriptor of its file, or of the one slot.
    Close,
    CloseSlot,
}

/// What an ASYNC_CANCEL finds it by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    UserData,
    Descriptor,
    Slot,
    Operation,
    Any,
    /// By descriptor, and all of them.
    All,
}

impl Means {
    pub fn name(self) -> &'static str {
        match self {
            Means::LinkTimeout => "LINK_TIMEOUT",
            Means::Cancel(_) => "ASYNC_CANCEL",
            Means::SyncCancel => "sync cancel",
            Means::Close => "CLOSE",
            Means::CloseSlot => "CLOSE of the slot",
        }
    }

    /// Means that go by the file need one, in the entry's own field.
    fn fits(self, operation: &Operation) -> bool {
        match self {
            Means::Cancel(Key::Descriptor | Key::Slot | Key::All)
            | Means::Close
            | Means::CloseSlot => operation.file.is_some(),
            _ => true,
        }
    }

    fn uses_slot(self) -> bool {
        matches!(self, Means::CloseSlot | Means::Cancel(Key::Slot))
    }
}

/// Starts an operation, ends it, and says what completed and what is left. `None`: the means do not
/// fit it.
pub fn end(means: Means, name: &str, operation: Make) -> Result<Option<String>> {
    loop {
        let operation = operation()?;
        if !means.fits(&operation) {
            return Ok(None);
        }
        let mut case = Case::start(means, name, operation)?;
        let answer = case.end()?;
        // A worker that was done before: once more.
        let too_late = case.operation.is_working && case.events.contains(&(MEANS, -libc::ENOENT));
        if !too_late || means == Means::LinkTimeout {
            return Ok(Some(answer));
        }
    }
}

/// An operation on its way.
struct Case {
    ring: IoUring,
    name: String,
    operation: Operation,
    means: Means,
    /// Whose completions came, in their order, with their results.
    events: Vec<(u64, i32)>,
}

impl Case {
    /// Submits it and waits until it is under way.
    fn start(means: Means, name: &str, mut operation: Operation) -> Result<Case> {
        let mut ring = IoUring::new(8)?;
        if name == "RECV, multishot" {
            let place = forever([0_u8; 64]).as_mut_ptr();
            let entry = opcode::ProvideBuffers::new(place, 8, 8, GROUP, 0).build();
            push(&mut ring, entry, PREPARED)?;
        }
        if means.uses_slot() {
            let fd = operation.file.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            ring.submitter().register_files(&[fd])?;
            if means == Means::CloseSlot {
                operation.file = None;
            }
            // `fd` is the second word of an entry.
            operation.entry = written(operation.entry, 4, 0).flags(Flags::FIXED_FILE);
        }
        let limited = if means == Means::LinkTimeout { Flags::IO_LINK } else { Flags::empty() };
        push(&mut ring, operation.entry.clone().flags(limited), IT)?;
        if means == Means::LinkTimeout {
            push(&mut ring, opcode::LinkTimeout::new(&MOMENT).build(), MEANS)?;
        }
        ring.submit()?;
        (operation.begun)();
        let name = name.split([' ', ',']).next().unwrap_or(name).to_string();
        let mut case = Case { ring, name, operation, means, events: Vec::new() };
        case.take();
        Ok(case)
    }

    fn end(&mut self) -> Result<String> {
        let lacks = |what: &str| Ok(format!("{what} EINVAL: this kernel lacks it"));
        if self.events.contains(&(IT, -libc::EINVAL)) {
            self.feed()?;
            return lacks(&self.name);
        }
        let returned = self.apply(self.means)?;
        if returned == Some(-libc::EINVAL) {
            self.feed()?;
            return lacks(self.means.name());
        }
        let limit = match (self.operation.is_working, &self.operation.feed) {
            (false, _) => QUIET,
            (true, Some(_)) => 5 * QUIET,
            // It comes to an end by itself.
            (true, None) => PATIENCE,
        };
        let ended = self.wait(limit)?;
        let mut answer = self.in_words(returned, 0);
        let is_untouched = self.events.contains(&(MEANS, -libc::ECANCELED)) || !ended;
        if self.operation.is_working && self.means == Means::LinkTimeout && !is_untouched {
            // An old kernel tries. What it gets depends on the moment.
            answer.insert(0, '~');
        }
        let seen = self.events.len();
        let was_fed = self.feed()?;
        if ended {
            let (_, result) = self.events.iter().find(|(who, _)| *who == IT).expect("it has ended");
            let left = (self.operation.look)(*result, self.operation.file.as_ref())?;
            return Ok(if left.is_empty() { answer } else { format!("{answer}; {left}") });
        }
        if !answer.is_empty() {
            answer += "; ";
        }
        answer += &format!("{} waits on", self.name);
        if was_fed {
            self.wait(PATIENCE)?;
            answer += &format!("; fed: {}", self.in_words(None, seen));
        }
        Ok(answer)
    }

    /// Gives it what it waits for, if anything can.
    fn feed(&self) -> Result<bool> {
        self.operation.feed.as_ref().map_or(Ok(false), |feed| feed().map(|()| true))
    }

    /// Ends it. What the call returned, where that is one.
    fn apply(&mut self, means: Means) -> Result<Option<i32>> {
        let fd = || Fd(self.operation.file.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        let by = |key| opcode::AsyncCancel2::new(key).build();
        let entry = match means {
            Means::LinkTimeout => return Ok(None),
            Means::SyncCancel => {
                let key = CancelBuilder::user_data(IT);
                let limit = Some(Timespec::new().sec(PATIENCE.as_secs()));
                let answer = self.ring.submitter().register_sync_cancel(limit, key);
                let errno = |error: std::io::Error| -error.raw_os_error().unwrap_or_default();
                return Ok(Some(answer.map_or_else(errno, |()| 0)));
            }
            Means::Cancel(Key::UserData) => opcode::AsyncCancel::new(IT).build(),
            Means::Cancel(Key::Descriptor) => by(CancelBuilder::fd(fd())),
            Means::Cancel(Key::Slot) => by(CancelBuilder::fd(Fixed(0))),
            Means::Cancel(Key::All) => by(CancelBuilder::fd(fd()).all()),
            Means::Cancel(Key::Any) => by(CancelBuilder::any()),
            Means::Cancel(Key::Operation) => {
                const ASYNC_CANCEL_OP: u32 = 1 << 5;
                // `len` and `cancel_flags`; the operation's number is the first byte.
                let number = u32::from(bytes(&self.operation.entry)[0]);
                written(
                    written(opcode::AsyncCancel::new(0).build(), 24, number),
                    28,
                    ASYNC_CANCEL_OP,
                )
            }
            Means::Close => {
                let file = self.operation.file.take().expect("it has one");
                opcode::Close::new(Fd(file.into_raw_fd())).build()
            }
            Means::CloseSlot => opcode::Close::new(Fixed(0)).build(),
        };
        push(&mut self.ring, entry, MEANS)?;
        self.ring.submit()?;
        Ok(None)
    }

    /// Waits for the completions of both. Whether the operation has ended.
    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        let needed = if self.means == Means::SyncCancel { 1 } else { 2 };
        loop {
            self.ring.submit()?;
            self.take();
            let ended = self.events.iter().any(|(who, _)| *who == IT);
            if (ended && self.events.len() >= needed) || Instant::now() > deadline {
                return Ok(ended);
            }
            sleep(Duration::from_millis(1));
        }
    }

    fn take(&mut self) {
        let all = self.ring.completion().map(|it| (it.user_data(), it.result()));
        self.events.extend(all.filter(|(who, _)| *who != PREPARED));
    }

    /// What came from the `first` completion on, in its order.
    fn in_words(&self, returned: Option<i32>, first: usize) -> String {
        let means = self.means.name();
        let mut events = self.events[first..].to_vec();
        // Of two threads, and of a timer and what it ends, either may be the first to complete.
        let either = self.operation.is_working || self.means == Means::LinkTimeout;
        let then = if either { " and " } else { ", then " };
        if either {
            events.sort_by_key(|(who, _)| *who != MEANS);
        }
        let words = events.iter().map(|(who, result)| match *who {
            IT => format!("{} {}", self.name, self.result(*result)),
            _ => format!("{means} {}", self.result(*result)),
        });
        let returned = returned.map(|result| format!("{means} {}", self.result(result)));
        returned.into_iter().chain(words).collect::<Vec<_>>().join(then)
    }

    fn result(&self, result: i32) -> String {
        match result {
            -512 => "ERESTARTSYS".to_string(),
            ..0 => format!("{:?}", Errno::from_raw(-result)),
            2.. if self.name == "ACCEPT" => "a client".to_string(),
            _ if result as usize == self.operation.length => "all".to_string(),
            100.. => "a part".to_string(),
            _ => result.to_string(),
        }
    }
}

/// Queues an entry.
pub fn push(ring: &mut IoUring, entry: Entry, user_data: u64) -> Result<()> {
    // SAFETY: what the entries of this program point at is never freed.
    Ok(unsafe { ring.submission().push(&entry.user_data(user_data)) }?)
}

/// The 64 bytes of an entry (`struct io_uring_sqe`).
fn bytes(entry: &Entry) -> &[u8; 64] {
    const { assert!(size_of::<Entry>() == 64) };
    // SAFETY: an entry is 64 bytes of integers, and lives as long as the reference.
    unsafe { &*std::ptr::from_ref(entry).cast() }
}

/// An entry with a word of it changed: what the crate has no builder for.
fn written(mut entry: Entry, offset: usize, word: u32) -> Entry {
    assert!(offset + 4 <= size_of::<Entry>());
    // SAFETY: within the entry, which is plain integers.
    unsafe {
        std::ptr::from_mut(&mut entry).cast::<u8>().add(offset).cast::<u32>().write_unaligned(word)
    };
    entry
}

/// Other keys than the `user_data`: for which operations they do something else.
pub fn keys(by_user_data: &[(&str, String)]) -> Result<()> {
    for (key, text) in [
        (Key::Descriptor, "descriptor"),
        (Key::All, "descriptor, ALL"),
        (Key::Slot, "slot"),
        (Key::Operation, "operation"),
        (Key::Any, "ANY"),
    ] {
        let (mut asked, mut refused, mut others) = (0, 0, BTreeMap::<String, Vec<&str>>::new());
        for ((name, operation), (_, known)) in OPERATIONS.iter().zip(by_user_data) {
            let Some(answer) = end(Means::Cancel(key), name, *operation)? else { continue };
            asked += usize::from(!answer.contains("lacks it"));
            refused += usize::from(answer.starts_with("ASYNC_CANCEL EINVAL"));
            // With ANY and ALL it counts.
            if answer != *known && answer.replace("CANCEL 1", "CANCEL 0") != *known {
                let first = answer.split([',', ';']).flat_map(|it| it.split(" and ")).next();
                others.entry(first.unwrap_or_default().to_string()).or_default().push(name);
            }
        }
        let others =
            others.iter().map(|(first, names)| format!("{first} for {}", names.join(", ")));
        let others = others.collect::<Vec<_>>().join("; ");
        let answer = match others.as_str() {
            "" => "as by user_data".to_string(),
            _ if refused == asked => "EINVAL: this kernel lacks it".to_string(),
            _ => format!("as by user_data, but {others}"),
        };
        say(&format!("ASYNC_CANCEL by {text}"), &answer)?;
    }
    Ok(())
}

/// The process ends while the operation is on its way.
pub fn exit() -> Result<()> {
    for (name, operation) in OPERATIONS {
        let operation = operation()?;
        if operation.file.is_none() {
            continue;
        }
        // SAFETY: this program has one thread.
        let child = match unsafe { fork() }? {
            ForkResult::Child => {
                let _ = Case::start(Means::Cancel(Key::UserData), name, operation);
                // SAFETY: ends the process, and with it the ring.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => child,
        };
        waitpid(child, None)?;
        let Operation { file, remains, .. } = operation;
        drop(file);
        let remains = remains()?;
        if !remains.is_empty() {
            say(&format!("exit, {name}"), &remains)?;
        }
    }
    Ok(())
}
