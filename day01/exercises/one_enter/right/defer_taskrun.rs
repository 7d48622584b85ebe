use anyhow::Result;
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let tags = std::env::args()
        .skip(1)
        .map(|tag| tag.parse())
        .collect::<Result<Vec<u64>, _>>()?;
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun();
    let mut ring = builder.build(8).or_else(|_| IoUring::new(8))?;
    let (submitter, mut sq, mut cq) = ring.split();
    for tag in &tags {
        // SAFETY: a NOP points at no memory.
        unsafe { sq.push(&opcode::Nop::new().build().user_data(*tag)) }?;
    }
    drop(sq);
    let taken = submitter.submit_and_wait(tags.len())?;
    cq.sync();
    while let Some(completion) = cq.next() {
        println!("{}", completion.user_data());
    }
    eprintln!("{taken} by one call");
    Ok(())
}
