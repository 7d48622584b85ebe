//! Writes the file by one plain write.

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    std::fs::write(&args[0], args[1..].concat())
}
