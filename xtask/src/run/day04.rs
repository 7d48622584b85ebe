//! Day 04's clients: requests that are acknowledged, then a conversation that is echoed.

use serde_json::Value;

use super::client::Client;
use super::conversation::{Conversation, check_count, converse};
use super::quote::{quote, several, shorten, thousands};
use super::report::{Failure, Trouble};
use super::stage::Stage;

/// The journal's answer, with its closing zero.
const ACK: &[u8] = b"ack\0";
const HELLO: &[u8] = b"hello";
const GOODBYE: &[u8] = b"goodbye";
/// Clients that come one after the other.
const IN_A_ROW: usize = 100;
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
    let (sent, summary) = converse(stage, &["--reply", "ack"], words, ask_for_acks)?;
    check_count(&summary, "connections", 5 + IN_A_ROW as u64)?;
    check_count(&summary, "requests", 4 + IN_A_ROW as u64)?;
    check_count(&summary, "bytes_in", sent as u64)?;
    check_count(&summary, "bytes_out", (4 + IN_A_ROW as u64) * ACK.len() as u64)?;
    Ok(())
}

/// Five clients, one of them without a request, and many one after the other. Returns how many
/// bytes they sent.
fn ask_for_acks(talk: &mut Conversation<'_>) -> Result<usize, Failure> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let long = vec![b'x'; LONG];
    let requests: [(&str, &[u8]); 3] = [
        ("sends \"hello\"", HELLO),
        ("sends 5,000 bytes in one write", &long),
        ("sends each of the 256 byte values", &every_byte),
    ];
    let mut sent = 0;
    for (deed, request) in requests {
        let client = talk.client(format!("the client that {deed}"))?;
        client.send(request)?;
        answered(talk, &client, deed, request.len())?;
        sent += request.len();
    }
    sent += half_close(talk)?;
    say_nothing(talk)?;
    Ok(sent + many_in_a_row(talk)?)
}

/// One client after the other: enough to average what a request costs.
fn many_in_a_row(talk: &mut Conversation<'_>) -> Result<usize, Failure> {
    for number in 1..=IN_A_ROW {
        let client = talk.client(format!("client {number} of those in a row"))?;
        client.send(HELLO)?;
        client.expect(ACK)?;
        client.expect_end()?;
    }
    let sent = IN_A_ROW * HELLO.len();
    let deed =
        format!("{IN_A_ROW} more, one after the other,\neach reads {} and the end", quote(ACK));
    talk.tell(&deed, |said| received(said) >= sent);
    Ok(sent)
}

fn answered(
    talk: &mut Conversation<'_>,
    client: &Client,
    deed: &str,
    sent: usize,
) -> Result<(), Failure> {
    client.expect(ACK)?;
    client.expect_end()?;
    talk.tell(&format!("{deed},\nreads {} and the end", quote(ACK)), |said| received(said) >= sent);
    Ok(())
}

/// A client that ends its sending still gets its answer.
fn half_close(talk: &mut Conversation<'_>) -> Result<usize, Failure> {
    let deed = "sends \"goodbye\" and half-closes";
    let client = talk.client(format!("the client that {deed}"))?;
    client.send(GOODBYE)?;
    client.end()?;
    answered(talk, &client, deed, GOODBYE.len())?;
    Ok(GOODBYE.len())
}

/// An end without a request is not a request.
fn say_nothing(talk: &mut Conversation<'_>) -> Result<(), Failure> {
    let deed = "half-closes without a word";
    let client = talk.client(format!("the client that {deed}"))?;
    client.end()?;
    client.expect_end()?;
    talk.tell(&format!("{deed},\nreads the end, and no ack"), |_| true);
    Ok(())
}

fn echo(stage: &mut Stage<'_>) -> Result<(), Trouble> {
    let (sent, summary) = converse(stage, &["--reply", "echo"], words, ask_for_echoes)?;
    check_count(&summary, "connections", 1)?;
    check_count(&summary, "bytes_in", sent as u64)?;
    check_count(&summary, "bytes_out", sent as u64)?;
    Ok(())
}

/// One client, several messages. Returns how many bytes it sent.
fn ask_for_echoes(talk: &mut Conversation<'_>) -> Result<usize, Failure> {
    let client = talk.client("the echo client")?;
    // A pattern whose length divides no buffer shows a piece that is out of place.
    let large: Vec<u8> = (0..=250).cycle().take(LARGE).collect();
    let mut sent = 0;
    for message in [b"one", b"two".as_slice(), b"three", &large] {
        client.echo(message)?;
        sent += message.len();
        let deed = format!("sends {0}, reads {0}", quote(message));
        talk.tell(&deed, |said| received(said) >= message.len());
    }
    client.send(GOODBYE)?;
    client.end()?;
    client.expect(GOODBYE)?;
    client.expect_end()?;
    let deed = "sends \"goodbye\" and half-closes,\nreads \"goodbye\" and the end";
    talk.tell(deed, |said| received(said) >= GOODBYE.len());
    Ok(sent + GOODBYE.len())
}

/// The bytes of the requests that the server reports.
fn received(events: &[Value]) -> usize {
    let sizes = events.iter().filter(|event| event["event"] == "received");
    sizes.filter_map(|event| event["bytes"].as_u64()).sum::<u64>() as usize
}

/// The server's events in words for its column. Pieces of one message stand together. The server
/// may drop lines about a large message that are not read in time.
fn words(events: &[Value]) -> String {
    let (pieces, rest): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| event["event"] == "received");
    let (dropped, rest): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|event| event["event"] == "lines dropped");
    let dropped: u64 = dropped.iter().filter_map(|event| event["lines"].as_u64()).sum();
    let unheard = (dropped > 0)
        .then(|| format!("and more: {} not printed", several(dropped as usize, "line")));
    let request = match pieces.as_slice() {
        [] => None,
        [piece] => Some(format!("received {}", told(piece))),
        several => Some(format!(
            "received {} bytes in {} pieces",
            thousands(received(events)),
            several.len()
        )),
    };
    request
        .into_iter()
        .chain(unheard)
        .chain(rest.into_iter().map(sentence))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A request as the server prints it, cut to fit its column.
fn told(request: &Value) -> String {
    let text = request["text"].as_str().unwrap_or_default();
    format!("\"{}\"", shorten(text, 26))
}

fn sentence(event: &Value) -> String {
    let count = |field: &str| event[field].as_u64().unwrap_or_default() as usize;
    match event["event"].as_str().unwrap_or_default() {
        "stopping" => "no more clients".to_string(),
        "summary" => format!(
            "{}, {},\n{} bytes in, {} out,\n{} system calls{}",
            several(count("connections"), "connection"),
            several(count("requests"), "request"),
            thousands(count("bytes_in")),
            thousands(count("bytes_out")),
            thousands(count("enters")),
            per_request(event),
        ),
        other => other.to_string(),
    }
}

/// The cost of a request, if there were enough of them to hide the cost of starting and stopping.
fn per_request(summary: &Value) -> String {
    match summary["enters_per_request"].as_f64() {
        Some(ratio) if summary["requests"].as_u64() >= Some(IN_A_ROW as u64) => {
            format!(", {ratio:.1} a request")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(text: &str) -> Value {
        json!({"event": "received", "slot": 0, "bytes": text.len(), "text": text})
    }

    #[test]
    fn pieces_of_a_message_stand_together() {
        assert_eq!(words(&[request("hello")]), "received \"hello\"");
        let long = "x".repeat(2_500);
        let pieces = [request(&long), request(&long)];
        assert_eq!(words(&pieces), "received 5,000 bytes in 2 pieces");
        let column = words(&pieces[..1]);
        assert!(column.ends_with("x…\"") && column.chars().count() <= 39, "{column}");
    }

    #[test]
    fn lines_that_the_server_dropped_are_counted() {
        let dropped = |lines: u32| json!({"event": "lines dropped", "lines": lines});
        let events = [request("one"), dropped(20), request("two"), dropped(3)];
        assert_eq!(words(&events), "received 6 bytes in 2 pieces\nand more: 23 lines not printed");
    }

    #[test]
    fn the_summary_is_told_in_full() {
        let summary = json!({"event": "summary", "connections": 1, "requests": 4,
            "bytes_in": 5268, "bytes_out": 16, "enters": 14});
        assert_eq!(
            words(&[json!({"event": "stopping", "signal": "SIGINT"}), summary]),
            "no more clients\n1 connection, 4 requests,\n5,268 bytes in, 16 out,\n14 system calls"
        );
    }
}
