//! What an entry points at, read from the program's memory: a path, an address, a time, the
//! first bytes of a message. What cannot be read is left out.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use libc::pid_t;
use serde_json::Value;

use super::flags;
use super::ran::File;
use super::sys::read_memory;

/// How many bytes of a message are shown.
const PREVIEW: usize = 24;

/// Reads a program's memory. Every method returns `None` for memory that is not there.
#[derive(Clone, Copy, Debug)]
pub struct Reader(Option<pid_t>);

impl Reader {
    /// Reads the memory of this process or thread.
    pub fn of(pid: pid_t) -> Reader {
        Reader(Some(pid))
    }

    /// Reads nothing: what an entry points at may have changed since the kernel took it.
    pub fn blind() -> Reader {
        Reader(None)
    }

    /// As many bytes as `into` holds.
    pub fn fill(self, address: u64, into: &mut [u8]) -> Option<()> {
        read_memory(self.0?, address, into).ok()
    }

    /// A structure's bytes.
    pub fn bytes<const N: usize>(self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(address, &mut bytes)?;
        Some(bytes)
    }

    /// A list of numbers of 4 bytes, of which `most` are read.
    pub fn numbers(self, address: u64, count: u64, most: u64) -> Option<Vec<i32>> {
        let mut bytes = vec![0; count.min(most) as usize * 4];
        self.fill(address, &mut bytes)?;
        Some(bytes.chunks_exact(4).map(|bytes| word(bytes, 0) as i32).collect())
    }

    /// A string up to its zero: a path is no longer than a page. Invalid UTF-8 is replaced.
    pub fn string(self, address: u64) -> Option<String> {
        const PAGE: usize = 4096;
        let mut text: Vec<u8> = Vec::new();
        while text.len() < PAGE {
            // The string may end just before a page that is not there.
            let at = address.checked_add(text.len() as u64)?;
            let mut bytes = vec![0; PAGE - at as usize % PAGE];
            if self.fill(at, &mut bytes).is_none() {
                if text.is_empty() {
                    return None;
                }
                break;
            }
            let end = bytes.iter().position(|byte| *byte == 0);
            text.extend(&bytes[..end.unwrap_or(bytes.len())]);
            if end.is_some() {
                break;
            }
        }
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// The first bytes of a message, in quotes, if they look like text.
    pub fn preview(self, address: u64, length: u64) -> Option<String> {
        self.preview_of(address, length, length)
    }

    /// As [`Reader::preview`], of `whole` bytes of which `length` are in the first buffer.
    pub fn preview_of(self, address: u64, length: u64, whole: u64) -> Option<String> {
        let mut bytes = [0; PREVIEW];
        let shown = length.min(PREVIEW as u64) as usize;
        let bytes = &mut bytes[..shown];
        self.fill(address, bytes)?;
        let text = |byte: &u8| matches!(byte, 0 | b'\t' | b'\r' | b'\n' | 0x20..0x7f);
        if bytes.iter().all(|byte| *byte == 0) || !bytes.iter().all(text) {
            return None;
        }
        let more = if whole > shown as u64 { "…" } else { "" };
        Some(format!("\"{}\"{more}", bytes.escape_ascii()))
    }

    /// Where the buffers of an `iovec` list begin and end.
    pub fn ranges(self, address: u64, count: u64) -> Option<Vec<Range<u64>>> {
        /// `IORING_MAX_REG_BUFFERS`.
        const MOST: u64 = 1 << 14;
        let mut bytes = vec![0; count.min(MOST) as usize * 16];
        self.fill(address, &mut bytes)?;
        let range = |iovec| long(iovec, 0)..long(iovec, 0).saturating_add(long(iovec, 8));
        Some(bytes.chunks_exact(16).map(range).collect())
    }

    /// The buffers of an `iovec` list.
    pub fn vectors(self, address: u64, count: u64) -> Option<Vectors> {
        /// `UIO_MAXIOV`: the kernel takes no more.
        const MOST: u64 = 1024;
        if count > MOST {
            return None;
        }
        let mut bytes = vec![0; count as usize * 16];
        self.fill(address, &mut bytes)?;
        let list: Vec<(u64, u64)> =
            bytes.chunks_exact(16).map(|iovec| (long(iovec, 0), long(iovec, 8))).collect();
        let bytes = list.iter().fold(0, |sum: u64, (_, length)| sum.saturating_add(*length));
        let first = list.into_iter().find(|(_, length)| *length > 0);
        Some(Vectors { bytes, first })
    }

    /// A `struct __kernel_timespec`.
    pub fn time(self, address: u64) -> Option<Time> {
        let bytes: [u8; 16] = self.bytes(address)?;
        let (seconds, nanoseconds) = (long(&bytes, 0) as i64, long(&bytes, 8) as i64);
        Some(Time::new(seconds, nanoseconds))
    }

    /// A socket address: `127.0.0.1:4242`, `[::1]:80`, a quoted path, `@` and an abstract
    /// name, or else the family.
    pub fn socket_address(self, address: u64, length: u64) -> Option<String> {
        let mut bytes = [0; size_of::<libc::sockaddr_storage>()];
        let length = usize::try_from(length).ok()?.min(bytes.len());
        if length < 2 {
            return None;
        }
        self.fill(address, &mut bytes[..length])?;
        let family = i32::from(half(&bytes, 0));
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        Some(match family {
            libc::AF_INET => {
                let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
                SocketAddr::from((ip, port)).to_string()
            }
            libc::AF_INET6 => {
                let ip: [u8; 16] = bytes[8..24].try_into().ok()?;
                SocketAddr::from((Ipv6Addr::from(ip), port)).to_string()
            }
            libc::AF_UNIX => unix_name(&bytes[2..length]),
            _ => flags::code(flags::FAMILIES, family as u32),
        })
    }

    /// What a descriptor is of: `socket:[123]`, `pipe:[45]`, `anon_inode:[signalfd]`, a path.
    pub fn descriptor(self, fd: i32) -> Option<String> {
        let link = std::fs::read_link(format!("/proc/{}/fd/{fd}", self.0?)).ok()?;
        Some(link.to_string_lossy().into_owned())
    }

    /// What kind of file a descriptor is of.
    pub fn kind(self, fd: i32) -> Option<File> {
        File::of(self.0?, fd)
    }
}

/// A path, a name in the abstract namespace, which begins with a zero, or none (`unix(7)`).
fn unix_name(name: &[u8]) -> String {
    match name.split_first() {
        None => "AF_UNIX, no name".to_string(),
        Some((0, rest)) => format!("@\"{}\"", rest.escape_ascii()),
        Some(_) => {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            format!("\"{}\"", name[..end].escape_ascii())
        }
    }
}

/// What an `iovec` list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// Bytes in all buffers together.
    pub bytes: u64,
    /// Address and length of the first buffer that is not empty.
    pub first: Option<(u64, u64)>,
}

/// A length of time, or a moment, in nanoseconds. A program can ask for a number that 64 bits do
/// not hold, or for a negative one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub i128);

impl Time {
    /// From the two fields of a `struct __kernel_timespec`.
    pub fn new(seconds: i64, nanoseconds: i64) -> Time {
        Time(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds))
    }

    /// Nanoseconds: a number, or its digits if 64 bits do not hold it.
    pub fn json(self) -> Value {
        i64::try_from(self.0).map_or_else(|_| self.0.to_string().into(), Value::from)
    }
}

impl std::fmt::Display for Time {
    /// Exact, in ns, us, ms or s; a time of more than 30,000 years is rounded.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const ABSURD: i128 = 1_000_000_000_000 * 1_000_000_000;
        let (size, unit) = match self.0.abs() {
            ABSURD.. => return write!(f, "{:.1e} s", self.0 as f64 / 1e9),
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "us"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let (whole, rest) = (self.0 / size, (self.0 % size).abs());
        let digits = size.ilog10() as usize;
        let decimals = format!(".{rest:0digits$}");
        let sign = if self.0 < 0 && whole == 0 { "-" } else { "" };
        write!(f, "{sign}{whole}{} {unit}", decimals.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// How an enter waits (`io_uring_enter(2)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// At most this many microseconds, or until that moment with `IORING_ENTER_ABS_TIMER`.
    pub at_most_us: Option<u64>,
    /// After this many microseconds, one completion is enough.
    pub min_wait_us: Option<u64>,
}

impl Wait {
    /// Reads the fifth argument of an enter: a `struct io_uring_getevents_arg`, or with
    /// `IORING_ENTER_EXT_ARG_REG` the offset of such a structure in the `registered` memory.
    pub fn of(program: Reader, args: &[u64; 6], registered: Option<u64>) -> Wait {
        const EXT_ARG: u64 = 1 << 3;
        const EXT_ARG_REG: u64 = 1 << 6;
        let (time, min_wait) = match args[3] & (EXT_ARG | EXT_ARG_REG) {
            0 => return Wait::default(),
            EXT_ARG => {
                let Some(bytes) = program.bytes::<24>(args[4]) else { return Wait::default() };
                (program.time(long(&bytes, 16)), word(&bytes, 12))
            }
            _ => {
                /// `IORING_REG_WAIT_TS`: the time counts.
                const TIME: u32 = 1;
                let at = registered.and_then(|waits| waits.checked_add(args[4]));
                let Some(bytes) = at.and_then(|at| program.bytes::<24>(at)) else {
                    return Wait::default();
                };
                let time = (word(&bytes, 20) & TIME != 0).then(|| program.time(at?)).flatten();
                (time, word(&bytes, 16))
            }
        };
        let us = |time: Time| u64::try_from(time.0 / 1000).ok();
        Wait {
            at_most_us: time.and_then(us),
            min_wait_us: (min_wait != 0).then_some(min_wait.into()),
        }
    }
}

/// Microseconds in the unit that suits them.
pub fn span(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// Two bytes of a structure.
pub fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

/// Four bytes of a structure.
pub fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Eight bytes of a structure.
pub fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_true() {
        let told = |seconds, nanoseconds| Time::new(seconds, nanoseconds).to_string();
        assert_eq!(told(0, 0), "0 ns");
        assert_eq!(told(0, 1_500), "1.5 us");
        assert_eq!(told(0, 250_000_000), "250 ms");
        assert_eq!(told(1, 500_000), "1.0005 s");
        assert_eq!(told(600, 0), "600 s");
        assert_eq!(told(i64::MAX, 0), "9.2e18 s");
        // The kernel refuses such a time; the words repeat what the program asked.
        assert_eq!(told(-1, 0), "-1 s");
        assert_eq!(told(0, -500_000_000), "-500 ms");
        assert_eq!(Time::new(i64::MAX, 0).json(), "9223372036854775807000000000");
    }

    #[test]
    fn a_path_of_any_length_is_read_to_its_end() {
        let me = Reader::of(std::process::id() as pid_t);
        for length in [0, 1, 300, 4000] {
            let path = std::ffi::CString::new("x".repeat(length)).expect("no zero in it");
            let read = me.string(path.as_ptr() as u64).expect("our own memory");
            assert_eq!(read.len(), length);
        }
        assert_eq!(me.string(8), None);
        assert_eq!(Reader::blind().string(c"there".as_ptr() as u64), None);
    }

    #[test]
    fn waits_show_their_times() {
        let me = Reader::of(std::process::id() as pid_t);
        let time = [2_u64, 0];
        let min_wait = [0_u32, 100];
        let min_wait = u64::from_ne_bytes(
            min_wait.map(u32::to_ne_bytes).concat().try_into().expect("8 bytes"),
        );
        let argument = [0, min_wait, time.as_ptr() as u64];
        let args = [3, 0, 8, 1 << 3, argument.as_ptr() as u64, 24];
        let wait = Wait::of(me, &args, None);
        assert_eq!(wait, Wait { at_most_us: Some(2_000_000), min_wait_us: Some(100) });
        // Without the flag, the argument is something else.
        let args = [3, 0, 8, 0, argument.as_ptr() as u64, 24];
        assert_eq!(Wait::of(me, &args, None), Wait::default());
    }
}
