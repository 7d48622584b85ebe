//! What the kernel answers about copies: the measurements of the chapter *Zero copy, told honestly*.
//!
//! ```text
//! cargo run -p day04 --example zero_copy_answers
//! ```
//!
//! Each line is a question and an answer. All of it goes over loopback and through files of its
//! own in `/tmp`, which it removes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::catalog::{BUFFER_RING_FLAGS, SEND_RECV_FLAGS};
use common::environment;
use common::memory::forever;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::buffer_group::BufferGroup;

mod buffer_group;

const KIB: usize = 1 << 10;
const REPORT_USAGE: u16 = SEND_RECV_FLAGS.code("SEND_ZC_REPORT_USAGE") as u16;
const FIXED_BUF: u16 = SEND_RECV_FLAGS.code("RECVSEND_FIXED_BUF") as u16;
/// The `user_data` of an entry whose completion is of no interest.
const OTHER: u64 = 1;
/// How long something must not happen to count as "does not come".
const LONG: Duration = Duration::from_millis(300);
/// How long something that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run())
}

fn run() -> Result<()> {
    let mut kernel = Kernel { ring: IoUring::new(16)? };
    two_completions(&mut kernel)?;
    second_completion(&mut kernel)?;
    refused(&mut kernel)?;
    cancelled(&mut kernel)?;
    registered(&mut kernel)?;
    limit(&mut kernel)?;
    bundles(&mut kernel)?;
    incremental(&mut kernel)?;
    splice(&mut kernel)
}

fn answer(question: &str, answer: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{question}: {answer}")?)
}

/// SEND_ZC answers, and then says that it needs the bytes no longer.
fn two_completions(kernel: &mut Kernel) -> Result<()> {
    let (ours, _peer) = tcp_pair()?;
    let send = send_zc(&ours, b"hello");
    answer("SEND_ZC of 5 bytes", &kernel.ask(send.build())?)?;
    let send = send_zc(&ours, b"hello").zc_flags(REPORT_USAGE);
    answer("SEND_ZC, REPORT_USAGE, over loopback", &kernel.ask(send.build())?)?;
    let piece = forever(libc::iovec { iov_base: b"hello".as_ptr().cast_mut().cast(), iov_len: 5 });
    // SAFETY: all zeros are a message of nothing.
    let message = forever(unsafe { std::mem::zeroed::<libc::msghdr>() });
    message.msg_iov = piece;
    message.msg_iovlen = 1;
    let send = opcode::SendMsgZc::new(Fd(ours.as_raw_fd()), message).ioprio(REPORT_USAGE);
    answer("SENDMSG_ZC, REPORT_USAGE, over loopback", &kernel.ask(send.build())?)?;
    let send = send_zc(&ours, b"hello").build();
    let send = with_bytes(send, 48, &7_u64.to_ne_bytes());
    answer("SEND_ZC with 7 as addr3", &kernel.ask(send)?)
}

/// A peer that does not read: the bytes wait in the socket, and the second completion with them.
fn second_completion(kernel: &mut Kernel) -> Result<()> {
    let (ours, mut peer) = tcp_pair()?;
    let mut sent = 0;
    let bytes = loop {
        let bytes = forever(vec![b'a'; 64 * KIB]);
        kernel.submit(send_zc(&ours, bytes).zc_flags(REPORT_USAGE).build())?;
        let first = kernel.within(LONG).context("SEND_ZC has not completed")?;
        if first.result() < 0 {
            return answer("SEND_ZC to a peer that does not read", &in_words(&first));
        }
        sent += first.result() as usize;
        if kernel.within(LONG).is_none() {
            break bytes;
        }
    };
    answer("SEND_ZC to a peer that does not read", "completes; its NOTIF does not come")?;
    bytes.fill(b'b'); // The mistake: these bytes are the kernel's still.
    let mut received = vec![0; sent];
    peer.read_exact(&mut received)?;
    let changed = received.contains(&b'b');
    let what = if changed { "as they are now" } else { "as they were" };
    answer("SEND_ZC, the bytes change before its NOTIF, and the peer gets them", what)?;
    let notification = kernel.within(PATIENCE).context("no NOTIF")?;
    answer("SEND_ZC, when the peer has read", &in_words(&notification))
}

fn refused(kernel: &mut Kernel) -> Result<()> {
    let (unix, _peer) = UnixStream::pair()?;
    answer("SEND_ZC on AF_UNIX", &kernel.ask(send_zc(&unix, b"hello").build())?)?;
    let (ours, peer) = tcp_pair()?;
    let silent = send_zc(&ours, b"hello").build().flags(Flags::SKIP_SUCCESS);
    answer("SEND_ZC, CQE_SKIP_SUCCESS", &kernel.ask(silent)?)?;
    drop(peer);
    // The first bytes to a socket that is closed bring a reset, and the next ones fail.
    (&ours).write_all(b"x")?;
    sleep(Duration::from_millis(50));
    answer("SEND_ZC to a peer that is gone", &kernel.ask(send_zc(&ours, b"hello").build())?)
}

/// A SEND_ZC that is cancelled: while it waits for room, and before it has run.
fn cancelled(kernel: &mut Kernel) -> Result<()> {
    let (ours, _peer) = tcp_pair()?;
    ours.set_nonblocking(true)?;
    while (&ours).write(&[0; 64 * KIB]).is_ok() {}
    ours.set_nonblocking(false)?;
    kernel.submit(send_zc(&ours, b"hello").build())?;
    kernel.submit(opcode::AsyncCancel::new(0).build().user_data(OTHER))?;
    let words = kernel.completions_of(0);
    answer("SEND_ZC that waits for room, and is cancelled", &words)?;

    let (null, bytes) = (File::open("/dev/null")?, forever([0_u8; 5]));
    let read = opcode::Read::new(Fd(null.as_raw_fd()), bytes.as_mut_ptr(), 5).build();
    // SAFETY: the bytes are never freed.
    unsafe { kernel.ring.submission().push(&read.user_data(OTHER).flags(Flags::IO_LINK)) }?;
    kernel.submit(send_zc(&ours, bytes).build())?;
    let words = kernel.completions_of(0);
    answer("SEND_ZC behind a READ that breaks the link", &words)
}

/// Registered memory: who may send from it, and what if it is unregistered too early?
fn registered(kernel: &mut Kernel) -> Result<()> {
    let (ours, _peer) = tcp_pair()?;
    let bytes: &'static [u8] = forever([b'a'; 64 * KIB]);
    kernel.register(bytes)?;
    let send = send_zc(&ours, &bytes[..5]).buf_index(Some(0)).zc_flags(REPORT_USAGE);
    answer("SEND_ZC from a registered buffer", &kernel.ask(send.build())?)?;
    let plain = opcode::Send::new(Fd(ours.as_raw_fd()), bytes.as_ptr(), 5).build();
    let plain = with_bytes(plain, 2, &FIXED_BUF.to_ne_bytes());
    answer("SEND from a registered buffer", &kernel.ask(plain)?)?;
    kernel.ring.submitter().unregister_buffers()?;
    let send = send_zc(&ours, &bytes[..5]).buf_index(Some(0));
    answer("SEND_ZC from a buffer that is registered no longer", &kernel.ask(send.build())?)
}

/// Memory that is not registered is pinned for each SEND_ZC, and counts as long as it is.
fn limit(kernel: &mut Kernel) -> Result<()> {
    let (ours, peer) = tcp_pair()?;
    let bytes = forever(vec![b'a'; 1 << 20]);
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, soft.min(64 << 10), hard)?;
    kernel.submit(send_zc(&ours, bytes).build())?;
    let first = kernel.within(PATIENCE).context("SEND_ZC has not completed")?;
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    let what = if first.result() < 0 { in_words(&first) } else { "sends".to_string() };
    answer("SEND_ZC of 1 MiB with RLIMIT_MEMLOCK at 64 KiB", &what)?;
    drop((ours, peer)); // Then nothing waits to be sent, and the notification comes.
    kernel.last(first).map(drop)
}

/// Several buffers, one completion.
fn bundles(kernel: &mut Kernel) -> Result<()> {
    let (ours, mut peer) = tcp_pair()?;
    let pieces = [b"these ", b"three ", b"pieces"];
    let Some(mut group) = kernel.group("BUNDLE, a buffer ring", 1, 0)? else { return Ok(()) };
    for (id, piece) in (10..).zip(pieces) {
        // SAFETY: the bytes are constant.
        unsafe { group.provide(id, piece.as_ptr(), piece.len() as u32) };
    }
    let send = || opcode::SendBundle::new(Fd(ours.as_raw_fd()), 1).build();
    let sent = kernel.ask(send())?;
    answer("SEND, BUNDLE of buffers 10, 11 and 12, 6 bytes each", &sent)?;
    answer("SEND, BUNDLE, once more", &kernel.ask(send())?)?;
    let mut received = [0; 18];
    if sent.starts_with("18") {
        peer.read_exact(&mut received)?;
        anyhow::ensure!(received == *b"these three pieces", "the peer got {received:?}");
    }

    group.empty(&kernel.ring.submitter())?; // A kernel without bundles has taken none.
    let room = forever([0_u8; 24]);
    for (id, part) in (20..).zip(room.chunks(8)) {
        // SAFETY: the bytes are never freed.
        unsafe { group.provide(id, part.as_ptr(), 8) };
    }
    peer.write_all(b"23 bytes for 3 buffers.")?;
    // A receive takes one buffer, until the kernel knows that there is more in the socket.
    let receive = || opcode::RecvBundle::new(Fd(ours.as_raw_fd()), 1).build();
    answer(
        "RECV, BUNDLE of 23 bytes into buffers 20, 21 and 22, 8 bytes each",
        &kernel.ask(receive())?,
    )?;
    answer("RECV, BUNDLE, once more", &kernel.ask(receive())?)
}

/// One large buffer for many small messages.
fn incremental(kernel: &mut Kernel) -> Result<()> {
    let (ours, mut peer) = UnixStream::pair()?;
    let flags = BUFFER_RING_FLAGS.code("INC") as u16;
    let question = "INC, a buffer ring";
    let Some(mut group) = kernel.group(question, 3, flags)? else { return Ok(()) };
    let room = forever([0_u8; 16]);
    // SAFETY: the bytes are never freed.
    unsafe { group.provide(30, room.as_ptr(), 16) };
    kernel.submit(opcode::RecvMulti::new(Fd(ours.as_raw_fd()), 3).build())?;
    for words in ["first ", "second", "last"] {
        peer.write_all(words.as_bytes())?;
        let completion = kernel.within(PATIENCE).context("RECV has not completed")?;
        answer(&format!("INC, buffer 30 of 16 bytes, {words:?} comes"), &in_words(&completion))?;
    }
    let text = String::from_utf8_lossy(room);
    answer("INC, the buffer holds", &format!("{text:?}"))?;
    drop(peer);
    let end = kernel.within(PATIENCE).context("RECV has not ended")?;
    answer("INC, no buffer left, and the peer closes", &in_words(&end))
}

/// A SPLICE moves references to the pages of the file. They can change until the peer has read.
fn splice(kernel: &mut Kernel) -> Result<()> {
    let path = std::env::temp_dir().join(format!("zero_copy_answers.{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all_at(&vec![b'a'; 128 * KIB], 0)?;
    let fd = |it: &dyn AsRawFd| Fd(it.as_raw_fd());
    for (how, offset) in [("0", 0), ("1", 1)] {
        let (_read, write) = nix::unistd::pipe()?;
        let into = opcode::Splice::new(fd(&file), offset, fd(&write), -1, 64 * KIB as u32);
        answer(
            &format!("SPLICE of 64 KiB at offset {how} of a file into a pipe"),
            &kernel.ask(into.build())?,
        )?;
    }
    for (how, send) in [("SPLICE", true), ("READ and SEND", false)] {
        let (ours, mut peer) = tcp_pair()?;
        let (read, write) = nix::unistd::pipe()?;
        file.write_all_at(b"old", 0)?;
        let bytes = forever([0_u8; 3]);
        let [first, second] = if send {
            [
                opcode::Splice::new(fd(&file), 0, fd(&write), -1, 3).build(),
                opcode::Splice::new(fd(&read), -1, fd(&ours), -1, 3).build(),
            ]
        } else {
            [
                opcode::Read::new(fd(&file), bytes.as_mut_ptr(), 3).build(),
                opcode::Send::new(fd(&ours), bytes.as_ptr(), 3).build(),
            ]
        };
        kernel.ask(first)?;
        kernel.ask(second)?;
        file.write_all_at(b"new", 0)?;
        let mut received = [0; 3];
        peer.read_exact(&mut received)?;
        let received = String::from_utf8_lossy(&received);
        answer(
            &format!("{how} of \"old\", the file then gets \"new\", and the peer reads"),
            &received,
        )?;
    }
    Ok(())
}

/// A ring that is asked one thing at a time.
struct Kernel {
    ring: IoUring,
}

impl Kernel {
    /// Submits an entry. It points at memory that is never freed.
    fn submit(&mut self, entry: Entry) -> Result<()> {
        // SAFETY: the entries of this program point at constants, or at memory of `forever`.
        unsafe { self.ring.submission().push(&entry) }?;
        self.ring.submit()?;
        Ok(())
    }

    /// The next completion, or `None` if none comes in that time.
    fn within(&mut self, time: Duration) -> Option<cqueue::Entry> {
        let begin = Instant::now();
        loop {
            let completion = self.ring.completion().next();
            if completion.is_some() || begin.elapsed() > time {
                return completion;
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// All completions of an entry, in words.
    fn ask(&mut self, entry: Entry) -> Result<String> {
        self.submit(entry)?;
        let mut words = Vec::new();
        loop {
            let completion = self.within(PATIENCE).context("no completion")?;
            words.push(in_words(&completion));
            if !cqueue::more(completion.flags()) {
                return Ok(words.join(", then "));
            }
        }
    }

    /// What comes with this `user_data` until nothing comes any more, in words.
    fn completions_of(&mut self, user_data: u64) -> String {
        let completions = std::iter::from_fn(|| self.within(LONG));
        let ours = completions.filter(|completion| completion.user_data() == user_data);
        ours.map(|completion| in_words(&completion)).collect::<Vec<_>>().join(", then ")
    }

    /// The last completion of an entry, after this one.
    fn last(&mut self, mut completion: cqueue::Entry) -> Result<cqueue::Entry> {
        while cqueue::more(completion.flags()) {
            completion = self.within(PATIENCE).context("no completion")?;
        }
        Ok(completion)
    }

    fn register(&self, bytes: &'static [u8]) -> Result<()> {
        let buffer =
            libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // SAFETY: the memory is never freed.
        Ok(unsafe { self.ring.submitter().register_buffers(&[buffer]) }?)
    }

    /// An empty group of at most 4 buffers; `None` if this kernel has no such thing.
    fn group(&self, question: &str, group: u16, flags: u16) -> Result<Option<BufferGroup>> {
        let group = BufferGroup::register(&self.ring.submitter(), group, 4, flags);
        if let Err(error) = &group {
            answer(question, &format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or(0))))?;
        }
        Ok(group.ok())
    }
}

fn send_zc(socket: &impl AsRawFd, bytes: &[u8]) -> opcode::SendZc {
    opcode::SendZc::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32)
}

/// A completion: its result, the flags that say something here, and its buffer.
fn in_words(completion: &cqueue::Entry) -> String {
    let (result, flags) = (completion.result(), completion.flags());
    let notification = cqueue::notif(flags);
    let mut words = match result {
        i32::MIN if notification => "NOTIF: copied".to_string(),
        _ if notification => "NOTIF".to_string(),
        ..0 => format!("{:?}", Errno::from_raw(-result)),
        _ => result.to_string(),
    };
    if completion.user_data() != 0 {
        words += &format!(" user_data {}", completion.user_data());
    }
    if let Some(buffer) = cqueue::buffer_select(flags) {
        words += &format!(" from buffer {buffer}");
    }
    for (name, set) in [("MORE", cqueue::more(flags)), ("BUF_MORE", cqueue::buffer_more(flags))] {
        if set {
            words = format!("{words} {name}");
        }
    }
    words
}

/// Writes into a field that the crate's builder lacks.
fn with_bytes(mut entry: Entry, offset: usize, bytes: &[u8]) -> Entry {
    assert!(offset + bytes.len() <= size_of::<Entry>());
    let start = std::ptr::from_mut(&mut entry).cast::<u8>();
    // SAFETY: within the entry, which is `repr(C)` and consists of integers.
    unsafe { start.add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    entry
}

fn tcp_pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((listener.accept()?.0, client))
}
