fn main() {
    for number in std::env::args().skip(1) {
        println!("{number}");
    }
}
