//! `granted`: the kernel is asked for the sizes of the command line, and the program prints
//! what it granted.

use crate::exercise::prelude::*;

/// What a program is asked for.
struct Sizes {
    entries: u64,
    cq_entries: u64,
}

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let number = |from, to| attempt.number(from..=to);
    // Not a power of two among them; the third is more than there is.
    let pairs = [
        Sizes { entries: number(5, 7), cq_entries: number(260, 500) },
        Sizes { entries: number(65, 127), cq_entries: number(1100, 2000) },
        Sizes {
            entries: number(33_000, 60_000),
            cq_entries: number(66_000, 120_000),
        },
    ];
    for sizes in pairs {
        granted(&run(attempt, &sizes)?, &sizes)?;
    }
    // 512 entries when rounded, and fewer completions than that.
    let sizes = Sizes { entries: number(260, 500), cq_entries: number(9, 250) };
    refused(&run(attempt, &sizes)?, &sizes)?;
    Ok(Passed::new(
        "What you print is what the kernel wrote into the parameters.",
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

fn setups(record: &Record) -> impl Iterator<Item = &Setup> {
    record.events.iter().filter_map(|event| match &event.what {
        What::Setup(setup) => Some(setup),
        _ => None,
    })
}

fn lines(record: &Record) -> Vec<String> {
    let lines = record.last_lines(|what| matches!(what, What::Setup(_)));
    // What the kernel can do is another matter.
    let end =
        lines.iter().position(|line| line.trim_start().starts_with("features"));
    let mut lines = lines[..end.unwrap_or(lines.len())].to_vec();
    let printed: Vec<&str> = record.stdout.lines().take(3).collect();
    lines.push(match printed.as_slice() {
        [] => "printed: nothing".to_string(),
        printed => format!("printed: {}", printed.join(" / ")),
    });
    lines
}

/// The lines that tell sizes; what else a program tells is its own affair.
fn reports(record: &Record) -> Vec<&str> {
    record
        .stdout
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("sq "))
        .collect()
}

fn asks_for(setup: &Setup, sizes: &Sizes) -> bool {
    let has = |flag: &str| setup.asked_flags.iter().any(|name| name == flag);
    setup.asked_entries == sizes.entries
        && has("CQSIZE")
        && u64::from(setup.asked_cq_entries) == sizes.cq_entries
}

/// Why no setup asks for the sizes.
fn not_asked(record: &Record, sizes: &Sizes) -> Failure {
    let Sizes { entries, cq_entries } = sizes;
    let last = setups(record).last();
    let no_cqsize = last.is_some_and(|setup| {
        setup.asked_entries == *entries
            && !setup.asked_flags.iter().any(|flag| flag == "CQSIZE")
    });
    let rule = if no_cqsize {
        format!(
            "The kernel was not asked for a completion queue, so it makes one twice the \
             submission queue. `setup_cqsize({cq_entries})` asks."
        )
    } else {
        format!(
            "The kernel was to be asked for {entries} entries and {cq_entries} completions, just \
             as the command line says. What comes of that is for the kernel to decide."
        )
    };
    record.fail(ids::SETUP).kernel(lines(record)).rule(rule)
}

/// A pair that can be granted, if need be cut.
fn granted(record: &Record, sizes: &Sizes) -> Result<(), Failure> {
    if setups(record).next().is_none() {
        record.need_exit()?;
        return record.need_ring();
    }
    if let Some(setup) =
        setups(record).find(|setup| setup.error.as_deref() == Some("ENOMEM"))
    {
        let asked = setup.asked_entries;
        return Err(Failure::not_observed(format!(
            "the kernel has no memory for a ring of {asked} entries"
        )));
    }
    let Some(setup) =
        setups(record).filter(|setup| asks_for(setup, sizes)).last()
    else {
        return Err(not_asked(record, sizes));
    };
    let Some(granted) = &setup.granted else {
        let clamped = setup.asked_flags.iter().any(|flag| flag == "CLAMP");
        if clamped || setup.error.as_deref() != Some("EINVAL") {
            record.need_ring()?;
        }
        return Err(record.fail(ids::SETUP).kernel(lines(record)).rule(
            "The kernel refuses more than 32768 entries, or 65536 completions, unless it is \
             told that it may cut them: `setup_clamp()`.",
        ));
    };
    record.need_ring()?;
    record.need_exit()?;
    let wanted = format!("sq {} cq {}", granted.sq_entries, granted.cq_entries);
    if reports(record) != [wanted.as_str()] {
        return Err(record.fail(ids::OUTPUT).kernel(lines(record)).rule(format!(
            "The kernel granted `{wanted}`, and that line was to be printed. It stands in \
             `ring.params()` after the setup."
        )));
    }
    Ok(())
}

/// A pair that the kernel refuses, whatever it may cut.
fn refused(record: &Record, sizes: &Sizes) -> Result<(), Failure> {
    let asked = setups(record).filter(|setup| asks_for(setup, sizes)).last();
    if asked.is_none_or(|setup| setup.granted.is_some())
        || setups(record).any(|setup| setup.granted.is_some())
    {
        return Err(not_asked(record, sizes));
    }
    if !reports(record).is_empty() {
        return Err(record.fail(ids::OUTPUT).kernel(lines(record)).rule(
            "The kernel refused this ring: the completion queue would be smaller than the \
             submission queue. Nothing was granted, so there is nothing to print.",
        ));
    }
    match record.status {
        Some(0) => Err(record.fail(ids::RESULT).kernel(lines(record)).rule(
            "The kernel refused the ring, and the program ends with 0: whoever called it \
             believes that it has one.",
        )),
        Some(status) if status > 128 => record.need_exit(),
        _ => Ok(()),
    }
}
