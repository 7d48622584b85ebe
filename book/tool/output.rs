//! Prints lines. A reader that has gone away (`| head -1`) is not a failure.

use std::io::{self, Write as _};

/// A line for the reader.
pub fn line(text: &str) {
    if cfg!(test) {
        // The test harness shows this for a test that fails.
        println!("{text}");
    } else {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }
}

/// A line about what is wrong or left out.
pub fn aside(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
