//! What is recorded: the day's program, its clients, and the part that is shown.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::tape::Tape;
use ringtrace::player::story::Part;

/// Plays the clients, and returns those that are still connected.
pub type Clients = fn(&Stage) -> Result<Vec<TcpStream>>;

/// A run that is recorded.
#[derive(Debug)]
pub struct Scenario {
    /// Its name, and the file's.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// The day.
    pub program: &'static str,
    /// The day's arguments, as a reader would type them.
    pub arguments: &'static [&'static str],
    /// Which part is shown.
    pub part: Part,
    /// The words at the end of a recording whose program goes on.
    pub ending: &'static str,
    /// The clients, for a server. Those that are still connected are returned: if they left before
    /// the tape is read, their end could be on it.
    pub clients: Option<Clients>,
    /// The program is stopped once it has its ring, so that the clients come first.
    pub hold: bool,
}

/// Day 04 with queues that are small enough to draw.
const ECHO: &[&str] =
    &["--quiet", "--reply", "echo", "--slots", "8", "--entries", "8", "--cq-entries", "16"];

/// All of them, in the order of the days.
pub const ALL: [Scenario; 5] = [
    Scenario {
        name: "nop",
        title: "A NOP there and back",
        program: "day01",
        arguments: &[],
        part: Part::FirstExchange,
        ending: "The recording ends here. day01 goes on to ask the kernel what else it can do.",
        clients: None,
        hold: false,
    },
    Scenario {
        name: "sqpoll",
        title: "The polling thread, awake and asleep",
        program: "day02",
        arguments: &[],
        part: Part::Polled,
        ending: "",
        clients: None,
        hold: false,
    },
    Scenario {
        name: "accept",
        title: "One multishot accept, three clients",
        program: "day03",
        arguments: &["--quiet", "--slots", "8", "--max", "3"],
        part: Part::UntilAsleep,
        ending: "The recording ends here: three clients in three slots, and one accept was \
                 submitted.",
        clients: Some(three_clients),
        hold: false,
    },
    Scenario {
        name: "request",
        title: "One request through the loop",
        program: "day04",
        arguments: ECHO,
        part: Part::UntilAsleep,
        ending: "The recording ends here: the slot is free, and the program waits for the next \
                 client.",
        clients: Some(one_request),
        hold: false,
    },
    Scenario {
        name: "batch",
        title: "Four requests at once in one enter",
        program: "day04",
        arguments: ECHO,
        part: Part::UntilAsleep,
        ending: "The recording ends here: four requests are answered, and the program sleeps.",
        clients: Some(four_at_once),
        hold: true,
    },
];

impl Scenario {
    /// What a reader types to run the same program.
    pub fn command(&self) -> String {
        let mut command = format!("cargo run -p {}", self.program);
        if !self.arguments.is_empty() {
            command += &format!(" -- {}", self.arguments.join(" "));
        }
        command
    }
}

/// What the clients of a scenario can use.
#[derive(Debug)]
pub struct Stage {
    /// The tape that runs.
    pub tape: Arc<Tape>,
    /// The program's process.
    pub pid: u32,
    /// How long anything may take.
    pub patience: Duration,
}

impl Stage {
    fn asleep(&self) -> Result<()> {
        ensure!(
            self.tape.falls_asleep(self.patience),
            "the program did not go to sleep within {} s",
            self.patience.as_secs()
        );
        Ok(())
    }

    fn address(&self) -> Result<SocketAddr> {
        let listener = testkit::listener_of(self.pid).context("cannot find where it listens")?;
        Ok(listener.local_addr()?)
    }

    fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&address, self.patience)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

fn expect(mut stream: &TcpStream, answer: &[u8]) -> Result<()> {
    let mut got = vec![0; answer.len()];
    stream.read_exact(&mut got).context("waiting for the answer")?;
    ensure!(got == answer, "the answer is {:?}", String::from_utf8_lossy(&got));
    Ok(())
}

/// The clients connect one after the other, each while the program sleeps.
fn three_clients(stage: &Stage) -> Result<Vec<TcpStream>> {
    stage.asleep()?;
    let address = stage.address()?;
    let mut clients = Vec::new();
    for number in 1..=3 {
        stage.tape.note(format!("Client {number} connects."));
        let client = stage.connect(address)?;
        let greeting = format!("hello from slot {}, you are client {number}\n", number - 1);
        expect(&client, greeting.as_bytes())?;
        stage.asleep()?;
        clients.push(client);
    }
    Ok(clients)
}

fn one_request(stage: &Stage) -> Result<Vec<TcpStream>> {
    stage.asleep()?;
    let address = stage.address()?;
    stage.tape.note("A client connects.");
    let client = stage.connect(address)?;
    stage.asleep()?;
    stage.tape.note("The client sends \"hello\".");
    (&client).write_all(b"hello")?;
    expect(&client, b"hello")?;
    stage.asleep()?;
    stage.tape.note("The client has its answer, and ends its side.");
    client.shutdown(Shutdown::Write)?;
    expect_end(&client)?;
    stage.asleep()?;
    Ok(vec![client])
}

fn expect_end(mut stream: &TcpStream) -> Result<()> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).context("waiting for the end")?;
    ensure!(rest.is_empty(), "{} bytes too many", rest.len());
    Ok(())
}

/// All connect and send while the program is stopped, so that it finds everything at once.
fn four_at_once(stage: &Stage) -> Result<Vec<TcpStream>> {
    const REQUESTS: [&str; 4] = ["one", "two", "three", "four"];
    ensure!(stage.tape.is_held(stage.patience), "the program did not ask for a ring");
    stage.tape.note(
        "Meanwhile four clients connect, and each sends a request: \"one\", \"two\", \"three\" \
         and \"four\".",
    );
    let address = stage.address()?;
    let mut clients = Vec::new();
    for request in REQUESTS {
        let client = stage.connect(address)?;
        (&client).write_all(request.as_bytes())?;
        clients.push(client);
    }
    stage.tape.release();
    for (client, request) in clients.iter().zip(REQUESTS) {
        expect(client, request.as_bytes())?;
    }
    stage.asleep()?;
    Ok(clients)
}
