//! `io_uring_register(2)`: what a call asks for, and its [`answer()`].

use common::catalog::{self, Table};
use common::text::plural;
use libc::pid_t;

use super::codes::{call, op, setup};
use super::context::{Reader, Time, half, long, word};
use super::decode::Entry;
use super::describe::{Details, fds};
use super::flags;
use super::names::{names, operation};

mod answer;

pub use answer::{answer, ring_indices};

/// Set in the opcode: the ring is named by its registered index.
pub const USE_REGISTERED_RING: u32 = catalog::REGISTER_FLAGS.code("USE_REGISTERED_RING");

/// What a call asks for; empty where its name says everything.
pub fn details(pid: pid_t, operation: u32, argument: u64, count: u64) -> Details {
    let call = Call { program: Reader::of(pid), argument, count };
    let mut details = Details::default();
    // What cannot be read is left out.
    let _ = call.describe(operation, &mut details);
    details
}

/// The restrictions of a thread's later rings, with -1 in place of a ring (Linux 7.0). The list
/// begins with its length (`struct io_uring_task_restriction`).
pub fn restrictions_of_thread(pid: pid_t, argument: u64) -> Details {
    const HEAD: u64 = 16;
    let head: Option<[u8; 4]> = Reader::of(pid).bytes(argument);
    let count = head.map_or(0, |head| half(&head, 2).into());
    let mut told = Details::default();
    told.add("rings", "later", "this thread's later rings");
    let call = Call { program: Reader::of(pid), argument: argument.wrapping_add(HEAD), count };
    let _ = call.restrictions(&mut told);
    told
}

struct Call {
    program: Reader,
    argument: u64,
    count: u64,
}

impl Call {
    /// The argument's structure.
    fn argument<const N: usize>(&self) -> Option<[u8; N]> {
        self.program.bytes(self.argument)
    }

    fn describe(&self, operation: u32, details: &mut Details) -> Option<()> {
        match operation {
            call::REGISTER_BUFFERS => self.buffers(self.argument, self.count, details),
            call::REGISTER_BUFFERS2 | call::REGISTER_FILES2 => self.table(operation, details)?,
            call::REGISTER_FILES => self.files(self.argument, self.count, details),
            call::REGISTER_FILES_UPDATE => {
                let update: [u8; 16] = self.argument()?;
                self.files(long(&update, 8), self.count, details);
                from_slot(word(&update, 0), details);
            }
            call::REGISTER_FILES_UPDATE2 | call::REGISTER_BUFFERS_UPDATE => {
                let update: [u8; 32] = self.argument()?;
                let (list, count) = (long(&update, 8), word(&update, 24).into());
                match operation {
                    call::REGISTER_BUFFERS_UPDATE => self.buffers(list, count, details),
                    _ => self.files(list, count, details),
                }
                from_slot(word(&update, 0), details);
            }
            call::REGISTER_FILE_ALLOC_RANGE => {
                let range: [u8; 8] = self.argument()?;
                let count = word(&range, 4);
                details.add("count", count, plural(count, "slot"));
                from_slot(word(&range, 0), details);
            }
            call::REGISTER_EVENTFD | call::REGISTER_EVENTFD_ASYNC => {
                let fd = self.argument().map(i32::from_ne_bytes)?;
                details.add("fd", fd, format!("fd {fd}"));
            }
            call::UNREGISTER_PERSONALITY => {
                // The call takes the number in place of an address.
                details.add("personality", self.count, format!("personality {}", self.count));
            }
            call::REGISTER_RESTRICTIONS => self.restrictions(details)?,
            call::REGISTER_PROBE => {
                details.add(
                    "operations",
                    self.count,
                    format!("asks for {}", plural(self.count, "operation")),
                );
            }
            call::REGISTER_QUERY => {
                let query: [u8; 24] = self.argument()?;
                let name = format!("{:#}", catalog::QUERIES.name(word(&query, 16)));
                details.add("query", name.clone(), name);
            }
            call::REGISTER_IOWQ_AFF => self.cpus(details)?,
            call::REGISTER_IOWQ_MAX_WORKERS => self.workers(details)?,
            call::REGISTER_RING_FDS | call::UNREGISTER_RING_FDS => {
                self.ring_fds(operation, details)?
            }
            call::REGISTER_PBUF_RING => self.buffer_ring(details)?,
            call::UNREGISTER_PBUF_RING => {
                let ring: [u8; 16] = self.argument()?;
                group(half(&ring, 12).into(), details);
            }
            call::REGISTER_PBUF_STATUS => {
                let status: [u8; 8] = self.argument()?;
                group(word(&status, 0), details);
            }
            call::REGISTER_SYNC_CANCEL => self.cancel(details)?,
            call::REGISTER_NAPI => self.napi(details)?,
            call::REGISTER_CLOCK => {
                let clock: [u8; 4] = self.argument()?;
                let name = flags::code(flags::CLOCKS, word(&clock, 0));
                details.add("clock", name.clone(), name);
            }
            call::REGISTER_CLONE_BUFFERS => self.clone_buffers(details)?,
            call::REGISTER_SEND_MSG_RING => {
                let entry = Entry::parse(&self.argument()?);
                let told = super::describe::details(&entry, self.program, &|value| {
                    super::names::user_data(value)
                });
                details.add("entry", told.object(), told.words());
            }
            call::REGISTER_ZCRX_IFQ => {
                let queue: [u8; 16] = self.argument()?;
                let (card, index) = (word(&queue, 0), word(&queue, 4));
                details.add("interface", card, format!("interface {card}"));
                details.add("queue", index, format!("queue {index}"));
                let entries = word(&queue, 8);
                details.add("entries", entries, format!("{entries} entries"));
            }
            call::REGISTER_RESIZE_RINGS => {
                let params: [u8; 12] = self.argument()?;
                let (entries, completions) = (word(&params, 0), word(&params, 4));
                details.add("entries", entries, format!("to {entries} entries"));
                if word(&params, 8) & setup::CQSIZE != 0 {
                    let words = plural(completions, "completion");
                    details.add("completions", completions, words);
                }
            }
            call::REGISTER_MEM_REGION => self.region(details)?,
            _ => {}
        }
        Some(())
    }

    /// Buffers to pin: how many, and how large together.
    fn buffers(&self, list: u64, count: u64, details: &mut Details) {
        let mut words = plural(count, "buffer");
        if let Some(vectors) = self.program.vectors(list, count) {
            details.add("bytes", vectors.bytes, "");
            words += &format!(" of {}", plural(vectors.bytes, "byte"));
            if count > 1 {
                words += " together";
            }
        }
        details.add("buffers", count, words);
    }

    /// Descriptors to fill slots with.
    fn files(&self, list: u64, count: u64, details: &mut Details) {
        details.add("files", count, plural(count, "file"));
        fds(self.program, list, count, details);
    }

    /// `struct io_uring_rsrc_register`.
    fn table(&self, operation: u32, details: &mut Details) -> Option<()> {
        const SPARSE: u32 = 1;
        let table: [u8; 32] = self.argument()?;
        let (count, bits) = (u64::from(word(&table, 0)), word(&table, 4));
        let (data, tags) = (long(&table, 16), long(&table, 24));
        let empty = bits & SPARSE != 0;
        match operation {
            call::REGISTER_FILES2 if empty => {
                details.add("files", count, plural(count, "empty slot"))
            }
            call::REGISTER_FILES2 => self.files(data, count, details),
            _ if empty => details.add("buffers", count, plural(count, "empty buffer")),
            _ => self.buffers(data, count, details),
        }
        details.add("empty", empty, "");
        if tags != 0 {
            details.add("tags", true, "with tags");
        }
        Some(())
    }

    fn buffer_ring(&self, details: &mut Details) -> Option<()> {
        let ring: [u8; 16] = self.argument()?;
        let entries = word(&ring, 8);
        details.add("buffers", entries, plural(entries, "buffer"));
        group(half(&ring, 12).into(), details);
        add_flags(
            "buffer_ring_flags",
            &catalog::BUFFER_RING_FLAGS,
            half(&ring, 14).into(),
            details,
        );
        Some(())
    }

    fn ring_fds(&self, operation: u32, details: &mut Details) -> Option<()> {
        let first: [u8; 16] = self.argument()?;
        let (index, fd) = (word(&first, 0), word(&first, 8) as i32);
        if operation == call::REGISTER_RING_FDS {
            details.add("fd", fd, format!("fd {fd}"));
        } else {
            details.add("index", index, format!("index {index}"));
        }
        Some(())
    }

    /// The only things that are allowed from now on (`struct io_uring_restriction`).
    fn restrictions(&self, details: &mut Details) -> Option<()> {
        /// `IORING_MAX_RESTRICTIONS` in the kernel is 91 today.
        const MOST: u64 = 128;
        let mut allowed = Vec::new();
        for nth in 0..self.count.min(MOST) {
            let one: [u8; 4] = self.program.bytes(self.argument.checked_add(nth * 16)?)?;
            let value = one[2];
            allowed.push(match half(&one, 0) {
                0 => format!("{:#}", catalog::REGISTER_OPERATIONS.name(value.into())),
                1 => operation(value),
                2 => format!("flags {:#}", catalog::ENTRY_FLAGS.flags(value.into())),
                3 => format!("flags {:#} required", catalog::ENTRY_FLAGS.flags(value.into())),
                kind => format!("rule {kind} {value}"),
            });
        }
        let words = format!("only {}", allowed.join(", "));
        details.add("allowed", allowed, words);
        Some(())
    }

    /// A set of CPUs, `count` bytes long.
    fn cpus(&self, details: &mut Details) -> Option<()> {
        /// `CONFIG_NR_CPUS` is 8192 at most, where it is set high.
        const MOST: u64 = 1024;
        let mut set = vec![0; self.count.min(MOST) as usize];
        self.program.fill(self.argument, &mut set)?;
        let mut cpus = Vec::new();
        for (byte, bits) in set.iter().enumerate() {
            cpus.extend((0..8).filter(|bit| bits & (1 << bit) != 0).map(|bit| byte * 8 + bit));
        }
        let words: Vec<String> = cpus.iter().map(usize::to_string).collect();
        let what = if words.len() == 1 { "CPU" } else { "CPUs" };
        details.add("cpus", cpus, format!("{what} {}", words.join(" ")));
        Some(())
    }

    /// The most workers of both kinds; 0 leaves it as it is.
    fn workers(&self, details: &mut Details) -> Option<()> {
        let numbers = self.program.numbers(self.argument, 2, 2)?;
        let [bounded, unbounded] = numbers.as_slice() else { return None };
        for (key, most) in [("bounded", *bounded), ("unbounded", *unbounded)] {
            let words = match most {
                0 => format!("{key} as before"),
                most => format!("{most} {key}"),
            };
            details.add(key, most, words);
        }
        Some(())
    }

    fn cancel(&self, details: &mut Details) -> Option<()> {
        let cancel: [u8; 33] = self.argument()?;
        let entry = Entry {
            opcode: op::ASYNC_CANCEL,
            addr: long(&cancel, 0),
            fd: word(&cancel, 8) as i32,
            op_flags: word(&cancel, 12),
            len: cancel[32].into(),
            ..Entry::default()
        };
        let what =
            super::describe::details(&entry, self.program, &|value| super::names::user_data(value));
        details.add("cancel", what.object(), what.words());
        let (seconds, rest) = (long(&cancel, 16) as i64, long(&cancel, 24) as i64);
        // Both are -1 if the wait has no limit.
        if (seconds, rest) != (-1, -1) {
            let time = Time::new(seconds, rest);
            details.add("nanoseconds", time.json(), format!("at most {time}"));
        }
        Some(())
    }

    fn napi(&self, details: &mut Details) -> Option<()> {
        let napi: [u8; 8] = self.argument()?;
        let (us, prefer, command) = (word(&napi, 0), napi[4] != 0, napi[5]);
        if command != 0 {
            // Adds or removes the number of one queue, which comes next.
            let id = self.program.bytes::<12>(self.argument).map_or(0, |napi| word(&napi, 8));
            let command = format!("{:#}", catalog::NAPI_COMMANDS.name(command.into()));
            details.add("napi_command", command.clone(), command);
            details.add("napi_id", id, format!("of queue {id}"));
            return Some(());
        }
        details.add("busy_poll_us", us, format!("busy for {us} us"));
        details.add("prefer_busy_poll", prefer, if prefer { "prefer busy polling" } else { "" });
        Some(())
    }

    fn clone_buffers(&self, details: &mut Details) -> Option<()> {
        let clone: [u8; 20] = self.argument()?;
        let (from, count) = (word(&clone, 0) as i32, word(&clone, 16));
        let (source, target) = (word(&clone, 8), word(&clone, 12));
        let words = if count == 0 { "all buffers".into() } else { plural(count, "buffer") };
        details.add("count", count, words);
        details.add("from_ring", from, format!("of ring fd {from}"));
        details.add(
            "source_offset",
            source,
            if source == 0 { String::new() } else { format!("from {source} on") },
        );
        details.add(
            "target_offset",
            target,
            if target == 0 { String::new() } else { format!("to {target} on") },
        );
        add_flags("clone_flags", &catalog::CLONE_FLAGS, word(&clone, 4), details);
        Some(())
    }

    fn region(&self, details: &mut Details) -> Option<()> {
        const WAITS: u64 = 1;
        const OWN: u32 = 1;
        let region: [u8; 16] = self.argument()?;
        let memory: [u8; 20] = self.program.bytes(long(&region, 0))?;
        let size = long(&memory, 8);
        details.add("bytes", size, plural(size, "byte"));
        let own = word(&memory, 16) & OWN != 0;
        details.add(
            "own_memory",
            own,
            if own { "of its own memory" } else { "of the kernel's memory" },
        );
        let waits = long(&region, 8) & WAITS != 0;
        details.add("waits", waits, if waits { "for the arguments of waits" } else { "" });
        Some(())
    }
}

fn from_slot(first: u32, details: &mut Details) {
    details.add("offset", first, format!("from slot {first} on"));
}

fn group(group: u32, details: &mut Details) {
    details.add("buffer_group", group, format!("group {group}"));
}

fn add_flags(key: &'static str, table: &'static Table, bits: u32, details: &mut Details) {
    if bits != 0 {
        details.add(key, names(table, bits), format!("{:#}", table.flags(bits)));
    }
}

#[cfg(test)]
mod tests;
