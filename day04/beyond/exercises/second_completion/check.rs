//! `second_completion`: a peer that reads late gets the blocks unchanged. If the peer resets the
//! connection, the program ends with an error.

use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;
use nix::sys::socket::{setsockopt, sockopt};

const BLOCK: usize = 64 << 10;
const SENDS: [&str; 2] = ["SEND_ZC", "SENDMSG_ZC"];
/// How long the peer does not read.
const LATE: Duration = Duration::from_millis(500);

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let count = attempt.number(8..=12) as usize;
    let words: Vec<String> = (0..count).map(|_| attempt.word(12)).collect();
    let late = "The peer reads nothing for half a second, and then slowly.";
    let did = format!("The program sends {count} blocks of 64 KiB. {late}");
    let at_once = most_at_once(&whole(attempt, &did, &words)?);
    let did = format!("The program sends one block of 64 KiB. {late}");
    let one = whole(attempt, &did, &words[..1])?;

    let did = "The peer resets the connection after the first bytes.";
    let (gone, _) = run(attempt, did, &words, |mut peer| {
        let _ = peer.read(&mut [0; 10]);
        testkit::reset(peer);
        Vec::new()
    })?;
    gone.need_error_status()?;
    let doubt = match at_once {
        0 | 1 => {
            " The program never used the second buffer while the first one waited for its \
                  notification."
        }
        _ => "",
    };
    Ok(Passed::new(format!(
        "{count} blocks arrived unchanged, although the peer read late.{doubt}"
    ))
    .measured(Measured::of(&one)))
}

/// The peer reads late, and gets the blocks of these words.
fn whole(
    attempt: &Attempt,
    did: &str,
    words: &[String],
) -> Result<Record, Failure> {
    let (record, got) = run(attempt, did, words, |mut peer| {
        sleep(LATE);
        let (mut bytes, mut part) = (Vec::new(), [0; 32 << 10]);
        // Bytes that came before an error count.
        for _ in 0..12 {
            sleep(LATE / 10);
            let length = peer.read(&mut part).unwrap_or(0);
            bytes.extend_from_slice(&part[..length]);
        }
        let _ = peer.read_to_end(&mut bytes);
        bytes
    })?;
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    through_the_ring(&record, words.len())?;
    as_sent(&record, words, &got.unwrap_or_default())?;
    record.need_all_reaped()?;
    all_notified(&record)?;
    Ok(record)
}

/// Runs the program with a peer. Also returns the peer's result; `None` if the program did not
/// connect.
fn run(
    attempt: &Attempt,
    did: &str,
    words: &[String],
    peer: fn(TcpStream) -> Vec<u8>,
) -> Result<(Record, Option<Vec<u8>>), Failure> {
    let listener = narrow().map_err(|error| {
        Failure::not_observed(format!("cannot listen on loopback: {error}"))
    })?;
    let address = listener.local_addr().expect("it is bound");
    let mut launch = attempt.run(did).arg(address.port().to_string());
    for word in words {
        launch = launch.arg(word);
    }
    let run = launch.start()?;
    let listening = Instant::now();
    let peer = thread::spawn(move || {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).ok()?;
                    stream.set_read_timeout(Some(PATIENCE)).ok()?;
                    return Some(peer(stream));
                }
                Err(_) if listening.elapsed() > PATIENCE => return None,
                Err(_) => sleep(Duration::from_millis(2)),
            }
        }
    });
    let record = run.end()?;
    // The program has ended, so it will not connect any more.
    if !record.submits().any(|it| SENDS.contains(&it.op.as_str())) {
        return Ok((record, None));
    }
    Ok((record, peer.join().ok().flatten()))
}

/// A listener whose connections buffer few unread bytes.
fn narrow() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    setsockopt(&listener, sockopt::RcvBuf, &(32 << 10))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn of_sends(what: &What) -> bool {
    match what {
        What::Submit(it) => SENDS.contains(&it.op.as_str()),
        What::Complete(it) => is_of_a_send(it),
        _ => false,
    }
}

fn is_of_a_send(complete: &Complete) -> bool {
    complete.op.as_deref().is_some_and(|op| SENDS.contains(&op))
}

fn is_notification(complete: &Complete) -> bool {
    complete.flags.iter().any(|flag| flag == "NOTIF")
}

/// Fails unless SEND_ZC sent all bytes.
fn through_the_ring(record: &Record, count: usize) -> Result<(), Failure> {
    let sent: i64 = record
        .completes()
        .filter(|it| is_of_a_send(it) && !is_notification(it))
        .map(|it| i64::from(it.res.max(0)))
        .sum();
    if sent < (count * BLOCK) as i64 && record.summary.unseen_entries == 0 {
        let kib = sent / 1024;
        return Err(record.fail(ids::NO_ENTRY).kernel(record.last_lines(of_sends)).rule(
            format!("SEND_ZC has sent only {kib} KiB. In this exercise it must send all blocks."),
        ));
    }
    Ok(())
}

/// Fails unless the peer got the blocks, in the order of the words.
fn as_sent(
    record: &Record,
    words: &[String],
    got: &[u8],
) -> Result<(), Failure> {
    let sent: Vec<u8> = words
        .iter()
        .flat_map(|word| word.bytes().cycle().take(BLOCK))
        .collect();
    if got == sent {
        return Ok(());
    }
    let fail =
        |id: Id| record.fail(id).kernel(record.lines_at_most(6, of_sends));
    if got.len() != sent.len() {
        return Err(fail(ids::LOST).rule(format!(
            "The peer got {} bytes of {}. Send a block for each word.",
            got.len(),
            sent.len()
        )));
    }
    let at = got.iter().zip(&sent).position(|(is, was)| is != was).unwrap_or(0);
    let block = at / BLOCK;
    Err(fail(ids::WRONG_ANSWER).rule(format!(
        "Block {}, of {:?}, arrived with other bytes in it: the program filled the buffer again \
         while the kernel was still sending from it. A buffer is free when its notification has \
         come (NOTIF), not when the send has completed (MORE).",
        block + 1,
        words[block]
    )))
}

/// Fails unless the program waited for all notifications.
fn all_notified(record: &Record) -> Result<(), Failure> {
    let sends = || record.completes().filter(|it| is_of_a_send(it));
    let promised = sends().filter(|it| it.more).count();
    let came = sends().filter(|it| is_notification(it)).count();
    if came >= promised {
        return Ok(());
    }
    Err(record.fail(ids::NOT_REAPED).kernel(record.last_lines(of_sends)).rule(format!(
        "{} sends completed with MORE, but the program took {came} notifications. Until the last \
         one the kernel may send from the buffers: wait for it before the program ends.",
        promised
    )))
}

/// How many sends waited for their notifications at one time.
fn most_at_once(record: &Record) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for complete in record.completes() {
        if is_notification(complete) {
            now = now.saturating_sub(1);
        } else if is_of_a_send(complete) && complete.more {
            now += 1;
            most = most.max(now);
        }
    }
    most
}
