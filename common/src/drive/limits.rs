//! Starting a child with less than this process has.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};

/// Gives the child a lower RLIMIT_NOFILE: `soft` is in force, and as far as `hard` it may
/// raise it again (`getrlimit(2)`).
pub fn limit_descriptors(command: &mut Command, soft: u64, hard: u64) {
    // SAFETY: the closure runs in the child after fork, where only what is async-signal-safe
    // is allowed: it makes one system call, whose argument is on the stack.
    unsafe { command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_has_the_limits() {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -Sn; ulimit -Hn"]);
        limit_descriptors(&mut command, 31, 57);
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "31\n57\n");
    }
}
