//! How much memory a ring takes, as the kernel counts it against RLIMIT_MEMLOCK.

use nix::unistd::{SysconfVar, sysconf};

use super::asked::{MAX_CQ_ENTRIES, MAX_ENTRIES, RingOptions, SetupFlags};

/// The memory in bytes that the queues of such a ring take: 64 for each submission entry; 16
/// for each completion, 4 for each index and some for the heads and tails. Both parts in
/// whole pages.
pub fn locked_memory(options: &RingOptions, entries: u32, flags: SetupFlags) -> u64 {
    /// `struct io_rings` before its completions (the kernel's `linux/io_uring_types.h`).
    const HEADS_AND_TAILS: u64 = 320;
    let entries = options.entries.unwrap_or(entries).min(MAX_ENTRIES).next_power_of_two();
    let cq_entries = match options.cq_entries {
        Some(cq_entries) => cq_entries.min(MAX_CQ_ENTRIES).next_power_of_two(),
        None => 2 * entries,
    };
    let indices = if flags.no_sqarray { 0 } else { entries };
    let rings = HEADS_AND_TAILS + 16 * u64::from(cq_entries) + 4 * u64::from(indices);
    whole_pages(64 * u64::from(entries)) + whole_pages(rings)
}

/// `bytes`, rounded up to whole pages.
pub(crate) fn whole_pages(bytes: u64) -> u64 {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    bytes.next_multiple_of(page.and_then(|size| size.try_into().ok()).unwrap_or(4096))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use super::*;
    use crate::buffers::Buffers;
    use crate::environment::Environment;
    use crate::ring::{build, refusal};
    use testkit::{io_uring_or_skip, limit_locked_memory, skipped};

    const CHILD: &str = "IOURING_MEMORY_TEST_CHILD";

    /// What the child asks for: entries of a ring, whether without indices, and buffers.
    type Asked = (u32, bool, u16);

    /// Not a test: the program that [`granted`] starts. Ends with 0 if all was granted.
    #[test]
    fn child_asks_for_memory() {
        let Ok(asked) = std::env::var(CHILD) else { return };
        let (entries, no_sqarray, buffers): Asked = serde_json::from_str(&asked).unwrap();
        let (options, flags) =
            (RingOptions::default(), SetupFlags { no_sqarray, ..SetupFlags::default() });
        let result = build(&options, entries, flags)
            .map_err(|error| refusal(&options, entries, flags, &error).into())
            .and_then(|ring| match buffers {
                0 => Ok(()),
                count => Buffers::register(&ring.submitter(), 0, count, 1).map(drop),
            });
        let Err(error) = result else { std::process::exit(0) };
        let _ = writeln!(std::io::stderr(), "{error}");
        std::process::exit(1);
    }

    /// Whether a child whose RLIMIT_MEMLOCK is `limit` bytes is granted this; else its error.
    fn granted(limit: u64, asked: Asked) -> Result<(), String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "ring::memory::tests::child_asks_for_memory", "--nocapture"]);
        command.env(CHILD, serde_json::to_string(&asked).unwrap());
        limit_locked_memory(&mut command, limit);
        let output = command.output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into())
    }

    #[test]
    fn the_kernel_counts_what_we_compute() {
        const NAME: &str = "the_kernel_counts_what_we_compute";
        if !io_uring_or_skip(NAME) {
            return;
        }
        if granted(0, (1, false, 0)).is_ok() {
            return skipped(NAME, "this kernel does not count rings, or we keep CAP_IPC_LOCK");
        }
        if Environment::read().euid != Some(0) {
            return skipped(NAME, "other rings of this user count as well");
        }
        // The root of a container may not raise its limit, and neither may a child.
        let mut child = Command::new("true");
        limit_locked_memory(&mut child, 1 << 20);
        if child.status().is_err() {
            return skipped(NAME, "our own RLIMIT_MEMLOCK is less than 1 MiB, and stays so");
        }
        let page = whole_pages(1);
        for (entries, no_sqarray) in [(1, false), (64, false), (256, false), (1024, true)] {
            let flags = SetupFlags { no_sqarray, ..SetupFlags::default() };
            let needed = locked_memory(&RingOptions::default(), entries, flags);
            assert_eq!(granted(needed, (entries, no_sqarray, 0)), Ok(()), "{entries}");
            let refused = granted(needed - page, (entries, no_sqarray, 0)).unwrap_err();
            assert!(refused.contains("of locked memory; RLIMIT_MEMLOCK allows "), "{refused}");
        }
        // A ring of 4096 buffers counts as well: 16 bytes for each.
        let both = locked_memory(&RingOptions::default(), 1, SetupFlags::default()) + 4096 * 16;
        assert_eq!(granted(both, (1, false, 4096)), Ok(()));
        let refused = granted(both - page, (1, false, 4096)).unwrap_err();
        assert!(
            refused.starts_with("IORING_REGISTER_PBUF_RING was refused: ENOMEM")
                && refused.contains("it needs 64 KiB of locked memory; RLIMIT_MEMLOCK allows "),
            "{refused}"
        );
    }
}
