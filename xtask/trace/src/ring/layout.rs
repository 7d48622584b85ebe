//! Finds the sizes of entries and completions in a ring that was made before the tracer joined.
//!
//! No interface reports these sizes. `/proc/PID/fdinfo` reveals them in the lines about what lies
//! in the queues at that moment. Otherwise they are concluded from the queues' memory.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use common::catalog::COMPLETION_FLAGS;

/// A completion of 32 bytes in a mixed ring (`IORING_CQE_F_32`).
pub const LARGE: u32 = COMPLETION_FLAGS.code("32");

/// What the kernel says of a ring (`io_uring_show_fdinfo`). A field is missing if the kernel did
/// not print it: it leaves out much while the ring is busy, and old kernels print less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FdInfo {
    /// Submission queue entries.
    pub sq_entries: Option<u32>,
    /// Completion queue entries.
    pub cq_entries: Option<u32>,
    /// A kernel thread polls it.
    pub polled: bool,
    /// Entries have 128 bytes.
    pub large_entries: Option<bool>,
    /// Completions have 32 bytes.
    pub large_completions: Option<bool>,
    /// Registered slots.
    pub slots: Option<u32>,
    /// Registered buffers.
    pub buffers: Option<u32>,
    /// The codes of the operations that wait on a poll.
    pub armed: Vec<u8>,
}

impl FdInfo {
    /// Asks the kernel, by our own descriptor for the ring.
    pub fn of(fd: &OwnedFd) -> FdInfo {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
        FdInfo::parse(&text.unwrap_or_default())
    }

    /// Reads the text.
    fn parse(text: &str) -> FdInfo {
        let mut info = FdInfo::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                if let Some(armed) = line.trim().strip_prefix("op=") {
                    let code = armed.split(',').next().and_then(|code| code.parse::<u8>().ok());
                    info.armed.extend(code);
                }
                continue;
            };
            let value = value.trim();
            let number = || match value.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => value.parse().ok(),
            };
            match name {
                "SqMask" => info.sq_entries = number().and_then(|mask| mask.checked_add(1)),
                "CqMask" => info.cq_entries = number().and_then(|mask| mask.checked_add(1)),
                "SqThread" => info.polled = number().is_some(),
                "UserFiles" => info.slots = number(),
                "UserBufs" => info.buffers = number(),
                _ if value.starts_with("opcode:") => {
                    info.large_entries = Some(value.contains(", e0:"));
                }
                _ if value.starts_with("user_data:") && value.contains(", flag:") => {
                    let flags =
                        value.split(", flag:").nth(1).and_then(|rest| rest.split(',').next());
                    let flags = flags.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                    // In a ring of mixed sizes the large ones are marked.
                    let mixed = flags.is_some_and(|flags| flags & LARGE != 0);
                    let large = value.contains(", extra1:") && !mixed;
                    info.large_completions = Some(large && info.large_completions != Some(false));
                }
                _ => {}
            }
        }
        info
    }
}

/// Whether the places of a queue are twice as large as `small`, judged by their contents. `used`
/// says whether the nth place of the small size holds anything; `written` is how many places were
/// ever filled.
pub fn looks_large(places: u32, written: u32, used: impl Fn(u32) -> bool) -> bool {
    if written < places {
        // Small places would be empty behind the first `written`. Memory behind the last place may
        // hold anything.
        return written > 1 && (written..places.min(2 * written)).any(used);
    }
    // Every place was filled. The second half of a large place is seldom used.
    (0..places).any(|nth| used(2 * nth)) && !(0..places).any(|nth| used(2 * nth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.18 prints it.
    const TEXT: &str = "pos:\t0\nSqMask:\t0x7\nSqHead:\t5\nSqTail:\t6\nCqMask:\t0xf\nSQEs:\t1\n    \
        5: opcode:NOP, fd:-1, flags:0, off:0, addr:0x0, rw_flags:0x0, buf_index:0 user_data:77, \
        e0:0x0, e1:0x0\nCQEs:\t2\n    0: user_data:1, res:0, flag:0, extra1:0, extra2:0\n    \
        1: user_data:4, res:-22, flag:0, extra1:0, extra2:0\nSqThread:\t-1\nUserFiles:\t4\n\
        UserBufs:\t0\nPollList:\n  op=22, task_works=0\nCqOverflowList:\nNAPI:\tdisabled\n";

    #[test]
    fn what_the_kernel_says() {
        let expected = FdInfo {
            sq_entries: Some(8),
            cq_entries: Some(16),
            polled: false,
            large_entries: Some(true),
            large_completions: Some(true),
            slots: Some(4),
            buffers: Some(0),
            armed: vec![22],
        };
        assert_eq!(FdInfo::parse(TEXT), expected);
        let small = TEXT.replace(", extra1:0, extra2:0", "").replace(", e0:0x0, e1:0x0", "");
        let info = FdInfo::parse(&small.replace("SqThread:\t-1", "SqThread:\t123"));
        let sizes = (info.large_entries, info.large_completions, info.polled);
        assert_eq!(sizes, (Some(false), Some(false), true));
        assert_eq!(FdInfo::parse("SqMask:\t0xffffffff"), FdInfo::default());
    }

    #[test]
    fn the_size_of_places_by_what_lies_in_them() {
        let places = |used: &'static [u32]| move |nth: u32| used.contains(&nth);
        // Three of eight, small and large.
        assert!(!looks_large(8, 3, places(&[0, 1, 2])));
        assert!(looks_large(8, 3, places(&[0, 2, 4])));
        assert!(!looks_large(8, 6, places(&[0, 1, 2, 3, 4, 5, 8, 9])), "what lies behind");
        // All four, often.
        assert!(!looks_large(4, 100, places(&[0, 1, 2, 3])));
        assert!(looks_large(4, 100, places(&[0, 2, 4, 6])));
        assert!(!looks_large(4, 0, places(&[])));
        assert!(!looks_large(4, 100, places(&[])), "nothing but zeros says nothing");
    }
}
