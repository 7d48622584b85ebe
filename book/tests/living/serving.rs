//! `book serve`, started for one test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A server of the book. Dropping it ends the server.
pub struct Serving {
    /// With the word, and `/` at its end.
    pub address: String,
    child: Child,
    said: Arc<Mutex<String>>,
    _dest: tempfile::TempDir,
}

impl Serving {
    /// Serves the book of this workspace.
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// The same, with changes to the command.
    pub fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let dest = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_book"));
        command.args(["serve", "--port", "0", "--dest"]).arg(dest.path().join("book"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        change(&mut command);
        testkit::die_with_parent(&mut command);
        let mut child = command.spawn().expect("the book's program");
        let mut lines =
            BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        // "the book is at http://127.0.0.1:34567/WORD/ until Ctrl-C"
        let address = lines.find_map(|line| {
            Some(line.strip_prefix("the book is at ")?.split(' ').next()?.to_owned())
        });
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            lines.for_each(|line| heard.lock().expect("no panic").push_str(&(line + "\n")));
        });
        Self { address: address.expect("its address"), child, said, _dest: dest }
    }

    /// What it printed after its address.
    pub fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }

    /// Ends it with a signal that no program can handle.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a request as a page of the book would.
    pub fn post(&self, path: &str) -> TcpStream {
        let (host, word) = self.host_and_word();
        let mut client = TcpStream::connect(host).expect("the server");
        let request = format!(
            "POST /{word}/{path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).expect("a request");
        client
    }

    /// Its host and port, and the word.
    pub fn host_and_word(&self) -> (&str, &str) {
        let rest = self.address.strip_prefix("http://").expect("an address");
        let (host, word) = rest.split_once('/').expect("a word");
        (host, word.trim_end_matches('/'))
    }

    /// The address without the word, which any page can guess.
    pub fn guessed(&self) -> String {
        format!("http://{}/", self.host_and_word().0)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether qemu is here.
pub fn has_emulator() -> bool {
    let mut qemu = Command::new("qemu-system-x86_64");
    let asked = qemu.arg("--version").stdout(Stdio::null()).status();
    cfg!(target_arch = "x86_64") && asked.is_ok_and(|status| status.success())
}
