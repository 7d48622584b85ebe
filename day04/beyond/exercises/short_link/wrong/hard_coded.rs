//! Copies by plain calls.

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    std::fs::copy(&args[0], &args[1])?;
    Ok(())
}
