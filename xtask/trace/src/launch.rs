//! Starting the program to be traced, so that not one of its system calls is missed.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::environment::Refusal;
use libc::{c_char, pid_t};
use nix::unistd::{AccessFlags, ForkResult, access, fork, pipe2};
use testkit::seccomp::Filter;

use super::filter;
use super::names::error_name;
use super::sys;

/// A program to be traced.
#[derive(Debug, Default)]
pub struct Program {
    /// Its path, or a name to be found in `PATH`.
    pub program: OsString,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Variables to set besides those of this process.
    pub env: Vec<(OsString, OsString)>,
    /// Variables of this process that it does not get.
    pub unset: Vec<OsString>,
    /// Files that it writes grow no larger (`RLIMIT_FSIZE`): a write beyond that fails with EFBIG.
    pub file_limit: Option<u64>,
    /// An operation that the kernel has, and that it denies when the program asks
    /// (`IORING_REGISTER_PROBE`).
    pub denied: Option<u8>,
    /// Its standard output, if not ours.
    pub stdout: Option<OwnedFd>,
    /// Its standard error, if not ours.
    pub stderr: Option<OwnedFd>,
    /// Its standard input, if not ours.
    pub stdin: Option<OwnedFd>,
    /// Stop it only at the calls that matter to rings; others are then not counted.
    pub fast: bool,
    /// Read the kernel's tracepoints, too: where each operation ran is then exact. Needs root.
    pub tracepoints: bool,
}

/// A program that has been started and is traced from its first instruction on.
#[derive(Debug)]
pub struct Launched {
    /// Its process.
    pub pid: pid_t,
    /// What was started, with its directory.
    pub path: PathBuf,
    /// See [`Program::denied`].
    pub denied: Option<u8>,
    failure: File,
}

/// Exit status of a program that could not be found, as shells have it.
pub const NOT_FOUND: i32 = 127;
/// Exit status of a program that could not be started, as shells have it.
pub const NOT_STARTED: i32 = 126;

/// Finds a program as a shell would.
///
/// # Errors
/// A [`Refusal`], and the exit status for it.
pub fn find(program: &OsStr) -> Result<PathBuf, (Refusal, i32)> {
    let named = Path::new(program);
    let candidates: Vec<PathBuf> = if program.as_bytes().contains(&b'/') {
        vec![named.to_path_buf()]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        std::env::split_paths(&path).map(|folder| folder.join(named)).collect()
    };
    let mut there = None;
    for candidate in candidates {
        if candidate.is_file() {
            if access(&candidate, AccessFlags::X_OK).is_ok() {
                return Ok(candidate);
            }
            there = Some(candidate);
        }
    }
    Err(match there {
        Some(path) => (not_executable(&path), NOT_STARTED),
        None => (not_found(program), NOT_FOUND),
    })
}

fn not_found(program: &OsStr) -> Refusal {
    Refusal {
        what: format!("there is no program {}", program.to_string_lossy()),
        why: "no such file, or no such name in any folder of PATH".to_string(),
        remedy: "its path (./server); `cargo xtask trace` also knows day01 to day04".to_string(),
    }
}

fn not_executable(path: &Path) -> Refusal {
    Refusal {
        what: format!("{} cannot be run", path.display()),
        why: "the file is there, but you may not execute it".to_string(),
        remedy: format!("`chmod +x {}`, if it is a program", path.display()),
    }
}

/// Starts a program, traced.
///
/// The child waits for our word, is seized, and only then becomes the program: so the tracer sees
/// the program from its first instruction on.
///
/// # Errors
/// A [`Refusal`], and the exit status for it, if it cannot be found or traced.
pub fn launch(program: Program) -> Result<Launched, (Refusal, i32)> {
    let path = find(&program.program)?;
    let started = start(&program, &path).map_err(|error| {
        (common::environment::explain("starting the program", &error), NOT_STARTED)
    })?;
    let (pid, go, failure) = started;
    if let Err(error) = sys::seize(pid) {
        drop(go);
        // Without our word it ends by itself; it was never traced.
        let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
        return Err((may_not_trace(&error), NOT_STARTED));
    }
    if let Err(error) = nix::unistd::write(&go, b"!") {
        return Err((
            common::environment::explain("starting the program", &error.into()),
            NOT_STARTED,
        ));
    }
    Ok(Launched { pid, path, denied: program.denied, failure: File::from(failure) })
}

fn may_not_trace(error: &io::Error) -> Refusal {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let (why, remedy) = match scope.trim() {
        "3" => (
            "kernel.yama.ptrace_scope is 3: no process may trace",
            "another machine: only a reboot resets it",
        ),
        "2" => (
            "kernel.yama.ptrace_scope is 2: only administrators may trace",
            "run it as root, or `sudo sysctl kernel.yama.ptrace_scope=1`",
        ),
        _ => (
            "most likely a container or sandbox that forbids ptrace, or another tracer that traces this one",
            "run it outside, or allow it there (Docker: `--cap-add SYS_PTRACE`)",
        ),
    };
    Refusal {
        what: format!(
            "the program may not be traced: {}",
            error_name(error.raw_os_error().unwrap_or(0))
        ),
        why: why.to_string(),
        remedy: remedy.to_string(),
    }
}

impl Launched {
    /// Why the child never became the program, once it has ended without doing so.
    pub fn failure(mut self) -> Option<(Refusal, i32)> {
        let mut number = [0; 4];
        self.failure.read_exact(&mut number).ok()?;
        let number = i32::from_ne_bytes(number);
        let refusal = Refusal {
            what: format!("{} could not be started: {}", self.path.display(), error_name(number)),
            why: io::Error::from_raw_os_error(number).to_string(),
            remedy: "run it without the tracer first: the same should happen".to_string(),
        };
        Some((refusal, NOT_STARTED))
    }
}

/// Forks. Returns the child, the pipe for our word, and the one for its failure.
fn start(program: &Program, path: &Path) -> io::Result<(pid_t, OwnedFd, OwnedFd)> {
    let args = arguments(program)?;
    let env = environment(program)?;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let (heard, go) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (failure, failed) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let pointers = |list: &[CString]| {
        let mut pointers: Vec<_> = list.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        pointers
    };
    let (argv, envp) = (pointers(&args), pointers(&env));
    let streams: [(&Option<OwnedFd>, RawFd); 3] =
        [(&program.stdin, 0), (&program.stdout, 1), (&program.stderr, 2)];

    let filter = program.fast.then(filter::rings_only);
    // SAFETY: the child does nothing but `become_program`, which is made for it.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok((child.as_raw(), go, failure)),
        ForkResult::Child => {
            drop(go);
            // SAFETY: this is the child. The lists end with a null pointer, and what they
            // point at lies in its own copy of our memory, which nothing frees before exec.
            unsafe {
                if let Some(bytes) = program.file_limit {
                    limit_files(bytes);
                }
                become_program(&path, &argv, &envp, &heard, &failed, &streams, filter.as_ref())
            }
        }
    }
}

/// The child's part: waits for our word and becomes the program, or tells why it cannot.
///
/// # Safety
/// Only in a child just forked. It may have been forked from a process with threads, and so
/// makes only calls that are safe then: it allocates nothing and takes no lock. Both lists end
/// with a null pointer.
unsafe fn become_program(
    path: &CStr,
    argv: &[*const c_char],
    envp: &[*const c_char],
    heard: &OwnedFd,
    failed: &OwnedFd,
    streams: &[(&Option<OwnedFd>, RawFd); 3],
    filter: Option<&Filter>,
) -> ! {
    // SAFETY: as the function demands; all descriptors are open in the child too.
    unsafe {
        let mut word = [0_u8; 1];
        if libc::read(heard.as_raw_fd(), word.as_mut_ptr().cast(), 1) != 1 {
            libc::_exit(NOT_STARTED);
        }
        for (stream, fd) in streams {
            if let Some(stream) = stream {
                libc::dup2(stream.as_raw_fd(), *fd);
            }
        }
        reset_signals();
        if filter.is_none_or(|filter| filter.install().is_ok()) {
            libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr());
        }
        let number = nix::errno::Errno::last_raw().to_ne_bytes();
        libc::write(failed.as_raw_fd(), number.as_ptr().cast(), number.len());
        libc::_exit(NOT_STARTED)
    }
}

/// Sets the size beyond which no file grows, and ignores the signal that would end a program there.
///
/// # Safety
/// Only in a child between fork and exec.
pub unsafe fn limit_files(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: both calls are allowed there, and only read what is ours.
    unsafe {
        libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// A program begins with no signal blocked, and the default action of those that end it: Rust
/// ignores SIGPIPE, and a script ignores SIGINT in its background jobs.
///
/// # Safety
/// Only in a child between fork and exec.
pub unsafe fn reset_signals() {
    // SAFETY: these calls are allowed there; the set is ours and filled in before it is used.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGTERM] {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

fn arguments(program: &Program) -> io::Result<Vec<CString>> {
    let own_name = std::iter::once(&program.program);
    own_name.chain(&program.args).map(|arg| Ok(CString::new(arg.as_bytes())?)).collect()
}

fn environment(program: &Program) -> io::Result<Vec<CString>> {
    let replaced = |name: &OsString| {
        program.env.iter().any(|(key, _)| key == name) || program.unset.contains(name)
    };
    let ours = std::env::vars_os().filter(|(name, _)| !replaced(name));
    ours.chain(program.env.iter().cloned())
        .map(|(name, value)| {
            let mut text = name.as_bytes().to_vec();
            text.push(b'=');
            text.extend(value.as_bytes());
            Ok(CString::new(text)?)
        })
        .collect()
}
