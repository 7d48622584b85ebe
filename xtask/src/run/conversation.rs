//! A server, its clients and the two columns that show them.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::{self, Server};

use super::client::Client;
use super::narration::Narrator;
use super::report::{Failure, Trouble};
use super::stage::Stage;

/// How long the narration waits for server output that belongs beside the client's last step. Later
/// output is printed further down.
const BESIDE: Duration = Duration::from_millis(200);

/// How long to wait for a server's own end after one of its clients failed.
const DYING: Duration = Duration::from_secs(2);

/// Starts the day, runs the clients in `talk`, and stops the day as Ctrl-C does. Returns what the
/// clients leave behind, and the day's summary.
///
/// # Errors
/// [`Trouble`], if the day does not start, a client is served wrongly, or the day does not
/// end as it should.
pub fn converse<T>(
    stage: &mut Stage<'_>,
    arguments: &[&str],
    words: fn(&[Value]) -> String,
    talk: impl FnOnce(&mut Conversation<'_>) -> Result<T, Failure>,
) -> Result<(T, Value), Trouble> {
    let mut conversation = Conversation::start(stage, arguments, words)?;
    match talk(&mut conversation) {
        Ok(left) => Ok((left, conversation.interrupt()?)),
        Err(failure) => Err(conversation.look_after(failure).into()),
    }
}

/// A running day, and which of its events were printed.
pub struct Conversation<'a> {
    day: &'static str,
    server: Server,
    narrator: &'a mut Narrator,
    /// Puts a batch of events into words.
    words: fn(&[Value]) -> String,
    /// Events that were printed already.
    told: usize,
}

impl<'a> Conversation<'a> {
    /// Starts the day and names the columns.
    fn start(
        stage: &'a mut Stage<'_>,
        arguments: &[&str],
        words: fn(&[Value]) -> String,
    ) -> Result<Conversation<'a>, Trouble> {
        let mut command = Command::new(stage.program);
        command.args(["--listen", "127.0.0.1:0", "--json"]).args(arguments);
        command.stdin(Stdio::null());
        testkit::die_with_parent(&mut command);
        let server = Server::start_within(command, stage.patience)
            .map_err(|error| Trouble::at_start(stage.day, &error))?;
        let listening = server.listening();
        for name in listening["dropped"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default().to_string();
            if !stage.dropped.contains(&name) {
                stage.dropped.push(name);
            }
        }
        let title = format!("{} {}", stage.day, arguments.join(" "));
        stage.narrator.columns("clients", &title);
        let narrator = &mut *stage.narrator;
        Ok(Conversation { day: stage.day, server, narrator, words, told: 1 })
    }

    /// A new client.
    pub fn client(&self, name: impl Into<String>) -> Result<Client, Failure> {
        Client::connect(&self.server, name)
    }

    /// Prints what the client did, and beside it what the server reports: until `complete` finds
    /// all of it there, or a moment has passed.
    pub fn tell(&mut self, client: &str, complete: impl Fn(&[Value]) -> bool) {
        if self.narrator.is_silent() {
            return;
        }
        let from = self.told;
        testkit::holds_within(BESIDE, || complete(&self.server.events()[from..]));
        let events = self.server.events();
        self.narrator.exchange(client, &(self.words)(&events[from..]));
        self.told = events.len();
    }

    /// What the clients saw is often only the symptom: adds what the server itself reports, and how
    /// it ended, if it did.
    fn look_after(mut self, mut failure: Failure) -> Failure {
        if let Some(status) = self.server.ended(DYING) {
            failure.got += &format!(", and {} ended: {}", self.day, testkit::in_words(status));
        }
        let stderr = self.server.stderr();
        if !stderr.is_empty() {
            failure.got += &format!("\n{}", stderr.trim_end());
        }
        failure
    }

    /// Stops the server as Ctrl-C does. Returns its summary, if it ended as it should.
    fn interrupt(self) -> Result<Value, Failure> {
        let during = "stopping it with SIGINT";
        let stopped = self
            .server
            .stop(Signal::SIGINT)
            .map_err(|error| Failure::new(during, "its end", format!("{error:#}")))?;
        let words = (self.words)(&stopped.events[self.told..]);
        self.narrator.exchange("Ctrl-C (SIGINT)", &words);
        if stopped.status.code() != Some(0) {
            return Err(Failure::exit(during, stopped.status, &stopped.stderr));
        }
        if stopped.summary.is_null() {
            let got = stopped.events.last().map_or("nothing".to_string(), Value::to_string);
            return Err(Failure::new(during, "the event \"summary\" as its last line", got));
        }
        Ok(stopped.summary)
    }
}

/// Compares a number of the summary with what the clients did.
pub fn check_count(summary: &Value, field: &str, expected: u64) -> Result<(), Failure> {
    match summary[field].as_u64() {
        Some(got) if got == expected => Ok(()),
        _ => Err(Failure::new(
            "comparing its summary with what the clients did",
            format!("\"{field}\": {expected}"),
            format!("\"{field}\": {}", summary[field]),
        )),
    }
}
