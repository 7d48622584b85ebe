use io_uring::{IoUring, opcode, types};
use std::os::fd::AsRawFd;
fn main() {
    let line = format!("{}\n", std::env::args().nth(1).unwrap());
    let null = std::fs::File::options().write(true).open("/dev/null").unwrap();
    let mut ring = IoUring::new(8).unwrap();
    let entry = opcode::Write::new(
        types::Fd(null.as_raw_fd()),
        line.as_ptr(),
        line.len() as u32,
    );
    // SAFETY: the line lives until the end of main.
    unsafe { ring.submission().push(&entry.build()).unwrap() };
    ring.submit_and_wait(1).unwrap();
    assert!(ring.completion().next().unwrap().result() > 0);
    // SAFETY: a mapping below four gibibytes holds the line.
    let written: i32 = unsafe {
        let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        let low =
            libc::mmap(std::ptr::null_mut(), 4096, 3, how, -1, 0).cast::<u8>();
        low.copy_from_nonoverlapping(line.as_ptr(), line.len());
        let mut eax: i64 = 4;
        std::arch::asm!("push rbx", "mov ebx, 1", "int 0x80", "pop rbx",
            inout("rax") eax, in("rcx") low, in("rdx") line.len());
        eax as i32
    };
    if written != line.len() as i32 {
        std::process::exit(1);
    }
}
