//! A sparse table, and files in its slots.

use std::fmt::Display;
use std::fs;
use std::io;

use anyhow::Result;
use common::environment::errno_name;
use common::memory::forever;
use common::ring;
use io_uring::{IoUring, opcode, squeue, types};

use super::{ENTRIES, interruptible, or_say_why, plain_ring};
use crate::report::Section;

/// Slots of the table: as many as the queue has entries.
const SLOTS: u32 = ENTRIES;

/// A slot of a registered table is named by its index and is not a descriptor. A file that an
/// operation puts there never appears in the process's own table.
pub fn slots() -> Result<Section> {
    let mut step = Section::new("A sparse table: files in slots, and no descriptor");
    let mut ring = plain_ring()?;
    let shown = fill_and_empty(&mut step, &mut ring);
    or_say_why(&mut step, "empty slots (5.19)", shown)?;
    Ok(step)
}

fn fill_and_empty(step: &mut Section, ring: &mut IoUring) -> Result<()> {
    // ANCHOR: register
    let registered = ring.submitter().register_files_sparse(SLOTS);
    // ANCHOR_END: register
    registered.map_err(|error| ring::table_refusal(SLOTS, &error))?;
    step.row(format!("{SLOTS} empty slots (5.19)"), "registered");
    let before = descriptors()?;
    step.row("/proc/self/fd", list(&before));

    // ANCHOR: open
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"/proc/self/comm".as_ptr())
        .file_index(Some(types::DestinationSlot::auto_target()))
        .build();
    // ANCHOR_END: open
    // SAFETY: the entries point at a path that lives as long as the program.
    let (enters, mut filled) = unsafe { submit(ring, &vec![open.clone(); SLOTS as usize]) }?;
    filled.sort_unstable();
    step.row_with_enters(
        format!("{SLOTS} × OpenAt into a slot"),
        enters,
        format!("in slots {}", list(&filled)),
    );
    // SAFETY: the same path.
    let (enters, ninth) = unsafe { submit(ring, &[open]) }?;
    step.row_with_enters("one more", enters, format!("{}: the table is full", answer(ninth[0])));

    step.row("/proc/self/fd", list(&descriptors()?));
    read(step, ring, &before)?;

    let close = |slot| opcode::Close::new(types::Fixed(slot)).build();
    // SAFETY: the entries point at no memory.
    let (enters, closed) = unsafe { submit(ring, &(0..SLOTS).map(close).collect::<Vec<_>>()) }?;
    let failed = closed.iter().find(|result| **result < 0);
    let closed = failed.map_or("closed".to_string(), |result| answer(*result));
    step.row_with_enters(format!("{SLOTS} × Close of a slot"), enters, closed);
    step.row("/proc/self/fd", list(&descriptors()?));
    Ok(())
}

/// Reads from a slot, and from the descriptor of the same number.
fn read(step: &mut Section, ring: &mut IoUring, descriptors: &[u32]) -> Result<()> {
    // A number that is not an open descriptor, so that the plain read cannot take real input.
    let Some(slot) = (0..SLOTS).rev().find(|slot| !descriptors.contains(slot)) else {
        return Ok(());
    };
    let bytes = forever([0u8; 32]);
    let (address, len) = (bytes.as_mut_ptr(), bytes.len() as u32);

    // ANCHOR: read
    let fixed = opcode::Read::new(types::Fixed(slot), address, len).build();
    // SAFETY: the kernel may write to `bytes` until the read completes. They are never freed,
    // and nothing looks at them unless `submit` has seen the completion.
    let (enters, results) = unsafe { submit(ring, &[fixed]) }?;
    let text = bytes[..results[0].max(0) as usize].escape_ascii();
    step.row_with_enters(
        format!("Read, types::Fixed({slot})"),
        enters,
        format!("{} bytes, \"{text}\"", results[0]),
    );

    let (address, len) = (bytes.as_mut_ptr(), bytes.len() as u32);
    let plain = opcode::Read::new(types::Fd(slot as i32), address, len).build();
    // SAFETY: as for the read before it.
    let (enters, results) = unsafe { submit(ring, &[plain]) }?;
    // ANCHOR_END: read
    step.row_with_enters(
        format!("Read, types::Fd({slot})"),
        enters,
        format!("{}: Fd is a descriptor; Fd(0) is stdin", answer(results[0])),
    );
    Ok(())
}

/// Submits entries and waits for the completions of all. Returns how many `io_uring_enter` it
/// took, and the results in the order of the entries.
///
/// # Safety
/// The memory that the entries point at must stay valid until their last completion. This
/// function returns after that, but not if it fails: then they may still be in flight.
unsafe fn submit(ring: &mut IoUring, entries: &[squeue::Entry]) -> Result<(u32, Vec<i32>)> {
    for (index, entry) in (0..).zip(entries) {
        // SAFETY: passed on to our caller.
        unsafe { ring.submission().push(&entry.clone().user_data(index)) }?;
    }
    let mut enters = 0;
    while ring.completion().len() < entries.len() {
        enters += interruptible(ring.submit_and_wait(entries.len()))?;
    }
    let mut results = vec![0; entries.len()];
    for completion in ring.completion() {
        results[completion.user_data() as usize] = completion.result();
    }
    Ok((enters, results))
}

/// A completion's result: a number, or the error's name.
fn answer(result: i32) -> String {
    if result < 0 { errno_name(&io::Error::from_raw_os_error(-result)) } else { result.to_string() }
}

/// The process's descriptors.
fn descriptors() -> io::Result<Vec<u32>> {
    let numbers: Vec<u32> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // Listing takes a descriptor itself, closed by now.
    let open = |number: &u32| fs::read_link(format!("/proc/self/fd/{number}")).is_ok();
    let mut numbers: Vec<u32> = numbers.into_iter().filter(open).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn list(numbers: &[impl Display]) -> String {
    numbers.iter().map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}
