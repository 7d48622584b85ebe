//! The server's system calls, counted by the kernel (`perf_event_open(2)` on the tracepoint
//! `raw_syscalls:sys_enter`). Usually needs root.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::FromRawFd;

use anyhow::{Context, Result};

/// The first version of `struct perf_event_attr`, which every kernel takes
/// (`linux/perf_event.h`).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

const PERF_TYPE_TRACEPOINT: u32 = 2;
/// Threads that are started later are counted too.
const INHERIT: u64 = 1 << 1;

/// One counter for each thread that a process has now.
pub struct Calls(Vec<File>);

impl Calls {
    /// Starts counting.
    ///
    /// # Errors
    /// If the tracepoint cannot be read or counted: without root, or without tracefs.
    pub fn of(pid: u32) -> Result<Calls> {
        let paths = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
        let read = |path| fs::read_to_string(format!("{path}/events/raw_syscalls/sys_enter/id"));
        let id = paths.into_iter().find_map(|path| read(path).ok());
        let id = id.context("no tracepoint raw_syscalls:sys_enter, or no leave to read it")?;
        let id = id.trim().parse()?;
        let threads = fs::read_dir(format!("/proc/{pid}/task"))?;
        let counter = |entry: io::Result<fs::DirEntry>| {
            let thread = entry?.file_name();
            open(id, thread.to_string_lossy().parse()?).context("counting system calls")
        };
        Ok(Calls(threads.map(counter).collect::<Result<_>>()?))
    }

    /// Calls so far.
    pub fn read(&self) -> Result<u64> {
        let mut sum = 0;
        for mut counter in &self.0 {
            let mut value = [0; 8];
            counter.read_exact(&mut value)?;
            sum += u64::from_ne_bytes(value);
        }
        Ok(sum)
    }
}

fn open(tracepoint: u64, thread: libc::pid_t) -> io::Result<File> {
    let attributes = Attributes {
        kind: PERF_TYPE_TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: tracepoint,
        flags: INHERIT,
        ..Attributes::default()
    };
    let (any_cpu, no_group, flags): (i32, i32, libc::c_ulong) = (-1, -1, 0);
    // SAFETY: the kernel reads `size` bytes of attributes, which live until the call returns.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            thread,
            any_cpu,
            no_group,
            flags,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and has no other owner.
    Ok(unsafe { File::from_raw_fd(fd as i32) })
}
