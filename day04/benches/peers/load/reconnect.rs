//! A connection for each request. Five linked operations make it, ask, read the whole answer,
//! and close, so that the client costs little.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use common::queues::Queues;
use common::ring::{self, RingOptions};
use io_uring::squeue::Flags;
use io_uring::types::{DestinationSlot, Fixed};
use io_uring::{cqueue, opcode, squeue};
use nix::sys::socket::{SockaddrLike, SockaddrStorage};

use super::meter::Meter;
use super::{Options, PATIENCE, pattern};
use crate::servers::{ACK, Reply};

/// The operations of a chain, in order.
const STEPS: [&str; 5] = ["socket", "connect", "send", "receive", "close"];

struct Reconnect<'ring> {
    queues: Queues<'ring>,
    address: &'static SockaddrStorage,
    domain: i32,
    request: &'static [u8],
    expected: &'static [u8],
    answers: Vec<&'static mut [u8]>,
    asked: Vec<Instant>,
    now: Instant,
}

pub fn ask(options: &Options, meter: &mut Meter) -> Result<()> {
    let count = options.connections;
    let entries = (2 * STEPS.len() as u32 * count).clamp(64, 4096);
    let sizes = RingOptions { cq_entries: Some(4 * entries), ..RingOptions::default() };
    let (mut ring, _) = ring::build_best(&sizes, entries)?;
    ring::register_slots(&ring.submitter(), count)?;
    let now = Instant::now();
    let request: &[u8] = pattern(options.size as usize).leak();
    let (expected, room): (&[u8], usize) = match options.reply {
        // One byte more than the answer has: the receive goes on to the server's end.
        Reply::Ack => (ACK, ACK.len() + 1),
        Reply::Echo => (request, request.len()),
    };
    // What the kernel reads and writes is never freed: this program ends with operations in
    // flight.
    let mut reconnect = Reconnect {
        queues: Queues::new(&mut ring),
        address: Box::leak(Box::new(SockaddrStorage::from(options.address))),
        domain: match options.address {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        },
        request,
        expected,
        answers: (0..count).map(|_| vec![0; room].leak()).collect(),
        asked: vec![now; count as usize],
        now,
    };
    meter.begin();
    for slot in 0..count {
        reconnect.start(slot)?;
    }
    reconnect.run(meter)
}

impl Reconnect<'_> {
    fn run(&mut self, meter: &mut Meter) -> Result<()> {
        let mut last = Instant::now();
        while meter.goes_on(self.now)? {
            self.queues.submit_and_wait(1, Some(PATIENCE)).context("waiting for an answer")?;
            self.now = Instant::now();
            while let Some(completion) = self.queues.next_completion() {
                last = self.now;
                self.handle(&completion, meter)?;
            }
            ensure!(self.now < last + PATIENCE, "no answer for {} s", PATIENCE.as_secs());
        }
        Ok(())
    }

    fn handle(&mut self, completion: &cqueue::Entry, meter: &mut Meter) -> Result<()> {
        let (result, data) = (completion.result(), completion.user_data());
        let (step, slot) = ((data >> 32) as usize, data as u32);
        let name = STEPS.get(step).context("a stray completion")?;
        ensure!(result >= 0, "{name} ended with errno {}", -result);
        match *name {
            "receive" => {
                let answer = &self.answers[slot as usize][..result as usize];
                ensure!(answer == self.expected, "the answer is {result} bytes: {answer:?}");
                meter.answered(self.asked[slot as usize], self.now);
            }
            "close" => self.start(slot)?,
            _ => {}
        }
        Ok(())
    }

    /// A receive that meets the server's end is short, which breaks a link; the close must still
    /// follow, hence the hard link.
    fn start(&mut self, slot: u32) -> Result<()> {
        self.asked[slot as usize] = self.now;
        let into = DestinationSlot::try_from_slot_target(slot).map_err(anyhow::Error::msg)?;
        let answer = &mut self.answers[slot as usize];
        let (answer, room) = (answer.as_mut_ptr(), answer.len() as u32);
        let (request, length) = (self.request.as_ptr(), self.request.len() as u32);
        let (link, hard) = (Flags::IO_LINK, Flags::IO_HARDLINK);
        let chain: [squeue::Entry; STEPS.len()] = [
            opcode::Socket::new(self.domain, libc::SOCK_STREAM, 0)
                .file_index(Some(into))
                .build()
                .flags(link),
            opcode::Connect::new(Fixed(slot), self.address.as_ptr(), self.address.len())
                .build()
                .flags(link),
            opcode::Send::new(Fixed(slot), request, length)
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                .build()
                .flags(link),
            opcode::Recv::new(Fixed(slot), answer, room)
                .flags(libc::MSG_WAITALL)
                .build()
                .flags(hard),
            opcode::Close::new(Fixed(slot)).build(),
        ];
        ensure!(self.queues.room_for(chain.len())?, "a queue too small for a chain");
        for (step, entry) in (0u64..).zip(chain) {
            let entry = entry.user_data(step << 32 | u64::from(slot));
            // SAFETY: address, request and answers are never freed; an answer is read only
            // between its receive's completion and the next chain on its slot.
            unsafe { self.queues.push(&entry) }.context("submitting a full queue")?;
        }
        Ok(())
    }
}
