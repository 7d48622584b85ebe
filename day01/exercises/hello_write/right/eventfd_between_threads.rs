use io_uring::{IoUring, opcode, types};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

fn main() {
    let line = format!("{}\n", std::env::args().nth(1).unwrap());
    // SAFETY: a new descriptor.
    let mut bell = unsafe { File::from_raw_fd(libc::eventfd(0, 0)) };
    let mut theirs = bell.try_clone().unwrap();
    let worker = std::thread::spawn(move || {
        let mut ring = IoUring::new(8).unwrap();
        let entry =
            opcode::Write::new(types::Fd(1), line.as_ptr(), line.len() as u32)
                .build();
        // SAFETY: the line lives in this thread until the completion.
        unsafe { ring.submission().push(&entry).unwrap() };
        ring.submit_and_wait(1).unwrap();
        let good =
            ring.completion().next().unwrap().result() == line.len() as i32;
        theirs.write_all(&(1 + u64::from(good)).to_ne_bytes()).unwrap();
    });
    let mut answer = [0; 8];
    bell.read_exact(&mut answer).unwrap();
    worker.join().unwrap();
    std::process::exit(if u64::from_ne_bytes(answer) == 2 { 0 } else { 1 });
}
