//! Programs to be traced. Each is this very test executable, started again with
//! `TRACED` naming one of these functions.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// The arguments that make this test executable one of the scenarios.
pub const AGAIN: [&str; 4] = ["--exact", "traced", "--nocapture", "--quiet"];

/// The exit status of a scenario that needs a feature which this kernel lacks.
pub const NOT_HERE: i32 = 77;

/// Ends a scenario that this kernel cannot run.
fn not_here(why: &str) {
    eprintln!("SKIPPED: {why}");
    std::process::exit(NOT_HERE);
}

/// Becomes a scenario, if this process was started to be one.
pub fn run_if_asked() {
    let Some(name) = std::env::var_os("TRACED") else { return };
    let scenario = ALL.iter().find(|(known, _)| name == **known);
    scenario.expect("a scenario of that name").1();
    // Do not return to the harness, whose own calls would be in the trace.
    std::process::exit(0);
}

/// The scenarios by name.
pub const ALL: &[(&str, fn())] = &[
    ("nops", nops),
    ("no_ring", || {}),
    ("large", large),
    ("two_rings", two_rings),
    ("registered", registered),
    ("array", array),
    ("threads", threads),
    ("submits_and_waits", submits_and_waits),
    ("fork", fork),
    ("hang", hang),
    ("inherited", inherited),
    ("sqpoll", sqpoll),
    ("sqpoll_forced", sqpoll_forced),
    ("sqpoll_path", sqpoll_path),
    ("sqpoll_flood", sqpoll_flood),
    ("overflow", overflow),
    ("interrupted", interrupted),
    ("not_interrupted", not_interrupted),
    ("interrupted_by_whom", interrupted_by_whom),
    ("iopoll", iopoll),
    ("rebind", rebind),
    ("links", links),
    ("garbage", garbage),
    ("garbled_tail", garbled_tail),
    ("timeouts", timeouts),
    ("places", places),
    ("files", files),
    ("forced", forced),
    ("talk", talk),
    ("same_user_data", same_user_data),
    ("own_memory", own_memory),
    ("resize", resize),
    ("unreadable", unreadable),
    ("refused", refused),
    ("fifo", fifo),
    ("bundle", bundle),
    ("status", || std::process::exit(7)),
];

fn nop(user_data: u64) -> squeue::Entry {
    opcode::Nop::new().build().user_data(user_data)
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: no entry of these scenarios points at memory that ends before its completion.
    unsafe { ring.submission().push(entry) }.expect("room for an entry");
}

fn submit(ring: &mut IoUring, entries: &[squeue::Entry], wait: usize) {
    for entry in entries {
        push(ring, entry);
    }
    ring.submit_and_wait(wait).expect("an enter");
}

fn reap(ring: &mut IoUring) -> usize {
    ring.completion().count()
}

/// Three entries by two enters; the last completion is left in the queue.
fn nops() {
    let mut ring = IoUring::new(8).expect("a ring");
    submit(&mut ring, &[nop(u64::from_ne_bytes(*b"hello\0\0\0")), nop(2)], 2);
    assert_eq!(reap(&mut ring), 2);
    submit(&mut ring, &[nop(3)], 1);
}

/// Hides its memory, as programs that hold secrets do.
fn unreadable() {
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    nops();
}

/// 128-byte entries and 32-byte completions.
fn large() {
    let mut ring: IoUring<squeue::Entry128, cqueue::Entry32> =
        IoUring::builder().build(4).expect("a ring of large entries");
    for user_data in 1..=10 {
        let entry = squeue::Entry128::from(nop(user_data));
        // SAFETY: a NOP points at nothing.
        unsafe { ring.submission().push(&entry) }.expect("room");
        ring.submit_and_wait(1).expect("an enter");
        assert_eq!(ring.completion().count(), 1);
    }
}

fn two_rings() {
    let mut first = IoUring::new(2).expect("a ring");
    let mut second = IoUring::new(4).expect("a ring");
    submit(&mut first, &[nop(1)], 1);
    submit(&mut second, &[nop(2), nop(3)], 2);
    drop(first);
    submit(&mut second, &[nop(4)], 1);
}

/// Enters by the registered index, which the crate's own `submit` does not use.
fn registered() {
    let mut ring = IoUring::new(2).expect("a ring");
    let (submitter, mut submissions, mut completions) = ring.split();
    let mut submitter = submitter;
    submitter.register_ring_fd().expect("an index");
    for user_data in 1..=3 {
        // SAFETY: a NOP points at nothing.
        unsafe { submissions.push(&nop(user_data)) }.expect("room");
        submissions.sync();
        submitter.submit_and_wait(1).expect("an enter");
        completions.sync();
        assert_eq!(completions.by_ref().count(), 1);
    }
}

/// With the index array, more entries than the queue holds, in many rounds.
fn array() {
    let mut ring = IoUring::builder().build(4).expect("a ring");
    for round in 0..25 {
        let entries: Vec<_> = (0..4).map(|entry| nop(round * 4 + entry + 1)).collect();
        submit(&mut ring, &entries, 4);
        assert_eq!(reap(&mut ring), 4);
    }
}

/// One ring that four threads take turns with.
fn threads() {
    let ring = Mutex::new(IoUring::new(8).expect("a ring"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ring = &ring;
            scope.spawn(move || {
                for turn in 0..25 {
                    let mut ring = ring.lock().expect("the ring");
                    submit(&mut ring, &[nop(thread * 100 + turn)], 1);
                    assert_eq!(reap(&mut ring), 1);
                }
            });
        }
    });
}

/// One thread submits, another waits for the completions of the same ring.
fn submits_and_waits() {
    const COUNT: usize = 500;
    let ring = IoUring::new(64).expect("a ring");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut reaped = 0;
            while reaped < COUNT {
                const GETEVENTS: u32 = 1;
                // SAFETY: it submits nothing and brings no argument.
                unsafe { ring.submitter().enter::<libc::sigset_t>(0, 1, GETEVENTS, None) }
                    .expect("an enter");
                // SAFETY: no other thread reaps.
                reaped += unsafe { ring.completion_shared() }.count();
            }
        });
        for user_data in 1..=COUNT as u64 {
            // SAFETY: no other thread pushes, and a NOP points at nothing.
            unsafe { ring.submission_shared().push(&nop(user_data)) }.expect("room");
            ring.submit().expect("an enter");
        }
    });
}

/// A child that has its own ring, and a child that ends at once.
fn fork() {
    let again = |scenario: &str| {
        let program = std::env::current_exe().expect("this program");
        let mut command = std::process::Command::new(program);
        command.args(AGAIN).env("TRACED", scenario);
        assert!(command.status().expect("a child").success());
    };
    let mut ring = IoUring::new(2).expect("a ring");
    again("nops");
    again("no_ring");
    submit(&mut ring, &[nop(9)], 1);
}

/// Sleeps in the kernel until it is killed.
fn hang() {
    let mut ring = IoUring::new(2).expect("a ring");
    submit(&mut ring, &[timeout(&types::Timespec::new().sec(600))], 1);
}

/// The variable that names the descriptor of a ring, for [`inherited`].
pub const RING: &str = "TRACED_RING";

/// Sleeps in a ring that it got from its parent, and that the tracer does not follow.
fn inherited() {
    let Some(fd) = std::env::var(RING).ok().and_then(|fd| fd.parse().ok()) else { return };
    raw::enter(fd, 0, 1, 0);
}

fn timeout(time: &types::Timespec) -> squeue::Entry {
    opcode::Timeout::new(time).build().user_data(5)
}

/// A hundred entries that a kernel thread takes, one after the other.
fn sqpoll() {
    let mut ring = IoUring::builder().setup_sqpoll(50).build(4).expect("a polled ring");
    for user_data in 1..=100 {
        push(&mut ring, &nop(user_data));
        let _ = ring.submit();
        while reap(&mut ring) == 0 {
            std::hint::spin_loop();
        }
    }
}

/// Entries for a worker and for the polling thread itself, in turns.
fn sqpoll_forced() {
    let mut ring = IoUring::builder().setup_sqpoll(1000).build(4).expect("a polled ring");
    for user_data in 1..=100 {
        let forced = if user_data % 2 == 0 { squeue::Flags::ASYNC } else { squeue::Flags::empty() };
        push(&mut ring, &nop(user_data).flags(forced));
        let _ = ring.submit();
        while reap(&mut ring) == 0 {
            std::hint::spin_loop();
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Opens a file again and again; the path's memory is used for something else as soon as an
/// entry is answered.
fn sqpoll_path() {
    let mut ring = IoUring::builder().setup_sqpoll(1000).build(8).expect("a polled ring");
    let mut path = [0; 10];
    for user_data in 1..=200 {
        path.copy_from_slice(b"/dev/null\0");
        let cwd = types::Fd(libc::AT_FDCWD);
        let open = opcode::OpenAt::new(cwd, path.as_ptr().cast()).flags(libc::O_RDONLY);
        push(&mut ring, &open.build().user_data(user_data));
        let _ = ring.submit();
        let completion = loop {
            if let Some(completion) = ring.completion().next() {
                break completion;
            }
        };
        path.copy_from_slice(b"/not/this\0");
        std::hint::black_box(&mut path);
        // SAFETY: the kernel opened it for this very completion.
        drop(unsafe { OwnedFd::from_raw_fd(completion.result()) });
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// More than the tracer can see: NOPs at full speed.
fn sqpoll_flood() {
    const COUNT: u64 = 200_000;
    let mut ring = IoUring::builder().setup_sqpoll(1000).build(256).expect("a polled ring");
    let (mut pushed, mut reaped) = (0, 0);
    while reaped < COUNT {
        while pushed < COUNT && pushed - reaped < 400 {
            // SAFETY: a NOP points at nothing.
            if unsafe { ring.submission().push(&nop(pushed + 1)) }.is_err() {
                break;
            }
            pushed += 1;
        }
        let _ = ring.submit();
        reaped += reap(&mut ring) as u64;
    }
}

/// Twelve completions for a queue of four.
fn overflow() {
    let mut ring = IoUring::builder().setup_cqsize(4).build(4).expect("a ring");
    for round in 0..3 {
        let entries: Vec<_> = (1..=4).map(|entry| nop(round * 4 + entry)).collect();
        submit(&mut ring, &entries, 0);
    }
    let mut reaped = 0;
    while reaped < 12 {
        reaped += reap(&mut ring);
        let _ = ring.submit_and_wait(1);
        reaped += reap(&mut ring);
    }
}

/// A wait that a signal ends.
fn interrupted() {
    extern "C" fn nothing(_: libc::c_int) {}
    on_signal(libc::SIGALRM, nothing as *const () as usize);
    let mut ring = IoUring::new(2).expect("a ring");
    signal_soon(libc::SIGALRM);
    let time = types::Timespec::new().sec(600);
    push(&mut ring, &timeout(&time));
    ring.submit().expect("submitted");
    let error = ring.submit_and_wait(1).expect_err("an interrupted wait");
    assert_eq!(error.raw_os_error(), Some(libc::EINTR));
}

/// Waits that no signal ends, since the program ignores it: some by default, one by choice.
fn not_interrupted() {
    on_signal(libc::SIGUSR1, libc::SIG_IGN);
    let mut ring = IoUring::new(2).expect("a ring");
    for signal in [libc::SIGWINCH, libc::SIGCHLD, libc::SIGURG, libc::SIGUSR1] {
        let (reader, mut writer) = UnixStream::pair().expect("two ends");
        let mut byte = [0_u8; 1];
        let sent = signal_soon(signal);
        let writes = std::thread::spawn(move || {
            sent.join().expect("the signal is sent");
            std::thread::sleep(Duration::from_millis(50));
            writer.write_all(b"!").expect("a byte");
        });
        let fd = types::Fd(reader.as_raw_fd());
        let read = opcode::Read::new(fd, byte.as_mut_ptr(), 1).build().user_data(1);
        // Submits and waits in one call: its result hides an interrupted wait.
        submit(&mut ring, &[read], 1);
        assert_eq!(reap(&mut ring), 1, "signal {signal} ended the wait");
        writes.join().expect("the byte is written");
    }
}

/// Signals for a process, while its first thread waits. The kernel prefers that one, and in a child
/// it is this.
fn interrupted_by_whom() {
    // SAFETY: nobody else holds a lock that the child needs: the harness waits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let good = std::panic::catch_unwind(waits_for_signals).is_ok();
        std::process::exit(i32::from(!good));
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the child failed");
}

/// A wait ends if this thread handles the signal, and goes on if the other one does. In every second
/// round the other one cannot.
fn waits_for_signals() {
    static HANDLED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: libc::c_int) {
        // SAFETY: calls without arguments, which a handler may make.
        let first = unsafe { libc::gettid() == libc::getpid() };
        HANDLED.fetch_add(u32::from(first), Ordering::Relaxed);
    }
    on_signal(libc::SIGUSR1, count as *const () as usize);
    let mut ring = IoUring::new(2).expect("a ring");
    let mut ended = 0;
    for round in 0..40 {
        let (reader, mut writer) = UnixStream::pair().expect("two ends");
        let mut byte = [0_u8; 1];
        let before = HANDLED.load(Ordering::Relaxed);
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            // SAFETY: a set of this function's, and plain numbers.
            unsafe {
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, libc::SIGUSR1);
                let how = if round % 2 == 0 { libc::SIG_UNBLOCK } else { libc::SIG_BLOCK };
                libc::pthread_sigmask(how, &set, std::ptr::null_mut());
                libc::kill(libc::getpid(), libc::SIGUSR1);
            }
            std::thread::sleep(Duration::from_millis(5));
            writer.write_all(b"!").expect("a byte");
        });
        let fd = types::Fd(reader.as_raw_fd());
        let read = opcode::Read::new(fd, byte.as_mut_ptr(), 1).build().user_data(1);
        push(&mut ring, &read);
        assert_eq!(ring.submit_and_wait(1).expect("an enter"), 1, "round {round}");
        if reap(&mut ring) == 0 {
            ended += 1;
            let handled = HANDLED.load(Ordering::Relaxed) - before;
            assert_eq!(handled, 1, "round {round}: the wait ended for nothing");
            submit(&mut ring, &[], 1);
            assert_eq!(reap(&mut ring), 1, "round {round}");
        }
        other.join().expect("the byte is written");
    }
    assert!(ended > 0, "no signal ended a wait");
}

/// Waits on a ring of a device that is polled: such a wait may end early.
fn iopoll() {
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut options = std::fs::File::options();
    let options = options.write(true).create(true).custom_flags(libc::O_DIRECT);
    let Ok(file) = options.open(folder.path().join("file")) else {
        return not_here("the file system has no O_DIRECT");
    };
    let Ok(mut ring) = IoUring::builder().setup_iopoll().build(1) else {
        return not_here("no polled rings");
    };
    let (page, fd) = (Box::new(Page([7; 4096])), types::Fd(file.as_raw_fd()));
    for nth in 0..64 {
        let write = opcode::Write::new(fd, page.0.as_ptr(), 4096).offset(nth * 4096).build();
        push(&mut ring, &write);
        assert_eq!(ring.submit_and_wait(1).expect("a wait"), 1);
        while ring.completion().is_empty() {
            ring.submit_and_wait(1).expect("a wait");
        }
        let result = ring.completion().next().expect("a completion").result();
        // Not every file system can be polled.
        assert!([4096, -libc::EOPNOTSUPP].contains(&result), "{result}");
    }
}

fn on_signal(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: the handlers here do nothing, and so nothing that a handler may not do.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Sends this thread a signal once it has had time to fall asleep.
fn signal_soon(signal: libc::c_int) -> std::thread::JoinHandle<()> {
    // SAFETY: plain numbers.
    let me = unsafe { libc::gettid() };
    let process = std::process::id() as libc::c_int;
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        // SAFETY: plain numbers.
        unsafe { libc::syscall(libc::SYS_tgkill, process, me, signal) };
    })
}

/// Closes a ring with an armed accept, and wants the port back while it still runs.
fn rebind() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let mut ring = IoUring::new(2).expect("a ring");
    let accept = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(1);
    submit(&mut ring, &[accept], 0);
    drop(ring);
    drop(listener);
    // The kernel ends a ring a moment after its last descriptor.
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = TcpListener::bind(address) {
        assert!(Instant::now() < deadline, "the ring is still held: {error}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A chain that breaks: the second entry fails, the third is cancelled.
fn links() {
    let mut ring = IoUring::new(4).expect("a ring");
    let linked = squeue::Flags::IO_LINK;
    let bad = opcode::Read::new(types::Fd(-1), std::ptr::null_mut(), 0).build().user_data(2);
    submit(&mut ring, &[nop(1).flags(linked), bad.flags(linked), nop(3)], 3);
    assert_eq!(reap(&mut ring), 3);
}

/// Entries that were never filled in.
fn garbage() {
    let mut ring = IoUring::new(64).expect("a ring");
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..500 {
        let mut bytes = [0_u8; 64];
        random.fill(&mut bytes);
        // An operation that no kernel has, so that nothing happens to this machine.
        bytes[0] |= 0x80;
        // SAFETY: an entry is 64 bytes of plain data, and the kernel refuses this operation
        // before it looks at any address in it.
        let entry: squeue::Entry = unsafe { std::mem::transmute(bytes) };
        push(&mut ring, &entry);
        let _ = ring.submit_and_wait(1);
        reap(&mut ring);
    }
}

/// Each timeout is submitted and waited for in one enter: short ones, and one that sleeps.
fn timeouts() {
    let mut ring = IoUring::new(2).expect("a ring");
    for nsec in [[700_000; 20].as_slice(), &[50_000_000]].concat() {
        let time = types::Timespec::new().nsec(nsec);
        submit(&mut ring, &[timeout(&time)], 1);
        assert_eq!(reap(&mut ring), 1);
    }
}

/// Each entry runs elsewhere: submitted in one enter, then waited for.
fn places() {
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
fn files() {
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
fn forced() {
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
fn talk() {
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

/// Every entry carries the same `user_data`; one of them is a timeout.
fn same_user_data() {
    let mut ring = IoUring::new(4).expect("a ring");
    let time = types::Timespec::new().nsec(1_000_000);
    let timeout = opcode::Timeout::new(&time).build().user_data(0);
    submit(&mut ring, &[timeout, nop(0), nop(0)], 3);
    assert_eq!(reap(&mut ring), 3);
}

/// Asks for a larger ring than there is.
fn refused() {
    assert!(IoUring::new(70_000).is_err());
}

/// Ends while a worker of the kernel waits for another process to open the other end. The worker
/// may not have begun to wait, so the test removes the FIFO.
fn fifo() {
    let path = std::env::temp_dir().join(format!("xtask-fifo-{}", std::process::id()));
    let path = std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).expect("a path");
    // SAFETY: `path` ends with a zero, and lives until the end.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let mut ring = IoUring::new(2).expect("a ring");
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
    submit(&mut ring, &[open.flags(squeue::Flags::ASYNC).user_data(1)], 0);
}

/// Two receives into provided buffers: the first takes one, the second three.
fn bundle() {
    #[repr(C, align(4096))]
    struct Page([[u64; 2]; 4]);
    const GROUP: u16 = 7;
    const IDS: [u16; 4] = [2, 0, 3, 1];
    let mut text = [0; 16];
    let mut page = Box::new(Page([[0; 2]; 4]));
    let buffers = page.0.as_mut_ptr().cast::<types::BufRingEntry>();
    for (nth, id) in IDS.into_iter().enumerate() {
        // SAFETY: an entry of a ring of buffers has 16 bytes, and the page holds four.
        let buffer = unsafe { &mut *buffers.add(nth) };
        buffer.set_addr(text[4 * nth..].as_mut_ptr() as u64);
        buffer.set_len(4);
        buffer.set_bid(id);
    }
    let mut ring = IoUring::new(2).expect("a ring");
    // SAFETY: the page and the buffers live until the process ends, and with it the ring.
    if unsafe { ring.submitter().register_buf_ring_with_flags(buffers as u64, 4, GROUP, 0) }
        .is_err()
    {
        not_here("no rings of buffers before Linux 5.19");
    }
    // SAFETY: the tail lies in the first entry, and only this program writes to it.
    unsafe { types::BufRingEntry::tail(buffers).cast_mut().write_volatile(4) };
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    let receive = opcode::RecvBundle::new(types::Fd(ours.as_raw_fd()), GROUP).build();
    for (nth, sent) in ["abcd", "hello world!"].into_iter().enumerate() {
        (&theirs).write_all(sent.as_bytes()).expect("room");
        submit(&mut ring, &[receive.clone().user_data(nth as u64)], 1);
        let answer = ring.completion().next().expect("a completion").result();
        if answer == -libc::EINVAL {
            not_here("no bundles before Linux 6.10");
        }
        assert_eq!(answer, sent.len() as i32);
    }
    drop(ring);
}

/// `io_uring_setup` and related calls without the crate, for what the crate cannot do.
pub mod raw {
    use std::ptr;

    pub const SQ_RING: libc::off_t = 0;
    pub const SQES: libc::off_t = 0x1000_0000;

    /// `struct io_uring_params` as its 30 words.
    pub type Params = [u32; 30];

    pub fn setup(entries: u32, params: &mut Params) -> Option<libc::c_int> {
        // SAFETY: the kernel reads and writes the 120 bytes before the call returns.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, params.as_mut_ptr()) };
        libc::c_int::try_from(fd).ok().filter(|fd| *fd >= 0)
    }

    pub fn register(fd: libc::c_int, operation: u32, params: &mut Params) -> libc::c_long {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_io_uring_register, fd, operation, params.as_mut_ptr(), 1) }
    }

    pub fn enter(fd: libc::c_int, submit: u32, wait: u32, flags: u32) {
        const GETEVENTS: u32 = 1;
        let null = ptr::null::<libc::c_void>();
        // SAFETY: no pointer goes in.
        let taken = unsafe {
            libc::syscall(libc::SYS_io_uring_enter, fd, submit, wait, flags | GETEVENTS, null, 0)
        };
        assert_eq!(taken, libc::c_long::from(submit));
    }

    /// 64 KiB: of a ring's descriptor, or anonymous.
    pub fn map(fd: libc::c_int, offset: libc::off_t, length: usize) -> *mut u32 {
        let flags = if fd < 0 { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS } else { libc::MAP_SHARED };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping touches no memory of ours.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, fd, offset) };
        assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        start.cast()
    }

    /// Publishes a NOP in a ring without an index array.
    pub fn publish_nop(params: &Params, rings: *mut u32, sqes: *mut u32, user_data: u32) {
        let tail = params[11] as usize / 4;
        // SAFETY: both mappings are live, and the offsets are the kernel's. Only this program
        // writes the tail, and the entry is behind it until it is published.
        unsafe {
            let at = *rings.add(tail);
            let entry = sqes.add((at & (params[0] - 1)) as usize * 16);
            ptr::write_bytes(entry, 0, 16);
            *entry.add(8) = user_data;
            rings.add(tail).write_volatile(at + 1);
        }
    }
}

/// A ring in the program's own memory that has no descriptor, only an index.
fn own_memory() {
    const NO_MMAP: u32 = 1 << 14;
    const REGISTERED_FD_ONLY: u32 = 1 << 15;
    const NO_SQARRAY: u32 = 1 << 16;
    const REGISTERED_RING: u32 = 1 << 4;
    let (rings, sqes) = (raw::map(-1, 0, 4096), raw::map(-1, 0, 4096));
    let mut params: raw::Params = [0; 30];
    params[2] = NO_MMAP | REGISTERED_FD_ONLY | NO_SQARRAY;
    let words = |address: *mut u32| {
        let address = address as u64;
        [address as u32, (address >> 32) as u32]
    };
    params[18..20].copy_from_slice(&words(sqes));
    params[28..30].copy_from_slice(&words(rings));
    let Some(index) = raw::setup(4, &mut params) else {
        return not_here("NO_MMAP came with Linux 6.5, NO_SQARRAY with 6.6");
    };
    for user_data in 1..=10 {
        raw::publish_nop(&params, rings, sqes, user_data);
        raw::enter(index, 1, 1, REGISTERED_RING);
        // SAFETY: the mapping is live, and only this program moves the completions' head.
        unsafe { *rings.add(params[20] as usize / 4) += 1 };
    }
}

/// A program that writes nonsense over both ends of the completion queue.
fn garbled_tail() {
    const NO_SQARRAY: u32 = 1 << 16;
    let mut params: raw::Params = [0; 30];
    params[2] = NO_SQARRAY;
    let Some(fd) = raw::setup(4, &mut params) else {
        return not_here("NO_SQARRAY came with Linux 6.6");
    };
    let rings = raw::map(fd, raw::SQ_RING, params[25] as usize + params[1] as usize * 16);
    let sqes = raw::map(fd, raw::SQES, params[0] as usize * 64);
    for user_data in 1..=10 {
        raw::publish_nop(&params, rings, sqes, user_data);
        for end in [params[20], params[21]] {
            // SAFETY: the mapping is live, and the offset is the kernel's.
            unsafe { rings.add(end as usize / 4).write_volatile(1_000_000_000) };
        }
        raw::enter(fd, 0, 0, 0);
        raw::enter(fd, 1, 0, 0);
    }
}

/// A ring that grows while it has a completion in it.
fn resize() {
    const FLAGS: u32 = 1 << 12 | 1 << 13 | 1 << 16;
    const RESIZE_RINGS: u32 = 33;
    let mut params: raw::Params = [0; 30];
    params[2] = FLAGS;
    let Some(fd) = raw::setup(2, &mut params) else {
        return not_here("NO_SQARRAY came with Linux 6.6");
    };
    let bytes = |params: &raw::Params| params[25] as usize + params[1] as usize * 16;
    let rings = raw::map(fd, raw::SQ_RING, bytes(&params));
    let sqes = raw::map(fd, raw::SQES, params[0] as usize * 64);
    raw::publish_nop(&params, rings, sqes, 1);
    raw::enter(fd, 1, 1, 0);
    let mut larger: raw::Params = [0; 30];
    larger[0] = 16;
    if raw::register(fd, RESIZE_RINGS, &mut larger) < 0 {
        return not_here("resizing came with Linux 6.13");
    }
    let rings = raw::map(fd, raw::SQ_RING, bytes(&larger));
    let sqes = raw::map(fd, raw::SQES, larger[0] as usize * 64);
    for user_data in 2..=9 {
        raw::publish_nop(&larger, rings, sqes, user_data);
    }
    raw::enter(fd, 8, 9, 0);
}
