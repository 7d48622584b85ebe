//! What a program reaches behind its walls.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::pty::openpty;
use nix::unistd::setsid;
use testkit::io_uring_or_skip;

use super::{Class, solution, walls_or_skip};

#[test]
fn a_program_reaches_nothing_outside_of_its_walls() {
    const TEST: &str = "a_program_reaches_nothing_outside_of_its_walls";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let class = Class::new("class_walls");
    let private = class.folder.join("private");
    fs::write(&private, "\"the private file\"").expect("a file");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::set_permissions(&class.folder, fs::Permissions::from_mode(0o755)).expect("its mode");
    // Not below the target folder: a socket's path is short.
    let path = std::env::temp_dir().join(format!("class_walls.{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let named = UnixListener::bind(&path).expect("a socket");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("its mode");
    let name = format!("class_walls.{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let abstracted = UnixListener::bind_addr(&address).expect("a socket");

    class.hand_in("ada", &solution());
    class.hand_in("compiler", &format!("fn main() {{ panic!(include_str!({private:?})) }}"));
    class.hand_in(
        "environment",
        "fn main() { panic!(\"{:?} {:?}\", option_env!(\"SECRET\"), std::env::var(\"SECRET\")) }",
    );
    class.hand_in("escapes", r#"fn main() { panic!("\x1b]0;title\x07") }"#);
    let sockets = SOCKETS.replace("PATH", &format!("{path:?}")).replace("NAME", &name);
    class.hand_in("sockets", &sockets);
    class.hand_in("judge", JUDGE);
    class.hand_in("terminal", TERMINAL);

    let table = on_a_terminal(class.command());
    let _ = fs::remove_file(&path);
    if !walls_or_skip(TEST, &table) {
        return;
    }
    let text = |student: &str| -> String {
        let text = class.text(student);
        assert!(!text.contains('\x1b'), "{text:?}");
        // The words of the panic, without the line breaks.
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(text("ada").contains("passed"), "{}", text("ada"));
    assert!(!text("compiler").contains("the private file"), "{}", text("compiler"));
    assert!(text("compiler").contains("No such file"), "{}", text("compiler"));
    assert!(text("environment").contains("None Err(NotPresent)"), "{}", text("environment"));
    assert!(text("sockets").contains("path Err path 2 name Err name 111"), "{}", text("sockets"));
    for listener in [named, abstracted] {
        listener.set_nonblocking(true).expect("a socket");
        assert!(listener.accept().is_err(), "a program connected to a socket of ours");
    }
    let refused = "seize 1 memory Err descriptor 1 environment Err signal 0";
    assert!(text("judge").contains(refused), "{}", text("judge"));
    assert!(text("terminal").contains("tty Err"), "{}", text("terminal"));
    assert!(!table.contains("]0;title"), "{table:?}");
}

/// By a plain call and through a ring.
const SOCKETS: &str = r#"
use io_uring::{IoUring, opcode, types};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
fn word<T, E>(result: Result<T, E>) -> &'static str { if result.is_ok() { "Ok" } else { "Err" } }
fn through_ring(path: &[u8]) -> i32 {
    let mut ring = IoUring::new(2).unwrap();
    let mut submit = |entry| unsafe {
        ring.submission().push(&entry).unwrap();
        ring.submit_and_wait(1).unwrap();
        ring.completion().next().unwrap().result()
    };
    let socket = submit(opcode::Socket::new(libc::AF_UNIX, libc::SOCK_STREAM, 0).build());
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as u16;
    for (to, from) in address.sun_path.iter_mut().zip(path) { *to = *from as libc::c_char }
    let (pointer, length) = ((&raw const address).cast(), 2 + path.len() as u32);
    -submit(opcode::Connect::new(types::Fd(socket), pointer, length).build())
}
fn main() {
    let (path, name) = (PATH, "NAME");
    let address = SocketAddr::from_abstract_name(name).unwrap();
    panic!(
        "path {} path {} name {} name {}",
        word(UnixStream::connect(path)), through_ring(path.as_bytes()),
        word(UnixStream::connect_addr(&address)), through_ring(format!("\0{name}").as_bytes()),
    );
}
"#;

/// The judge is the parent.
const JUDGE: &str = r#"
use std::fs::OpenOptions;
fn word<T, E>(result: Result<T, E>) -> &'static str { if result.is_ok() { "Ok" } else { "Err" } }
fn main() {
    let judge = std::os::unix::process::parent_id() as i32;
    let open = |name| OpenOptions::new().write(name == "mem").read(true).open(format!("/proc/{judge}/{name}"));
    unsafe {
        let seized = -libc::ptrace(libc::PTRACE_SEIZE, judge, 0, 0);
        let pidfd = libc::syscall(libc::SYS_pidfd_open, judge, 0);
        let descriptor = -libc::syscall(libc::SYS_pidfd_getfd, pidfd, 1, 0);
        let (memory, environment) = (word(open("mem")), word(open("environ")));
        let signal = libc::kill(judge, libc::SIGKILL);
        panic!("seize {seized} memory {memory} descriptor {descriptor} environment {environment} signal {signal}");
    }
}
"#;

/// Types a command for the teacher, if it can.
const TERMINAL: &str = r#"
use std::os::fd::AsRawFd;
fn main() {
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty");
    if let Ok(terminal) = &terminal {
        unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, c"x".as_ptr()) };
    }
    panic!("tty {}", if terminal.is_ok() { "Ok" } else { "Err" });
}
"#;

/// Runs a command in a session with a terminal, as a teacher does; all that it printed there.
fn on_a_terminal(mut command: Command) -> String {
    let terminal = openpty(None, None).expect("a terminal");
    let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
    command.stdin(end(&terminal.slave)).stdout(end(&terminal.slave)).stderr(end(&terminal.slave));
    // SAFETY: the closure runs in the child after fork and makes two system calls.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            let taken = libc::ioctl(std::io::stdin().as_raw_fd(), libc::TIOCSCTTY, 0);
            if taken == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        })
    };
    let mut child = command.spawn().expect("the tool");
    drop((command, terminal.slave));
    let mut output = File::from(terminal.master);
    let (mut printed, mut bytes) = (Vec::new(), [0; 4096]);
    // It ends with an error when no process has the other side open any more.
    while let Ok(count @ 1..) = output.read(&mut bytes) {
        printed.extend_from_slice(&bytes[..count]);
    }
    assert!(child.wait().expect("an end").success());
    String::from_utf8_lossy(&printed).into_owned()
}
