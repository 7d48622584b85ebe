//! What a program asks of a ring: sizes, a poller and setup flags; and the same in words.

/// Largest submission queue (`IORING_MAX_ENTRIES`, `io_uring/io_uring.h` in the kernel).
pub const MAX_ENTRIES: u32 = 32768;
/// Largest completion queue (`IORING_MAX_CQ_ENTRIES`).
pub const MAX_CQ_ENTRIES: u32 = 2 * MAX_ENTRIES;

/// The sizes and the poller of a ring, as every day's command line takes them.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct RingOptions {
    /// Submission queue entries, 1 to 32768; the kernel rounds up to a power of two
    #[arg(long, value_name = "N")]
    pub entries: Option<u32>,

    /// Completion queue entries; without it twice the submission queue
    #[arg(long, value_name = "N")]
    pub cq_entries: Option<u32>,

    /// Let a kernel thread poll the submission queue (burns a core while busy)
    #[arg(long)]
    pub sqpoll: bool,

    /// Milliseconds without work until that thread sleeps; the kernel's default is 1000
    #[arg(long, value_name = "MS")]
    pub sq_idle: Option<u32>,

    /// The CPU that thread is bound to (`IORING_SETUP_SQ_AFF`)
    #[arg(long, value_name = "CPU")]
    pub sq_cpu: Option<u32>,

    /// No option of a command line: the ring takes no entry until it is enabled
    /// (`IORING_SETUP_R_DISABLED`, 5.10). Until then it can be restricted.
    #[arg(skip)]
    pub disabled: bool,
}

/// The setup flags that tune a ring; each came with a later kernel than the one before.
#[derive(clap::Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetupFlags {
    /// Cut sizes that are too large to the largest allowed (`IORING_SETUP_CLAMP`, 5.6)
    #[arg(long)]
    pub clamp: bool,

    /// Go on submitting after an entry that fails (`IORING_SETUP_SUBMIT_ALL`, 5.18)
    #[arg(long)]
    pub submit_all: bool,

    /// Do not interrupt the program to complete (`IORING_SETUP_COOP_TASKRUN`, 5.19)
    #[arg(long)]
    pub coop_taskrun: bool,

    /// Only one thread submits (`IORING_SETUP_SINGLE_ISSUER`, 6.0)
    #[arg(long)]
    pub single_issuer: bool,

    /// Complete only when the program waits (`IORING_SETUP_DEFER_TASKRUN`, 6.1)
    #[arg(long)]
    pub defer_taskrun: bool,

    /// Leave out the submission queue's index array (`IORING_SETUP_NO_SQARRAY`, 6.6)
    #[arg(long)]
    pub no_sqarray: bool,
}

impl SetupFlags {
    /// The flags that suit one thread that submits, waits and reaps; the kernel may refuse some. A
    /// ring with a poller cannot have the two task-run flags: the poller does the completion work.
    pub fn best(options: &RingOptions) -> SetupFlags {
        SetupFlags {
            clamp: false,
            submit_all: true,
            coop_taskrun: !options.sqpoll,
            single_issuer: true,
            defer_taskrun: !options.sqpoll,
            no_sqarray: true,
        }
    }

    /// Each flag with its name, oldest first.
    pub(super) fn each(&mut self) -> [(&mut bool, &'static str); 6] {
        [
            (&mut self.clamp, "IORING_SETUP_CLAMP"),
            (&mut self.submit_all, "IORING_SETUP_SUBMIT_ALL"),
            (&mut self.coop_taskrun, "IORING_SETUP_COOP_TASKRUN"),
            (&mut self.single_issuer, "IORING_SETUP_SINGLE_ISSUER"),
            (&mut self.defer_taskrun, "IORING_SETUP_DEFER_TASKRUN"),
            (&mut self.no_sqarray, "IORING_SETUP_NO_SQARRAY"),
        ]
    }

    /// Clears the newest flag that is still set and returns its name; `None` when no flag is left.
    /// DEFER_TASKRUN needs SINGLE_ISSUER, so it is cleared first.
    pub(super) fn drop_newest(&mut self) -> Option<&'static str> {
        let mut newest_first = self.each().into_iter().rev();
        let (flag, name) = newest_first.find(|(flag, _)| **flag)?;
        *flag = false;
        Some(name)
    }
}

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
