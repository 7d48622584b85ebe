//! `book serve`, started for one test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A server of the book. Dropping it ends it.
pub struct Serving {
    /// With the word, and `/` at its end.
    pub address: String,
    child: Child,
    _dest: tempfile::TempDir,
}

impl Serving {
    /// Serves the book of this workspace.
    pub fn start() -> Self {
        let dest = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_book"));
        command.args(["serve", "--port", "0", "--dest"]).arg(dest.path().join("book"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        testkit::die_with_parent(&mut command);
        let mut child = command.spawn().expect("the book's program");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        // "the book is at http://127.0.0.1:34567/WORD/ until Ctrl-C"
        let address = lines.map_while(Result::ok).find_map(|line| {
            Some(line.strip_prefix("the book is at ")?.split(' ').next()?.to_owned())
        });
        Self { address: address.expect("its address"), child, _dest: dest }
    }

    /// The address without the word, as everybody may guess it.
    pub fn guessed(&self) -> String {
        let word = self.address.trim_end_matches('/').rfind('/').expect("a word");
        self.address[..=word].to_owned()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
