//! What is measured: the servers and the workloads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use common::text::plural;
use serde::Serialize;

use toolbox::programs::Programs;

/// The server that all others are compared with.
pub const REFERENCE: &str = "epoll";
/// The servers without a ring, as the bench target `peers` calls them.
const PEERS: [&str; 3] = ["threads", "epoll", "tokio"];
/// Day 04 with a thread of the kernel that polls its ring.
const SQPOLL: &str = "day04-sqpoll";
/// Slots of a server, unless the load needs more.
const SLOTS: u32 = 1024;

/// What a client gets as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Ack,
    Echo,
}

impl Reply {
    pub fn name(self) -> &'static str {
        match self {
            Reply::Ack => "ack",
            Reply::Echo => "echo",
        }
    }
}

/// How the server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Workload {
    pub reply: Reply,
    /// Connections with one request outstanding each.
    pub connections: u32,
    /// Whether each request has a new connection.
    pub reconnect: bool,
    /// Bytes of a request.
    pub size: u32,
    /// Connections that are open and silent.
    pub idle: u32,
    /// Left out by `--quick`.
    #[serde(skip)]
    pub long: bool,
}

const fn echo(connections: u32, size: u32, long: bool) -> Workload {
    Workload { reply: Reply::Echo, connections, reconnect: false, size, idle: 0, long }
}

const fn reconnect(reply: Reply, connections: u32, long: bool) -> Workload {
    Workload { reply, connections, reconnect: true, size: 64, idle: 0, long }
}

/// Everything but the idle connections.
pub const WORKLOADS: [Workload; 12] = [
    echo(1, 64, false),
    echo(32, 64, false),
    echo(256, 64, true),
    echo(1000, 64, false),
    echo(1, 4096, true),
    echo(32, 4096, false),
    echo(256, 4096, true),
    echo(1000, 4096, false),
    reconnect(Reply::Ack, 1, false),
    reconnect(Reply::Ack, 32, false),
    reconnect(Reply::Echo, 1, true),
    reconnect(Reply::Echo, 32, true),
];

/// What `--workload` calls the measurement with idle connections.
pub const SCALE: &str = "scale";

/// The active connections of that measurement, with and without the idle ones.
pub const ACTIVE: Workload = echo(32, 64, false);

/// How many connections may idle, if each side may have this many open files: a table of slots
/// needs some more than there are clients.
pub fn most_idle(open_files: u64) -> u32 {
    let clients = open_files.saturating_sub(4096) / 9 * 8;
    u32::try_from(clients).unwrap_or(u32::MAX).max(100)
}

impl Workload {
    /// As `--workload` takes it, such as `echo-64-32`.
    pub fn name(&self) -> String {
        match self.reply {
            Reply::Ack => format!("ack-{}", self.connections),
            Reply::Echo if self.reconnect => format!("echo-new-{}", self.connections),
            Reply::Echo => format!("echo-{}-{}", self.size, self.connections),
        }
    }

    /// In words.
    pub fn title(&self) -> String {
        let connections = plural(self.connections, "connection");
        let reply = self.reply.name();
        if self.reconnect {
            return format!("{reply}, a new connection for each request, {connections}");
        }
        format!("{reply}, {} bytes, {connections}", self.size)
    }
}

/// A program that serves.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    pub name: String,
    #[serde(skip)]
    program: PathBuf,
    #[serde(skip)]
    arguments: Vec<String>,
    /// Whether it takes `--reply`; if not, it answers with ack.
    #[serde(skip)]
    takes_reply: bool,
    /// Whether it has slots, so that it must know how many clients to expect.
    pub ring: bool,
    /// Whether it keeps a second CPU busy: a thread of the kernel polls its ring.
    pub polled: bool,
}

impl Server {
    /// Whether it can hold this conversation.
    pub fn speaks(&self, reply: Reply) -> bool {
        self.takes_reply || reply == Reply::Ack
    }

    /// Starts it for a workload, on a free port of loopback.
    pub fn command(&self, workload: &Workload) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(["--listen", "127.0.0.1:0", "--quiet", "--json"]);
        if self.takes_reply {
            command.args(["--reply", workload.reply.name()]);
        }
        let clients = workload.connections + workload.idle;
        // Some more than there are clients, so that no client waits for a slot that is being closed.
        let slots = clients + clients / 8 + 64;
        if self.ring && slots > SLOTS {
            command.arg("--slots").arg(slots.to_string());
        }
        command
    }
}

/// Whether an example of the package is a rung of its ladder and takes a rung's command line.
fn is_rung(name: &str) -> bool {
    name.starts_with("rung")
}

/// Makes sure that servers of these names can be built: day 04, the peers, and the rungs among
/// the package's examples.
///
/// # Errors
/// If no server has that name.
pub fn known(only: &[String], examples: &[String]) -> Result<(), UnknownServer> {
    let fixed = ["day04"].into_iter().chain(PEERS).chain([SQPOLL]);
    let rungs = examples.iter().map(String::as_str).filter(|name| is_rung(name));
    let known: Vec<&str> = fixed.chain(rungs).collect();
    match only.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let known = known.into_iter().map(str::to_string).collect();
            Err(UnknownServer { name: name.clone(), known })
        }
    }
}

/// The servers in the order of the tables: day 04, the peers, and the rungs of the ladder.
///
/// # Errors
/// If day 04 or the peers did not build.
pub fn servers(programs: &Programs) -> Result<Vec<Server>> {
    let program = |name| {
        programs.get(name).with_context(|| {
            format!(
                "{name} did not build; `cargo build --release -p day04 --bin day04 --bench peers` shows the errors"
            )
        })
    };
    let (day04, peers) = (program("day04")?, program("peers")?);
    let server = |name: &str, program: &Path, arguments: &[&str]| Server {
        name: name.to_string(),
        program: program.to_path_buf(),
        arguments: arguments.iter().map(ToString::to_string).collect(),
        takes_reply: true,
        ring: !PEERS.contains(&name),
        polled: name.contains("sqpoll"),
    };
    let mut servers = vec![server("day04", day04, &[])];
    servers.extend(PEERS.map(|kind| server(kind, peers, &["serve", kind])));
    servers.push(server(SQPOLL, day04, &["--sqpoll"]));
    for (name, program) in programs.iter().filter(|(name, _)| is_rung(name)) {
        let takes_reply = help(program)?.contains("--reply");
        servers.push(Server { takes_reply, ..server(name, program, &[]) });
    }
    Ok(servers)
}

fn help(program: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command.arg("--help").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let output = testkit::output_within(command, Duration::from_secs(10))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A name on the command line that no server has.
#[derive(Debug)]
pub struct UnknownServer {
    name: String,
    known: Vec<String>,
}

impl fmt::Display for UnknownServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no server is called {}; there are {}", self.name, self.known.join(", "))
    }
}

impl std::error::Error for UnknownServer {}

/// The servers that were asked for. The reference is always among them. A server with a poller is
/// left out, unless named, if there is no CPU for it (`third`): server and poller would then keep
/// each other from working.
pub fn choose(servers: Vec<Server>, only: &[String], quick: bool, third: bool) -> Vec<Server> {
    let wanted = |server: &Server| match only {
        [] if server.polled && !third => false,
        [] => !quick || server.name == "day04" || PEERS.contains(&server.name.as_str()),
        _ => server.name == REFERENCE || only.contains(&server.name),
    };
    servers.into_iter().filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolbox::programs;

    fn all() -> Vec<Server> {
        let paths =
            ["day04", "peers"].map(|name| (name.to_string(), PathBuf::from("/p").join(name)));
        servers(&Programs::from(paths)).unwrap()
    }

    fn names(servers: &[Server]) -> Vec<&str> {
        servers.iter().map(|server| server.name.as_str()).collect()
    }

    fn line(server: &str, workload: Workload) -> String {
        let servers = all();
        let server = servers.iter().find(|known| known.name == server).unwrap();
        format!("{:?}", server.command(&workload)).replace('"', "")
    }

    #[test]
    fn a_server_is_told_what_to_answer_and_how_many_to_expect() {
        assert_eq!(
            line("day04", echo(32, 64, false)),
            "/p/day04 --listen 127.0.0.1:0 --quiet --json --reply echo"
        );
        let many = Workload { idle: 10_000, ..ACTIVE };
        assert!(line("day04", many).ends_with("--reply echo --slots 11350"));
        assert_eq!(
            line("epoll", many),
            "/p/peers serve epoll --listen 127.0.0.1:0 --quiet --json --reply echo"
        );
        assert!(
            line("day04-sqpoll", reconnect(Reply::Ack, 1, false)).starts_with("/p/day04 --sqpoll ")
        );
    }

    #[test]
    fn the_reference_is_always_measured() {
        let only = ["day04-sqpoll".to_string()];
        assert_eq!(names(&choose(all(), &only, true, false)), ["epoll", "day04-sqpoll"]);
        assert_eq!(names(&choose(all(), &[], true, true)), ["day04", "threads", "epoll", "tokio"]);
        assert_eq!(choose(all(), &[], false, true).len(), all().len());
        assert!(!names(&choose(all(), &[], false, false)).contains(&"day04-sqpoll"));
    }

    #[test]
    fn names_are_known_before_anything_is_built() {
        let examples = programs::examples("day04").unwrap();
        assert!(examples.iter().any(|name| name == "rung3_multishot"), "{examples:?}");
        let only = ["day04-sqpoll", "epoll", "rung3_multishot"].map(str::to_string);
        assert!(known(&only, &examples).is_ok());
        // An example of another kind, such as the loop in one file, is not one of these servers.
        let echo = ["echo".to_string()];
        assert!(known(&echo, &echo).is_err());
        let error = known(&["nginx".to_string()], &examples).unwrap_err().to_string();
        assert!(
            error.starts_with("no server is called nginx; there are day04, threads"),
            "{error}"
        );
        assert!(error.contains("rung3_multishot"), "{error}");
    }

    #[test]
    fn without_its_programs_nothing_is_measured() {
        let error = servers(&Programs::new()).unwrap_err().to_string();
        assert!(error.starts_with("day04 did not build"), "{error}");
    }

    #[test]
    fn no_two_workloads_have_the_same_name() {
        let names: std::collections::BTreeSet<String> =
            WORKLOADS.iter().map(Workload::name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
        assert!(names.contains("echo-4096-1000") && names.contains("ack-32"), "{names:?}");
        assert!(names.contains("echo-64-32") && names.contains("echo-new-32"), "{names:?}");
    }
}
