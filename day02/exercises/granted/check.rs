//! `granted`: the program asks the kernel for the sizes of the command line, and prints the sizes
//! that the kernel granted.

use crate::exercise::prelude::*;

/// The sizes on the command line.
struct Sizes {
    entries: u64,
    cq_entries: u64,
}

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let sizes = |entries, cq_entries| Sizes {
        entries: attempt.number(entries),
        cq_entries: attempt.number(cq_entries),
    };
    // None of them is a power of two; the third is above the kernel's limit.
    let pairs = [
        sizes(5..=7, 260..=500),
        sizes(65..=127, 1100..=2000),
        sizes(33_000..=60_000, 66_000..=120_000),
    ];
    for sizes in pairs {
        granted(&run(attempt, &sizes)?, &sizes)?;
    }
    // Rounded up to 512 entries, with fewer completions than that.
    let sizes = sizes(260..=500, 9..=250);
    refused(&run(attempt, &sizes)?, &sizes)?;
    Ok(Passed::new(
        "The program prints the sizes that the kernel wrote into the parameters.",
    ))
}

fn run(attempt: &Attempt, sizes: &Sizes) -> Result<Record, Failure> {
    let Sizes { entries, cq_entries } = sizes;
    attempt
        .run(format!(
            "The program was run as `granted {entries} {cq_entries}`."
        ))
        .arg(entries.to_string())
        .arg(cq_entries.to_string())
        .to_end()
}

/// The setups, granted or not.
fn setups(record: &Record) -> impl Iterator<Item = &Setup> {
    record.events.iter().filter_map(|event| match &event.what {
        What::Setup(setup) => Some(setup),
        _ => None,
    })
}

/// A failure with the last setup and what was printed.
fn fail(record: &Record, id: Id, rule: impl Into<String>) -> Failure {
    let lines = record.last_lines(|what| matches!(what, What::Setup(_)));
    // The features do not matter here.
    let features = |line: &String| line.trim_start().starts_with("features");
    let mut kernel: Vec<String> =
        lines.into_iter().take_while(|line| !features(line)).collect();
    let printed: Vec<&str> = record.stdout.lines().take(3).collect();
    kernel.push(match printed.as_slice() {
        [] => "printed: nothing".to_string(),
        printed => format!("printed: {}", printed.join(" / ")),
    });
    record.fail(id).kernel(kernel).rule(rule)
}

/// The lines with sizes. A program may print other lines, too.
fn reports(record: &Record) -> Vec<&str> {
    let lines = record.stdout.lines().map(str::trim);
    lines.filter(|line| line.starts_with("sq ")).collect()
}

fn has(setup: &Setup, flag: &str) -> bool {
    setup.asked_flags.iter().any(|name| name == flag)
}

fn asks_for(setup: &Setup, sizes: &Sizes) -> bool {
    setup.asked_entries == sizes.entries
        && has(setup, "CQSIZE")
        && u64::from(setup.asked_cq_entries) == sizes.cq_entries
}

/// No setup asks for the sizes.
fn not_asked(record: &Record, sizes: &Sizes) -> Failure {
    let Sizes { entries, cq_entries } = sizes;
    let no_cqsize = setups(record).last().is_some_and(|setup| {
        setup.asked_entries == *entries && !has(setup, "CQSIZE")
    });
    let rule = if no_cqsize {
        format!(
            "The program did not ask for the size of the completion queue, so the kernel makes it \
             twice as large as the submission queue. Ask with `setup_cqsize({cq_entries})`."
        )
    } else {
        format!(
            "Ask the kernel for {entries} entries and {cq_entries} completions, as the command \
             line says. The kernel decides what it grants."
        )
    };
    fail(record, ids::SETUP, rule)
}

/// A pair that the kernel grants, if necessary cut.
fn granted(record: &Record, sizes: &Sizes) -> Result<(), Failure> {
    if setups(record).next().is_none() {
        record.need_exit()?;
        return record.need_ring();
    }
    let no_memory = |setup: &&Setup| setup.error.as_deref() == Some("ENOMEM");
    if let Some(setup) = setups(record).find(no_memory) {
        return Err(Failure::not_observed(format!(
            "the kernel has no memory for a ring of {} entries",
            setup.asked_entries
        )));
    }
    let asked = setups(record).filter(|setup| asks_for(setup, sizes)).last();
    let setup = asked.ok_or_else(|| not_asked(record, sizes))?;
    let Some(granted) = &setup.granted else {
        if has(setup, "CLAMP") || setup.error.as_deref() != Some("EINVAL") {
            record.need_ring()?;
        }
        return Err(fail(
            record,
            ids::SETUP,
            "The kernel refuses more than 32768 entries, or 65536 completions, unless the \
             program allows it to cut them: `setup_clamp()`.",
        ));
    };
    record.need_ring()?;
    record.need_exit()?;
    let wanted = format!("sq {} cq {}", granted.sq_entries, granted.cq_entries);
    match reports(record).as_slice() {
        [line] if *line == wanted => Ok(()),
        [line, _, ..] if *line == wanted => {
            let rule = format!("Print the line `{wanted}` once.");
            Err(fail(record, ids::OUTPUT, rule))
        }
        _ => {
            let rule = format!(
                "The kernel granted `{wanted}`: print that line. The sizes are in \
                 `ring.params()` after the setup."
            );
            Err(fail(record, ids::OUTPUT, rule))
        }
    }
}

/// A pair that the kernel refuses, even if it may cut.
fn refused(record: &Record, sizes: &Sizes) -> Result<(), Failure> {
    if !setups(record).any(|setup| asks_for(setup, sizes)) {
        return Err(not_asked(record, sizes));
    }
    if setups(record).any(|setup| setup.granted.is_some()) {
        return Err(fail(
            record,
            ids::SETUP,
            "The kernel refused the sizes of the command line: the completion queue would be \
             smaller than the submission queue. The program set up a ring of other sizes, for \
             which its caller did not ask. End with an error.",
        ));
    }
    if !record.stdout.trim().is_empty() {
        return Err(fail(
            record,
            ids::OUTPUT,
            "The kernel refused this ring: the completion queue would be smaller than the \
             submission queue. Print nothing on the standard output: there is no size to report. \
             Print errors on the standard error.",
        ));
    }
    match record.status {
        Some(0) => Err(fail(
            record,
            ids::RESULT,
            "The kernel refused the ring, and the program ended with status 0, which means success \
             to its caller. End with another status.",
        )),
        Some(status) if status > 128 => record.need_exit(),
        _ => Ok(()),
    }
}
