fn main() {
    if let Some(tag) = std::env::args().nth(1) {
        println!("{tag}");
    }
}
