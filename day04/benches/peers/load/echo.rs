//! Echo: the same connections throughout, each with one message on its way.

use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use common::buffers::Buffers;
use common::queues::Queues;
use common::ring::{self, RingOptions};
use common::token::{Op, Token};
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};

use super::meter::Meter;
use super::{Options, PATIENCE, connect, pattern};

/// Receive buffers that the connections share; one turn brings far fewer completions.
const BUFFERS: u16 = 256;

struct Echo<'ring> {
    queues: Queues<'ring>,
    buffers: Buffers,
    connections: Vec<Connection>,
    now: Instant,
}

struct Connection {
    message: &'static mut [u8],
    asked: Instant,
    /// Bytes of the message that came back.
    back: usize,
    sequence: u32,
}

pub fn ask(options: &Options, meter: &mut Meter) -> Result<()> {
    let count = options.connections;
    let streams: Vec<TcpStream> =
        (0..count).map(|_| connect(options.address)).collect::<Result<_>>()?;
    let fds: Vec<_> = streams.iter().map(AsRawFd::as_raw_fd).collect();

    let entries = (2 * count).clamp(64, 4096);
    let sizes = RingOptions { cq_entries: Some(4 * entries), ..RingOptions::default() };
    let (mut ring, _) = ring::build_best(&sizes, entries)?;
    ring.submitter().register_files(&fds).context("registering the connections")?;
    let buffers = Buffers::register(&ring.submitter(), 0, BUFFERS, options.size)?;

    let now = Instant::now();
    let connection = |_| Connection {
        // Never freed: this program ends with operations in flight.
        message: pattern(options.size as usize).leak(),
        asked: now,
        back: 0,
        sequence: 0,
    };
    let mut echo = Echo {
        queues: Queues::new(&mut ring),
        buffers,
        connections: (0..count).map(connection).collect(),
        now,
    };
    meter.begin();
    for index in 0..count {
        echo.receive(index)?;
        echo.send(index)?;
    }
    echo.run(meter)
}

impl Echo<'_> {
    fn run(&mut self, meter: &mut Meter) -> Result<()> {
        let mut last = Instant::now();
        while meter.goes_on(self.now)? {
            self.queues.submit_and_wait(1, Some(PATIENCE)).context("waiting for an echo")?;
            self.now = Instant::now();
            while let Some(completion) = self.queues.next_completion() {
                last = self.now;
                self.handle(&completion, meter)?;
            }
            ensure!(self.now < last + PATIENCE, "no echo for {} s", PATIENCE.as_secs());
        }
        Ok(())
    }

    fn handle(&mut self, completion: &cqueue::Entry, meter: &mut Meter) -> Result<()> {
        let token = Token::unpack(completion.user_data()).context("a stray completion")?;
        let (index, result, flags) = (token.slot, completion.result(), completion.flags());
        if token.op == Op::Send {
            bail!("a send ended with {}", -result); // successful ones are silent
        }
        if let Some(buffer) = cqueue::buffer_select(flags) {
            self.buffers.take(buffer);
            let same = self.compare(index, buffer, result);
            self.buffers.give_back(buffer);
            if same? {
                meter.answered(self.connections[index as usize].asked, self.now);
                self.send(index)?;
            }
        } else if result == 0 {
            bail!("the server ended connection {index}");
        } else if result != -libc::ENOBUFS {
            bail!("a receive ended with errno {}", -result);
        }
        if !cqueue::more(flags) {
            self.receive(index)?;
        }
        Ok(())
    }

    /// Whether the message is back in full.
    fn compare(&mut self, index: u32, buffer: u16, length: i32) -> Result<bool> {
        let connection = &mut self.connections[index as usize];
        // SAFETY: the receive has completed, so the buffer is ours, with `length` bytes of it
        // filled. It is the kernel's again when our caller gives it back. (A copy would be
        // safe, and would cost more than the comparison.)
        let came =
            unsafe { std::slice::from_raw_parts(self.buffers.address(buffer), length as usize) };
        let expected = connection.message.get(connection.back..connection.back + came.len());
        ensure!(expected == Some(came), "connection {index} got other bytes than it sent");
        connection.back += came.len();
        Ok(connection.back == connection.message.len())
    }

    /// Each message differs from the one before and from those of other connections.
    fn send(&mut self, index: u32) -> Result<()> {
        let connection = &mut self.connections[index as usize];
        connection.sequence += 1;
        let stamp = (u64::from(index) << 32 | u64::from(connection.sequence)).to_le_bytes();
        for (byte, stamp) in connection.message.iter_mut().zip(stamp) {
            *byte = stamp;
        }
        connection.back = 0;
        connection.asked = self.now;
        let (message, length) = (connection.message.as_ptr(), connection.message.len() as u32);
        let send = opcode::Send::new(Fixed(index), message, length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.push(send, Op::Send, index)
    }

    fn receive(&mut self, index: u32) -> Result<()> {
        let receive = opcode::RecvMulti::new(Fixed(index), self.buffers.group()).build();
        self.push(receive, Op::Recv, index)
    }

    fn push(&mut self, entry: squeue::Entry, op: Op, index: u32) -> Result<()> {
        let entry = entry.user_data(Token::on(op, index, 0).pack());
        // SAFETY: messages and buffers are never freed. A message is changed only when all of
        // it came back, so the kernel has read it. A buffer is the kernel's until a
        // completion hands it over.
        unsafe { self.queues.push(&entry) }.context("submitting a full queue")
    }
}
