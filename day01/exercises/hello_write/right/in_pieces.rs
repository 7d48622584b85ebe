use std::hint;

use io_uring::{IoUring, opcode, types};

fn main() {
    let line = std::env::args().nth(1).expect("a text") + "\n";
    let mut ring: IoUring =
        IoUring::builder().setup_sqpoll(50).build(4).expect("a ring");
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        let len = rest.len().min(5) as u32;
        let entry = opcode::Write::new(types::Fd(1), rest.as_ptr(), len)
            .offset(u64::MAX)
            .build();
        // SAFETY: `line` lives until the end, and we wait for the completion.
        unsafe { ring.submission().push(&entry).expect("room") };
        ring.submit().expect("a submit");
        let completion = loop {
            match ring.completion().next() {
                Some(completion) => break completion,
                None => hint::spin_loop(),
            }
        };
        let written = usize::try_from(completion.result())
            .expect("a write that succeeds");
        rest = &rest[written..];
    }
    eprintln!("{} bytes", line.len());
}
