use std::process::ExitCode;

use io_uring::{IoUring, opcode, types};

fn main() -> ExitCode {
    let text = std::env::args().nth(1).unwrap();
    let part = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let parts = [part(text.as_bytes()), part(b"\n")];
    let mut ring = IoUring::new(32).unwrap();
    let entry = opcode::Writev::new(types::Fd(1), parts.as_ptr(), 2)
        .build()
        .user_data(7);
    // SAFETY: text and parts live until the completion, for which we wait.
    unsafe { ring.submission().push(&entry).unwrap() };
    ring.submit_and_wait(1).unwrap();
    for completion in ring.completion() {
        if completion.result() != text.len() as i32 + 1 {
            eprintln!("hello_write: {}", completion.result());
            return ExitCode::from(3);
        }
    }
    ExitCode::SUCCESS
}
