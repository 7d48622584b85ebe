//! Operations that run in different places, and that take their time.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use io_uring::{IoUring, opcode, squeue, types};

use super::shared::{nop, push, reap, submit, timeout};

/// Each timeout is submitted and waited for in one enter: short ones, and one that sleeps.
pub fn timeouts() {
    let mut ring = IoUring::new(2).expect("a ring");
    for nsec in [[700_000; 20].as_slice(), &[50_000_000]].concat() {
        let time = types::Timespec::new().nsec(nsec);
        submit(&mut ring, &[timeout(&time)], 1);
        assert_eq!(reap(&mut ring), 1);
    }
}

/// Each entry runs elsewhere: submitted in one enter, then waited for.
pub fn places() {
    let (reader, mut writer) = UnixStream::pair().expect("two sockets");
    let mut byte = [0_u8; 1];
    let mut ring = IoUring::new(8).expect("a ring");
    let receive = opcode::Recv::new(types::Fd(reader.as_raw_fd()), byte.as_mut_ptr(), 1);
    let time = types::Timespec::new().nsec(5_000_000);
    let entries = [
        nop(1),
        receive.build().user_data(2),
        nop(3).flags(squeue::Flags::ASYNC),
        opcode::Timeout::new(&time).build().user_data(4),
    ];
    submit(&mut ring, &entries, 0);
    writer.write_all(b"!").expect("a byte");
    submit(&mut ring, &[], 4);
    assert_eq!(reap(&mut ring), 4);
}

/// Reads, writes and opens of a file, ten an enter, each with its own `user_data`.
pub fn files() {
    const LENGTH: u32 = 4096;
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(64 * u64::from(LENGTH)).expect("its length");
    let path = file.path().as_os_str().as_bytes();
    let path = std::ffi::CString::new(path).expect("a path");
    let fd = types::Fd(file.as_file().as_raw_fd());
    let cwd = types::Fd(libc::AT_FDCWD);
    let mut bytes = vec![7; LENGTH as usize];
    let mut about = [0_u64; size_of::<libc::statx>() / 8];
    let mut ring = IoUring::new(16).expect("a ring");
    for round in 0..64 {
        let at = round * u64::from(LENGTH);
        let about = about.as_mut_ptr().cast();
        let mut entries = vec![
            nop(0),
            opcode::Write::new(fd, bytes.as_ptr(), LENGTH).offset(at).build(),
            opcode::Read::new(fd, bytes.as_mut_ptr(), LENGTH).offset(at).build(),
            opcode::OpenAt::new(cwd, path.as_ptr()).flags(libc::O_RDONLY).build(),
            opcode::Statx::new(cwd, path.as_ptr(), about).build(),
            opcode::Fallocate::new(fd, 64 * u64::from(LENGTH)).build(),
        ];
        if round % 8 == 0 {
            entries.push(opcode::Fsync::new(fd).build());
        }
        all_answered(&mut ring, round, entries);
    }
}

/// Submits entries and reaps their completions, every other time by one enter; closes what was
/// opened.
fn all_answered(ring: &mut IoUring, round: u64, entries: Vec<squeue::Entry>) {
    let count = entries.len();
    for (nth, entry) in entries.into_iter().enumerate() {
        push(ring, &entry.user_data(round * 100 + nth as u64));
    }
    ring.submit_and_wait(if round % 2 == 0 { count } else { 0 }).expect("an enter");
    let mut reaped = 0;
    while reaped < count {
        ring.submit_and_wait(1).expect("an enter");
        for completion in ring.completion() {
            reaped += 1;
            if completion.user_data() % 100 == 3 && completion.result() > 2 {
                // SAFETY: the third entry opens a file, for this very completion.
                drop(unsafe { OwnedFd::from_raw_fd(completion.result()) });
            }
        }
    }
}

/// What a worker does: by the flag of an entry, or by the kind of an operation.
pub fn forced() {
    let forced = squeue::Flags::ASYNC;
    let pipe = || {
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        (std::fs::File::from(reader), std::fs::File::from(writer))
    };
    let (from, mut into) = pipe();
    let (mut out, away) = pipe();
    let file = tempfile::tempfile().expect("a file");
    let mut ring = IoUring::new(16).expect("a ring");
    for round in 0..32 {
        let (one, mut other) = UnixStream::pair().expect("two sockets");
        other.write_all(b"!").expect("a byte");
        into.write_all(b"!").expect("a byte");
        let mut bytes = [0; 2];
        let from_fd = types::Fd(from.as_raw_fd());
        let away_fd = types::Fd(away.as_raw_fd());
        let entries = vec![
            nop(0).flags(forced),
            opcode::Recv::new(types::Fd(one.as_raw_fd()), bytes.as_mut_ptr(), 1)
                .build()
                .flags(forced),
            opcode::Splice::new(from_fd, -1, away_fd, -1, 1).build(),
            opcode::Fsync::new(types::Fd(file.as_raw_fd())).build(),
            opcode::Shutdown::new(types::Fd(other.as_raw_fd()), libc::SHUT_WR).build(),
            nop(0),
        ];
        all_answered(&mut ring, round, entries);
        out.read_exact(&mut bytes[..1]).expect("the spliced byte");
    }
}

/// A server and its client, in turns: receives that wait, and sends that do not.
pub fn talk() {
    let (server, mut client) = UnixStream::pair().expect("two sockets");
    let talks = std::thread::spawn(move || {
        let mut byte = [0];
        for turn in 0..200 {
            std::thread::sleep(Duration::from_micros(100));
            client.write_all(&[turn]).expect("a byte");
            client.read_exact(&mut byte).expect("an answer");
        }
    });
    let fd = types::Fd(server.as_raw_fd());
    let mut byte = [0_u8; 1];
    let mut ring = IoUring::new(4).expect("a ring");
    let receive = |at: *mut u8| opcode::Recv::new(fd, at, 1).build();
    submit(&mut ring, &[receive(byte.as_mut_ptr()).user_data(1)], 1);
    let mut user_data = 1;
    loop {
        let results: Vec<i32> = ring.completion().map(|it| it.result()).collect();
        if results.contains(&0) {
            break;
        }
        if user_data % 2 == 1 {
            let send = opcode::Send::new(fd, byte.as_ptr(), 1).build();
            user_data += 1;
            submit(&mut ring, &[send.user_data(user_data)], 1);
        } else {
            user_data += 1;
            submit(&mut ring, &[receive(byte.as_mut_ptr()).user_data(user_data)], 1);
        }
    }
    talks.join().expect("the client");
}
