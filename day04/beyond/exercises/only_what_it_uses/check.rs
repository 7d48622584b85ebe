//! `only_what_it_uses`: a ring with a list of what it allows, and a guest that tries more.

use std::fs;

use ringtrace::event::Register;

use crate::exercise::prelude::*;

/// The guest's entries, by their `user_data`.
const JOBS: [(&str, &str); 3] =
    [("0x1", "WRITE"), ("0x2", "UNLINKAT"), ("0x3", "WRITE with IOSQE_ASYNC")];

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    for length in [5, 40] {
        let text = attempt.word(length);
        let path = attempt.folder()?.join(attempt.word(8));
        fs::write(&path, "precious").map_err(|error| {
            Failure::not_observed(format!("{}: {error}", path.display()))
        })?;
        let did = format!(
            "The program was run as `only_what_it_uses {text} {}`, a file that is there.",
            path.display()
        );
        let record = attempt.run(did).arg(&text).arg(&path).to_end()?;
        need_list(&record)?;
        need_allowed(&record)?;
        need_refusals(&record)?;
        written::need_line_through_ring(&record, &format!("{text}\n"))?;
        if !path.exists() {
            return Err(fail(&record, ids::TOO_OPEN, "The file is gone."));
        }
        record.need_exit()?;
        record.need_all_reaped()?;
    }
    Ok(Passed::new(
        "The guest could write, and the kernel refused everything else.",
    ))
}

fn fail(record: &Record, id: Id, rule: &str) -> Failure {
    let told = record.last_lines(|what| {
        matches!(what, What::Register(_) | What::Submit(_) | What::Complete(_))
    });
    record.fail(id).kernel(told).rule(rule)
}

/// Fails unless the ring was set up disabled, got this list, and was then enabled.
fn need_list(record: &Record) -> Result<(), Failure> {
    record.need_ring()?;
    let fail = |id, rule: &str| Err(fail(record, id, rule));
    let disabled =
        |setup: &Setup| setup.asked_flags.iter().any(|it| it == "R_DISABLED");
    if !record.setups().all(disabled) {
        return fail(
            ids::SETUP,
            "A ring that is not set up disabled takes entries at once, and no list. Build it with \
             `setup_r_disabled()`.",
        );
    }
    let Some(list) =
        calls(record, "REGISTER_RESTRICTIONS").find(|it| it.result == 0)
    else {
        return fail(
            ids::REGISTER,
            match calls(record, "REGISTER_RESTRICTIONS").next() {
                Some(_) => {
                    "The kernel refused the list. A ring takes one list, and only before it is \
                     enabled."
                }
                None => {
                    "The ring has no list, so it takes everything. Give it one by \
                     `register_restrictions`."
                }
            },
        );
    };
    let allowed = list.details.get("allowed").and_then(|it| it.as_array());
    let mut probes = 0;
    for one in allowed.into_iter().flatten().filter_map(|one| one.as_str()) {
        match one {
            "WRITE" | "flags none" | "flags none required" => {}
            "REGISTER_PROBE" => probes += 1,
            other => {
                let rule = format!(
                    "The list has: {other}. It must have WRITE and REGISTER_PROBE, and nothing else."
                );
                return fail(ids::TOO_OPEN, &rule);
            }
        }
    }
    if probes == 0 {
        return fail(
            ids::TOO_OPEN,
            "The list names no register call. With such a list this kernel may refuse all register \
             calls, but Linux 7.3 allows all of them. Name a harmless one: \
             `Restriction::register_op(8)`, the probe.",
        );
    }
    if !calls(record, "REGISTER_ENABLE_RINGS").any(|it| it.result == 0) {
        return fail(
            ids::REGISTER,
            "The ring was never enabled, so it takes no entry: call `register_enable_rings()`.",
        );
    }
    Ok(())
}

/// The register calls with this name, also the refused ones.
fn calls<'a>(
    record: &'a Record,
    name: &'static str,
) -> impl Iterator<Item = &'a Register> {
    record.events.iter().filter_map(move |event| match &event.what {
        What::Register(it) if it.op.trim_start_matches("IORING_") == name => {
            Some(it)
        }
        _ => None,
    })
}

/// Fails if the ring refused the guest's first entry.
fn need_allowed(record: &Record) -> Result<(), Failure> {
    let writes = answers(record, JOBS[0].0);
    if writes.contains(&-i64::from(libc::EACCES)) {
        return Err(fail(
            record,
            ids::FAILED_ENTRY,
            "The ring refused the guest's WRITE, which it must allow. Put `opcode::Write::CODE` on \
             the list.",
        ));
    }
    Ok(())
}

/// Fails unless the guest tried everything else, and the kernel refused it.
fn need_refusals(record: &Record) -> Result<(), Failure> {
    for (tag, job) in JOBS.into_iter().skip(1) {
        let answers = answers(record, tag);
        let rule = match answers.first() {
            Some(answer) if *answer == -i64::from(libc::EACCES) => continue,
            Some(_) => format!("The ring took the guest's {job}."),
            None => {
                format!(
                    "The guest did not submit its {job}. Leave the guest as it is."
                )
            }
        };
        let id = if answers.is_empty() { ids::AS_GIVEN } else { ids::TOO_OPEN };
        return Err(fail(record, id, &rule));
    }
    match calls(record, "REGISTER_FILES").next().map(|it| it.result) {
        Some(result) if result == -i64::from(libc::EACCES) => Ok(()),
        Some(_) => Err(fail(
            record,
            ids::TOO_OPEN,
            "The ring let its guest register a file.",
        )),
        None => Err(fail(
            record,
            ids::AS_GIVEN,
            "The guest did not make its register call. Leave the guest as it is.",
        )),
    }
}

/// The results of the entries with this `user_data`.
fn answers(record: &Record, tag: &str) -> Vec<i64> {
    let tagged = |entry: &&Submit| entry.user_data == tag;
    let entries = record.submits().filter(tagged);
    entries
        .flat_map(|entry| record.answers(entry.seq))
        .map(|answer| i64::from(answer.res))
        .collect()
}
