//! `short_send`: replies of several mebibytes, read late, quickly and not at all.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::trace::sys;

use crate::exercise::prelude::*;

/// The bytes of the exercise.
fn reply(length: u32) -> Vec<u8> {
    let words = (0..length.div_ceil(4))
        .map(|word| word.wrapping_mul(2_654_435_761) ^ length);
    let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    bytes.truncate(length as usize);
    bytes
}

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let small = attempt.number(1_000..=9_000) as u32;
    let did = format!("A client asks for {small} bytes and reads them.");
    let client = ask(&mut run, small, &did)?;
    whole(&mut run, &client, small, &did)?;
    need_slots(&run.record())?;

    let large = attempt.number(12_000_000..=16_000_000) as u32;
    let slow_did = format!(
        "A client asks for {large} bytes, and reads them a little later."
    );
    let slow = connect_narrow(&mut run, 64 * 1024, 64 * 1024)?;
    let slow = ask_as(&mut run, slow, large, &slow_did)?;
    let begun = |record: &Record| sends(record) >= 2;
    seen(&run, Duration::from_secs(5), begun);
    std::thread::sleep(Duration::from_millis(200));

    let other = attempt.number(2_000_000..=4_000_000) as u32;
    let did = format!(
        "A client asks for {large} bytes and does not read yet. Another asks for {other} and \
         reads at once."
    );
    let client = ask(&mut run, other, &did)?;
    whole(&mut run, &client, other, &did).map_err(|failure| {
        if waits(&failure) || failure.id == ids::HANG_CALL || failure.id == ids::SPIN {
            let kernel = failure.kernel.clone();
            return Failure { id: ids::HELD_UP, ..failure }.kernel(kernel).rule(
                "The second client waits for the first, who does not read. A send that cannot go \
                 on completes later; go on with the others until it does.",
            );
        }
        failure
    })?;
    let cut = end_early(&run, large);
    let slow_did = match cut {
        Some(result) => format!(
            "{slow_did} Meanwhile its send is ended early, with {result}."
        ),
        None => slow_did,
    };
    // An older kernel gives no number of bytes but an error: then the client may be let go.
    if cut.is_none_or(|result| result >= 0) {
        whole(&mut run, &slow, large, &slow_did)?;
    }
    drop(slow);

    let did =
        format!("A client asks for {large} bytes and resets the connection.");
    let rude = ask(&mut run, large, &did)?;
    seen(&run, Duration::from_secs(2), |record| sends(record) >= 5);
    testkit::reset(rude);
    let client = ask(&mut run, small, &did)?;
    whole(&mut run, &client, small, &format!("{did} Then another comes."))?;
    need_free_slots(&mut run, &did)?;
    sleeps(&mut run)?;
    need_slots(&run.record())?;
    as_given(&run.record())?;
    let record = run.stop();
    let seen_short = record.completes().any(|it| short(&record, it));
    let doubt = match seen_short {
        true => "",
        false => {
            " No send was short here, so nothing shows that results are looked at."
        }
    };
    Ok(Passed::new(format!(
        "{} sends for five replies, {large} bytes the longest; every byte in its place.{doubt}",
        sends(&record)
    )))
}

/// Whether this is a send that took less than it was asked to.
fn short(record: &Record, complete: &Complete) -> bool {
    let entry =
        record.submits().find(|submit| Some(submit.seq) == complete.seq);
    let asked = entry
        .filter(|submit| is_send(Some(&submit.op)))
        .and_then(|it| number(it, "bytes"));
    asked
        .is_some_and(|asked| (1..asked).contains(&(complete.res.max(0) as u64)))
}

/// Ends the send of a whole reply that waits for room: with `MSG_WAITALL` the kernel goes on by
/// itself, and only an error in the middle shows whether the program looks at the result. It is
/// cancelled through the program's own ring, as an error of the kernel's would come. The
/// result that it got; `None` if there is no such send, or this kernel cannot do it.
fn end_early(run: &Run, reply: u32) -> Option<i32> {
    let record = run.record();
    let rings = run.rings();
    let armed = rings
        .iter()
        .flat_map(|ring| &ring.in_flight)
        .find(|armed| armed.op == "SEND")?;
    let send = record
        .submits()
        .find(|submit| submit.seq == armed.seq && submit.ring == armed.ring)?;
    let waits_for_all = send
        .details
        .get("msg_flags")
        .and_then(serde_json::Value::as_array)
        .is_some_and(|flags| flags.iter().any(|flag| flag == "MSG_WAITALL"));
    // The first for this reply: it has taken something, so it ends short and not with an error.
    if !waits_for_all || number(send, "bytes") != Some(reply.into()) {
        return None;
    }
    let user_data =
        u64::from_str_radix(send.user_data.strip_prefix("0x")?, 16).ok()?;
    let descriptors = run.descriptors().ok()?;
    let (fd, _) =
        descriptors.iter().find(|(_, target)| target.contains("[io_uring]"))?;
    let pid = run.pid() as i32;
    let ring = sys::take_descriptor(pid, pid, *fd).ok()?;
    sys::cancel(&ring, user_data).ok()?;
    drop(ring);
    let ended =
        |it: &&Complete| it.seq == Some(send.seq) && it.ring == send.ring;
    seen(run, Duration::from_secs(5), |record| {
        record.completes().any(|it| ended(&it))
    });
    let record = run.record();
    let result = record.completes().find(ended)?.res;
    Some(result)
}

/// No socket was made to hold a whole reply.
fn as_given(record: &Record) -> Result<(), Failure> {
    let sizes = [nix::libc::SO_SNDBUF, nix::libc::SO_SNDBUFFORCE]
        .map(|size| size as u64);
    let socket = nix::libc::SOL_SOCKET as u64;
    let made = |call: &&OtherCall| {
        call.name == "setsockopt"
            && call.args[1] == socket
            && sizes.contains(&call.args[2])
    };
    let Some(call) = record.calls.iter().find(made) else { return Ok(()) };
    Err(record
        .fail(ids::AS_GIVEN)
        .kernel([format!("system call setsockopt, with {}: SO_SNDBUF", call.args[0])])
        .rule(
            "A larger socket takes more before a send is short, and a larger reply finds its end \
             all the same. Leave the sockets as they are, and send the rest.",
        ))
}

fn is_send(op: Option<&str>) -> bool {
    op.is_some_and(|op| {
        [
            "SEND",
            "SEND_ZC",
            "SENDMSG",
            "SENDMSG_ZC",
            "WRITE",
            "WRITEV",
            "SPLICE",
        ]
        .contains(&op)
    })
}

fn sends(record: &Record) -> usize {
    record.submits().filter(|submit| is_send(Some(&submit.op))).count()
}

fn ask(run: &mut Run, length: u32, did: &str) -> Result<TcpStream, Failure> {
    run.did(did);
    let client = run.connect()?;
    ask_as(run, client, length, did)
}

fn ask_as(
    run: &mut Run,
    mut client: TcpStream,
    length: u32,
    did: &str,
) -> Result<TcpStream, Failure> {
    // In two pieces: the four bytes are one request all the same.
    let bytes = length.to_le_bytes();
    client.write_all(&bytes[..1]).map_err(|error| trouble(run, did, &error))?;
    send(run, &client, &bytes[1..], did)?;
    Ok(client)
}

/// Every byte comes, in order, and then the end.
fn whole(
    run: &mut Run,
    client: &TcpStream,
    length: u32,
    did: &str,
) -> Result<(), Failure> {
    let expected = reply(length);
    expect(run, client, &expected, did)
        .map_err(|failure| explain(&run.record(), failure))?;
    expect_end(run, client, did)
}

fn explain(record: &Record, failure: Failure) -> Failure {
    let sends = |what: &What| match what {
        What::Submit(submit) => is_send(Some(&submit.op)),
        What::Complete(complete) => is_send(complete.op.as_deref()),
        _ => false,
    };
    let early = failure.rule == EARLY_END;
    match failure.id {
        ids::LOST | ids::NO_ANSWER | ids::RESET if early || failure.id != ids::NO_ANSWER => {
            Failure { id: ids::LOST, ..failure }.kernel(record.last_lines(sends)).rule(
                "A send completes with the number of bytes that the kernel took, which may be \
                 less than were asked. What is left has to be sent before the connection is \
                 closed.",
            )
        }
        ids::WRONG_ANSWER => failure.kernel(record.last_lines(sends)).rule(
            "The bytes are not in their places. After a short send the next one starts where the \
             kernel stopped, and it starts only when the one before has completed: two sends in \
             flight on one connection can overtake each other.",
        ),
        _ => failure,
    }
}
