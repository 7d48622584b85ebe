//! One measurement: a server, its client, and their end.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use testkit::{self, Server as Running};

use super::machine::Machine;
use super::plan::{Server, Workload};

/// What the client prints; its `Outcome` says what each is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    pub requests: u64,
    pub seconds: f64,
    pub server_cpu: f64,
    pub client_cpu: f64,
    pub others_cpu: f64,
    pub p50: f64,
    pub p99: f64,
    pub memory_start: u64,
    pub memory_idle: u64,
    /// System calls of the server, if they were counted.
    pub calls: Option<u64>,
    /// The server's own count, if it has a ring: `io_uring_enter` calls for each request.
    #[serde(default)]
    pub own_enters: Option<f64>,
}

impl Sample {
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// CPU time of the server for a request, in microseconds.
    pub fn cpu(&self) -> f64 {
        1e6 * self.server_cpu / self.requests as f64
    }

    /// The share of a CPU that other programs took.
    pub fn others(&self) -> f64 {
        self.others_cpu / self.seconds
    }

    /// The client was busier than the server: the rate is the client's limit.
    pub fn is_limited_by_client(&self) -> bool {
        self.client_cpu > 0.95 * self.seconds && self.server_cpu < 0.9 * self.seconds
    }
}

/// How long a measurement takes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub warm_up: Duration,
    pub time: Duration,
}

/// How long starting, connecting and stopping may take altogether.
const PATIENCE: Duration = Duration::from_secs(60);

/// The inputs of a measurement besides a server and a workload.
pub struct Bench<'a> {
    pub machine: &'a Machine,
    /// The client's program.
    pub peers: &'a Path,
    pub times: Times,
}

impl Bench<'_> {
    /// Starts the server, lets the client ask it, and stops it.
    ///
    /// `count`: also count its system calls, which slows it down a little.
    ///
    /// # Errors
    /// If it does not start or answers wrongly, or the client meets a limit.
    pub fn measure(&self, server: &Server, workload: &Workload, count: bool) -> Result<Sample> {
        let mut command = server.command(workload);
        self.machine.pin_server(&mut command, server.polled);
        testkit::die_with_parent(&mut command);
        let mut running = Running::start(command)?;
        let asked = self.ask(&running, workload, count);
        // A server that has died says why; the client only sees that it is gone.
        if asked.is_err() {
            if let Some(status) = running.ended(Duration::from_millis(50)) {
                let stderr = running.stderr();
                bail!("it ended with {}: {}", testkit::in_words(status), stderr.trim_end());
            }
        }
        let sample = asked?;
        let stopped = running.stop(Signal::SIGTERM)?;
        let own_enters = stopped.summary["enters_per_request"].as_f64();
        Ok(Sample { own_enters, ..sample })
    }

    fn ask(&self, server: &Running, workload: &Workload, count: bool) -> Result<Sample> {
        let mut command = Command::new(self.peers);
        command.arg("load").arg("--address").arg(server.address().to_string());
        command.args(["--reply", workload.reply.name()]);
        for (option, value) in [
            ("--pid", u64::from(server.pid())),
            ("--connections", u64::from(workload.connections)),
            ("--size", u64::from(workload.size)),
            ("--idle", u64::from(workload.idle)),
            ("--warm-up", self.times.warm_up.as_millis() as u64),
            ("--time", self.times.time.as_millis() as u64),
        ] {
            command.arg(option).arg(value.to_string());
        }
        for cpu in self.machine.ours() {
            command.arg("--cpu").arg(cpu.to_string());
        }
        if workload.reconnect {
            command.arg("--reconnect");
        }
        if count {
            command.arg("--count-calls");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.machine.pin_client(&mut command);
        testkit::die_with_parent(&mut command);
        let patience = self.times.warm_up + self.times.time + PATIENCE;
        let output = testkit::output_within(command, patience).context("the client")?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("{}", stderr.trim_start_matches("peers: ").trim_end());
        }
        serde_json::from_slice(&output.stdout).context("the client printed no measurement")
    }
}
