fn main() {
    let tag = std::env::args().nth(1).unwrap();
    println!("{tag} came back with 0");
}
