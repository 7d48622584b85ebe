fn main() {
    let sizes: Vec<u32> =
        std::env::args().skip(1).map(|size| size.parse().unwrap()).collect();
    // `struct io_uring_params`: sq_entries, cq_entries, flags (CQSIZE and CLAMP), and more.
    let mut params = [0_u32; 30];
    (params[1], params[2]) = (sizes[1], 1 << 3 | 1 << 4);
    // SAFETY: the kernel reads and writes the 120 bytes of `params` before it returns.
    let fd = unsafe {
        libc::syscall(libc::SYS_io_uring_setup, sizes[0], params.as_mut_ptr())
    };
    if fd < 0 {
        eprintln!("granted: {}", std::io::Error::last_os_error());
        std::process::exit(2);
    }
    println!("sq {} cq {}", params[0], params[1]);
}
