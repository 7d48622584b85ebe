use anyhow::Result;
use common::listener::Listener;
use io_uring::{IoUring, cqueue, opcode, squeue, types};

fn main() -> Result<()> {
    let mut ring = IoUring::builder().setup_sqpoll(50).build(8)?;
    ring.submitter().register_files_sparse(16)?;
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    println!("listening on {}", listener.address());

    let accept = opcode::AcceptMulti::new(types::Fd(listener.fd()))
        .allocate_file_index(true)
        .build()
        .user_data(7);
    // SAFETY: the entry points at no memory; the listener outlives the ring's use.
    unsafe { ring.submission().push(&accept)? };

    loop {
        ring.submit_and_wait(1)?;
        let completions: Vec<cqueue::Entry> = ring.completion().collect();
        for completion in completions.iter().filter(|it| it.user_data() == 7) {
            let slot = types::Fixed(u32::try_from(completion.result())?);
            let shutdown = opcode::Shutdown::new(slot, libc::SHUT_WR).build();
            let chain = [
                shutdown.flags(squeue::Flags::IO_HARDLINK),
                opcode::Close::new(slot).build(),
            ];
            // SAFETY: the entries point at no memory.
            unsafe { ring.submission().push_multiple(&chain)? };
            ring.submit()?;
        }
    }
}
