//! A program's output, read by a thread while it runs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// The most bytes that are kept.
const MOST: usize = 1 << 20;

/// A program's output so far, read by a thread.
#[derive(Debug)]
pub struct Printed {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Printed {
    /// Starts reading.
    pub fn new(pipe: OwnedFd) -> Printed {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut pipe = File::from(pipe);
            let mut buffer = [0; 4096];
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        let mut bytes = lock(&theirs);
                        let room = MOST.saturating_sub(bytes.len()).min(count);
                        bytes.extend_from_slice(&buffer[..room]);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        });
        Printed { bytes, reader: Some(reader) }
    }

    /// The output so far, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.bytes)).into_owned()
    }

    /// The output so far, as bytes.
    pub fn length(&self) -> usize {
        lock(&self.bytes).len()
    }

    /// After the program's end: waits for the rest of the output.
    pub fn rest(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.text()
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}
