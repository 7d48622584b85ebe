//! Tokens that name another slot than the one that their entry works on: the usual reason for an
//! answer that goes to another client.

use common::token::Op;

use super::clients::number;
use crate::exercise::record::{Record, token};
use crate::trace::event::{Submit, What};

/// The lines and the rule for an entry whose `user_data` names another slot than the one that it
/// works on, if there is one.
pub fn another_slots(record: &Record) -> Option<(Vec<String>, String)> {
    let another = |submit: &&Submit| {
        let slot = number(submit, "slot");
        let token = token(&submit.user_data).filter(|token| token.op != Op::Close);
        slot.zip(token).is_some_and(|(slot, token)| slot != u64::from(token.slot))
    };
    let submit = record.submits().find(another)?;
    let its = |what: &What| match what {
        What::Submit(other) => other.seq == submit.seq,
        What::Complete(complete) => complete.seq == Some(submit.seq),
        _ => false,
    };
    let rule = format!(
        "This {} works on slot {}, and its `user_data` names another: [{}]. A program that goes \
         by that gives the answer to another slot's client.",
        submit.op,
        number(submit, "slot")?,
        submit.meaning
    );
    Some((record.lines_at_most(2, its), rule))
}
