//! Day 03's clients: more of them than slots.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use super::client::Client;
use super::conversation::{Conversation, check_count, converse};
use super::report::{Failure, Trouble};
use super::stage::Stage;

const SLOTS: usize = 4;
const CLIENTS: usize = 10;

/// Connects ten clients to four slots and lets them leave one after the other.
///
/// # Errors
/// [`Trouble`], if any of them is not greeted, is lost, or is counted wrongly.
pub fn run(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    let patience = stage.patience;
    let slots = SLOTS.to_string();
    let (crowd, summary) =
        converse(stage, &["--slots", &slots], words, |talk| come_and_go(talk, patience))?;
    // The last client stayed, and must see the server's end as an end-of-file, not as a reset.
    crowd.served[0].expect_end()?;
    check_count(&summary, "clients", CLIENTS as u64)?;
    Ok(())
}

fn come_and_go(talk: &mut Conversation<'_>, patience: Duration) -> Result<Crowd, Failure> {
    let mut crowd = Crowd::connect(talk, patience)?;
    while crowd.served.len() < SLOTS {
        crowd.next_greeting()?;
    }
    crowd.nobody_else_is_served()?;
    let waiting = crowd.waiting.len();
    let deed = format!("{CLIENTS} connect at once: {SLOTS} are greeted,\n{waiting} wait");
    talk.tell(&deed, |said| count(said, "accepted") == SLOTS);

    while !crowd.waiting.is_empty() {
        let gone = crowd.leave()?;
        let (number, slot) = crowd.next_greeting()?;
        let deed = if number as usize == SLOTS + 1 {
            format!("{gone} leaves, client {number} reads:\n\"hello from slot {slot}, …\"")
        } else {
            format!("{gone} leaves, client {number} is greeted")
        };
        talk.tell(&deed, |said| count(said, "accepted") == 1);
    }
    for _ in 1..SLOTS {
        crowd.leave()?;
    }
    talk.tell("three of the last four leave", |said| count(said, "closed") == SLOTS - 1);
    Ok(crowd)
}

/// The clients: those that wait and those that were greeted, each in order.
struct Crowd {
    waiting: Vec<Client>,
    served: Vec<Client>,
    numbers: BTreeSet<u64>,
    patience: Duration,
}

impl Crowd {
    fn connect(talk: &Conversation<'_>, patience: Duration) -> Result<Crowd, Failure> {
        let waiting = (1..=CLIENTS)
            .map(|nth| talk.client(format!("connection {nth} of {CLIENTS}")))
            .collect::<Result<_, _>>()?;
        Ok(Crowd { waiting, served: Vec::new(), numbers: BTreeSet::new(), patience })
    }

    /// Waits for one more greeting; returns the client's number and slot.
    fn next_greeting(&mut self) -> Result<(u64, u64), Failure> {
        let Some(ready) = self.readable(self.patience) else {
            return Err(Failure::new(
                format!("waiting for the greeting of client {}", self.numbers.len() + 1),
                format!(
                    "\"hello from slot …\": {} of {SLOTS} slots are free",
                    SLOTS - self.served.len()
                ),
                "nothing in time",
            ));
        };
        let mut client = self.waiting.remove(ready);
        let line = client.line()?;
        let Some((slot, number)) =
            numbers(&line).filter(|(_, number)| self.numbers.insert(*number))
        else {
            return Err(Failure::new(
                client.name(),
                "\"hello from slot S, you are client C\", C its own",
                format!("{line:?}"),
            ));
        };
        client.rename(format!("client {number}"));
        self.served.push(client);
        Ok((number, slot))
    }

    /// No client beyond the slots may have been greeted. (A server that greets one a moment later
    /// is not caught here; a correct server is never blamed.)
    fn nobody_else_is_served(&self) -> Result<(), Failure> {
        match self.readable(Duration::ZERO) {
            None => Ok(()),
            Some(ready) => Err(Failure::new(
                self.waiting[ready].name(),
                format!("to wait: all {SLOTS} slots are taken"),
                "an answer, or the end of the connection",
            )),
        }
    }

    /// The client that was greeted first leaves, and sees the server close in its turn.
    fn leave(&mut self) -> Result<String, Failure> {
        let client = self.served.remove(0);
        client.end()?;
        client.expect_end()?;
        Ok(client.name().to_string())
    }

    /// The first waiting client whose socket has something to read.
    fn readable(&self, patience: Duration) -> Option<usize> {
        let deadline = Instant::now() + patience;
        loop {
            let interest = |client| PollFd::new(Client::stream(client).as_fd(), PollFlags::POLLIN);
            let mut sockets: Vec<PollFd<'_>> = self.waiting.iter().map(interest).collect();
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut sockets, timeout) {
                Err(Errno::EINTR) => {}
                Err(_) | Ok(0) => return None,
                Ok(_) => return sockets.iter().position(|socket| socket.any().unwrap_or(false)),
            }
        }
    }
}

/// The slot and the client's number in `hello from slot S, you are client C`.
fn numbers(greeting: &str) -> Option<(u64, u64)> {
    let (slot, number) =
        greeting.strip_prefix("hello from slot ")?.split_once(", you are client ")?;
    Some((slot.parse().ok()?, number.parse().ok()?))
}

fn count(events: &[Value], name: &str) -> usize {
    events.iter().filter(|event| event["event"] == name).count()
}

/// The server's events in words for its column. Clients that came and left stand together.
fn words(events: &[Value]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut moves: Vec<String> = Vec::new();
    for event in events {
        let (client, slot) = (&event["client"], &event["slot"]);
        let line = match event["event"].as_str().unwrap_or_default() {
            "accepted" => {
                moves.push(format!("client {client} in slot {slot}"));
                continue;
            }
            "closed" => {
                moves.push(format!("slot {slot} is free"));
                continue;
            }
            "full" => "full: no more clients are accepted".to_string(),
            "room" => "room again: clients are accepted".to_string(),
            "stopping" => "no more clients".to_string(),
            "summary" => format!("{} clients, {} slots closed", event["clients"], event["closed"]),
            other => other.to_string(),
        };
        lines.extend(pairs(&mut moves));
        lines.push(line);
    }
    lines.extend(pairs(&mut moves));
    lines.join("\n")
}

/// Two to a line, to fit the column.
fn pairs(moves: &mut Vec<String>) -> Vec<String> {
    let moves = std::mem::take(moves);
    moves.chunks(2).map(|pair| pair.join(", ")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_came_and_went_stands_together() {
        let events = [
            json!({"event": "closed", "client": 1, "slot": 0}),
            json!({"event": "accepted", "client": 5, "slot": 4}),
            json!({"event": "closed", "client": 2, "slot": 1}),
            json!({"event": "room"}),
            json!({"event": "stopping", "signal": "SIGINT"}),
            json!({"event": "closed", "client": 5, "slot": 4}),
            json!({"event": "summary", "clients": 10, "closed": 10}),
        ];
        assert_eq!(
            words(&events),
            "slot 0 is free, client 5 in slot 4\nslot 1 is free\nroom again: clients are accepted\nno more clients\n\
             slot 4 is free\n10 clients, 10 slots closed"
        );
    }

    #[test]
    fn a_greeting_tells_slot_and_number() {
        assert_eq!(numbers("hello from slot 3, you are client 10"), Some((3, 10)));
        for wrong in ["hello", "hello from slot x, you are client 1", ""] {
            assert_eq!(numbers(wrong), None);
        }
    }
}
