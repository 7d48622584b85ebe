//! What a server prints: text for people, or JSON lines for programs.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use crate::text;

/// `--quiet` and `--json`, as the servers take them.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct TalkOptions {
    /// Say nothing about single clients: only the address and the summary
    #[arg(long)]
    pub quiet: bool,

    /// One JSON object a line: first the address, last the summary
    #[arg(long)]
    pub json: bool,
}

/// Prints events. A reader that went away (`| head`) silences it; it is no reason for a
/// server to end.
#[derive(Debug)]
pub struct Talk {
    options: TalkOptions,
    gone: bool,
}

impl Talk {
    /// Prints to standard output.
    pub fn new(options: TalkOptions) -> Talk {
        Talk { options, gone: false }
    }

    /// Whether [`Talk::detail`] prints anything. Ask before work that only printing needs.
    pub fn is_quiet(&self) -> bool {
        self.options.quiet || self.gone
    }

    /// An event that `--quiet` leaves standing: `text` for people, `event` for programs.
    pub fn always(&mut self, text: fmt::Arguments<'_>, event: impl Serialize) {
        let mut out = io::stdout().lock();
        let written = if self.options.json {
            serde_json::to_writer(&mut out, &event)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            writeln!(out, "{text}")
        };
        self.gone = self.gone || written.and_then(|()| out.flush()).is_err();
    }

    /// An event that `--quiet` silences.
    pub fn detail(&mut self, text: fmt::Arguments<'_>, event: impl Serialize) {
        if !self.is_quiet() {
            self.always(text, event);
        }
    }

    /// Words for people alone, wrapped to fit a terminal: neither `--quiet` nor `--json`
    /// prints them.
    pub fn explain(&mut self, text: fmt::Arguments<'_>) {
        if !self.options.json && !self.is_quiet() {
            let text = text.to_string();
            let empty_line = if text.ends_with('\n') { "\n" } else { "" };
            let wrapped = text::wrap(&text, text::WIDTH, 2);
            self.always(format_args!("{wrapped}{empty_line}"), ());
        }
    }
}
