use std::io::Read;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    for tag in args.iter().skip(1) {
        println!("nop {tag}");
    }
    let mut bytes = [0; 4096];
    let length = args
        .first()
        .and_then(|path| std::fs::File::open(path).ok())
        .and_then(|mut fifo| fifo.read(&mut bytes).ok());
    println!("read {}", length.unwrap_or(0));
}
