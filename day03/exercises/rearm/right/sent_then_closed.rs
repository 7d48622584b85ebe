use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode};

const GREETING: &[u8] = b"welcome\n";

fn main() -> ExitCode {
    environment::report("rearm", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    // Leave these sizes as they are: a small completion queue is what ends an accept.
    let mut ring = IoUring::builder().setup_cqsize(4).build(4)?;
    ring::register_slots(&ring.submitter(), 64)?;
    let mut queues = Queues::new(&mut ring);

    arm_accept(&mut queues, &listener)?;
    println!("listening on {}", listener.address());
    loop {
        let mut ended = false;
        queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = queues.next_completion() {
            let Some(token) = Token::unpack(completion.user_data()) else {
                continue;
            };
            match token.op {
                Op::Accept => {
                    ended |= !cqueue::more(completion.flags());
                    if let Ok(slot) = u32::try_from(completion.result()) {
                        greet(&mut queues, slot)?;
                    }
                }
                Op::Send => {
                    let close = opcode::Close::new(Fixed(token.slot)).build();
                    // SAFETY: the entry points at no memory.
                    unsafe { queues.push(&close) }?;
                }
                _ => {}
            }
        }
        if ended {
            arm_accept(&mut queues, &listener)?;
        }
    }
}

fn arm_accept(queues: &mut Queues<'_>, listener: &Listener) -> Result<()> {
    let accept = opcode::AcceptMulti::new(Fd(listener.fd()))
        .allocate_file_index(true)
        .build();
    // SAFETY: the entry points at no memory.
    unsafe { queues.push(&accept.user_data(Token::of(Op::Accept).pack())) }?;
    Ok(())
}

fn greet(queues: &mut Queues<'_>, slot: u32) -> Result<()> {
    let send = opcode::Send::new(
        Fixed(slot),
        GREETING.as_ptr(),
        GREETING.len() as u32,
    )
    .flags(libc::MSG_NOSIGNAL)
    .build()
    .user_data(Token::on(Op::Send, slot, 0).pack());
    // SAFETY: the greeting is a constant.
    unsafe { queues.push(&send) }?;
    Ok(())
}
