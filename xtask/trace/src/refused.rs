//! Why a program got no ring, and what to do about it.

use std::io;

use common::catalog::{Kernel, SETUP_FLAGS};
use common::environment;
use common::ring::{self, RingOptions, SetupFlags};

use super::codes::setup;
use super::params::Params;

/// A setup that was refused, as the program asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedRing {
    /// Submission queue entries.
    pub entries: u32,
    /// Everything else.
    pub asked: Params,
    /// The error number; `SIGSYS` has none.
    pub error: Option<i32>,
}

/// Flags that are refused without one of certain others.
const NEEDS: &[(u32, u32)] = &[
    (setup::TASKRUN_FLAG, setup::COOP_TASKRUN | setup::DEFER_TASKRUN),
    (setup::REGISTERED_FD_ONLY, setup::NO_MMAP),
    (setup::HYBRID_IOPOLL, setup::IOPOLL),
    (setup::SQ_REWIND, setup::NO_SQARRAY),
];

/// Flags that exclude each other.
const EXCLUDES: &[(u32, u32)] = &[
    (setup::SQPOLL, setup::TASKRUN_FLAG),
    (setup::SQPOLL, setup::SQ_REWIND),
    (setup::CQE32, setup::CQE_MIXED),
    (setup::SQE128, setup::SQE_MIXED),
];

impl RefusedRing {
    /// The cause and the remedy. Asks the kernel for rings, to find out.
    pub fn explained(&self) -> (String, String) {
        if matches!(self.error, None | Some(libc::EPERM | libc::ENOSYS | libc::EACCES)) {
            return self.shut_off();
        }
        let error = io::Error::from_raw_os_error(self.error.unwrap_or(0));
        if self.error == Some(libc::EINVAL) {
            if let Some(rule) = self.unknown_flag().or_else(|| self.broken_rule()) {
                return rule;
            }
        }
        let (options, flags) = self.as_day02_asks();
        let refusal = ring::refusal(&options, self.entries, flags, &error);
        let remedy = match self.command() {
            Some(command) => format!("`{command}` asks for the same; {}", refusal.remedy),
            None => refusal.remedy,
        };
        (refusal.why, remedy)
    }

    /// Whether io_uring is shut off here, or by the program itself: we ask for a ring, too.
    fn shut_off(&self) -> (String, String) {
        match Params::of_own_ring(1, 2, 0) {
            Ok(_) => (
                "the program shuts itself off (a seccomp filter of its own): this tracer gets a \
                 ring here"
                    .to_string(),
                "its documentation on seccomp or sandboxes, and `SystemCallFilter=` of its service"
                    .to_string(),
            ),
            Err(error) => {
                let refusal = environment::explain("io_uring_setup", &error);
                (refusal.why, refusal.remedy)
            }
        }
    }

    fn has(&self, flag: u32) -> bool {
        self.asked.has(flag)
    }

    /// A bit that no kernel knows, or that this kernel does not know.
    fn unknown_flag(&self) -> Option<(String, String)> {
        let nonsense = SETUP_FLAGS.unknown_in(self.asked.flags);
        if nonsense != 0 {
            return Some((
                format!(
                    "{nonsense:#x} is no setup flag: `struct io_uring_params` has to be zero \
                         but for what is asked"
                ),
                "`memset(&params, 0, sizeof params)` before it is filled in".to_string(),
            ));
        }
        let release = environment::kernel_release();
        let kernel = Kernel::parse(&release)?;
        let newer = SETUP_FLAGS.set_in(self.asked.flags).find(|flag| flag.since > kernel)?;
        Some((
            format!("{} came with Linux {}; this is {release}", newer.short, newer.since),
            format!("without {}, or a later kernel", newer.name),
        ))
    }

    /// Refusals of flags that day02 has no options for.
    fn broken_rule(&self) -> Option<(String, String)> {
        let short = |flag: u32| format!("{:#}", SETUP_FLAGS.flags(flag)).replace(" | ", " or ");
        let needs = NEEDS.iter().find(|(flag, one_of)| self.has(*flag) && !self.has(*one_of));
        if let Some((flag, one_of)) = needs {
            let (flag, one_of) = (short(*flag), short(*one_of));
            return Some((format!("{flag} needs {one_of}"), format!("{one_of} with {flag}")));
        }
        let (one, other) =
            EXCLUDES.iter().find(|(one, other)| self.has(*one) && self.has(*other))?;
        let (one, other) = (short(*one), short(*other));
        Some((format!("{one} and {other} exclude each other"), format!("one of {one} and {other}")))
    }

    fn as_day02_asks(&self) -> (RingOptions, SetupFlags) {
        let asked = &self.asked;
        let options = RingOptions {
            entries: Some(self.entries),
            cq_entries: self.has(setup::CQSIZE).then_some(asked.cq_entries),
            sqpoll: self.has(setup::SQPOLL),
            sq_idle: (self.has(setup::SQPOLL) && asked.sq_thread_idle != 0)
                .then_some(asked.sq_thread_idle),
            sq_cpu: self.has(setup::SQ_AFF).then_some(asked.sq_thread_cpu),
            disabled: self.has(setup::R_DISABLED),
        };
        let flags = SetupFlags {
            clamp: self.has(setup::CLAMP),
            submit_all: self.has(setup::SUBMIT_ALL),
            coop_taskrun: self.has(setup::COOP_TASKRUN),
            single_issuer: self.has(setup::SINGLE_ISSUER),
            defer_taskrun: self.has(setup::DEFER_TASKRUN),
            no_sqarray: self.has(setup::NO_SQARRAY),
        };
        (options, flags)
    }

    /// The command that asks for the same ring, if it has an option for each flag.
    fn command(&self) -> Option<String> {
        let (options, _) = self.as_day02_asks();
        let mut command = format!("cargo run -p day02 -- --entries {}", self.entries);
        let mut known = 0;
        for (flag, option, value) in [
            (setup::CQSIZE, "--cq-entries", options.cq_entries),
            (setup::SQPOLL, "--sqpoll", None),
            (setup::SQPOLL, "--sq-idle", options.sq_idle),
            (setup::SQ_AFF, "--sq-cpu", options.sq_cpu),
            (setup::CLAMP, "--clamp", None),
            (setup::SUBMIT_ALL, "--submit-all", None),
            (setup::COOP_TASKRUN, "--coop-taskrun", None),
            (setup::SINGLE_ISSUER, "--single-issuer", None),
            (setup::DEFER_TASKRUN, "--defer-taskrun", None),
            (setup::NO_SQARRAY, "--no-sqarray", None),
        ] {
            known |= flag;
            match value {
                _ if !self.has(flag) => {}
                Some(value) => command += &format!(" {option} {value}"),
                None if option == "--sq-idle" => {}
                None => command += &format!(" {option}"),
            }
        }
        (self.asked.flags & !known == 0).then_some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(entries: u32, flags: u32) -> RefusedRing {
        let mut ring = RefusedRing { entries, error: Some(libc::EINVAL), ..Default::default() };
        ring.asked.flags = flags;
        ring
    }

    #[track_caller]
    fn explains(ring: &RefusedRing, cause: &str, remedy: &str) {
        let (why, try_this) = ring.explained();
        assert!(why.contains(cause), "{why}");
        assert!(try_this.contains(remedy), "{try_this}");
    }

    #[test]
    fn wrong_parameters_name_the_rule_and_the_command() {
        explains(&refused(70000, 0), "holds 1 to 32768", "day02 -- --entries 70000` asks");
        let mut small = refused(8, setup::CQSIZE);
        small.asked.cq_entries = 4;
        explains(&small, "may not be smaller", "--entries 8 --cq-entries 4`");
        let mut idle = refused(8, setup::SQPOLL | setup::COOP_TASKRUN);
        idle.asked.sq_thread_idle = 20;
        explains(&idle, "exclude each other", "--sqpoll --sq-idle 20 --coop-taskrun`");
        explains(&refused(8, setup::DEFER_TASKRUN), "needs SINGLE_ISSUER", "--defer-taskrun`");
    }

    #[test]
    fn flags_that_day02_has_no_options_for() {
        explains(&refused(8, setup::TASKRUN_FLAG), "needs COOP_TASKRUN or DEFER_TASKRUN", "with");
        let both = setup::CQE32 | setup::CQE_MIXED;
        let (why, _) = refused(8, both).explained();
        // An older kernel does not know the second.
        assert!(
            why.contains("exclude each other") || why.contains("came with Linux 6.18"),
            "{why}"
        );
        explains(&refused(8, 1 << 30), "0x40000000 is no setup flag", "memset");
    }

    #[test]
    fn who_shuts_io_uring_off_shows_by_a_ring_of_our_own() {
        if !testkit::io_uring_or_skip("who_shuts_io_uring_off_shows_by_a_ring_of_our_own") {
            return;
        }
        for error in [Some(libc::EPERM), Some(libc::ENOSYS), None] {
            let ring = RefusedRing { error, ..refused(8, 0) };
            explains(&ring, "the program shuts itself off", "seccomp");
        }
    }

    #[test]
    fn a_lack_of_memory_is_explained_as_everywhere() {
        let ring = RefusedRing { error: Some(libc::ENOMEM), ..refused(4096, 0) };
        let (why, _) = ring.explained();
        assert!(why.contains("memory") || why.contains("RLIMIT_MEMLOCK"), "{why}");
    }

    /// Each rule as this kernel has it, as far as it knows the flags.
    #[test]
    fn the_rules_are_the_kernels() {
        if !testkit::io_uring_or_skip("the_rules_are_the_kernels") {
            return;
        }
        let release = environment::kernel_release();
        let kernel = Kernel::parse(&release).expect("a release");
        let wrong = NEEDS.iter().map(|(flag, _)| *flag);
        let wrong = wrong.chain(EXCLUDES.iter().map(|(one, other)| one | other));
        for flags in wrong {
            if SETUP_FLAGS.set_in(flags).any(|flag| flag.since > kernel) {
                continue;
            }
            let mut params = [0_u32; 30];
            params[2] = flags;
            // SAFETY: the kernel reads and writes the 120 bytes of `params` during the call.
            let answer = unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, &mut params) };
            let error = io::Error::last_os_error().raw_os_error();
            assert_eq!((answer, error), (-1, Some(libc::EINVAL)), "{:#}", SETUP_FLAGS.flags(flags));
        }
    }
}
