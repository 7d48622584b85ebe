//! Day 04's clients: requests that are acknowledged, then a conversation that is echoed.

use serde_json::Value;

use super::Stage;
use super::client::{Client, quote};
use super::conversation::{Conversation, check_count};
use super::report::{Failure, Trouble};

/// The journal's answer, its closing zero included.
const ACK: &[u8] = b"ack\0";
/// More than one receive of the journal holds (1,024 bytes).
const LONG: usize = 5_000;
/// More than the sockets' buffers and the server's take at once.
const LARGE: usize = 1_000_000;

/// Two conversations, one with each way of answering.
///
/// # Errors
/// [`Trouble`], if an answer is wrong, a connection does not end in an end-of-file, or the
/// server's own count differs from its clients'.
pub fn run(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    acknowledge(stage)?;
    stage.narrator.line("");
    echo(stage)
}

fn acknowledge(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    let mut talk = Conversation::start(stage, &["--reply", "ack"], words)?;
    let every_byte: Vec<u8> = (0..=255).collect();
    let long = vec![b'x'; LONG];
    let requests: [(&str, &[u8]); 3] = [
        ("sends \"hello\"", b"hello"),
        ("sends 5,000 bytes in one write", &long),
        ("sends each of the 256 byte values", &every_byte),
    ];
    for (deed, request) in requests {
        let client = talk.client(format!("the client that {deed}"))?;
        client.send(request)?;
        answered(&mut talk, &client, deed)?;
    }
    half_close(&mut talk)?;
    say_nothing(&mut talk)?;

    let summary = talk.interrupt()?;
    let sent = 5 + every_byte.len() + LONG + b"goodbye".len();
    check_count(&summary, "connections", 5)?;
    check_count(&summary, "requests", 4)?;
    check_count(&summary, "bytes_in", sent as u64)?;
    check_count(&summary, "bytes_out", 4 * ACK.len() as u64)?;
    Ok(())
}

fn answered(talk: &mut Conversation<'_>, client: &Client, deed: &str) -> Result<(), Failure> {
    client.expect(ACK)?;
    client.expect_end()?;
    talk.tell(&format!("{deed},\nreads {} and the end", quote(ACK)), 1, "closed");
    Ok(())
}

/// A client that ends its sending still gets its answer.
fn half_close(talk: &mut Conversation<'_>) -> Result<(), Failure> {
    let deed = "sends \"goodbye\" and half-closes";
    let client = talk.client(format!("the client that {deed}"))?;
    client.send(b"goodbye")?;
    client.end()?;
    answered(talk, &client, deed)
}

/// An end without a request is no request.
fn say_nothing(talk: &mut Conversation<'_>) -> Result<(), Failure> {
    let deed = "half-closes without a word";
    let client = talk.client(format!("the client that {deed}"))?;
    client.end()?;
    client.expect_end()?;
    talk.tell(&format!("{deed},\nreads the end, and no ack"), 1, "closed");
    Ok(())
}

fn echo(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    let mut talk = Conversation::start(stage, &["--reply", "echo"], words)?;
    let client = talk.client("the echo client")?;
    let mut sent = 0;
    for message in ["one", "two", "three"] {
        client.echo(message.as_bytes())?;
        sent += message.len();
        talk.tell(&format!("sends {message:?}, reads {message:?}"), 1, "replied");
    }
    // A pattern whose length divides no buffer: a piece out of place is seen.
    let large: Vec<u8> = (0..=250).cycle().take(LARGE).collect();
    client.echo(&large)?;
    sent += LARGE;
    talk.tell("sends 1,000,000 bytes, reads them all in order", 1, "replied");
    client.send(b"goodbye")?;
    client.end()?;
    client.expect(b"goodbye")?;
    client.expect_end()?;
    sent += b"goodbye".len();
    talk.tell("sends \"goodbye\" and half-closes,\nreads \"goodbye\" and the end", 1, "closed");

    let summary = talk.interrupt()?;
    check_count(&summary, "connections", 1)?;
    check_count(&summary, "bytes_in", sent as u64)?;
    check_count(&summary, "bytes_out", sent as u64)?;
    Ok(())
}

/// What the server said, in words for its column.
fn words(events: &[Value]) -> String {
    let lines: Vec<String> = events.iter().map(sentence).collect();
    lines.join("\n")
}

fn sentence(event: &Value) -> String {
    let count = |field: &str| event[field].as_u64().unwrap_or_default();
    match event["event"].as_str().unwrap_or_default() {
        "summary" => format!(
            "{} connections, {} requests, {} bytes in, {} out, {} enters",
            count("connections"),
            count("requests"),
            count("bytes_in"),
            count("bytes_out"),
            count("enters")
        ),
        other => other.to_string(),
    }
}
