fn main() {
    for tag in std::env::args().skip(1) {
        println!("{tag}");
    }
}
