//! The book's program, run as `cargo xtask book` runs it.

use std::net::TcpListener;
use std::process::{Command, Output};

fn book(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_book"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"] {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the book's program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_taken_port_is_no_fault_of_the_book() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = book(&["serve", "--port", &port]);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("Address already in use") && words.contains("--port 0"), "{words}");
    assert!(!words.contains("wrong with the book"), "{words}");
}

#[test]
fn without_a_display_the_page_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = book(&["build", "--open", "--dest", &folder.path().display().to_string()]);
    let words = text(&output.stderr);
    assert!(output.status.success(), "{words}");
    assert!(words.contains("no browser was opened") && words.contains("index.html"), "{words}");
}
