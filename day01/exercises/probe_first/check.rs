//! `probe_first`: an operation is used if the probe says that it is there, and another does
//! its work if it is not, or if the kernel is too old to be asked.

use std::thread;

use io_uring::{IoUring, Probe};

use crate::exercise::prelude::*;

/// `IORING_OP_WRITE`.
const WRITE: u8 = 23;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let unknown = unknown_operations()?;
    let newest = unknown[0];
    let other = unknown[attempt.number(0..=unknown.len() as u64 - 1) as usize];
    for code in [newest, other] {
        let line = format!("{}\n", attempt.word(9));
        without_operation(
            &run(attempt, code, &line, Kernel::Real)?,
            code,
            &line,
        )?;
    }
    with_operation(attempt)?;
    for code in [other, WRITE] {
        let line = format!("{}\n", attempt.word(9));
        without_probe(
            &run(attempt, code, &line, Kernel::WithoutProbe)?,
            code,
            &line,
        )?;
    }
    Ok(Passed::new(
        "You asked, used what is there, and did without what is not.",
    ))
}

/// The codes that the running kernel has no operation for, its next one first.
fn unknown_operations() -> Result<Vec<u8>, Failure> {
    let mut probe = Probe::new();
    let asked = IoUring::new(2)
        .and_then(|ring| ring.submitter().register_probe(&mut probe));
    asked.map_err(|error| {
        Failure::not_observed(format!("the checker's own probe: {error}"))
    })?;
    let unknown: Vec<u8> =
        (WRITE..=u8::MAX).filter(|code| !probe.is_supported(*code)).collect();
    if unknown.is_empty() || !probe.is_supported(WRITE) {
        return Err(Failure::not_observed(
            "this kernel knows every operation, or no WRITE",
        ));
    }
    Ok(unknown)
}

#[derive(Clone, Copy)]
enum Kernel {
    Real,
    /// One that refuses the probe, as those before 5.6 do.
    WithoutProbe,
}

fn run(
    attempt: &Attempt,
    code: u8,
    line: &str,
    kernel: Kernel,
) -> Result<Record, Failure> {
    let text = line.trim_end();
    let launch = |more: &str| {
        attempt
            .run(format!(
                "The program was run as `probe_first {code} {text}`{more}."
            ))
            .arg(code.to_string())
            .arg(text)
    };
    match kernel {
        Kernel::Real => launch("").to_end(),
        // The filter stays on this thread, and on what is started from it.
        Kernel::WithoutProbe => thread::scope(|scope| {
            let run = scope.spawn(|| {
                old_kernel::refuse_probes()?;
                launch(", where the kernel refuses the probe").to_end()
            });
            run.join().unwrap_or_else(|_| {
                Err(Failure::not_observed("the checker panicked"))
            })
        }),
    }
}

fn probed(record: &Record) -> Option<u64> {
    record.events.iter().find_map(|event| match &event.what {
        What::Register(register) if register.op.ends_with("REGISTER_PROBE") => {
            Some(event.us)
        }
        _ => None,
    })
}

fn lines(record: &Record) -> Vec<String> {
    record.last_lines(|what| {
        matches!(what, What::Register(_) | What::Submit(_) | What::Complete(_))
    })
}

/// The program asked, before the first entry.
fn need_probe(record: &Record) -> Result<(), Failure> {
    let entry = record
        .events
        .iter()
        .find(|event| matches!(event.what, What::Submit(_)));
    match (probed(record), entry) {
        (Some(asked), Some(entry)) if asked <= entry.us => Ok(()),
        (Some(_), None) => Ok(()),
        (asked, _) => {
            let mut kernel = lines(record);
            if asked.is_none() {
                kernel.push("no IORING_REGISTER_PROBE".to_string());
            }
            Err(record.fail(ids::NOT_PROBED).kernel(kernel).rule(
                "Which operations are there is the kernel's to say, and it was not asked before \
                 the first entry: `Probe::new()`, then `submitter().register_probe(…)`.",
            ))
        }
    }
}

/// The kernel said no: no entry of the operation, and the line by another.
fn without_operation(
    record: &Record,
    code: u8,
    line: &str,
) -> Result<(), Failure> {
    record.need_ring()?;
    need_probe(record)?;
    let why = "The probe says that this kernel has no such operation.";
    need_unused(record, code, why)?;
    need_fallback(record, line, why)
}

fn need_unused(record: &Record, code: u8, why: &str) -> Result<(), Failure> {
    if record.submits().any(|entry| entry.opcode == code) {
        let rule = format!(
            "{why} An entry of operation {code} was submitted all the same. The answer of \
             `is_supported({code})` is to decide between it and the fallback."
        );
        return Err(record
            .fail(ids::PROBE_IGNORED)
            .kernel(lines(record))
            .rule(rule));
    }
    Ok(())
}

/// The line is there, by whatever operation, through the ring.
fn need_fallback(
    record: &Record,
    line: &str,
    why: &str,
) -> Result<(), Failure> {
    let failed = record.status != Some(0);
    let silent =
        record.stdout.is_empty() && written::entries(record).is_empty();
    if failed || silent {
        if record.status > Some(128) {
            record.need_exit()?;
        }
        record.need_all_submitted()?;
        let said = record
            .stderr
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(2);
        let mut kernel = lines(record);
        kernel.extend(said.map(|line| format!("it said: {line}")));
        return Err(record.fail(ids::NO_FALLBACK).kernel(kernel).rule(format!(
            "{why} There is still the task: the line was to be written by WRITEV, and the \
             program to end with 0."
        )));
    }
    written::need_line_through_ring(record, line)?;
    record.need_all_submitted()?;
    record.need_all_reaped()
}

/// The kernel said yes: the operation writes the line.
fn with_operation(attempt: &Attempt) -> Result<(), Failure> {
    let line = format!("{}\n", attempt.word(9));
    let record = run(attempt, WRITE, &line, Kernel::Real)?;
    record.need_ring()?;
    record.need_exit()?;
    need_probe(&record)?;
    record.need_all_submitted()?;
    if !record.submits().any(|entry| entry.opcode == WRITE) {
        return Err(record.fail(ids::NOT_USED).kernel(lines(&record)).rule(
            "This kernel has operation 23 (WRITE), and the probe says so: \
             `probe.is_supported(23)`. The program was to use it, and took the fallback.",
        ));
    }
    written::need_line_through_ring(&record, &line)?;
    record.need_all_reaped()
}

/// The kernel refused the probe: no WRITE either, which came with it.
fn without_probe(record: &Record, code: u8, line: &str) -> Result<(), Failure> {
    record.need_ring()?;
    need_probe(record)?;
    let why = "The kernel refused the probe (EINVAL): it is older than 5.6, and so than all that \
               one would ask for. That is a \"no\".";
    need_unused(record, code, why)?;
    need_fallback(record, line, why)?;
    if record.submits().any(|entry| entry.opcode == WRITE) {
        return Err(record.fail(ids::WRONG_ENTRY).kernel(lines(record)).rule(
            "WRITE came with Linux 5.6, as the probe did: a kernel that refuses the one has not \
             the other. WRITEV is as old as io_uring.",
        ));
    }
    Ok(())
}

mod old_kernel {
    //! Plays a kernel before 5.6, which answers `IORING_REGISTER_PROBE` with EINVAL.

    use std::io;

    use crate::exercise::failure::Failure;
    use crate::trace::syscalls::NATIVE_ARCH;

    /// `IORING_REGISTER_PROBE`.
    const PROBE: u32 = 8;
    /// Set in the operation if the ring is named by its registered index.
    const BY_INDEX: u32 = 1 << 31;

    /// Makes every probe by this thread, and by what it starts, fail with EINVAL: by a seccomp
    /// filter (seccomp(2)), which is never taken back.
    ///
    /// # Errors
    /// Not observed, if the machine does not allow it.
    pub fn refuse_probes() -> Result<(), Failure> {
        let filter = filter();
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: both calls read their arguments before they return; `program` and the filter
        // that it points to outlive them, and the kernel writes to neither.
        let failed = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) != 0
        };
        if failed {
            let error = io::Error::last_os_error();
            return Err(Failure::not_observed(format!(
                "playing an old kernel: {error}"
            )));
        }
        Ok(())
    }

    fn filter() -> [libc::sock_filter; 9] {
        /// Offsets in `struct seccomp_data` (`linux/seccomp.h`); the low half of an argument.
        const NUMBER: u32 = 0;
        const ARCH: u32 = 4;
        const SECOND: u32 =
            if cfg!(target_endian = "little") { 24 } else { 28 };
        let load = |at| {
            instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at)
        };
        // A jump counts from the instruction after it.
        let equal = |value, yes, no| {
            instruction(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                yes,
                no,
                value,
            )
        };
        let answer =
            |value| instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value);
        [
            load(ARCH),
            equal(NATIVE_ARCH, 0, 5),
            load(NUMBER),
            equal(libc::SYS_io_uring_register as u32, 0, 3),
            load(SECOND),
            equal(PROBE, 2, 0),
            equal(PROBE | BY_INDEX, 1, 0),
            answer(libc::SECCOMP_RET_ALLOW),
            answer(libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        ]
    }

    fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt, jf, k }
    }
}
