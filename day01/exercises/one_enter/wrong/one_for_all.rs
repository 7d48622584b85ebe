// expect: E-NO-ENTRY
// why: One NOP with the first tag, one call; the other tags never went to the kernel.

use io_uring::{IoUring, opcode};

fn main() -> anyhow::Result<()> {
    let tags: Vec<String> = std::env::args().skip(1).collect();
    let mut ring = IoUring::new(8)?;
    let entry = opcode::Nop::new().build().user_data(tags[0].parse()?);
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&entry) }?;
    ring.submit_and_wait(1)?;
    ring.completion().next().expect("a completion");
    println!("{}", tags.join("\n"));
    Ok(())
}
