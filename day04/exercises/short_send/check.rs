//! `short_send`: replies of several mebibytes. Clients read them late, at once, or not at all.

use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use crate::exercise::prelude::*;
use ringtrace::sys;

/// The byte at each offset of a reply.
fn reply(length: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length as usize + 4);
    for word in 0..length.div_ceil(4) {
        let word = word.wrapping_mul(2_654_435_761) ^ length;
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(length as usize);
    bytes
}

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let small = attempt.number(1_000..=9_000) as u32;
    let did = format!("A client asks for {small} bytes and reads them.");
    let client = run.connect()?;
    ask(&mut run, &client, small, &did)?;
    whole(&mut run, &client, &reply(small), &did)?;
    need_slots(&run.record())?;

    let large = attempt.number(8_000_000..=10_000_000) as u32;
    let slow_did =
        format!("A client asks for {large} bytes, and reads them later.");
    let slow = connect_narrow(&mut run, 64 * 1024, 64 * 1024)?;
    ask(&mut run, &slow, large, &slow_did)?;
    let long = &reply(large);
    begun(&mut run, &slow, long, &slow_did)?;
    sleeps(&mut run).map_err(|failure| busy(&run.record(), failure))?;

    let other = attempt.number(2_000_000..=4_000_000) as u32;
    let did = format!(
        "A client asks for {large} bytes and does not read yet. Another asks for {other} and \
         reads at once."
    );
    let client = run.connect()?;
    ask(&mut run, &client, other, &did)?;
    whole(&mut run, &client, &reply(other), &did).map_err(|failure| {
        if waits(&failure) || [ids::HANG_CALL, ids::SPIN].contains(&failure.id) {
            return Failure { id: ids::HELD_UP, ..failure }.rule(
                "The second client waits for the first, which does not read. A send without room \
                 completes later: serve the other clients until then.",
            );
        }
        failure
    })?;
    let cut = end_early(&run, large);
    let slow_did = match cut {
        Some(result) => format!(
            "{slow_did} Meanwhile the check ends its send early, with {result}."
        ),
        None => slow_did,
    };
    // An older kernel returns an error, not a number of bytes. Then the program may close the
    // connection.
    if cut.is_none_or(|result| result >= 0) {
        whole(&mut run, &slow, &long[1..], &slow_did)?;
    }
    drop(slow);

    let did =
        format!("A client asks for {large} bytes and resets the connection.");
    let rude = run.connect()?;
    ask(&mut run, &rude, large, &did)?;
    begun(&mut run, &rude, long, &did)?;
    testkit::reset(rude);
    let did = format!("{did} Then another connects.");
    let client = run.connect()?;
    ask(&mut run, &client, small, &did)?;
    whole(&mut run, &client, &reply(small), &did)?;
    need_free_slots(&mut run, &did).map_err(|failure| {
        let record = run.record();
        let sends = record.completes().filter(|it| is_send(it.op.as_deref()));
        let in_vain = sends.filter(|it| it.res < 0).count();
        if failure.id != ids::NOT_CLOSED || in_vain < 5 {
            return failure;
        }
        failure.kernel(record.last_lines(of_ops(&["SEND"]))).rule(
            "The client has left, so a send to it fails each time, and the program tries again and \
             again. Close the slot instead.",
        )
    })?;
    sleeps(&mut run)?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        send(run, &client, &small.to_le_bytes(), &did)?;
        whole(run, &client, &reply(small), &did)
    })?;
    need_slots(&run.record())?;
    as_given(&run.record())?;
    let record = run.stop();
    let doubt = match record.completes().any(|it| short(&record, it)) {
        true => "",
        false => {
            " No send was short in this run, so it does not show whether the program looks at \
             results."
        }
    };
    Ok(Passed::new(format!(
        "{} sends for all replies, the longest of {large} bytes; every byte in its place.{doubt}",
        record.submits().filter(|it| is_send(Some(&it.op))).count()
    ))
    .measured(measured))
}

/// Sends a request in two pieces, the second a little later.
fn ask(
    run: &mut Run,
    client: &TcpStream,
    length: u32,
    did: &str,
) -> Result<(), Failure> {
    let bytes = length.to_le_bytes();
    run.did(did);
    send(run, client, &bytes[..1], did)?;
    sleep(Duration::from_millis(30));
    send(run, client, &bytes[1..], did)
}

/// Waits for the first byte of the reply.
fn begun(
    run: &mut Run,
    client: &TcpStream,
    reply: &[u8],
    did: &str,
) -> Result<(), Failure> {
    expect(run, client, &reply[..1], did)
        .map_err(|failure| explain(run, failure))
}

/// Every byte must come, in order, and then the end.
fn whole(
    run: &mut Run,
    client: &TcpStream,
    reply: &[u8],
    did: &str,
) -> Result<(), Failure> {
    expect(run, client, reply, did).map_err(|failure| explain(run, failure))?;
    expect_end(run, client, did)
}

fn is_send(op: Option<&str>) -> bool {
    const SENDS: &[&str] = &[
        "SEND",
        "SEND_ZC",
        "SENDMSG",
        "SENDMSG_ZC",
        "WRITE",
        "WRITEV",
        "WRITE_FIXED",
        "SPLICE",
    ];
    op.is_some_and(|op| SENDS.contains(&op))
}

/// Whether this is a send that sent fewer bytes than its entry asked for.
fn short(record: &Record, complete: &Complete) -> bool {
    let entry = record.submits().find(|it| Some(it.seq) == complete.seq);
    let send = entry.filter(|submit| is_send(Some(&submit.op)));
    let asked = send.and_then(|it| number(it, "bytes")).unwrap_or(0);
    (1..asked).contains(&(complete.res.max(0) as u64))
}

/// Ends the send of a whole reply that waits for room. With `MSG_WAITALL` the kernel repeats short
/// sends by itself, so only an error in the middle shows whether the program looks at the result.
/// The check cancels the send through the program's own ring, so that the program sees it like an
/// error of the kernel. Returns the result of the send; `None` if there is no such send, or this
/// kernel cannot cancel it.
fn end_early(run: &Run, reply: u32) -> Option<i32> {
    let (record, rings) = (run.record(), run.rings());
    let mut armed = rings.iter().flat_map(|ring| &ring.in_flight);
    let armed = armed.find(|armed| is_send(Some(&armed.op)))?;
    let send = record
        .submits()
        .find(|it| it.seq == armed.seq && it.ring == armed.ring)?;
    let flags = send.details.get("msg_flags")?.as_array()?;
    // This is the first send of the reply. It has sent some bytes, so it ends short and not with an
    // error.
    let first = number(send, "bytes") == Some(reply.into());
    if !first || !flags.iter().any(|flag| flag == "MSG_WAITALL") {
        return None;
    }
    let digits = send.user_data.strip_prefix("0x")?;
    let user_data = u64::from_str_radix(digits, 16).ok()?;
    let descriptors = run.descriptors().ok()?;
    let (fd, _) =
        descriptors.iter().find(|(_, it)| it.contains("[io_uring]"))?;
    let pid = run.pid() as i32;
    let ring = sys::take_descriptor(pid, pid, *fd).ok()?;
    sys::cancel(&ring, user_data).ok()?;
    drop(ring);
    let ended =
        |it: &&Complete| it.seq == Some(send.seq) && it.ring == send.ring;
    seen(run, PATIENCE, |record| record.completes().any(|it| ended(&it)));
    let record = run.record();
    record.completes().find(ended).map(|it| it.res)
}

/// Fails if the program enlarged a socket's buffer to hold a whole reply.
fn as_given(record: &Record) -> Result<(), Failure> {
    let options = record.socket_options();
    let larger = options.iter().find(|it| it.name.starts_with("SO_SNDBUF"));
    let Some(option) = larger else { return Ok(()) };
    Err(record.fail(ids::AS_GIVEN).kernel([option.line.clone()]).rule(
        "A larger socket buffer only delays a short send: a larger reply fills it as well. Do not \
         change the buffers, and send the rest.",
    ))
}

/// Explains why the program does not sleep while its client does not read.
fn busy(record: &Record, failure: Failure) -> Failure {
    let tried =
        record.completes().any(|it| it.error.as_deref() == Some("EAGAIN"));
    let rule = match tried {
        true => {
            "The client does not read, and the program tries to send the rest again and again: \
             MSG_DONTWAIT fails while there is no room. Without this flag the send waits, and \
             completes when there is room."
        }
        false => {
            "The client does not read, so there is no room to send. Wait for the completion of its \
             send: it comes when there is room again."
        }
    };
    failure
        .client("A client asks for many bytes, and does not read them.")
        .rule(rule)
}

fn explain(run: &Run, failure: Failure) -> Failure {
    let record = run.record();
    let sends = |what: &What| match what {
        What::Submit(submit) => is_send(Some(&submit.op)),
        What::Complete(complete) => is_send(complete.op.as_deref()),
        _ => false,
    };
    let ended = |it: &&Complete| is_send(it.op.as_deref()) && it.res < 0;
    let gone = ["EPIPE", "ECONNRESET", "ECANCELED"];
    let error =
        record.completes().filter(ended).find_map(|it| it.error.clone());
    let error = error.filter(|error| !gone.contains(&error.as_str()));
    let received =
        |it: &&Complete| it.op.as_deref() == Some("RECV") && it.res > 0;
    let part = record.completes().filter(received).any(|it| it.res < 4);
    let early = failure.rule == EARLY_END
        || [ids::LOST, ids::RESET].contains(&failure.id);
    match failure.id {
        _ if early && error.as_deref() == Some("EFAULT") => {
            Failure { id: ids::LOST, ..failure }.kernel(record.last_lines(sends)).rule(
                "A send failed with EFAULT: the program has freed the memory at its address. Keep \
                 the reply in the same place until its last send has completed.",
            )
        }
        _ if early && part && error.is_none() => {
            Failure { id: ids::LOST, ..failure }.kernel(record.last_lines(of_ops(&["RECV"]))).rule(
                "The request came in two pieces, and the receive completed with the first one. Set \
                 MSG_WAITALL, with which a receive waits for all four bytes, or receive the rest.",
            )
        }
        _ if early => Failure { id: ids::LOST, ..failure }.kernel(record.last_lines(sends)).rule(
            "A send completes with the number of bytes that the kernel took, which may be fewer \
             than the entry asked for. Send the rest before you close the connection.",
        ),
        ids::WRONG_ANSWER => failure.kernel(record.last_lines(sends)).rule(
            "The bytes are not in their places. After a short send, start the next one where the \
             kernel stopped. Start it only when the one before has completed: two sends in flight \
             on one connection can overtake each other. Do not change the reply until its last \
             send has completed.",
        ),
        _ => failure,
    }
}
