// expect: E-HANG-WAIT
// why: Waits for more completions than there are operations.

use io_uring::{IoUring, opcode};

fn main() -> anyhow::Result<()> {
    let mut ring = IoUring::new(8)?;
    for tag in std::env::args().skip(1) {
        let entry = opcode::Nop::new().build().user_data(tag.parse()?);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit_and_wait(9)?;
    for completion in ring.completion() {
        println!("{}", completion.user_data());
    }
    Ok(())
}
