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
    let mut context = 0_u64;
    // struct iocb: data, key/rw_flags, opcode|prio<<16|fd<<32, buf, nbytes, offset, ...
    let mut cb = [0_u64; 8];
    cb[2] = 1 | (1 << 32);
    cb[3] = line.as_ptr() as u64;
    cb[4] = line.len() as u64;
    let list = [cb.as_ptr()];
    let mut event = [0_i64; 4];
    // SAFETY: everything lives over the calls.
    let written = unsafe {
        assert!(libc::syscall(libc::SYS_io_setup, 4, &mut context) == 0);
        assert!(
            libc::syscall(libc::SYS_io_submit, context, 1, list.as_ptr()) == 1
        );
        libc::syscall(
            libc::SYS_io_getevents,
            context,
            1,
            1,
            event.as_mut_ptr(),
            0,
        );
        event[2]
    };
    if written != line.len() as i64 {
        std::process::exit(1);
    }
}
