//! What a server says when it is refused what it needs, on day 3 as on day 4.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::{block_io_uring, block_io_uring_enter, io_uring_or_skip, skipped};

/// Its standard output and its standard error, which has each of these parts. It must fail.
fn output_with(mut server: Command, parts: &[&str]) -> (String, String) {
    let output = server.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).expect("text");
    let error = String::from_utf8(output.stderr).expect("text");
    let name = Path::new(server.get_program()).file_name().expect("a name");
    assert!(error.starts_with(&format!("{}: ", name.to_string_lossy())), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("backtrace"), "{error}");
    (said, error)
}

/// Another process listens on the port. The server has no arguments yet.
pub fn a_port(mut server: Command) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    server.args(["--listen", &address]);
    let what = format!("cannot listen on {address}: EADDRINUSE");
    let (_, error) = output_with(server, &[&what, "why: ", "try: `ss "]);
    assert!(!error.contains("Success"), "{error}");
}

/// A filter does not let a ring be set up.
pub fn a_ring(server: impl Fn(&[&str]) -> Command) {
    for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        for arguments in [&[][..], &["--json"]] {
            let mut server = server(arguments);
            block_io_uring(&mut server, errno);
            let parts = [name, "\n  why: ", "seccomp", "\n  try: "];
            assert_eq!(output_with(server, &parts).0, "", "it does not listen");
        }
    }
}

/// A filter lets a ring be set up, and not be used.
pub fn an_enter(test: &str, mut server: Command) {
    if !io_uring_or_skip(test) {
        return;
    }
    block_io_uring_enter(&mut server, libc::EPERM);
    let (_, error) = output_with(server, &[]);
    if error.contains("came with Linux 5.19") {
        return skipped(test, error);
    }
    for part in [
        ": waiting for completions: io_uring_enter was refused: EPERM (",
        "\n  why: a seccomp filter is active",
        "\n  try: ",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
