//! Receives that wait for long are renewed while others come and go.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Command;

use nix::sys::signal::Signal;
use testkit::{Server, io_uring_or_skip};

/// More connections than the closes after which receives are renewed.
const GUESTS: u64 = 1100;

/// A client that stays keeps its conversation through a renewal.
#[test]
fn a_client_who_stays_is_served_through_a_renewal() {
    if !io_uring_or_skip("a_client_who_stays_is_served_through_a_renewal") {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_day04"));
    command.args(["--listen", "127.0.0.1:0", "--reply", "echo", "--quiet", "--json"]);
    // Where a close is not late, nothing needs to be renewed.
    command.arg("--shutdown-first");
    let server = Server::start(command).expect("day04 starts");
    let mut resident = server.connect().expect("a connection");
    let mut echo = [0; 5];
    resident.write_all(b"first").expect("the server reads");
    resident.read_exact(&mut echo).expect("an echo");

    for _ in 0..GUESTS {
        let mut guest = server.connect().expect("a connection");
        guest.shutdown(Shutdown::Write).expect("half-close");
        assert_eq!(guest.read_to_end(&mut Vec::new()).expect("the end"), 0);
    }

    resident.write_all(b"again").expect("the server reads");
    resident.read_exact(&mut echo).expect("an echo");
    assert_eq!(&echo, b"again");
    drop(resident);
    let stopped = server.stop(Signal::SIGINT).expect("day04 stops");
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(stopped.summary["connections"], GUESTS + 1);
}
