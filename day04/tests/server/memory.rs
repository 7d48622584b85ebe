//! Memory that the kernel may write to is not unmapped, however the server ends.

use testkit::{Strace, skipped};

use super::*;

/// A seccomp filter that is installed late could deny a wait like that. A receive is in
/// flight then, and the ring is still open.
#[test]
fn an_enter_that_is_denied_takes_no_buffer_from_the_kernel() {
    if !Strace::works() {
        return skipped(&test_name(), "strace is not installed, or may not trace here");
    }
    // The first enter ends when the client is accepted, the second when it has sent.
    let inject = "inject=io_uring_enter:error=EPERM:when=3+";
    let deny = ["-e", "trace=mmap,munmap,io_uring_enter", "-e", inject];
    // Eight times 12,345 bytes: no other mapping is as long.
    let arguments = ["--reply", "echo", "--buffers", "8", "--buffer-size", "12345"];
    let arguments = [&["--listen", "127.0.0.1:0", "--json", "--quiet"], &arguments[..]].concat();
    let (command, strace) = Strace::wrap_with(&deny, env!("CARGO_BIN_EXE_day04"), &arguments);
    let Some(server) = start_or_skip(&test_name(), command) else { return };
    let mut client = server.connect().unwrap();
    client.write_all(b"hello").unwrap();
    let stopped = server.wait().unwrap();
    assert_eq!(stopped.status.code(), Some(1), "{}", stopped.stderr);
    for part in ["io_uring_enter was refused: EPERM", "\n  why: ", "\n  try: "] {
        assert!(stopped.stderr.contains(part), "{part}: {}", stopped.stderr);
    }
    let record = strace.record().unwrap();
    let calls = |name| record.lines().filter(move |line| line.contains(name));
    assert!(calls("mmap(").any(|line| line.contains(", 98760, ")), "{record}");
    assert!(!calls("munmap(").any(|line| line.contains(", 98760)")), "{record}");
}
