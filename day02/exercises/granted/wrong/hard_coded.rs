fn main() {
    let sizes: Vec<u32> =
        std::env::args().skip(1).map(|size| size.parse().unwrap()).collect();
    let sq = sizes[0].next_power_of_two().min(32768);
    let cq = sizes[1].next_power_of_two().min(65536);
    if cq < sq {
        std::process::exit(1);
    }
    println!("sq {sq} cq {cq}");
}
