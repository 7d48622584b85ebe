//! second_completion: a buffer is free when its notification has come.
//!
//! `second_completion PORT WORD…` sends a block of 64 KiB for each word to
//! 127.0.0.1, with SEND_ZC, from two buffers.
//!
//! Run it: `cargo run --bin second_completion -- 4243 one two three four`

use std::env;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use common::memory::forever;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};

const BLOCK: usize = 64 << 10;
const BUFFERS: usize = 2;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let port = args.next().context("usage: second_completion PORT WORD…")?;
    let socket = TcpStream::connect(("127.0.0.1", port.parse()?))?;
    let mut sender = Sender {
        ring: IoUring::new(8)?,
        socket,
        buffers: [forever([0; BLOCK]), forever([0; BLOCK])],
        free: (0..BUFFERS).collect(),
        sending: false,
    };
    for word in args {
        sender.send_block(word.as_bytes())?;
    }
    while sender.free.len() < BUFFERS {
        //                  ^^^^^^^^^ the last notifications
        sender.wait()?;
    }
    Ok(())
}

struct Sender {
    ring: IoUring,
    socket: TcpStream,
    /// Never freed: the kernel may read them.
    buffers: [&'static mut [u8; BLOCK]; BUFFERS],
    /// The buffers that the kernel does not need.
    free: Vec<usize>,
    /// A send has not completed. Another one could overtake it.
    sending: bool,
}

impl Sender {
    fn send_block(&mut self, word: &[u8]) -> Result<()> {
        while self.free.is_empty() {
            //     ^^^^^^^^^^^^^^^ both are the kernel's
            self.wait()?;
        }
        let number = self.free.pop().expect("one is free");
        let buffer = &mut *self.buffers[number];
        for (byte, letter) in buffer.iter_mut().zip(word.iter().cycle()) {
            *byte = *letter;
        }
        let fd = Fd(self.socket.as_raw_fd());
        let send = opcode::SendZc::new(fd, buffer.as_ptr(), BLOCK as u32)
            .flags(libc::MSG_WAITALL)
            .build()
            .user_data(number as u64);
        // SAFETY: the buffer is never freed, and not in `free` until the kernel
        // needs it no longer.
        unsafe { self.ring.submission().push(&send) }?;
        self.sending = true;
        while self.sending {
            self.wait()?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        self.ring.submit_and_wait(1)?;
        for completion in self.ring.completion() {
            if cqueue::notif(completion.flags()) {
                self.free.push(completion.user_data() as usize);
                //   ^^^^ only now: the kernel needs it no longer
                continue;
            }
            let result = completion.result();
            ensure!(result == BLOCK as i32, "the send returned {result}");
            self.sending = false;
        }
        Ok(())
    }
}
