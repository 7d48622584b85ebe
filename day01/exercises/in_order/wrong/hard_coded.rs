use std::io::Write;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut file = std::fs::OpenOptions::new().append(true).open(&args[0])?;
    for piece in &args[1..] {
        file.write_all(piece.as_bytes())?;
        println!("written");
    }
    Ok(())
}
