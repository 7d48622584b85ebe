fn main() -> anyhow::Result<()> {
    let ring = io_uring::IoUring::new(8)?;
    ring.submitter().register_ring_fd()?;
    println!("{} NOPs sent", std::env::args().nth(1).unwrap_or_default());
    Ok(())
}
