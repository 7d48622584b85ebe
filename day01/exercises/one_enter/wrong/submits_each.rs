// expect: E-ENTERS
// why: Waits only once, but still submits every entry by a call of its own.

use io_uring::{IoUring, opcode};

fn main() -> anyhow::Result<()> {
    let mut ring = IoUring::new(8)?;
    for tag in std::env::args().skip(1) {
        let entry = opcode::Nop::new().build().user_data(tag.parse()?);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
        ring.submit()?;
    }
    ring.submit_and_wait(8)?;
    for completion in ring.completion() {
        println!("{}", completion.user_data());
    }
    Ok(())
}
