use io_uring::{IoUring, opcode};

fn main() -> anyhow::Result<()> {
    let mut ring: IoUring = IoUring::builder().setup_sqpoll(1000).build(8)?;
    let mut left = 0;
    for tag in std::env::args().skip(1) {
        // SAFETY: a NOP points at no memory.
        unsafe {
            ring.submission()
                .push(&opcode::Nop::new().build().user_data(tag.parse()?))
        }?;
        left += 1;
    }
    ring.submit()?;
    while left > 0 {
        for completion in ring.completion() {
            println!("{}", completion.user_data());
            left -= 1;
        }
        std::thread::yield_now();
    }
    Ok(())
}
