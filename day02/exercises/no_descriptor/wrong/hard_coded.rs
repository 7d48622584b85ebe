// expect: E-NO-RING
// why: Prints the file, and has no ring.

fn main() -> std::io::Result<()> {
    print!("{}", std::fs::read_to_string(std::env::args().nth(1).unwrap_or_default())?);
    Ok(())
}
