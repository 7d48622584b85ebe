//! Who may use a ring, what ends with a thread, and what rings can share.

use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use common::memory::forever;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::unistd::write;

use super::{NOT_COMING, Question, answer, arrives, completion, deferred, get_events, pipe};
use super::{plain, polled, result, submit};

pub const QUESTIONS: &[Question] = &[
    ("thread, another one submits", || from_thread(plain()?, nop)),
    ("thread, another one submits, SINGLE_ISSUER", || from_thread(single()?, nop)),
    ("thread, another one submits, SINGLE_ISSUER and SQPOLL", || {
        from_thread(single_polled()?, nop)
    }),
    ("thread, another one waits, SINGLE_ISSUER", || from_thread(single()?, wait)),
    ("thread, another one waits, DEFER_TASKRUN", || from_thread(deferred()?, wait)),
    ("thread, another one registers, SINGLE_ISSUER", || from_thread(single()?, register)),
    ("thread, the one that enabled the ring submits", || enabled_elsewhere(true)),
    ("thread, the one that made the ring submits, another enabled it", || enabled_elsewhere(false)),
    ("thread, the owner has ended, another one submits", owner_ended),
    ("thread, it ends, its READ is on its way", || thread_ends(plain()?)),
    ("thread, it ends, its READ is on its way, SQPOLL", || thread_ends(polled()?)),
    ("thread, 2 wait in a ring, 1 completion comes", two_wait),
    ("resize, DEFER_TASKRUN", || resize(&deferred()?, 64)),
    ("resize, without DEFER_TASKRUN", || resize(&plain()?, 64)),
    ("resize, to 4 completions, 5 are not reaped", shrink),
];

fn single() -> Result<IoUring> {
    IoUring::builder().setup_single_issuer().build(8).context("SINGLE_ISSUER")
}

fn single_polled() -> Result<IoUring> {
    IoUring::builder().setup_single_issuer().setup_sqpoll(1000).build(8).context("SQPOLL")
}

/// The name of a call's error.
fn outcome<T>(call: Result<T>) -> String {
    match call {
        Ok(_) => "granted".into(),
        Err(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => answer::<()>(Err(error)),
            Err(error) => error.to_string(),
        },
    }
}

fn from_thread(mut ring: IoUring, act: fn(&mut IoUring) -> Result<()>) -> Result<String> {
    Ok(outcome(thread::spawn(move || act(&mut ring)).join().expect("it does not panic")))
}

fn nop(ring: &mut IoUring) -> Result<()> {
    submit(ring, opcode::Nop::new().build()).map(drop)
}

fn wait(ring: &mut IoUring) -> Result<()> {
    get_events(ring)
}

fn register(ring: &mut IoUring) -> Result<()> {
    Ok(ring.submitter().register_files(&[-1])?)
}

fn enabled_elsewhere(by_enabler: bool) -> Result<String> {
    let ring: IoUring = IoUring::builder().setup_single_issuer().setup_r_disabled().build(8)?;
    let enabled = thread::spawn(move || {
        let mut ring = ring;
        ring.submitter().register_enable_rings()?;
        let submitted = if by_enabler { Some(nop(&mut ring)) } else { None };
        anyhow::Ok((ring, submitted))
    });
    let (mut ring, submitted) = enabled.join().expect("it does not panic")?;
    Ok(outcome(submitted.unwrap_or_else(|| nop(&mut ring))))
}

fn owner_ended() -> Result<String> {
    let made = thread::spawn(single).join().expect("it does not panic");
    Ok(outcome(nop(&mut made?)))
}

fn thread_ends(mut ring: IoUring) -> Result<String> {
    let (reader, writer) = pipe()?;
    let buffer: *mut u8 = forever(0);
    let read = opcode::Read::new(Fd(reader.as_raw_fd()), buffer, 1).build();
    let thread = thread::spawn(move || {
        submit(&mut ring, read)?;
        anyhow::Ok((arrives(&mut ring, NOT_COMING)?.is_some(), ring))
    });
    let (early, mut ring) = thread.join().expect("it does not panic")?;
    anyhow::ensure!(!early, "it has completed already");
    if let Some(completion) = arrives(&mut ring, NOT_COMING)? {
        return Ok(result(&completion));
    }
    write(&writer, b"x")?;
    let result = result(&completion(&mut ring)?);
    let left = if super::readable(&reader, 0)? { "full" } else { "empty" };
    Ok(format!("silent; after a write {result}, and the pipe is {left}"))
}

fn two_wait() -> Result<String> {
    let ring = &*forever(plain()?);
    let (returned, returns) = mpsc::channel();
    for _ in 0..2 {
        let returned = returned.clone();
        thread::spawn(move || returned.send(ring.submit_and_wait(1).is_ok()));
    }
    thread::sleep(Duration::from_millis(u64::from(NOT_COMING)));
    // SAFETY: only this thread pushes, and nobody reaps.
    unsafe { ring.submission_shared().push(&opcode::Nop::new().build()) }?;
    ring.submit()?;
    let patience = Duration::from_millis(u64::from(NOT_COMING));
    let count = (0..2).filter(|_| returns.recv_timeout(patience).is_ok()).count();
    Ok(format!("{count} return"))
}

/// `IORING_REGISTER_RESIZE_RINGS`. The ring is not used afterwards: its queues are elsewhere.
fn resize(ring: &IoUring, entries: u32) -> Result<String> {
    const RESIZE_RINGS: u32 = 33;
    // `struct io_uring_params`: the sizes of both queues, and the flag that the second counts.
    let mut params = [0_u32; 30];
    params[..3].copy_from_slice(&[entries, entries, 1 << 3]);
    let params = params.as_mut_ptr();
    // SAFETY: the kernel reads and writes the structure in the call.
    let resized = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), RESIZE_RINGS, params, 1)
    };
    Ok(Errno::result(resized).map_or_else(|errno| format!("{errno:?}"), |_| "granted".into()))
}

fn shrink() -> Result<String> {
    let mut ring = deferred()?;
    for _ in 0..5 {
        nop(&mut ring)?;
    }
    resize(&ring, 4)
}
