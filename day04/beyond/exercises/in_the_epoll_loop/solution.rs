//! in_the_epoll_loop: prints what comes through some FIFOs.
//!
//! `in_the_epoll_loop FIFO FIFO…` waits for the first one in an epoll loop, as
//! an old program does, and reads the others by a ring in that loop.
//!
//! Run it: `cargo run --bin in_the_epoll_loop -- /tmp/a /tmp/b`

use std::env;
use std::fs::File;
use std::io::{Read, Write, stdout};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, types::Fd};
use nix::sys::epoll::{self, Epoll, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// The most that one read takes.
const PIECE: usize = 64;
/// `IORING_ENTER_GETEVENTS`: a flag of io_uring_enter.
const GETEVENTS: u32 = 1;
/// The epoll data of the first FIFO, and that of the ring's eventfd.
const FIRST: u64 = 0;
const RING: u64 = 1;

fn main() -> Result<()> {
    let mut files = Vec::new();
    for path in env::args().skip(1) {
        files.push(File::open(&path).context(path)?);
    }
    ensure!(files.len() > 1, "usage: in_the_epoll_loop FIFO FIFO…");
    let mut open = files.len();
    let mut first = files.remove(0);
    let mut fifos = Fifos::new(files)?;

    let epoll = Epoll::new(epoll::EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&first, EpollEvent::new(EpollFlags::EPOLLIN, FIRST))?;
    epoll.add(&fifos.eventfd, EpollEvent::new(EpollFlags::EPOLLIN, RING))?;
    while open > 0 {
        let mut events = [EpollEvent::empty(); 2];
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            if event.data() == RING {
                open -= fifos.print_all()?;
                continue;
            }
            let mut piece = [0; PIECE];
            let length = first.read(&mut piece)?;
            stdout().write_all(&piece[..length])?;
            if length == 0 {
                epoll.delete(&first)?;
                open -= 1;
            }
        }
    }
    Ok(())
}

/// FIFOs that a ring reads. Its eventfd says when it has something.
struct Fifos {
    ring: IoUring,
    eventfd: EventFd,
    files: Vec<File>,
    pieces: &'static mut [[u8; PIECE]],
}

impl Fifos {
    fn new(files: Vec<File>) -> Result<Fifos> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(64)?;
        let eventfd = EventFd::from_flags(EfdFlags::EFD_NONBLOCK)?;
        ring.submitter().register_eventfd(eventfd.as_raw_fd())?;
        let pieces = vec![[0; PIECE]; files.len()].leak();
        let mut fifos = Fifos { ring, eventfd, files, pieces };
        for nth in 0..fifos.files.len() {
            fifos.add(nth)?;
        }
        fifos.ring.submit()?;
        Ok(fifos)
    }

    /// Prints what has come. The number of the FIFOs that have ended.
    fn print_all(&mut self) -> Result<usize> {
        self.eventfd.read()?; // first: what comes after it signals again
        let submitter = self.ring.submitter();
        // SAFETY: it submits nothing, and has no argument.
        unsafe { submitter.enter::<libc::sigset_t>(0, 0, GETEVENTS, None) }?;
        //                                               ^^^^^^^^^ or the kernel
        //                                               keeps them
        let done: Vec<_> = self.ring.completion().collect();
        //                                        ^^^^^^^^^ a signal is no count
        let mut ended = 0;
        for completion in done {
            let (nth, result) = (completion.user_data(), completion.result());
            ensure!(result >= 0, "READ: {result}");
            let (nth, length) = (nth as usize, result as usize);
            stdout().write_all(&self.pieces[nth][..length])?;
            if length == 0 {
                ended += 1;
            } else {
                self.add(nth)?;
            }
        }
        self.ring.submit()?;
        Ok(ended)
    }

    /// Pushes a READ of a FIFO.
    fn add(&mut self, nth: usize) -> Result<()> {
        let (fd, piece) = (self.files[nth].as_raw_fd(), &mut self.pieces[nth]);
        let read = opcode::Read::new(Fd(fd), piece.as_mut_ptr(), PIECE as u32)
            .offset(u64::MAX)
            .build()
            .user_data(nth as u64);
        // SAFETY: the piece is never freed, and has one READ at a time.
        unsafe { self.ring.submission().push(&read) }?;
        Ok(())
    }
}
