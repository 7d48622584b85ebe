//! The terminal: reads single keys, and draws the whole screen. It needs only termios and a few
//! escape sequences.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::Pid;

use crate::exercise::paint::printable;
use ringtrace::terminal_size;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A line up, a line down.
    Line(i32),
    /// A page up, a page down.
    Page(i32),
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-C, a signal, or a closed terminal.
    Quit,
}

/// A terminal in raw mode, on its alternate screen. Dropping this value restores it.
pub struct Terminal {
    before: Termios,
    signals: Option<SignalFd>,
}

impl Terminal {
    /// Switches the terminal to raw mode and the alternate screen.
    ///
    /// # Errors
    /// If standard input is not a terminal.
    pub fn open() -> io::Result<Terminal> {
        let before = tcgetattr(io::stdin().as_fd())?;
        // Signals that would end the program must first restore the terminal.
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = set.thread_block().and_then(|()| SignalFd::with_flags(&set, flags)).ok();
        let terminal = Terminal { before, signals };
        terminal.resume()?;
        Ok(terminal)
    }

    /// Switches to raw mode again.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn resume(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &raw)?;
        // The alternate screen, and no cursor.
        write_out("\x1b[?1049h\x1b[?25l\x1b[2J")
    }

    /// Restores the terminal for another program.
    pub fn suspend(&self) {
        let _ = write_out("\x1b[?25h\x1b[?1049l");
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSADRAIN, &self.before);
    }

    /// Stops this program like Ctrl-Z, until the shell continues it. Stops this process only: a
    /// compilation goes on, and a traced program must not be stopped without the tracer.
    ///
    /// # Errors
    /// If the terminal is closed meanwhile.
    pub fn stop(&self) -> io::Result<()> {
        self.suspend();
        let _ = kill(Pid::this(), Signal::SIGTSTP);
        self.resume()
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        terminal_size(io::stdout().as_fd())
            .filter(|(_, rows)| *rows > 0)
            .map_or((80, 24), |(columns, rows)| (columns.max(20), rows.max(6)))
    }

    /// Draws all rows.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn draw(&self, rows: &[String]) -> io::Result<()> {
        let (columns, _) = self.size();
        let mut frame = String::from("\x1b[H");
        for (nth, row) in rows.iter().enumerate() {
            if nth > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(&pieces(row, columns)[0]);
            frame.push_str("\x1b[K");
        }
        write_out(&(frame + "\x1b[J"))
    }

    /// The keys that were pressed within `milliseconds`.
    pub fn keys(&self, milliseconds: u16) -> Vec<Key> {
        let stdin = io::stdin();
        let mut wanted = vec![PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if let Some(signals) = &self.signals {
            wanted.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        }
        let ready = poll(&mut wanted, PollTimeout::from(milliseconds)).unwrap_or(0);
        let came = |nth: usize| wanted.get(nth).and_then(PollFd::any).unwrap_or(false);
        if ready <= 0 {
            return Vec::new();
        }
        if came(1) {
            return vec![Key::Quit];
        }
        let mut bytes = [0; 256];
        match nix::unistd::read(&stdin, &mut bytes) {
            Ok(0) => vec![Key::Quit],
            Ok(count) => keys_of(&bytes[..count]),
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => Vec::new(),
            Err(_) => vec![Key::Quit],
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.suspend();
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether input and output are a terminal that can do more than lines.
pub fn is_there() -> bool {
    let terminal = |fd: BorrowedFd<'_>| nix::unistd::isatty(fd).unwrap_or(false);
    let (input, output) = (io::stdin(), io::stdout());
    let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb" || value.is_empty());
    terminal(input.as_fd()) && terminal(output.as_fd()) && !dumb
}

/// The keys in the bytes of a read. An escape sequence arrives in one piece.
fn keys_of(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    let mut keys = Vec::new();
    while let Some(letter) = rest.chars().next() {
        let sequence = SEQUENCES.iter().find(|(sequence, _)| rest.starts_with(sequence));
        if let Some((sequence, key)) = sequence {
            keys.push(*key);
            rest = &rest[sequence.len()..];
            continue;
        }
        if letter == '\x1b' {
            // Skips an unknown sequence, up to its final letter.
            let end = rest
                .char_indices()
                .skip(2)
                .find(|(_, letter)| letter.is_ascii_alphabetic() || *letter == '~');
            rest = end.map_or("", |(at, _)| &rest[at + 1..]);
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\x03' | '\x04' => keys.push(Key::Quit),
            '\x1a' => keys.push(Key::Suspend),
            ' ' | '\x06' => keys.push(Key::Page(1)),
            '\x02' | '\x7f' => keys.push(Key::Page(-1)),
            'j' => keys.push(Key::Line(1)),
            'k' => keys.push(Key::Line(-1)),
            letter => keys.push(Key::Char(letter)),
        }
    }
    keys
}

const SEQUENCES: [(&str, Key); 12] = [
    ("\x1b[A", Key::Line(-1)),
    ("\x1bOA", Key::Line(-1)),
    ("\x1b[B", Key::Line(1)),
    ("\x1bOB", Key::Line(1)),
    ("\x1b[5~", Key::Page(-1)),
    ("\x1b[6~", Key::Page(1)),
    ("\x1b[H", Key::Home),
    ("\x1b[1~", Key::Home),
    ("\x1bOH", Key::Home),
    ("\x1b[F", Key::End),
    ("\x1b[4~", Key::End),
    ("\x1bOF", Key::End),
];

/// A line in pieces that fit the width, broken after a space if there is one. Colours take no room;
/// each piece ends its colour.
pub fn pieces(line: &str, width: usize) -> Vec<String> {
    let line = &printable(line, true);
    let mut pieces = vec![String::new()];
    let mut room = breaks(line, width).into_iter();
    let mut left = room.next().unwrap_or(width);
    let mut escape = String::new();
    let mut colour = String::new();
    for letter in line.chars() {
        if letter == '\x1b' || !escape.is_empty() {
            escape.push(letter);
            if letter == 'm' {
                colour = std::mem::take(&mut escape);
                last(&mut pieces).push_str(&colour);
            }
            continue;
        }
        if letter.is_control() {
            continue;
        }
        if left == 0 {
            if !colour.is_empty() {
                last(&mut pieces).push_str("\x1b[0m");
            }
            pieces.push(colour.clone());
            left = room.next().unwrap_or(width);
        }
        left -= 1;
        last(&mut pieces).push(letter);
    }
    pieces
}

/// The number of letters in each piece except the last.
fn breaks(line: &str, width: usize) -> Vec<usize> {
    let mut escaped = false;
    let seen = |letter: &char| {
        let colour = escaped || *letter == '\x1b';
        escaped = colour && *letter != 'm';
        !colour && !letter.is_control()
    };
    let letters: Vec<char> = line.chars().filter(seen).collect();
    let mut rest = letters.as_slice();
    let mut breaks = Vec::new();
    while rest.len() > width {
        // A space in the first half is an indent, or leaves most of the line empty.
        let space = rest[width / 2..width].iter().rposition(|letter| *letter == ' ');
        let end = space.map_or(width, |at| width / 2 + at + 1);
        breaks.push(end);
        rest = &rest[end..];
    }
    breaks
}

fn last(pieces: &mut [String]) -> &mut String {
    // There is always one.
    let at = pieces.len() - 1;
    &mut pieces[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_and_letters_are_told_apart() {
        let keys = keys_of(b"h\x1b[A\x1b[6~\x1b[24~q");
        assert_eq!(keys, [Key::Char('h'), Key::Line(-1), Key::Page(1), Key::Char('q')]);
        assert_eq!(keys_of(b"\x03\x1a"), [Key::Quit, Key::Suspend]);
        assert_eq!(keys_of(b"\x1b"), []);
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_each_ends_its_colour() {
        assert_eq!(pieces("abcde", 3), ["abc", "de"]);
        assert_eq!(pieces("ab cd ef", 7), ["ab cd ", "ef"], "not in mid-word");
        assert_eq!(pieces("", 3), [""]);
        let red = pieces("\x1b[31mabcd\x1b[0m", 3);
        assert_eq!(red, ["\x1b[31mabc\x1b[0m", "\x1b[31md\x1b[0m"]);
        assert_eq!(pieces("a\rb\x1b[2J", 99), [r"a\rb\u{1b}[2J"], "nothing moves the cursor");
    }
}
