//! What the clients of one run will do: all of it follows from the seed.

use std::fmt;

use crate::RINGS;
use crate::dice::Dice;

/// One server and its clients.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub reply: Reply,
    /// The server's other arguments.
    pub arguments: Vec<&'static str>,
    /// Clients that it lets in, if it has a limit (`--max`).
    pub max: Option<usize>,
    /// After how many milliseconds without progress a client is closed, if at all.
    pub idle: Option<u64>,
    pub clients: Vec<Client>,
    pub interruption: Option<Interruption>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Ack,
    Echo,
}

/// One client. It keeps its number, and with it its bytes, in a plan that was cut shorter.
#[derive(Clone, Debug)]
pub struct Client {
    pub number: usize,
    /// Milliseconds after the start.
    pub comes_at: u64,
    pub steps: Vec<Deed>,
    pub end: End,
}

#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// This many bytes, as fast as they go.
    Send(usize),
    /// This many bytes, each in a separate segment.
    Trickle(usize),
    /// Wait for this many more bytes, if that many are due.
    Read(usize),
    /// Do nothing for this many milliseconds.
    Pause(u64),
    /// Read nothing from here to the end.
    StopReading,
    /// Send no more.
    HalfClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Half-close, and read up to the end.
    Politely,
    Close,
    /// Close, with `SO_LINGER` 0.
    Reset,
}

/// What happens to the server, this many milliseconds after the start.
#[derive(Clone, Copy, Debug)]
pub enum Interruption {
    /// SIGSTOP, and SIGCONT this many milliseconds later.
    StopAndContinue { at: u64, lasts: u64 },
    /// SIGINT.
    Interrupt { at: u64 },
    /// SIGINT, and another soon after.
    Twice { at: u64 },
}

impl Interruption {
    /// Whether it ends the server before its clients have ended.
    pub fn is_final(self) -> bool {
        !matches!(self, Interruption::StopAndContinue { .. })
    }
}

impl Plan {
    /// The plan of that seed.
    pub fn new(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let reply = dice.pick(&[Reply::Ack, Reply::Echo, Reply::Echo]);
        let (size, most) = dice.pick(&[("1", 2_000), ("16", 30_000), ("100", 100_000)]);
        let (size, most) = if dice.once_in(2) { ("4096", 400_000) } else { (size, most) };
        let (size, most) = if dice.once_in(8) { ("65536", 3_000_000) } else { (size, most) };
        let mut arguments = dice.pick(&RINGS).to_vec();
        arguments.extend(["--buffer-size", size]);
        arguments.extend(["--buffers", dice.pick(&["1", "2", "3", "16", "256"])]);
        arguments.extend(["--slots", dice.pick(&["1", "2", "3", "10", "200", "200"])]);
        let max = dice.once_in(10).then(|| dice.pick(&["1", "4", "10"]));
        arguments.extend(max.iter().flat_map(|max| ["--max", max]));
        let idle = dice.once_in(10).then_some(300);
        arguments.extend(idle.iter().flat_map(|_| ["--idle-timeout", "0.3"]));
        let count = dice.pick(&[1, 2, 3, 8, 16, 24]);
        let clients = (0..count).map(|number| Client::new(number, most, dice)).collect();
        let interruption = dice.once_in(3).then(|| Interruption::new(dice));
        let max = max.and_then(|max| max.parse().ok());
        Plan { seed, reply, arguments, max, idle, clients, interruption }
    }

    /// All arguments of day 04.
    pub fn arguments(&self) -> Vec<&'static str> {
        let reply = if self.reply == Reply::Ack { "ack" } else { "echo" };
        [&["--reply", reply], &self.arguments[..]].concat()
    }

    /// Whether a signal ends the server while clients are there.
    pub fn is_interrupted(&self) -> bool {
        self.interruption.is_some_and(Interruption::is_final)
    }
}

impl Client {
    fn new(number: usize, most: usize, dice: &mut Dice) -> Client {
        let comes_at = if dice.once_in(2) { 0 } else { dice.below(40) as u64 };
        let count = dice.below(7);
        let steps = (0..count).map(|_| Deed::new(most, dice)).collect();
        let polite = [End::Politely; 3];
        let end = dice.pick(&[&polite[..], &[End::Close, End::Reset]].concat());
        Client { number, comes_at, steps, end }
    }
}

impl Deed {
    fn new(most: usize, dice: &mut Dice) -> Deed {
        let length = 1 + match dice.below(6) {
            0..=2 => dice.below(40),
            3 | 4 => dice.below(6_000.min(most)),
            _ => dice.below(most),
        };
        match dice.below(16) {
            0..=5 => Deed::Send(length),
            6 => Deed::Trickle(1 + dice.below(30)),
            7..=10 => Deed::Read(length),
            11..=13 => Deed::Pause(1 + dice.below(40) as u64),
            14 => Deed::StopReading,
            // Longer than a client may block the buffers that others wait for, now and then.
            _ if dice.once_in(8) => Deed::Pause(1_500),
            _ => Deed::HalfClose,
        }
    }
}

impl Interruption {
    fn new(dice: &mut Dice) -> Interruption {
        let at = dice.below(60) as u64;
        match dice.below(4) {
            0 => Interruption::Interrupt { at },
            1 => Interruption::Twice { at },
            _ => Interruption::StopAndContinue { at, lasts: 1 + dice.below(60) as u64 },
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  day04 {}", self.arguments().join(" "))?;
        for Client { number, comes_at, steps, end } in &self.clients {
            write!(f, "  client {number}, at {comes_at} ms:")?;
            steps.iter().try_for_each(|step| write!(f, " {step:?},"))?;
            writeln!(f, " {end:?}")?;
        }
        match self.interruption {
            Some(interruption) => writeln!(f, "  the server: {interruption:?}"),
            None => Ok(()),
        }
    }
}
