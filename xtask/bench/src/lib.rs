//! `cargo xtask bench`: compares day 04 and its ladder with servers without a ring, on the reader's
//! own machine.
//!
//! - [`plan`]: which servers, with which workloads; [`machine`]: which CPUs they get, and what else
//!   keeps the machine busy;
//! - [`measure`]: one server with its client;
//! - [`results`]: the results of the rounds, judged by [`statistics`];
//! - [`text`] and [`plot`]: the two views.

mod machine;
mod measure;
mod plan;
mod plot;
mod results;
mod statistics;
#[cfg(test)]
mod tests;
mod text;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use common::text::{WIDTH, plural, wrap};
use toolbox::output::{progress, writable};
use toolbox::programs;

use self::machine::Machine;
use self::measure::{Bench, Times};
use self::plan::{ACTIVE, SCALE, Server, UnknownServer, WORKLOADS, Workload};
use self::results::{Results, Samples, Scale, Table};

/// Measure day 04 and its ladder against servers without a ring
///
/// The servers: day 04, the rungs of its ladder, blocking threads, epoll (through mio),
/// tokio. Same conversations, same client, rounds in random order, everything on loopback.
/// The ratios hold for this machine, at this moment; if the machine is too busy, the result says
/// only that. Exit code 0: measured, even if the noise allows no conclusion. 1: some server failed.
#[derive(Parser, Debug)]
#[command(name = "bench", bin_name = "cargo xtask bench", after_help = HELP)]
pub struct Options {
    /// Measure fewer servers, workloads and rounds: about a minute
    #[arg(long)]
    quick: bool,

    /// Measure only these servers, and epoll, with which they are compared: day04, threads, epoll,
    /// tokio, day04-sqpoll, or a rung of the ladder such as rung3_multishot
    #[arg(long, value_name = "SERVER,…", value_delimiter = ',')]
    only: Vec<String>,

    /// Measure only these workloads, such as echo-64-32, ack-1 or scale; an unknown name lists all
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = workload_name)]
    workload: Vec<String>,

    /// How many rounds to measure [default: 5, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,

    /// How long one measurement takes [default: 500, or 200 with --quick]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=60_000))]
    time: Option<u64>,

    /// Idle connections of the workload `scale` [default: 10000, or 1000 with --quick; as far as
    /// the limit on open files allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    idle: Option<u32>,

    /// Print one JSON object and no tables
    #[arg(long)]
    json: bool,

    /// Draw the requests a second, with a text alternative
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

const HELP: &str = "For numbers that mean something: a quiet machine on mains power, with two free \
                    CPUs. System calls are counted where that is allowed: usually as root.";

fn workload_name(text: &str) -> Result<String, String> {
    let mut names: Vec<String> = WORKLOADS.iter().map(Workload::name).collect();
    names.push(SCALE.to_string());
    if names.iter().any(|name| name == text) {
        return Ok(text.to_string());
    }
    Err(format!("there are {}", names.join(", ")))
}

/// Measures and prints the results.
pub fn main(options: &Options) -> ExitCode {
    match compare(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<UnknownServer>() => {
            environment::report("xtask bench", Err(error));
            ExitCode::from(2)
        }
        Err(error) => environment::report("xtask bench", Err(error)),
    }
}

/// `false`: some server failed.
fn compare(options: &Options) -> Result<bool> {
    // Mistakes in the options are found before the long build.
    plan::known(&options.only, &programs::examples("day04")?)?;
    if let Some(file) = &options.plot {
        writable(file)?;
    }
    // The load goes through a ring too: without one, no server can be measured.
    drop(common::ring::build_best(&common::ring::RingOptions::default(), 8)?);
    let programs = programs::build_for_bench("day04")?;
    let machine = Machine::look();
    let third = machine.third().is_some();
    let servers = plan::servers(&programs)?;
    let servers = plan::choose(servers, &options.only, options.quick, third);
    let times = Times {
        warm_up: Duration::from_millis(if options.quick { 50 } else { 150 }),
        time: Duration::from_millis(options.time.unwrap_or(if options.quick { 200 } else { 500 })),
    };
    let mut comparison = Comparison {
        bench: Bench { machine: &machine, peers: &programs["peers"], times },
        names: servers.iter().map(|server| server.name.clone()).collect(),
        servers,
        rounds: options.rounds.map_or(if options.quick { 3 } else { 5 }, usize::from),
        progress: Progress::new(options.json),
    };
    let (workloads, scale) = chosen_workloads(options);
    if !options.json {
        say(&opening(&machine, &comparison, workloads.len()))?;
    }
    let workloads = comparison.workloads(&workloads);
    let idle = options.idle.unwrap_or(if options.quick { 1_000 } else { 10_000 });
    let idle = idle.min(plan::most_idle(machine.open_files));
    let scale = scale.then(|| comparison.scale(idle));
    comparison.progress.end();
    let rounds = comparison.rounds;
    let results = Results { machine: machine.clone(), rounds, workloads, scale };

    show(&results, options)?;
    if let Some(file) = &options.plot {
        fs::write(file, plot::svg(&results))
            .with_context(|| format!("writing {}", file.display()))?;
        if !options.json {
            say(&format!("\n{} shows the ratios\n", file.display()))?;
        }
    }
    Ok(results.is_complete())
}

fn chosen_workloads(options: &Options) -> (Vec<Workload>, bool) {
    let wanted = |workload: &&Workload| match options.workload.as_slice() {
        [] => !(options.quick && workload.long),
        names => names.contains(&workload.name()),
    };
    let scale = options.workload.is_empty() || options.workload.iter().any(|name| name == SCALE);
    (WORKLOADS.iter().filter(wanted).copied().collect(), scale)
}

fn opening(machine: &Machine, comparison: &Comparison<'_>, workloads: usize) -> String {
    let servers = comparison.names.join(", ");
    let (workloads, rounds) = (plural(workloads, "workload"), plural(comparison.rounds, "round"));
    let head = format!("{workloads}, {rounds}: {servers}");
    let lines = [head].into_iter().chain(machine.remarks());
    lines.map(|line| wrap(&line, WIDTH, 2) + "\n").collect()
}

fn show(results: &Results, options: &Options) -> Result<()> {
    if options.json {
        return say(&(serde_json::to_string(results)? + "\n"));
    }
    for table in &results.workloads {
        say(&format!("\n{}", text::table(table)))?;
    }
    if let Some(scale) = &results.scale {
        say(&format!("\n{}", text::scale(scale)))?;
    }
    if !results.workloads.is_empty() {
        say(&format!("\n{}\n", text::legend(results)))?;
    }
    Ok(())
}

/// A reader who went away ends it; `environment::report` takes that for a good end.
fn say(text: &str) -> Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

/// The rounds.
struct Comparison<'a> {
    bench: Bench<'a>,
    servers: Vec<Server>,
    names: Vec<String>,
    rounds: usize,
    progress: Progress,
}

impl Comparison<'_> {
    /// All servers, in a random order.
    fn in_random_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        fastrand::shuffle(&mut order);
        order
    }

    /// All servers in all workloads, round by round; then a short round that counts.
    fn workloads(&mut self, workloads: &[Workload]) -> Vec<Table> {
        let mut samples: Vec<Vec<Samples>> = workloads.iter().map(|_| self.none()).collect();
        for round in 0..self.rounds {
            for (workload, samples) in workloads.iter().zip(&mut samples) {
                self.progress.tell(round, self.rounds, &workload.title());
                self.round(workload, samples);
            }
        }
        let times = self.bench.times;
        self.bench.times.time = times.time.min(Duration::from_millis(200));
        for (workload, samples) in workloads.iter().zip(&mut samples) {
            self.progress.tell_of("counting system calls", &workload.title());
            self.count(workload, samples);
        }
        self.bench.times = times;
        let tables = workloads.iter().zip(&samples);
        tables
            .map(|(workload, samples)| {
                Table::new(*workload, self.bench.machine, &self.names, samples)
            })
            .collect()
    }

    fn none(&self) -> Vec<Samples> {
        self.servers.iter().map(|_| Samples::default()).collect()
    }

    fn round(&mut self, workload: &Workload, samples: &mut [Samples]) {
        for index in self.in_random_order() {
            let server = &self.servers[index];
            if !server.speaks(workload.reply) {
                continue;
            }
            let samples = &mut samples[index];
            let sample = samples.keep(self.bench.measure(server, workload, false));
            samples.rounds.push(sample);
        }
    }

    fn count(&self, workload: &Workload, samples: &mut [Samples]) {
        for (server, samples) in self.servers.iter().zip(samples) {
            if server.speaks(workload.reply) && samples.failure.is_none() {
                let counted = self.bench.measure(server, workload, true);
                samples.counted = samples.keep(counted);
            }
        }
    }

    /// The same connections alone and among idle ones, one measurement right after the other.
    fn scale(&mut self, idle: u32) -> Scale {
        let (mut alone, mut among) = (self.none(), self.none());
        let crowd = Workload { idle, ..ACTIVE };
        for round in 0..self.rounds {
            let title = format!("{} connections among {idle} idle ones", ACTIVE.connections);
            self.progress.tell(round, self.rounds, &title);
            for index in self.in_random_order() {
                let server = &self.servers[index];
                if !server.speaks(ACTIVE.reply) || among[index].failure.is_some() {
                    continue;
                }
                for (workload, samples) in [(ACTIVE, &mut alone), (crowd, &mut among)] {
                    let measured = self.bench.measure(server, &workload, false);
                    let sample = samples[index].keep(measured);
                    samples[index].rounds.push(sample);
                }
            }
        }
        Scale::new(idle, ACTIVE.connections, self.bench.machine, &self.names, &alone, &among)
    }
}

/// A line on a terminal that shows the progress.
struct Progress {
    shown: bool,
    began: Instant,
}

impl Progress {
    fn new(json: bool) -> Progress {
        Progress { shown: !json, began: Instant::now() }
    }

    fn tell(&self, round: usize, rounds: usize, what: &str) {
        self.tell_of(&format!("round {} of {rounds}", round + 1), what);
    }

    fn tell_of(&self, stage: &str, what: &str) {
        if self.shown {
            progress(&format!("{:4} s  {stage}: {what}", self.began.elapsed().as_secs()));
        }
    }

    fn end(&self) {
        if self.shown {
            progress("");
        }
    }
}
