//! The limits for one student's program and all processes that it starts. `setrlimit(2)` limits
//! each process alone, so this module computes sums. The limit is on CPU time, because a busy
//! machine does not change it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// Seconds of CPU time, to compile a program and to check it. The slowest solution takes 3.
pub const CPU: u64 = 60;
/// GiB of memory. Only the compiler needs more than a few MiB.
pub const MEMORY: u64 = 2;

/// The time between two sums.
const LOOK: Duration = Duration::from_millis(200);

/// The use so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    /// Ticks of the clock that counts CPU time.
    ticks: u64,
    /// KiB, in memory or swapped out; without files, which the kernel can drop.
    memory: u64,
}

/// Watches this process, its children and all processes that it traces. Calls `end` with a
/// description as soon as they have used more than `cpu` seconds of CPU time or `memory` GiB.
pub fn watch(cpu: u64, memory: u64, end: impl FnOnce(&str) + Send + 'static) {
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as u64;
    thread::spawn(move || {
        let much = loop {
            let taken = taken();
            if taken.ticks > cpu * second {
                break format!("more than {cpu} s of CPU time");
            } else if taken.memory > memory << 20 {
                break format!("more than {memory} GiB of memory");
            }
            thread::sleep(LOOK);
        };
        end(&much);
    });
}

fn taken() -> Taken {
    let mut sum = Taken::default();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // A process that ends meanwhile no longer counts, but its CPU time is then in its parent's.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        if is_ours(&status) {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let memory = ["RssAnon:", "RssShmem:", "VmSwap:"].map(|name| number(&status, name));
            sum.memory += memory.iter().sum::<u64>();
            sum.ticks += ticks(&stat);
        }
    }
    sum
}

/// Whether a `/proc/PID/status` is that of this process, a child, or a traced process.
fn is_ours(status: &str) -> bool {
    let own = u64::from(std::process::id());
    // The tracer of a process is a thread.
    let tracer = number(status, "TracerPid:");
    let traced = tracer > 0 && Path::new("/proc/self/task").join(tracer.to_string()).exists();
    traced || [number(status, "Pid:"), number(status, "PPid:")].contains(&own)
}

/// The number in a line.
fn number(status: &str, name: &str) -> u64 {
    let rest = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The CPU time in a `/proc/PID/stat`, with that of the children that have ended.
fn ticks(stat: &str) -> u64 {
    // The name is in parentheses and may contain any character.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_memory_of_a_child_is_counted() {
        let script = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo; read end";
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let taken = taken();
        child.kill().and_then(|()| child.wait()).unwrap();
        assert!(taken.memory > 90_000, "{taken:?}");
    }

    #[test]
    fn the_time_of_a_child_is_limited() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let (sender, receiver) = mpsc::channel();
        watch(1, 1 << 20, move |much| sender.send(much.to_string()).unwrap());
        let much = receiver.recv_timeout(testkit::PATIENCE);
        child.kill().and_then(|()| child.wait()).unwrap();
        assert_eq!(much.as_deref(), Ok("more than 1 s of CPU time"));
    }

    #[test]
    fn a_name_may_hold_parentheses() {
        let stat = "17 (a) R 1 (b) S 1 17 17 0 -1 4194560 5 0 0 0 1 20 300 4000 20 0 1 0";
        assert_eq!(ticks(stat), 4321);
    }
}
