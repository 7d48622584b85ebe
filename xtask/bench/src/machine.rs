//! Which CPUs to use, and what else keeps them busy.

use std::fs;
use std::mem;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use common::environment;
use nix::sys::resource::{Resource, getrlimit};
use serde::Serialize;

/// Where the server and its client run.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub kernel: String,
    /// CPUs that this process may use.
    pub cpus: Vec<usize>,
    /// The server's, and the client's; `None` if there is one CPU only.
    pub apart: Option<(usize, usize)>,
    /// The two are hardware threads of one core.
    pub siblings: bool,
    /// Runnable tasks in the last minute, before we began.
    pub load_average: f64,
    pub open_files: u64,
    /// The place in tracefs where a tracer of all io_uring operations or system calls is on, which
    /// makes them slower, and not equally.
    pub traced: Option<String>,
}

impl Machine {
    pub fn look() -> Machine {
        let cpus = allowed_cpus();
        let (apart, siblings) = choose(&cpus, |cpu| {
            let file = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            fs::read_to_string(file).map_or_else(|_| vec![cpu], |list| numbers(&list))
        });
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Machine {
            kernel: environment::kernel_release(),
            apart,
            siblings,
            cpus,
            load_average: load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0),
            open_files: getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(_, hard)| hard),
            traced: traced(),
        }
    }

    /// The CPUs that other programs should leave alone.
    pub fn ours(&self) -> Vec<usize> {
        self.apart.map_or_else(|| self.cpus.clone(), |(server, client)| vec![server, client])
    }

    /// `two`: the server keeps a second CPU busy. It gets one if there are three.
    pub fn pin_server(&self, command: &mut Command, two: bool) {
        if let Some((server, _)) = self.apart {
            let second = self.third().filter(|_| two);
            pin(command, &[server, second.unwrap_or(server)]);
        }
    }

    /// A CPU that is neither the server's nor the client's.
    pub fn third(&self) -> Option<usize> {
        let (server, client) = self.apart?;
        self.cpus.iter().copied().rev().find(|cpu| *cpu != server && *cpu != client)
    }

    pub fn pin_client(&self, command: &mut Command) {
        if let Some((_, client)) = self.apart {
            pin(command, &[client]);
        }
    }

    /// What a reader should know before the numbers.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        match self.apart {
            Some((server, client)) => {
                remarks
                    .push(format!("each server has CPU {server} alone, its client CPU {client}"));
            }
            None => remarks.push(
                "one CPU for server and client together: compare the CPU time of a request"
                    .to_string(),
            ),
        }
        if self.third().is_none() {
            remarks.push(
                "no third CPU: servers whose ring is polled (SQPOLL) are left out unless named \
                 by --only"
                    .to_string(),
            );
        }
        if self.siblings {
            remarks.push(
                "both are hardware threads of one core, so each slows the other down".to_string(),
            );
        }
        if self.load_average > 0.5 {
            remarks.push(format!(
                "the load average is {:.1}: other programs are running",
                self.load_average
            ));
        }
        if let Some(place) = &self.traced {
            remarks
                .push(format!("{place} traces what servers do, which slows some more than others"));
        }
        remarks
    }
}

/// Two CPUs, of different cores if there are such; and whether they are of one core.
fn choose(
    cpus: &[usize],
    siblings: impl Fn(usize) -> Vec<usize>,
) -> (Option<(usize, usize)>, bool) {
    // The last ones: the first CPU usually handles the interrupts.
    let [others @ .., server] = cpus else { return (None, false) };
    let same_core = siblings(*server);
    let apart = others.iter().rev().find(|cpu| !same_core.contains(cpu));
    match (apart, others.last()) {
        (Some(client), _) => (Some((*server, *client)), false),
        (None, Some(client)) => (Some((*server, *client)), true),
        (None, None) => (None, false),
    }
}

/// A list as in sysfs: `0-3,8`.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// A place in tracefs where events of io_uring or of system calls are on: the file `enable` of a
/// group says 0 if all are off. Without the right to look, it finds nothing.
fn traced() -> Option<String> {
    let top = Path::new("/sys/kernel/tracing");
    let instances = fs::read_dir(top.join("instances")).into_iter().flatten();
    let instances = instances.filter_map(|entry| Some(entry.ok()?.path()));
    let is_on = |place: &Path, group: &str| {
        fs::read_to_string(place.join("events").join(group).join("enable"))
            .is_ok_and(|state| state.trim() != "0")
    };
    [top.to_path_buf()]
        .into_iter()
        .chain(instances)
        .find(|place| ["io_uring", "syscalls", "raw_syscalls"].iter().any(|g| is_on(place, g)))
        .map(|place| place.display().to_string())
}

fn allowed_cpus() -> Vec<usize> {
    // SAFETY: `cpu_set_t` is an array of integers, for which zeroes are a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the given size to the set, which is ours.
    let got = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set) };
    if got != 0 {
        return vec![0];
    }
    let bits = 8 * mem::size_of_val(&set);
    // SAFETY: the number is below the bits of the set.
    (0..bits).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// Has the child run on these CPUs only (`sched_setaffinity(2)`), with all its threads.
fn pin(command: &mut Command, cpus: &[usize]) {
    // SAFETY: as in `allowed_cpus`.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for cpu in cpus {
        // SAFETY: the CPU is one that `allowed_cpus` returned, so below the set's bits.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: the closure runs in the child after fork and makes one system call, which reads
    // a set that was copied into it.
    unsafe {
        command.pre_exec(move || match libc::sched_setaffinity(0, mem::size_of_val(&set), &set) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_client_are_on_different_cores_if_there_are_two() {
        let pairs = |cpu: usize| vec![cpu & !1, cpu | 1];
        assert_eq!(choose(&[0, 1, 2, 3], pairs), (Some((3, 1)), false));
        assert_eq!(choose(&[0, 1], pairs), (Some((1, 0)), true));
        assert_eq!(choose(&[0, 1], |cpu| vec![cpu]), (Some((1, 0)), false));
        assert_eq!(choose(&[5], pairs), (None, false));
        assert_eq!(choose(&[], pairs), (None, false));
    }

    #[test]
    fn a_list_of_sysfs_is_read() {
        assert_eq!(numbers("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(numbers("5\n"), [5]);
        assert_eq!(numbers(""), Vec::<usize>::new());
    }

    #[test]
    fn a_pinned_child_runs_where_it_was_put() {
        let cpu = *allowed_cpus().last().unwrap();
        let mut command = Command::new("grep");
        command.args(["Cpus_allowed_list", "/proc/self/status"]);
        pin(&mut command, &[cpu]);
        let output = command.output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        assert_eq!(line.split_whitespace().last(), Some(cpu.to_string().as_str()), "{line}");
    }
}
