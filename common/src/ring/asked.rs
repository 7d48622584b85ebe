//! A requested ring, in words.

use super::{RingOptions, SetupFlags};

/// Reads a request as tables of rings print it: `5 entries, CQSIZE 100`, `SQPOLL, idle 100 ms, CPU
/// 1`, `SINGLE_ISSUER, DEFER_TASKRUN`. Other words ask for nothing.
pub fn in_words(asked: &str) -> (RingOptions, SetupFlags) {
    let (mut options, mut flags) = (RingOptions::default(), SetupFlags::default());
    for wish in asked.split(", ") {
        let mut words = wish.split(' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match (first, second) {
            (entries, "entries") => options.entries = entries.parse().ok(),
            ("CQSIZE", size) => options.cq_entries = size.parse().ok(),
            ("SQPOLL", _) => options.sqpoll = true,
            ("idle", milliseconds) => options.sq_idle = milliseconds.parse().ok(),
            ("CPU", cpu) => options.sq_cpu = cpu.parse().ok(),
            (flag, _) => {
                let named = |name: &str| name.strip_prefix("IORING_SETUP_") == Some(flag);
                if let Some((set, _)) = flags.each().into_iter().find(|(_, name)| named(name)) {
                    *set = true;
                }
            }
        }
    }
    (options, flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_asked_for() {
        let (none, no_flags) = (RingOptions::default(), SetupFlags::default());
        assert_eq!(in_words("no flag"), (none.clone(), no_flags));
        let sizes = RingOptions { entries: Some(5), cq_entries: Some(2), ..none.clone() };
        assert_eq!(in_words("5 entries, CQSIZE 2"), (sizes, no_flags));
        let clamp = SetupFlags { clamp: true, ..no_flags };
        let (options, flags) = in_words("40000 entries, CLAMP");
        assert_eq!((options.entries, flags), (Some(40_000), clamp));
        let poller =
            RingOptions { sqpoll: true, sq_idle: Some(100), sq_cpu: Some(1), ..none.clone() };
        assert_eq!(in_words("SQPOLL, idle 100 ms, CPU 1"), (poller, no_flags));
        let alone = SetupFlags { defer_taskrun: true, ..no_flags };
        assert_eq!(in_words("DEFER_TASKRUN alone"), (none.clone(), alone));
        let both = SetupFlags { single_issuer: true, ..alone };
        assert_eq!(in_words("SINGLE_ISSUER, DEFER_TASKRUN"), (none, both));
    }
}
