//! `beyond/executor.rs` and `beyond/operation.rs`: nothing that the kernel uses is lost or freed,
//! whatever happens to a future.

use std::fs::File;
use std::future::{pending, ready};
use std::io::{ErrorKind, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use testkit::{PATIENCE, io_uring_or_skip, skipped};

use self::executor::{block_on, driver, spawn};
use self::operation::{Accepts, Either, Op, read, recv, select, send, sleep};

#[path = "../beyond/executor.rs"]
mod executor;
#[path = "../beyond/operation.rs"]
mod operation;

/// A socket for the executor, and the peer's end.
fn pair() -> (Rc<OwnedFd>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(PATIENCE)).unwrap();
    (Rc::new(OwnedFd::from(ours)), theirs)
}

fn in_flight() -> usize {
    driver(|driver| driver.flights.len())
}

/// Runs a test in the executor, with a socket and its peer; says aloud if it cannot.
fn with_a_socket(test: &str, run: impl AsyncFnOnce(Rc<OwnedFd>, UnixStream)) {
    if io_uring_or_skip(test) {
        let (socket, peer) = pair();
        block_on(run(socket, peer)).unwrap();
    }
}

/// Polls the operation once, which pushes it.
async fn start<B: 'static>(op: &mut Op<B>) {
    assert!(matches!(select(op, ready(())).await, Either::Second(())));
}

/// One turn of the executor and a little more: after that, the kernel has what was pushed.
async fn a_moment() {
    let (result, _) = sleep(Duration::from_millis(5)).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ETIME));
}

#[test]
fn a_dropped_receive_has_its_buffer_until_its_completion() {
    let test = "a_dropped_receive_has_its_buffer_until_its_completion";
    with_a_socket(test, async |socket, mut peer| {
        let mut op = recv(&socket, vec![0; 8]);
        start(&mut op).await;
        a_moment().await;
        drop(op);
        assert_eq!(in_flight(), 1, "the buffer and its operation");
        a_moment().await;
        assert_eq!(in_flight(), 0, "cancelled");
        peer.write_all(b"later").unwrap();
        let (received, buffer) = recv(&socket, vec![0; 8]).await;
        assert_eq!((received.unwrap(), &buffer[..5]), (5, &b"later"[..]));
    });
}

#[test]
fn a_dropped_receive_has_its_file_until_its_completion() {
    let test = "a_dropped_receive_has_its_file_until_its_completion";
    with_a_socket(test, async |socket, mut peer| {
        // Pushed and not submitted: if the number were free, the entry would mean another file.
        let mut op = recv(&socket, vec![0; 8]);
        start(&mut op).await;
        drop((op, socket));
        peer.set_nonblocking(true).unwrap();
        let waits = peer.read(&mut [0]).unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::WouldBlock, "it is open");
        a_moment().await;
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "it is closed");
    });
}

#[test]
fn a_cancelled_receive_that_is_awaited_loses_nothing() {
    with_a_socket("a_cancelled_receive_that_is_awaited_loses_nothing", async |socket, mut peer| {
        let (mut sent, mut received, mut cancelled) = (0, 0, 0);
        let mut buffer = vec![0; 8];
        for round in 0..100 {
            let mut op = recv(&socket, buffer);
            start(&mut op).await;
            if round % 3 > 0 {
                a_moment().await;
            }
            if round % 2 > 0 {
                peer.write_all(b"byte").unwrap();
                sent += 4;
            }
            op.cancel();
            let result;
            (result, buffer) = op.await;
            match result {
                Ok(bytes) => received += bytes,
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                    cancelled += 1;
                }
            }
        }
        while received < sent {
            let result;
            (result, buffer) = recv(&socket, buffer).await;
            received += result.unwrap();
        }
        assert_eq!(received, sent);
        assert!(cancelled > 0);
        assert_eq!(in_flight(), 0);
    });
}

#[test]
fn a_future_that_is_not_polled_does_nothing() {
    with_a_socket("a_future_that_is_not_polled_does_nothing", async |socket, _peer| {
        let mut op = recv(&socket, vec![0; 8]);
        op.cancel();
        assert_eq!(in_flight(), 0);
        drop(op);
        a_moment().await;
        assert_eq!(Rc::strong_count(&socket), 1);
    });
}

#[test]
fn a_forgotten_future_costs_nothing_but_memory() {
    if !io_uring_or_skip("a_forgotten_future_costs_nothing_but_memory") {
        return;
    }
    let (socket, mut peer) = pair();
    block_on(async {
        let mut op = recv(&socket, vec![0; 8]);
        start(&mut op).await;
        std::mem::forget(op);
        peer.write_all(b"into the table").unwrap();
        a_moment().await;
        assert_eq!(in_flight(), 1);
    })
    .unwrap();
    assert_eq!(Rc::strong_count(&socket), 1, "the end of block_on has freed it");
}

#[test]
fn after_block_on_the_kernel_has_nothing() {
    if !io_uring_or_skip("after_block_on_the_kernel_has_nothing") {
        return;
    }
    // The kernel might drop the operation by itself soon after, so the test looks several times.
    for _ in 0..20 {
        let (socket, mut peer) = pair();
        block_on(async {
            let mut op = recv(&socket, vec![0; 8]);
            start(&mut op).await;
            a_moment().await;
            std::mem::forget(op);
        })
        .unwrap();
        drop(socket);
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "no RECV keeps the socket open");
    }
}

#[test]
fn clients_of_a_dropped_accept_are_closed() {
    let test = "clients_of_a_dropped_accept_are_closed";
    if !io_uring_or_skip(test) {
        return;
    }
    for seen_by_the_executor in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = block_on(async {
            let mut accepts = Accepts::new(listener);
            let first = match select(accepts.next(), sleep(Duration::from_millis(5))).await {
                Either::First(error) => return Err(error.unwrap_err()),
                Either::Second(_) => TcpStream::connect(address).unwrap(),
            };
            if seen_by_the_executor {
                a_moment().await;
            }
            drop(accepts);
            a_moment().await;
            assert_eq!(in_flight(), 0);
            Ok(first)
        });
        match client.unwrap() {
            Ok(mut client) => {
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                let end = client.read(&mut [0]);
                let reset = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
                assert!(end.as_ref().is_ok_and(|end| *end == 0) || end.is_err_and(|e| reset(&e)));
            }
            Err(error) => return skipped(test, format!("no multishot ACCEPT: {error}")),
        }
    }
}

#[test]
fn what_would_never_wake_is_an_error() {
    if !io_uring_or_skip("what_would_never_wake_is_an_error") {
        return;
    }
    let error = block_on(pending::<()>()).unwrap_err();
    assert!(error.to_string().contains("nothing is in flight"), "{error}");
    let inner = block_on(async { block_on(ready(())).unwrap_err().to_string() }).unwrap();
    assert!(inner.contains("within block_on"), "{inner}");
}

#[test]
fn an_operation_may_outlive_its_executor() {
    if !io_uring_or_skip("an_operation_may_outlive_its_executor") {
        return;
    }
    let (socket, mut peer) = pair();
    let old = block_on(async {
        let mut op = recv(&socket, vec![0; 8]);
        start(&mut op).await;
        [op]
    })
    .unwrap();
    // The operation is dropped in the next executor, where its number means nothing.
    block_on(async {
        let mut op = recv(&socket, vec![0; 8]);
        start(&mut op).await;
        drop(old);
        peer.write_all(b"new").unwrap();
        assert_eq!(op.await.0.unwrap(), 3);
    })
    .unwrap();
}

#[test]
fn after_a_panic_nothing_is_in_flight() {
    if !io_uring_or_skip("after_a_panic_nothing_is_in_flight") {
        return;
    }
    let (socket, _peer) = pair();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        block_on(async {
            let theirs = socket.clone();
            spawn(async move { drop(recv(&theirs, vec![0; 8]).await) });
            let mut op = recv(&socket, vec![0; 8]);
            start(&mut op).await;
            a_moment().await;
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(Rc::strong_count(&socket), 1);
    assert_eq!(block_on(ready(7)).unwrap(), 7);
}

#[test]
fn more_operations_than_the_queue_holds() {
    if !io_uring_or_skip("more_operations_than_the_queue_holds") {
        return;
    }
    let (socket, mut peer) = pair();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    block_on(async {
        for number in 0..2000_u32 {
            let socket = socket.clone();
            spawn(async move {
                sleep(Duration::from_millis(u64::from(number % 7))).await.0.unwrap_err();
                send(&socket, vec![1]).await.0.unwrap();
            });
        }
        while Rc::strong_count(&socket) > 1 {
            a_moment().await;
        }
        assert_eq!(in_flight(), 0);
    })
    .unwrap();
    drop(socket);
    assert_eq!(reader.join().unwrap(), 2000);
}

#[test]
fn a_read_takes_the_position_of_the_file() {
    if !io_uring_or_skip("a_read_takes_the_position_of_the_file") {
        return;
    }
    let mut file = File::from(memfd_create(c"digits", MFdFlags::empty()).unwrap());
    file.write_all(b"0123456789").unwrap();
    file.rewind().unwrap();
    let file = Rc::new(OwnedFd::from(file));
    block_on(async {
        let (result, buffer) = read(&file, vec![0; 4]).await;
        assert_eq!((result.unwrap(), &buffer[..]), (4, &b"0123"[..]));
        let (result, buffer) = read(&file, buffer).await;
        assert_eq!((result.unwrap(), &buffer[..]), (4, &b"4567"[..]));
    })
    .unwrap();
}
