//! Chains in a slot, chains that the kernel refuses or that are cut, completions that are
//! skipped, and drains.

use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::thread::sleep;

use anyhow::Result;
use common::memory::forever;
use io_uring::squeue::Entry;
use io_uring::types::{DestinationSlot, Fd, Fixed, Timespec};
use io_uring::{IoUring, opcode};
use nix::unistd::pipe;

use crate::{
    DRAIN, HARD, LINK, NONE, QUIET, Ring, SKIP, buffer, fails, in_order, nop, poll, refused, say,
    silent_pipe, with, word,
};

pub fn answers(path: &'static CStr) -> Result<()> {
    slots(path)?;
    refusals()?;
    cut()?;
    skipped()?;
    drains()
}

/// Three entries that meet in slot 0: OPENAT, READ, CLOSE.
fn slots(path: &'static CStr) -> Result<()> {
    let nowhere = c"/nowhere";
    for (question, path, links, bytes) in [
        ("all linked, READ of 5 bytes, 5 are there", path, [LINK, LINK], 5),
        ("all linked, READ of 16 bytes, 5 are there", path, [LINK, LINK], 16),
        ("the READ of 16 bytes hard-linked", path, [LINK, HARD], 16),
        ("the READ hard-linked, no such file", nowhere, [LINK, HARD], 5),
        ("all hard-linked, no such file, another file in the slot", nowhere, [HARD, HARD], 5),
    ] {
        let mut ring = Ring::new()?;
        let other = File::open("/proc/self/status")?;
        if links == [HARD, HARD] {
            ring.0.submitter().register_files_update(0, &[other.as_raw_fd()])?;
        }
        let slot = DestinationSlot::try_from_slot_target(0).expect("a small number");
        let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).file_index(Some(slot));
        let read = |bytes| opcode::Read::new(Fixed(0), buffer(), bytes).build();
        let close = opcode::Close::new(Fixed(0)).build();
        ring.submit(&[open.build().flags(links[0]), read(bytes).flags(links[1]), close])?;
        let answer = in_order(ring.settle(3)?);
        ring.submit(&[read(1)])?;
        let holds = if ring.wait_for(1)?[0] == -libc::EBADF { "empty" } else { "not empty" };
        say("OPENAT, READ, CLOSE,", question, &format!("{answer}; the slot is {holds}"))?;
    }
    Ok(())
}

/// An entry in the middle of three that the kernel refuses when it takes it.
fn refusals() -> Result<()> {
    let unknown = || with(nop(), 0, [255, 0, 0, 0]);
    for (question, bad, links, all) in [
        ("NOP linked to an unknown opcode linked to a NOP", unknown(), [LINK, LINK], false),
        (
            "NOP hard-linked to an unknown opcode hard-linked to a NOP",
            unknown(),
            [HARD, HARD],
            false,
        ),
        ("NOP linked to an unknown opcode, NOP", unknown(), [LINK, NONE], false),
        ("NOP linked to an unknown opcode, NOP, with SUBMIT_ALL", unknown(), [LINK, NONE], true),
        ("NOP, unknown opcode, NOP", unknown(), [NONE, NONE], false),
        ("NOP, unknown opcode, NOP, with SUBMIT_ALL", unknown(), [NONE, NONE], true),
        ("NOP linked to a TIMEOUT without a time, NOP", refused(), [LINK, NONE], false),
        ("NOP linked to a CLOSE that fails, NOP", fails(), [LINK, NONE], false),
    ] {
        let mut builder = IoUring::builder();
        if all {
            builder.setup_submit_all();
        }
        let Ok(ring) = builder.build(16) else {
            say("bad entry,", question, "this kernel has no SUBMIT_ALL")?;
            continue;
        };
        let mut ring = Ring(ring);
        let taken = ring.submit(&[nop().flags(links[0]), bad.flags(links[1]), nop()])?;
        let first = in_order(ring.settle(taken)?);
        let rest = ring.0.submit()?;
        let later = in_order(ring.settle(rest)?);
        let later = if rest == 0 { String::new() } else { format!("; next submit: {later}") };
        say("bad entry,", question, &format!("took {taken}: {first}{later}"))?;
    }
    Ok(())
}

/// Where a chain ends that was meant to be longer, and what two chains have to do with each other.
fn cut() -> Result<()> {
    let mut ring = Ring::new()?;
    ring.submit(&[fails().flags(LINK)])?;
    ring.submit_from(2, &[nop()])?;
    say("cut,", "CLOSE fails, linked; a NOP in the next submit", &in_order(ring.settle(2)?))?;

    let chain = [fails().flags(LINK), nop().flags(LINK), nop()];
    let chain = [1, 2, 3].map(|tag| chain[tag - 1].clone().user_data(tag as u64));
    let mut ring = Ring(IoUring::new(2)?);
    // SAFETY: none of them points at memory.
    let pushed = unsafe { ring.0.submission().push_multiple(&chain) }.is_ok();
    let pushed = if pushed { "pushed" } else { "refused, whole" };
    say("cut,", "push_multiple of a chain of 3 into a queue of 2", pushed)?;
    for entry in &chain {
        // SAFETY: none of them points at memory.
        while unsafe { ring.0.submission().push(entry) }.is_err() {
            ring.0.submit()?;
        }
    }
    ring.0.submit()?;
    let answer = in_order(ring.settle(3)?);
    say("cut,", "CLOSE fails, NOP, NOP, linked, pushed one by one into a queue of 2", &answer)?;

    let mut ring = Ring::new()?;
    let waits = poll(silent_pipe()?).flags(LINK);
    ring.submit(&[waits, nop(), nop().flags(LINK)])?;
    let answer = in_order(ring.settle(1)?);
    say("cut,", "a silent POLL_ADD linked to a NOP; behind that chain another NOP", &answer)
}

/// Which entries of a chain of three complete, if some skip the completion of their success.
fn skipped() -> Result<()> {
    for (question, [first, second, third], skips) in [
        ("NOP skip, NOP skip, NOP", [nop(), nop(), nop()], [SKIP, SKIP, NONE]),
        ("NOP skip, CLOSE fails skip, NOP", [nop(), fails(), nop()], [SKIP, SKIP, NONE]),
        ("NOP skip, CLOSE fails, NOP skip", [nop(), fails(), nop()], [SKIP, NONE, SKIP]),
        ("CLOSE fails skip, NOP, NOP", [fails(), nop(), nop()], [SKIP, NONE, NONE]),
        ("NOP skip, TIMEOUT refused, NOP", [nop(), refused(), nop()], [SKIP, NONE, NONE]),
        ("NOP, TIMEOUT refused skip, NOP", [nop(), refused(), nop()], [NONE, SKIP, NONE]),
    ] {
        let mut builder = IoUring::builder();
        builder.setup_submit_all();
        let Ok(ring) = builder.build(16) else {
            say("skipped,", question, "this kernel has no SUBMIT_ALL")?;
            continue;
        };
        let mut ring = Ring(ring);
        let second = second.flags(skips[1] | LINK);
        ring.submit(&[first.flags(skips[0] | LINK), second, third.flags(skips[2])])?;
        say("skipped,", question, &in_order(ring.settle(0)?))?;
    }
    Ok(())
}

/// Which entries complete while the first one waits, and which when it has had its event. The
/// last one goes in by a later submit.
fn drains() -> Result<()> {
    let half_a_second: &Timespec = forever(Timespec::new().nsec(500_000_000));
    let timeout = opcode::Timeout::new(half_a_second).build();
    for (question, first, flags) in [
        ("POLL_ADD, NOP drained", None, [DRAIN, NONE]),
        ("POLL_ADD, NOP linked to a NOP drained", None, [LINK, DRAIN]),
        ("TIMEOUT, NOP drained", Some(timeout), [DRAIN, NONE]),
    ] {
        let (reader, writer) = pipe()?;
        let mut ring = Ring::new()?;
        let first = first.unwrap_or_else(|| poll(Fd(reader.as_raw_fd())));
        let mut entries: Vec<Entry> = vec![first];
        entries.extend(flags.map(|flags| nop().flags(flags)));
        ring.submit(&entries)?;
        ring.submit(&[nop()])?;
        let before = ring.settle(0)?.len();
        File::from(writer).write_all(b"now")?;
        let after = ring.settle(4 - before)?.len();
        say(
            "drained,",
            &format!("{question}, NOP, and later a NOP"),
            &format!("{before}, then {after}"),
        )?;
    }
    let (reader, writer) = pipe()?;
    let mut writer = File::from(writer);
    let mut ring = Ring::new()?;
    let fd = Fd(reader.as_raw_fd());
    let multi = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true).build();
    ring.submit(&[multi, nop().flags(DRAIN)])?;
    writer.write_all(b"now")?;
    sleep(QUIET);
    let events = ring.settle(0)?.iter().filter(|(tag, _)| *tag == 2).count();
    let waits = if events == 0 { "the NOP waits" } else { "the NOP ran" };
    say("drained,", "POLL_ADD multishot that had an event, NOP drained", waits)?;

    let mut ring = Ring::new()?;
    ring.submit(&[fails(), nop().flags(DRAIN)])?;
    say("drained,", "CLOSE fails, NOP drained", &in_order(ring.settle(2)?))?;
    ring.submit(&[nop().flags(SKIP)])?;
    if !ring.settle(0)?.is_empty() {
        return say(
            "drained,",
            "NOP drained, in a ring that had a NOP skip",
            "this kernel skips nothing",
        );
    }
    ring.submit(&[nop().flags(DRAIN)])?;
    say("drained,", "NOP drained, in a ring that had a NOP skip", &word(ring.settle(1)?[0].1))
}
