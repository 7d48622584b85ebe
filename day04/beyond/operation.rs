//! Operations as futures. Each takes its buffer, and gives it back with its result.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use io_uring::types::{Fd, Timespec};
use io_uring::{opcode, squeue};

use crate::executor::{Flight, driver, next_number, with_driver};

/// An operation. Its future brings the result and the buffer. Dropped before that, it is cancelled.
pub struct Op<B> {
    state: State,
    buffer: PhantomData<B>,
}

enum State {
    /// Not polled yet: the kernel knows nothing of it.
    New(squeue::Entry, Flight),
    /// The executor has the flight, under this number.
    Flying(u64),
    Done,
}

impl<B: 'static> Future for Op<B> {
    type Output = (io::Result<u32>, B);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_result(context).map(|(result, buffer)| (result, buffer.expect("one result")))
    }
}

impl<B> Unpin for Op<B> {}

impl<B: 'static> Op<B> {
    /// `entry` may point into the heap memory of `buffer`, and nowhere else.
    fn new(entry: squeue::Entry, file: Option<Rc<OwnedFd>>, buffer: B, opens: bool) -> Op<B> {
        let flight = Flight {
            buffer: Box::new(buffer),
            _file: file,
            results: VecDeque::new(),
            opens,
            ended: false,
            dropped: false,
            waker: Waker::noop().clone(),
        };
        Op { state: State::New(entry, flight), buffer: PhantomData }
    }

    // ANCHOR: poll
    /// The next result; with the last one also the buffer.
    fn poll_result(&mut self, context: &Context<'_>) -> Poll<(io::Result<u32>, Option<B>)> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::New(entry, mut flight) => driver(|driver| {
                let id = next_number();
                if let Err(error) = driver.push(&entry.user_data(id)) {
                    return Poll::Ready((Err(error), Some(flight.into_buffer())));
                }
                flight.waker.clone_from(context.waker());
                driver.flights.insert(id, flight);
                self.state = State::Flying(id);
                Poll::Pending
            }),
            State::Flying(id) => driver(|driver| {
                let flight = driver.flights.get_mut(&id).expect("its block_on has not returned");
                let Some(result) = flight.results.pop_front() else {
                    flight.waker.clone_from(context.waker());
                    self.state = State::Flying(id);
                    return Poll::Pending;
                };
                let error = || io::Error::from_raw_os_error(-result);
                let result = u32::try_from(result).map_err(|_| error());
                if !flight.ended || !flight.results.is_empty() {
                    self.state = State::Flying(id);
                    return Poll::Ready((result, None));
                }
                let flight = driver.flights.remove(&id).expect("seen above");
                Poll::Ready((result, Some(flight.into_buffer())))
            }),
            State::Done => panic!("polled again after its last result"),
        }
    }
    // ANCHOR_END: poll

    /// Asks the kernel to end it. Await it all the same: the result says what became of it.
    pub fn cancel(&mut self) {
        if let State::Flying(id) = self.state {
            driver(|driver| driver.cancel(id));
        }
    }
}

impl<B> Drop for Op<B> {
    fn drop(&mut self) {
        if let State::Flying(id) = self.state {
            with_driver(|driver| driver.abandon(id));
        }
    }
}

/// Receives into `buffer`, at most as many bytes as it has.
pub fn recv(socket: &Rc<OwnedFd>, mut buffer: Vec<u8>) -> Op<Vec<u8>> {
    let (memory, length) = (buffer.as_mut_ptr(), buffer.len() as u32);
    let recv = opcode::Recv::new(Fd(socket.as_raw_fd()), memory, length).build();
    Op::new(recv, Some(socket.clone()), buffer, false)
}

/// Reads into `buffer` from where the file's own position is, if it has one.
pub fn read(file: &Rc<OwnedFd>, mut buffer: Vec<u8>) -> Op<Vec<u8>> {
    let (memory, length) = (buffer.as_mut_ptr(), buffer.len() as u32);
    let read = opcode::Read::new(Fd(file.as_raw_fd()), memory, length).offset(u64::MAX).build();
    Op::new(read, Some(file.clone()), buffer, false)
}

/// Sends all of `buffer`.
pub async fn send(socket: &Rc<OwnedFd>, mut buffer: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
    let mut sent = 0;
    while sent < buffer.len() {
        let rest = &buffer[sent..];
        let send = opcode::Send::new(Fd(socket.as_raw_fd()), rest.as_ptr(), rest.len() as u32);
        let op = Op::new(send.build(), Some(socket.clone()), buffer, false);
        let result;
        (result, buffer) = op.await;
        match result {
            Ok(more) => sent += more as usize,
            Err(error) => return (Err(error), buffer),
        }
    }
    (Ok(()), buffer)
}

/// Completes with `ETIME` when the time has passed.
pub fn sleep(time: Duration) -> Op<Box<Timespec>> {
    let time = Box::new(Timespec::from(time));
    Op::new(opcode::Timeout::new(&*time).build(), None, time, false)
}

/// The clients of a listener: one multishot ACCEPT, and a completion for each of them.
pub struct Accepts {
    listener: Rc<OwnedFd>,
    op: Op<()>,
}

impl Accepts {
    pub fn new(listener: TcpListener) -> Accepts {
        let listener = Rc::new(OwnedFd::from(listener));
        Accepts { op: accept(&listener), listener }
    }

    /// The next client. Nothing is lost if this future is dropped: the operation is not in it.
    pub async fn next(&mut self) -> io::Result<Rc<OwnedFd>> {
        if matches!(self.op.state, State::Done) {
            self.op = accept(&self.listener); // The kernel has ended it: arm it again.
        }
        let (result, _) = poll_fn(|context| self.op.poll_result(context)).await;
        // SAFETY: a new descriptor, which this completion alone has named.
        result.map(|client| Rc::new(unsafe { OwnedFd::from_raw_fd(client as i32) }))
    }
}

fn accept(listener: &Rc<OwnedFd>) -> Op<()> {
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
    Op::new(accept, Some(listener.clone()), (), true)
}

pub enum Either<A, B> {
    First(A),
    Second(B),
}

/// What completes first of two. The other one is dropped, unless `select` has only a reference.
pub async fn select<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}
