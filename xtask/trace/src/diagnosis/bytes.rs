//! Keeps count of bytes: short sends and writes, and writes over one another.

use std::collections::HashMap;

use super::fields::open_flags;
use super::{Fact, Found, Handle, Kind, Request, Rules, Scene, at, listed};
use crate::codes::{op, sqe};
use crate::context::Reader;

const SHORT: Kind = Kind::new("short-send", "when-it-goes-wrong.html#pitfall-12");
const OVER: Kind = Kind::concluded("written-over", "day1.html#what-an-entry-points-at");

/// How much of a remainder is compared.
const PREFIX: usize = 32;

/// An entry of which only a part went out.
#[derive(Debug)]
struct Rest {
    name: String,
    asked: u32,
    got: u32,
    us: u64,
    address: u64,
    begins: Vec<u8>,
}

/// The writes to the beginning of a file.
#[derive(Debug, Default)]
struct Beginning {
    writes: Vec<u64>,
    last: Vec<u8>,
    differ: bool,
    /// It was read, or written to elsewhere: the program knows what it does.
    meant: bool,
}

#[derive(Debug, Default)]
pub(super) struct Bytes {
    rests: HashMap<Handle, Rest>,
    beginnings: HashMap<Handle, Beginning>,
}

impl Rules for Bytes {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found) {
        match *fact {
            Fact::Submitted(request) => {
                let Some(file) = request.handle() else { return };
                match request.entry.opcode {
                    op::CLOSE | op::SHUTDOWN => self.over(&file, "closed", scene, found),
                    _ if request.entry.gives() => self.gives(file, request, scene, found),
                    _ => {}
                }
                let elsewhere = request.entry.gives() && request.entry.off != 0;
                if request.entry.takes() || elsewhere {
                    self.beginnings.entry(file).or_default().meant = true;
                }
            }
            Fact::Completed { request: Some(request), completion, .. } => {
                let Some(file) = request.handle() else { return };
                let entry = &request.entry;
                let plain = [op::SEND, op::SEND_ZC, op::WRITE, op::WRITE_FIXED];
                let whole = entry.has(sqe::BUFFER_SELECT) || entry.vectorized();
                let got = completion.res as u32;
                let first = request.answers == 1;
                if completion.res < 0 || completion.res == 0 && entry.takes() {
                    self.rests.remove(&file);
                } else if plain.contains(&entry.opcode)
                    && first
                    && !whole
                    && got > 0
                    && got < entry.len
                {
                    let address = entry.addr.saturating_add(got.into());
                    let mut begins = vec![0; PREFIX.min((entry.len - got) as usize)];
                    if scene.program().fill(address, &mut begins).is_none() {
                        begins.clear();
                    }
                    let (name, asked, us) = (request.name(), entry.len, scene.us);
                    self.rests.insert(file, Rest { name, asked, got, us, address, begins });
                }
            }
            Fact::Called { name, call, .. } => {
                let file = Handle::Fd(scene.owner, call.args[0] as i32);
                match name {
                    "close" | "shutdown" => self.over(&file, "closed", scene, found),
                    "write" | "writev" | "sendto" | "sendmsg" | "sendfile" => {
                        self.rests.remove(&file);
                    }
                    "read" | "pread64" | "pwrite64" | "ftruncate" | "lseek" => {
                        self.beginnings.entry(file).or_default().meant = true;
                    }
                    _ => {}
                }
            }
            Fact::Ended(_) => {
                let files: Vec<Handle> =
                    self.rests.keys().chain(self.beginnings.keys()).copied().collect();
                for file in files {
                    self.over(&file, "left", scene, found);
                }
            }
            _ => {}
        }
    }
}

impl Bytes {
    fn gives(&mut self, file: Handle, request: &Request, scene: &Scene<'_>, found: &mut Found) {
        if let Some(rest) = self.rests.remove(&file) {
            if !goes_on(request, &rest, scene.program()) {
                short(&rest, &format!("{} sends something else", request.name()), scene, found);
            }
        }
        let writes = [op::WRITE, op::WRITE_FIXED].contains(&request.entry.opcode);
        if !writes || request.entry.off != 0 || matches!(file, Handle::Slot(..)) {
            return;
        }
        let known = self.beginnings.contains_key(&file);
        let begun = self.beginnings.entry(file).or_default();
        begun.meant |= !known && !is_written_at_offsets(scene.owner, request.entry.fd);
        let mut bytes = vec![0; PREFIX.min(request.entry.len as usize)];
        if begun.meant || scene.program().fill(request.entry.addr, &mut bytes).is_none() {
            return;
        }
        begun.differ |= !begun.writes.is_empty() && begun.last != bytes;
        begun.last = bytes;
        begun.writes.push(request.seq);
    }

    /// A file is closed, or the program has ended.
    fn over(&mut self, file: &Handle, how: &str, scene: &Scene<'_>, found: &mut Found) {
        if let Some(rest) = self.rests.remove(file) {
            short(&rest, &format!("the file was {how} {}", at(scene.us)), scene, found);
        }
        let Some(begun) = self.beginnings.remove(file) else { return };
        if begun.writes.len() > 1 && begun.differ && !begun.meant {
            found.say(
                scene,
                OVER,
                format!(
                    "entries {} all wrote to offset 0 of {file}, each with other bytes, and nothing \
                     was written elsewhere in it",
                    listed(&begun.writes)
                ),
                "Each overwrites the one before. An offset of -1 (u64::MAX) is the file's own \
                 position, as in write(2); or count the offset. A pipe ignores it.",
            );
        }
    }
}

/// Whether a send goes on where the one before it stopped.
fn goes_on(request: &Request, rest: &Rest, program: Reader) -> bool {
    let entry = &request.entry;
    let left = rest.asked - rest.got;
    let mut begins = vec![0; rest.begins.len()];
    let alike = || {
        entry.len >= left
            && program.fill(entry.addr, &mut begins).is_some()
            && begins == rest.begins
    };
    let lists = request.buffer().is_none();
    lists || entry.addr == rest.address || entry.len == left || { alike }()
}

fn short(rest: &Rest, then: &str, scene: &Scene<'_>, found: &mut Found) {
    let Rest { name, asked, got, us, .. } = rest;
    found.say(
        scene,
        SHORT,
        format!(
            "{name} offered {asked} bytes and {got} were taken {}; the other {} never followed: {then}",
            at(*us),
            asked - got
        ),
        "A send or a write may take only a part. Send the rest, in a loop. MSG_WAITALL lets the kernel go \
         on by itself, but an error can still cut it short.",
    );
}

/// Whether writes go to where their offset says: a regular file, not opened for appending.
fn is_written_at_offsets(pid: i32, fd: i32) -> bool {
    let regular = std::fs::metadata(format!("/proc/{pid}/fd/{fd}")).is_ok_and(|it| it.is_file());
    regular && open_flags(pid, fd).is_none_or(|flags| flags & libc::O_APPEND as u32 == 0)
}
