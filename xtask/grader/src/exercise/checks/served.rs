//! How the ring served the clients, by the record alone.

use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::record::Record;
use ringtrace::event::{Complete, Submit, What};
use ringtrace::watch::OtherCall;

/// Whether an event is about clients: an entry, a completion, or the wait for one.
pub fn of_requests(what: &What) -> bool {
    matches!(what, What::Submit(_) | What::Complete(_) | What::Enter(_))
}

/// Selects the entries and completions of some operations.
pub fn of_ops<'a>(ops: &'a [&'a str]) -> impl Fn(&What) -> bool + 'a {
    move |what| match what {
        What::Submit(submit) => ops.contains(&submit.op.as_str()),
        What::Complete(complete) => complete.op.as_deref().is_some_and(|op| ops.contains(&op)),
        _ => false,
    }
}

/// Whether an entry is a multishot.
pub fn multishot(submit: &Submit) -> bool {
    submit.details.contains_key("multishot")
}

/// Whether an accept puts its client into a slot.
pub fn into_slot(submit: &Submit) -> bool {
    submit.details.contains_key("into_slot")
}

/// Whether a completion brought a client.
pub fn brought(complete: &&Complete) -> bool {
    complete.op.as_deref() == Some("ACCEPT") && complete.res >= 0
}

/// The number that a detail holds.
pub fn number(submit: &Submit, key: &str) -> Option<u64> {
    submit.details.get(key).and_then(serde_json::Value::as_u64)
}

/// Fails unless clients are accepted into slots and stay there. The program must make no plain
/// accept (a call or an entry), make no descriptor of a slot, and neither send nor receive outside
/// the ring.
pub fn need_slots(record: &Record) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_no_plain(&["accept", "accept4", "connect"])?;
    need_no_talk(record)?;
    if !record.submitted("FIXED_FD_INSTALL").is_empty() {
        return Err(record
            .fail(ids::DESCRIPTOR)
            .kernel(record.lines(of_ops(&["FIXED_FD_INSTALL"])))
            .rule(
                "FIXED_FD_INSTALL makes a descriptor for the file in a slot. A client must have no \
                 descriptor: name the slot itself in an operation, `types::Fixed(slot)`.",
            ));
    }
    if record.submitted("ACCEPT").iter().all(|accept| into_slot(accept)) {
        return Ok(());
    }
    Err(record.fail(ids::DESCRIPTOR).kernel(record.lines(of_ops(&["ACCEPT"]))).rule(
        "This accept makes a descriptor for every client. A file index \
             (`allocate_file_index`, or `file_index` with an auto target) puts the client into a \
             slot of the registered table.",
    ))
}

/// Fails if a call or an entry uses the number of a client's slot as a descriptor.
pub fn need_no_slot_as_fd(record: &Record) -> Result<(), Failure> {
    let slots: Vec<u64> = record.slots_of_clients().into_iter().map(u64::from).collect();
    let calls = record.plain_calls(&["close", "shutdown"]);
    let by_call = calls.iter().find(|call| slots.contains(&call.args[0]));
    let by_fd = |it: &&Submit| {
        ["CLOSE", "SHUTDOWN"].contains(&it.op.as_str())
            && number(it, "fd").is_some_and(|fd| slots.contains(&fd))
    };
    let by_entry = record.submits().find(by_fd);
    let Some(what) = by_call
        .map(|call| format!("system call {}({})", call.name, call.args[0]))
        .or_else(|| by_entry.map(|it| format!("{} {}", it.op, it.words)))
    else {
        return Ok(());
    };
    let mut kernel =
        record.lines_at_most(1, |what| matches!(what, What::Complete(it) if brought(&it)));
    kernel.push(what);
    Err(record.fail(ids::SLOT_AS_FD).kernel(kernel).rule(
        "A slot's number is not a descriptor: this closes another file of the process (0 is its \
         standard input), and the client in the slot stays connected. Close a slot through the \
         ring: `opcode::Close` on `types::Fixed`.",
    ))
}

/// Fails if the program sends or receives by plain calls, on any descriptor.
pub fn need_no_talk(record: &Record) -> Result<(), Failure> {
    let calls = record.plain_talk();
    let Some(call) = calls.first() else { return Ok(()) };
    let count = calls.len();
    let first = format!("system calls on connections: {count}; first {}", called(call));
    Err(record
        .fail(ids::NOT_THROUGH_RING)
        .kernel(record.lines_at_most(2, of_ops(&["FIXED_FD_INSTALL"])).into_iter().chain([first]))
        .rule(format!(
            "{}(2) moves bytes of a connection by a system call. Send and receive by entries of \
             the ring.",
            call.name
        )))
}

fn called(call: &OtherCall) -> String {
    format!("{}, fd {}", call.name, call.args[0] as i32)
}

/// Fails unless accepts of the ring took at least this many clients, and entries sent at least this
/// many bytes; then no plain call sent them. In a ring that a kernel thread polls, the tracer may
/// have missed some.
///
/// # Errors
/// `E-NOT-THROUGH-RING`.
pub fn need_served(record: &Record, clients: usize, bytes: u64) -> Result<(), Failure> {
    let served = record.served();
    let sent: u64 = served.iter().map(|client| client.sent).sum();
    let unseen = record.summary.unseen_entries + record.summary.unseen_completions;
    // The record may also count a missed entry's completion for another entry with the same
    // `user_data`.
    let part = |all: u64| if record.summary.polled { all - all / 10 } else { all };
    if (served.len() as u64 >= part(clients as u64) && sent >= part(bytes)) || unseen > 0 {
        return Ok(());
    }
    let told = [
        format!("clients: {clients}; accepted by the ring: {}", served.len()),
        format!("bytes that they got: {bytes}; sent by entries: {sent}"),
    ];
    Err(record.fail(ids::NOT_THROUGH_RING).kernel(told).rule(
        "The ring must accept every client, and send every byte that a client gets. Its \
         completions show fewer clients or bytes.",
    ))
}

/// The sizes of the registered tables of slots.
fn tables(record: &Record) -> impl Iterator<Item = u64> {
    record
        .registers()
        .filter(|register| register.op == "REGISTER_FILES" || register.op == "REGISTER_FILES2")
        .filter_map(|register| register.detail.split(' ').next()?.parse().ok())
}

/// Fails unless the table has the given size.
pub fn need_table(record: &Record, slots: u64) -> Result<(), Failure> {
    match tables(record).find(|asked| *asked != slots) {
        Some(_) => Err(record
            .fail(ids::AS_GIVEN)
            .kernel(record.lines(|what| matches!(what, What::Register(_))))
            .rule(format!(
                "Keep the table's size: {slots} slots. With another size the situation of this \
                 exercise does not occur."
            ))),
        _ => Ok(()),
    }
}
