use io_uring::{IoUring, opcode};
use std::sync::Arc;
use std::time::Duration;

fn main() {
    let tags: Vec<u64> =
        std::env::args().skip(1).map(|tag| tag.parse().unwrap()).collect();
    let ring = Arc::new(IoUring::new(8).unwrap());
    let theirs = Arc::clone(&ring);
    std::thread::spawn(move || {
        // Waits for more than will ever come.
        let _ = theirs.submitter().submit_and_wait(99);
    });
    std::thread::sleep(Duration::from_millis(50));
    for tag in &tags {
        let nop = opcode::Nop::new().build().user_data(*tag);
        // SAFETY: only this thread uses the submission queue.
        unsafe { ring.submission_shared().push(&nop).unwrap() };
    }
    ring.submitter().submit().unwrap();
    let mut left = tags.len();
    while left > 0 {
        // SAFETY: only this thread uses the completion queue.
        for it in unsafe { ring.completion_shared() } {
            println!("{}", it.user_data());
            left -= 1;
        }
    }
}
