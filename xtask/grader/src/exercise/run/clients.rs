//! The clients of a server, and what is wrong when one gets no answer.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ringtrace::event::What;

use super::Run;
use crate::exercise::failure::Failure;
use crate::exercise::hang::Kind;
use crate::exercise::ids;

impl Run {
    /// Waits for a server's line `listening on 127.0.0.1:PORT`. Returns the address.
    ///
    /// # Errors
    /// `E-NO-LISTENER` if it prints no such line although it has started; otherwise as
    /// [`Run::until`].
    pub fn listening(&mut self) -> Result<SocketAddr, Failure> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let found = self.until(|run| {
            let text = run.stdout();
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            let line = complete.lines().find_map(|line| line.trim().strip_prefix("listening on "));
            match line.map(|address| address.trim().parse()) {
                None => Ok(None),
                Some(Ok(address)) => Ok(Some(address)),
                Some(Err(_)) => Err(run.no_listener()),
            }
        });
        let address = match found {
            Ok(address) => address,
            Err(failure) if failure.id == ids::ENDED_EARLY => {
                // The first part explains both a missing ring and a missing line.
                let record = self.over();
                record.need_ring()?;
                return Err(self.no_listener());
            }
            Err(failure) => {
                let record = self.record();
                // It hangs before it listens. Most likely it listens, but printed no line.
                let quiet = [ids::HANG_IN_FLIGHT, ids::HANG_CALL].contains(&failure.id);
                return Err(if quiet && !record.stdout.contains("listening on") {
                    self.no_listener()
                } else {
                    failure
                });
            }
        };
        self.address = Some(address);
        self.slots_before = self.slots().unwrap_or_default();
        Ok(address)
    }

    fn no_listener(&self) -> Failure {
        let printed = self.stdout();
        let said = match printed.lines().next() {
            Some(line) => format!("it printed: {line}"),
            None => "it printed nothing".to_string(),
        };
        Failure::new(ids::NO_LISTENER, self.did.clone()).kernel([said]).rule(
            "Print one line, `listening on 127.0.0.1:PORT` with the real port, as soon as clients \
             may connect.",
        )
    }

    /// Connects a client, with the run's patience for every read and write.
    ///
    /// # Errors
    /// `E-NO-LISTENER` if no socket listens there; otherwise as [`Run::listening`].
    pub fn connect(&mut self) -> Result<TcpStream, Failure> {
        let address = self.listening()?;
        self.need_an_end()?;
        let patience = Some(self.patience);
        let connected = TcpStream::connect_timeout(&address, self.patience).and_then(|stream| {
            stream.set_read_timeout(patience)?;
            stream.set_write_timeout(patience)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        connected.map_err(|error| {
            // A program that is ending closes its listener first.
            if testkit::holds_within(Duration::from_secs(1), || self.ended()) {
                let did = self.did.clone();
                return self.trouble(did, &error);
            }
            Failure::new(ids::NO_LISTENER, format!("A client connects to {address}: {error}"))
                .kernel(self.record().last_lines(|_| true))
                .rule("No socket listens at the address that the program prints.")
        })
    }

    /// Explains why a client's read or write failed: the program has ended, hangs, or reset the
    /// connection. `did` says what the client did, in the words of a verdict.
    pub fn trouble(&mut self, did: impl Into<String>, error: &io::Error) -> Failure {
        self.did(did);
        if self.ended() {
            return self.ended_early("The program ended while clients were still connected.");
        }
        if let Err(endless) = self.need_an_end() {
            return endless;
        }
        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            return self.no_answer();
        }
        let record = self.record();
        let lines = record.last_lines(|what| !matches!(what, What::Task(_)));
        match error.kind() {
            // A client that ends its side after a reset gets ENOTCONN.
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected => record
                .fail(ids::RESET)
                .kernel(lines.into_iter().chain(record.lingers()))
                .rule(record.why_reset()),
            ErrorKind::UnexpectedEof => record
                .fail(ids::NO_ANSWER)
                .kernel(lines)
                .rule("The program closed the connection before the client had the whole answer."),
            _ => Failure::new(ids::NO_ANSWER, format!("{} It got: {error}.", self.did))
                .kernel(lines)
                .rule("The client's connection broke."),
        }
    }

    /// Explains why a client got no answer, as far as the record shows.
    pub fn no_answer(&mut self) -> Failure {
        let mut failure = self.explain(Kind::Still);
        if failure.id == ids::HANG_WAIT {
            failure.id = ids::NO_ANSWER;
            failure.rule = "A client waits, but neither an accept nor a receive is in flight for \
                            it."
            .to_string();
        }
        let rings = self.rings();
        let mut inside = rings.iter().flat_map(|ring| ring.inside.iter().zip(Some(ring.unreaped)));
        let for_more = inside.find(|(enter, there)| {
            (1..enter.min_complete).contains(there) && enter.at_most_us.is_none()
        });
        // A server may wait for a client, so the hang is only a missing answer.
        if let (ids::HANG_IN_FLIGHT, Some((enter, there))) = (failure.id, for_more) {
            failure.id = ids::HANG_NOT_REAPED;
            failure.rule = format!(
                "The program waits for {} completions at once, and does not take the {there} that \
                 came. Wait for one (`submit_and_wait(1)`), and then take all in the queue.",
                enter.min_complete
            );
        } else if failure.id == ids::HANG_IN_FLIGHT {
            failure.id = ids::NO_ANSWER;
            failure.rule =
                "The client waits, but no operation in flight will lead to its answer.".to_string();
        }
        failure
    }
}
