//! The loop allocates nothing once it is warm: a counting allocator watches it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use testkit::io_uring_or_skip;

use crate::{Options, serve};

/// The system's allocator, and a count of what the watched thread asks of it.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    // During a thread's last moments its variables are gone; it serves no client then.
    if WATCHED.try_with(Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: passed on to our caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: passed on to our caller.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: passed on to our caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Serves in a watched thread of this process and returns what was allocated while
/// `requests` were answered, after as many for warming up.
fn allocations(arguments: &[&str], requests: u64, client: fn(SocketAddr, u64)) -> u64 {
    let fixed = ["day04", "--listen", "127.0.0.1:0", "--quiet", "--json"];
    let options = Options::parse_from(fixed.iter().chain(arguments));
    let (tell, told) = mpsc::channel();
    let server = thread::spawn(move || {
        serve(&options, |address| {
            tell.send(address).expect("the test is waiting for the address");
            WATCHED.set(true);
        })
        .expect("the server runs to its end");
        WATCHED.set(false);
    });
    let address = told.recv_timeout(Duration::from_secs(20)).expect("the server starts");
    client(address, requests);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    client(address, requests);
    let during = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // The last connection of `--max`: it ends the server.
    drop(TcpStream::connect(address).expect("one more connection"));
    server.join().expect("the server thread ends");
    during
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time above zero");
    stream
}

fn ask_for_acks(address: SocketAddr, requests: u64) {
    let mut answer = Vec::new();
    for _ in 0..requests {
        let mut stream = connect(address);
        stream.write_all(b"a request").expect("the server reads");
        answer.clear();
        stream.read_to_end(&mut answer).expect("an answer and the end");
        assert_eq!(answer, b"ack\0");
    }
}

fn converse(address: SocketAddr, requests: u64) {
    let mut stream = connect(address);
    let mut answer = [0; 9];
    for _ in 0..requests {
        stream.write_all(b"a message").expect("the server reads");
        stream.read_exact(&mut answer).expect("an echo");
    }
    stream.shutdown(Shutdown::Write).expect("half-close");
    assert_eq!(stream.read_to_end(&mut Vec::new()).expect("the end"), 0);
}

/// Both conversations in one test: they share the count.
#[test]
fn a_warm_loop_allocates_nothing() {
    if !io_uring_or_skip("a_warm_loop_allocates_nothing") {
        return;
    }
    let requests = 300;
    let max = (2 * requests + 1).to_string();
    assert_eq!(allocations(&["--max", &max], requests, ask_for_acks), 0, "ack");
    assert_eq!(allocations(&["--reply", "echo", "--max", "3"], requests, converse), 0, "echo");
}
