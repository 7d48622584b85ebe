fn main() {
    let burst = std::env::args().nth(1).unwrap_or_default();
    std::thread::sleep(std::time::Duration::from_millis(500));
    println!("{burst} NOPs, twice");
}
