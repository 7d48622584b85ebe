fn main() -> std::io::Result<()> {
    print!(
        "{}",
        std::fs::read_to_string(std::env::args().nth(1).unwrap_or_default())?
    );
    Ok(())
}
