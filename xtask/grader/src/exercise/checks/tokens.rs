//! Entries that miss their client: the usual reasons why a client gets no answer.

use common::token::Op;

use super::served::number;
use crate::exercise::record::{Record, gives, takes, token};
use ringtrace::event::{Submit, What};

/// The lines and the rule for an entry that misses its client, if there is such an entry: its
/// `user_data` names another client's slot, it works on a slot that never had a client, or it waits
/// for all earlier entries.
pub fn astray(record: &Record) -> Option<(Vec<String>, String)> {
    another_slots(record).or_else(|| empty_slot(record)).or_else(|| drained(record))
}

/// The events of an entry.
fn its(submit: &Submit) -> impl Fn(&What) -> bool + '_ {
    |what| match what {
        What::Submit(other) => other.seq == submit.seq,
        What::Complete(complete) => complete.seq == Some(submit.seq),
        _ => false,
    }
}

fn empty_slot(record: &Record) -> Option<(Vec<String>, String)> {
    let clients = record.slots_of_clients();
    let empty = |submit: &&Submit| {
        let slot = number(submit, "slot").filter(|slot| !clients.contains(&(*slot as u32)));
        let refused =
            || record.answers(submit.seq).iter().any(|it| it.error.as_deref() == Some("EBADF"));
        slot.is_some() && (gives(submit) || takes(submit)) && refused()
    };
    let submit = record.submits().find(empty)?;
    let rule = format!(
        "Slot {}, on which this {} works, never had a client. A client's slot is the result in its \
         accept's completion.",
        number(submit, "slot")?,
        submit.op
    );
    Some((record.lines_at_most(2, its(submit)), rule))
}

fn drained(record: &Record) -> Option<(Vec<String>, String)> {
    let drains = |submit: &&Submit| submit.flags.iter().any(|flag| flag.contains("DRAIN"));
    let submit = record.submits().find(|it| drains(it) && record.answers(it.seq).is_empty())?;
    let rule = "An entry with IOSQE_IO_DRAIN waits for all earlier entries, also those of other \
                clients and an armed accept. Links order the entries of one client only.";
    Some((record.lines_at_most(2, its(submit)), rule.to_string()))
}

/// The lines and the rule for an entry whose `user_data` names another slot than its own, if there
/// is such an entry.
pub fn another_slots(record: &Record) -> Option<(Vec<String>, String)> {
    let another = |submit: &&Submit| {
        let slot = number(submit, "slot");
        let token = token(&submit.user_data).filter(|token| token.op != Op::Close);
        slot.zip(token).is_some_and(|(slot, token)| slot != u64::from(token.slot))
    };
    let submit = record.submits().find(another)?;
    let rule = format!(
        "This {} works on slot {}, but its `user_data` names another one: [{}]. By that token the \
         program sends the answer to another client.",
        submit.op,
        number(submit, "slot")?,
        submit.meaning
    );
    Some((record.lines_at_most(2, its(submit)), rule))
}
