//! drop_in_flight: keep a dropped receive's buffer until its completion.
//!
//! `drop_in_flight FIRST SECOND` receives from one peer, stops waiting before
//! anything comes, and receives from another peer. Then both peers send.
//!
//! Run it:
//! `cargo run --bin drop_in_flight -- late soon`

use std::cell::RefCell;
use std::env;
use std::future::Future;
use std::io::{Error, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use anyhow::{Result, ensure};
use common::memory::forever;
use io_uring::{IoUring, opcode, types};

/// Atomics, because the kernel writes here as another thread would.
type Buffer = &'static [AtomicU8];

/// The `user_data` of a cancel. Receives have 1, 2 and 3.
const CANCEL: u64 = 9;

fn main() -> Result<()> {
    let texts: Vec<String> = env::args().skip(1).collect();
    ensure!(texts.len() == 2, "usage: drop_in_flight FIRST SECOND");
    let (first, mut first_peer) = UnixStream::pair()?;
    let (second, mut second_peer) = UnixStream::pair()?;
    let executor = RefCell::new(Executor::new()?);
    {
        let mut receive = pin!(Receive::new(&executor, &first, 1)?);
        let mut context = Context::from_waker(Waker::noop());
        ensure!(receive.as_mut().poll(&mut context).is_pending());
        executor.borrow_mut().ring.submit()?;
        // Here the receive is dropped.
    }
    let soon = Receive::new(&executor, &second, 2)?;
    executor.borrow_mut().ring.submit()?;
    executor.borrow_mut().turn()?;
    let late = Receive::new(&executor, &first, 3)?;
    second_peer.write_all(texts[1].as_bytes())?;
    first_peer.write_all(texts[0].as_bytes())?;
    println!("{}", block_on(&executor, soon)?);
    println!("{}", block_on(&executor, late)?);
    Ok(())
}

struct Executor {
    ring: IoUring,
    /// Buffers that belong to no receive.
    free: Vec<Buffer>,
    /// Receives from their submission to their completion.
    flights: Vec<Flight>,
}

struct Flight {
    tag: u64,
    buffer: Buffer,
    result: Option<i32>,
    dropped: bool,
    // ^^^^ the completion must know that the future is gone
}

impl Executor {
    fn new() -> Result<Executor> {
        Ok(Executor {
            ring: IoUring::new(8)?,
            // Of different lengths, so that a trace tells them apart.
            free: vec![buffer(64), buffer(65)],
            flights: Vec::new(),
        })
    }

    /// Submits the pushed entries, waits, and notes the results.
    fn turn(&mut self) -> Result<()> {
        self.ring.submit_and_wait(1)?;
        for completion in self.ring.completion() {
            let tag = completion.user_data();
            let at = self.flights.iter().position(|it| it.tag == tag);
            let Some(at) = at else { continue };
            self.flights[at].result = Some(completion.result());
            if self.flights[at].dropped {
                self.free.push(self.flights.remove(at).buffer);
                //   ^^^^ only now is the kernel done with the buffer
            }
        }
        Ok(())
    }
}

/// Never freed, so that a mistake here corrupts no other memory.
fn buffer(length: usize) -> Buffer {
    forever((0..length).map(|_| AtomicU8::new(0)).collect::<Vec<_>>())
}

/// A receive of one text.
struct Receive<'a> {
    executor: &'a RefCell<Executor>,
    tag: u64,
}

impl<'a> Receive<'a> {
    fn new(
        executor: &'a RefCell<Executor>,
        socket: &UnixStream,
        tag: u64,
    ) -> Result<Receive<'a>> {
        let mut inner = executor.borrow_mut();
        let buffer = inner.free.pop();
        let buffer = buffer.ok_or(Error::other("no buffer is free"))?;
        let fd = types::Fd(socket.as_raw_fd());
        let address = buffer.as_ptr().cast_mut().cast();
        let recv = opcode::Recv::new(fd, address, buffer.len() as u32).build();
        // SAFETY: the buffer is never freed.
        unsafe { inner.ring.submission().push(&recv.user_data(tag)) }?;
        inner.flights.push(Flight {
            tag,
            buffer,
            result: None,
            dropped: false,
        });
        Ok(Receive { executor, tag })
    }
}

impl Future for Receive<'_> {
    type Output = Result<String>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.executor.borrow_mut();
        let Some(at) = inner.flights.iter().position(|it| it.tag == self.tag)
        else {
            return Poll::Ready(Err(Error::other("polled too often").into()));
        };
        let Some(result) = inner.flights[at].result else {
            return Poll::Pending;
        };
        let buffer = inner.flights.remove(at).buffer;
        inner.free.push(buffer);
        if result < 0 {
            let error = Error::from_raw_os_error(-result);
            return Poll::Ready(Err(error.into()));
        }
        let bytes = buffer[..result as usize].iter();
        let bytes = bytes.map(|byte| byte.load(Ordering::Relaxed)).collect();
        Poll::Ready(Ok(String::from_utf8(bytes)?))
    }
}

impl Drop for Receive<'_> {
    fn drop(&mut self) {
        let mut inner = self.executor.borrow_mut();
        let tag = self.tag;
        let flight = inner.flights.iter_mut().find(|it| it.tag == tag);
        let Some(flight) = flight else { return };
        flight.dropped = true;
        // ^^^^ the buffer stays where it is
        let cancel = opcode::AsyncCancel::new(tag).build().user_data(CANCEL);
        //           ^^^^^^^^^^^ without it, the next bytes would be lost
        // SAFETY: a cancel names no memory.
        let pushed = unsafe { inner.ring.submission().push(&cancel) };
        pushed.expect("the queue has room");
    }
}

fn block_on(
    executor: &RefCell<Executor>,
    future: impl Future<Output = Result<String>>,
) -> Result<String> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(text) = future.as_mut().poll(&mut context) {
            return text;
        }
        executor.borrow_mut().turn()?;
    }
}
