fn main() {
    let mut args =
        std::env::args().skip(1).map(|arg| arg.parse::<u64>().unwrap());
    let (count, first) = (args.next().unwrap(), args.next().unwrap());
    for tag in first..first + count {
        println!("{tag}");
    }
}
