//! A client that sends as much as it can and never reads.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use testkit::Server;

/// It goes on sending, from a thread of its own, until it is dropped or closed.
pub struct Hog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stream: TcpStream,
    sent: AtomicUsize,
    enough: AtomicBool,
}

impl Hog {
    /// Connects, and sends until the sockets take no more.
    pub fn feed(server: &Server) -> Hog {
        let stream = server.connect().unwrap();
        stream.set_nonblocking(true).unwrap();
        let (sent, enough) = (AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { stream, sent, enough });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.gorge()
        });
        let hog = Hog { shared, thread: Some(thread) };
        let mut before = 0;
        while before == 0 || before != hog.sent() {
            before = hog.sent();
            std::thread::sleep(Duration::from_millis(150));
        }
        hog
    }

    /// Bytes that it sent so far.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Whether the server has closed it.
    pub fn was_closed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Stops sending: what is left is a client that does not read.
    pub fn stop(mut self) -> TcpStream {
        self.end();
        self.shared.stream.try_clone().unwrap()
    }

    fn end(&mut self) {
        self.shared.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn gorge(&self) {
        while !self.enough.load(Ordering::Relaxed) {
            match (&self.stream).write(&[b'x'; 1 << 16]) {
                Ok(written) => drop(self.sent.fetch_add(written, Ordering::Relaxed)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)];
                    // Interrupted or not: the flag is what counts.
                    let _ = poll(&mut fds, PollTimeout::from(20_u8));
                }
                // It was closed, as hogs are.
                Err(_) => return,
            }
        }
    }
}
