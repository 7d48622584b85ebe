//! Reads the files by plain calls.

fn main() -> std::io::Result<()> {
    for name in std::env::args().skip(1) {
        let text = std::fs::read_to_string(name)?;
        println!("{}", text.lines().next().unwrap_or_default());
    }
    Ok(())
}
