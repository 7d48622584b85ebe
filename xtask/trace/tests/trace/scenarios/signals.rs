//! Waits and signals.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use io_uring::{IoUring, opcode, types};

use super::shared::{not_here, push, reap, submit, timeout};

/// A wait that a signal ends.
pub fn interrupted() {
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
pub fn not_interrupted() {
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

/// Signals for a process, while its first thread waits. The kernel prefers the first thread, and in a
/// child process that is this one.
pub fn interrupted_by_whom() {
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
/// round the other one cannot handle it.
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
pub fn iopoll() {
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
    // SAFETY: the handlers here do nothing that a handler may not do.
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
