//! Writes and flushes the file by plain calls.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut file = std::fs::File::create(&args[0])?;
    file.write_all(args[1].as_bytes())?;
    file.sync_all()?;
    println!("durable");
    Ok(())
}
