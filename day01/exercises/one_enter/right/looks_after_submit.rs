use io_uring::{IoUring, opcode};

fn main() -> anyhow::Result<()> {
    let tags: Vec<u64> =
        std::env::args().skip(1).map(|tag| tag.parse().unwrap()).collect();
    let mut ring = IoUring::new(256)?;
    let entries: Vec<_> = tags
        .iter()
        .map(|tag| opcode::Nop::new().build().user_data(*tag))
        .collect();
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push_multiple(&entries) }?;
    ring.submit()?;
    let mut come = Vec::new();
    while come.len() < tags.len() {
        come.extend(ring.completion().map(|completion| completion.user_data()));
    }
    come.sort_unstable();
    for tag in come.iter().rev() {
        println!("{tag}");
    }
    Ok(())
}
