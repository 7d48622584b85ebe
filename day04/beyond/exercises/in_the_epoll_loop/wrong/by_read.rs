//! in_the_epoll_loop: prints what comes through some FIFOs.
//!
//! `in_the_epoll_loop FIFO FIFO…` waits for the first one in an epoll loop, as
//! an old program does, and reads the others by a ring in that loop.
//!
//! Run it: `cargo run --bin in_the_epoll_loop -- /tmp/a /tmp/b`

use std::env;
use std::fs::File;
use std::io::{Read, Write, stdout};

use anyhow::{Context, Result};
use io_uring::IoUring;
use nix::sys::epoll::{self, Epoll, EpollEvent, EpollFlags, EpollTimeout};

fn main() -> Result<()> {
    let _ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(64)?;
    let mut files = Vec::new();
    let epoll = Epoll::new(epoll::EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (nth, path) in env::args().skip(1).enumerate() {
        let file = File::open(&path).context(path)?;
        epoll.add(&file, EpollEvent::new(EpollFlags::EPOLLIN, nth as u64))?;
        files.push(file);
    }
    let mut open = files.len();
    while open > 0 {
        let mut events = [EpollEvent::empty(); 8];
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            let file = &mut files[event.data() as usize];
            let mut piece = [0; 64];
            let length = file.read(&mut piece)?;
            stdout().write_all(&piece[..length])?;
            if length == 0 {
                epoll.delete(&*file)?;
                open -= 1;
            }
        }
    }
    Ok(())
}
