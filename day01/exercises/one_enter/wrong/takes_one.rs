// expect: E-NOT-REAPED
// why: Takes the first completion and prints the other tags from its own arguments.

use io_uring::{IoUring, opcode};

fn main() -> anyhow::Result<()> {
    let tags: Vec<String> = std::env::args().skip(1).collect();
    let mut ring = IoUring::new(8)?;
    for tag in &tags {
        let entry = opcode::Nop::new().build().user_data(tag.parse()?);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit_and_wait(8)?;
    ring.completion().next().expect("a completion");
    println!("{}", tags.join("\n"));
    Ok(())
}
