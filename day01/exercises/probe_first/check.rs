//! `probe_first`: the program uses an operation if the probe lists it. It uses another one if the
//! probe does not, or if the kernel is too old for a probe.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;

use io_uring::{IoUring, Probe};

use crate::exercise::prelude::*;

/// `IORING_OP_WRITE`.
const WRITE: u8 = 23;
/// `IORING_OP_SEND`. On a socket it takes the same fields as WRITE.
const SEND: u8 = 26;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let unknown = unknown_operations()?;
    let other = unknown[attempt.number(0..=unknown.len() as u64 - 1) as usize];
    let denies = "The probe says that this kernel has no such operation.";
    for code in [unknown[0], other] {
        let (record, line) = run(attempt, code, Kernel::Real)?;
        need_fallback(&record, code, &line, denies)?;
    }
    with_operation(attempt, WRITE, Kernel::Real)?;
    with_operation(attempt, SEND, Kernel::OnASocket)?;
    for code in [other, WRITE] {
        let why = "The kernel refused the probe (EINVAL), so it is older than 5.6. It has none of \
                   the operations that came with 5.6 or later: treat the refusal as a \"no\".";
        let (record, line) = run(attempt, code, Kernel::WithoutProbe)?;
        need_fallback(&record, code, &line, why)?;
        if record.submits().any(|entry| entry.opcode == WRITE) {
            return Err(record.fail(ids::WRONG_ENTRY).kernel(lines(&record)).rule(
                "Linux 5.6 added both WRITE and the probe: a kernel without the probe has no \
                 WRITE. WRITEV is as old as io_uring.",
            ));
        }
    }
    let (record, line) = run(attempt, WRITE, Kernel::WithoutWrite)?;
    need_fallback(&record, WRITE, &line, denies)?;
    Ok(Passed::new(
        "You asked the kernel, used the operation where it exists, and the fallback where it does \
         not.",
    ))
}

/// The codes for which the running kernel has no operation, the lowest first.
fn unknown_operations() -> Result<Vec<u8>, Failure> {
    let mut probe = Probe::new();
    let asked = IoUring::new(2)
        .and_then(|ring| ring.submitter().register_probe(&mut probe));
    asked.map_err(|error| {
        Failure::not_observed(format!("the checker's own probe: {error}"))
    })?;
    let unknown: Vec<u8> =
        (WRITE..=u8::MAX).filter(|code| !probe.is_supported(*code)).collect();
    match unknown.is_empty() || !probe.is_supported(WRITE) {
        true => Err(Failure::not_observed(
            "this kernel knows every operation, or no WRITE",
        )),
        false => Ok(unknown),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kernel {
    Real,
    /// The kernel as it is; the standard output is a socket.
    OnASocket,
    /// A kernel whose probe does not list WRITE.
    WithoutWrite,
    /// A kernel that refuses the probe, like those before 5.6.
    WithoutProbe,
}

/// A run, and the line that it must print.
fn run(
    attempt: &Attempt,
    code: u8,
    kernel: Kernel,
) -> Result<(Record, String), Failure> {
    let text = format!(
        "{}é {}",
        attempt.word(4),
        attempt.word(attempt.number(5..=90) as usize)
    );
    let did = format!("The program was run as `probe_first {code} \"{text}\"`");
    let launch = |more: &str| {
        attempt.run(format!("{did}{more}.")).arg(code.to_string()).arg(&text)
    };
    let broken = |error: std::io::Error| {
        Failure::not_observed(format!("a socket: {error}"))
    };
    let record = match kernel {
        Kernel::Real => launch("").to_end()?,
        Kernel::WithoutWrite => launch(", and the probe denies that operation")
            .denied(WRITE)
            .to_end()?,
        Kernel::OnASocket => {
            let (mut ours, theirs) = UnixStream::pair().map_err(broken)?;
            let stdout = OwnedFd::from(theirs).into();
            let launch =
                launch(", with a socket as its standard output").stdout(stdout);
            let mut record = launch.start()?.end()?;
            ours.read_to_string(&mut record.stdout).map_err(broken)?;
            record
        }
        // The filter stays on this thread and on the processes that it starts.
        Kernel::WithoutProbe => thread::scope(|scope| {
            let run = scope.spawn(|| {
                old_kernel::refuse_probes()?;
                launch(", where the kernel refuses the probe").start()?.end()
            });
            run.join().unwrap_or_else(|_| {
                Err(Failure::not_observed("the checker panicked"))
            })
        })?,
    };
    Ok((record, text + "\n"))
}

fn lines(record: &Record) -> Vec<String> {
    record.last_lines(|what| {
        matches!(what, What::Register(_) | What::Submit(_) | What::Complete(_))
    })
}

/// The program registered a probe before its first entry.
fn need_probe(record: &Record) -> Result<(), Failure> {
    record.need_ring()?;
    let probes = |what: &What| matches!(what, What::Register(it) if it.op.ends_with("REGISTER_PROBE"));
    let asked = record.events.iter().position(|event| probes(&event.what));
    let entry = record
        .events
        .iter()
        .position(|event| matches!(event.what, What::Submit(_)));
    if asked.is_some_and(|asked| entry.is_none_or(|entry| asked < entry)) {
        return Ok(());
    }
    // The events from the first entry to the late probe.
    let mut kernel =
        record.lines_at_most(1, |what| matches!(what, What::Submit(_)));
    kernel.extend(record.lines_at_most(1, probes));
    if asked.is_none() {
        kernel.push("calls of IORING_REGISTER_PROBE: 0".to_string());
    }
    Err(record.fail(ids::NOT_PROBED).kernel(kernel).rule(
        "The program submitted an entry before it asked the kernel which operations exist. Ask \
         first: `Probe::new()`, then `submitter().register_probe(…)`.",
    ))
}

/// The kernel does not have the operation: the program submits no entry of it, and writes the line
/// by another.
fn need_fallback(
    record: &Record,
    code: u8,
    line: &str,
    why: &str,
) -> Result<(), Failure> {
    need_probe(record)?;
    let fail = |id, rule: String| {
        Err(record.fail(id).kernel(lines(record)).rule(rule))
    };
    if record.submits().any(|entry| entry.opcode == code) {
        return fail(
            ids::PROBE_IGNORED,
            format!(
                "{why} The program submitted an entry of operation {code} anyway. Let the answer of \
             `is_supported({code})` decide between it and the fallback."
            ),
        );
    }
    if record.status > Some(128) {
        record.need_exit()?;
    }
    record.need_all_submitted()?;
    if record.stdout == line {
        record.need_exit()?;
    }
    if record.status != Some(0)
        || record.stdout.is_empty() && written::entries(record).is_empty()
    {
        let said: Vec<&str> = record
            .stderr
            .lines()
            .filter(|it| !it.trim().is_empty())
            .take(2)
            .collect();
        return fail(
            ids::NO_FALLBACK,
            format!(
                "{why} The program must still write the line: do it by WRITEV, and end with status \
             0. The program said: {}",
                if said.is_empty() {
                    "nothing".into()
                } else {
                    said.join(" / ")
                }
            ),
        );
    }
    written::need_line_through_ring(record, line)?;
    record.need_all_reaped()
}

/// The kernel has the operation, which must write the line.
fn with_operation(
    attempt: &Attempt,
    code: u8,
    kernel: Kernel,
) -> Result<(), Failure> {
    let (record, line) = run(attempt, code, kernel)?;
    need_probe(&record)?;
    record.need_exit()?;
    record.need_all_submitted()?;
    if !record.submits().any(|entry| entry.opcode == code) {
        return Err(record.fail(ids::NOT_USED).kernel(lines(&record)).rule(format!(
            "This kernel has operation {code} (`probe.is_supported({code})` is true), but the \
             program used the fallback. Use operation {code}."
        )));
    }
    written::need_line_through_ring(&record, &line)?;
    record.need_all_reaped()
}

mod old_kernel {
    //! Plays a kernel before 5.6, which answers `IORING_REGISTER_PROBE` with EINVAL.

    use testkit::seccomp::Filter;

    use crate::exercise::failure::Failure;

    /// `IORING_REGISTER_PROBE`.
    const PROBE: u32 = 8;
    /// Set in the operation if the call names the ring by its registered index.
    const BY_INDEX: u32 = 1 << 31;

    /// Installs a seccomp filter by which every probe of this thread, and of the processes that it
    /// starts, fails with EINVAL. The filter cannot be removed.
    ///
    /// # Errors
    /// Not observed, if the machine does not allow it.
    pub fn refuse_probes() -> Result<(), Failure> {
        let invalid = libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32;
        let probes = [PROBE, PROBE | BY_INDEX];
        Filter::on_argument(&[libc::SYS_io_uring_register], 1, &probes, invalid)
            .install()
            .map_err(|error| {
                Failure::not_observed(format!("playing an old kernel: {error}"))
            })
    }
}
