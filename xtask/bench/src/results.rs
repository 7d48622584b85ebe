//! The results of the rounds, and which of them are shown.

use serde::Serialize;

use super::machine::Machine;
use super::measure::Sample;
use super::plan::{REFERENCE, Workload};
use super::statistics::{Spread, Standing, judge, noise};

/// Everything, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Results {
    pub machine: Machine,
    pub rounds: usize,
    pub workloads: Vec<Table>,
    pub scale: Option<Scale>,
}

impl Results {
    /// Whether every measurement succeeded.
    pub fn is_complete(&self) -> bool {
        let rows = self.workloads.iter().flat_map(|table| &table.rows);
        let scale = self.scale.iter().flat_map(|scale| &scale.rows);
        rows.map(|row| &row.failure).chain(scale.map(|row| &row.failure)).all(Option::is_none)
    }
}

/// One workload, and the results of each server in it.
#[derive(Debug, Serialize)]
pub struct Table {
    pub name: String,
    pub title: String,
    #[serde(flatten)]
    pub workload: Workload,
    /// The share of a CPU that other processes took, the median of all measurements.
    pub others: f64,
    /// Why the results do not show which server is faster, if so.
    pub noise: Option<String>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub server: String,
    /// Requests a second, and CPU time of the server for each, in microseconds.
    pub rate: Option<Spread>,
    pub cpu: Option<Spread>,
    /// The same as ratios to the reference, round by round.
    pub rate_ratio: Option<Spread>,
    pub cpu_ratio: Option<Spread>,
    /// System calls for each request.
    pub calls: Option<f64>,
    /// They are the server's own count of `io_uring_enter`.
    pub calls_are_own: bool,
    /// Microseconds, the median of the rounds.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub standing: Standing,
    /// The rate is the client's, which was busier than the server.
    pub limited_by_client: bool,
    /// Why there is no measurement, or fewer.
    pub failure: Option<String>,
}

/// The measurements of one server in one workload.
#[derive(Debug, Default)]
pub struct Samples {
    /// One for each round.
    pub rounds: Vec<Option<Sample>>,
    /// The short one in which system calls were counted.
    pub counted: Option<Sample>,
    pub failure: Option<String>,
}

impl Samples {
    /// Takes a failure out of a measurement and remembers the first.
    pub fn keep(&mut self, measured: anyhow::Result<Sample>) -> Option<Sample> {
        measured
            .map_err(|error| {
                self.failure.get_or_insert(format!("{error:#}"));
            })
            .ok()
    }

    fn each(&self, value: fn(&Sample) -> f64) -> Vec<Option<f64>> {
        self.rounds.iter().map(|sample| sample.as_ref().map(value)).collect()
    }

    fn median(&self, value: fn(&Sample) -> f64) -> Option<f64> {
        self.spread(value).map(|spread| spread.median)
    }

    fn spread(&self, value: fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.each(value).into_iter().flatten())
    }
}

impl Table {
    pub fn new(
        workload: Workload,
        machine: &Machine,
        servers: &[String],
        samples: &[Samples],
    ) -> Table {
        let all = samples.iter().flat_map(|samples| samples.rounds.iter().flatten());
        let others = Spread::of(all.map(Sample::others)).map_or(0.0, |spread| spread.median);
        let noise = noise(others, machine.traced.as_deref());
        let none = Samples::default();
        let reference = servers.iter().position(|server| server == REFERENCE);
        let reference = reference.map_or(&none, |index| &samples[index]);
        let row =
            |(server, samples): (&String, _)| Row::new(server, samples, reference, noise.is_some());
        Table {
            name: workload.name(),
            title: workload.title(),
            workload,
            others,
            rows: servers.iter().zip(samples).map(row).collect(),
            noise,
        }
    }

    /// The servers of that standing, without the reference.
    pub fn standing(&self, standing: Standing) -> Vec<&str> {
        let measured = |row: &&Row| row.server != REFERENCE && row.rate_ratio.is_some();
        let such = self.rows.iter().filter(measured).filter(|row| row.standing == standing);
        such.map(|row| row.server.as_str()).collect()
    }
}

impl Row {
    fn new(server: &str, samples: &Samples, reference: &Samples, noisy: bool) -> Row {
        let ratio = |value| Spread::of_ratios(&samples.each(value), &reference.each(value));
        let rate_ratio = ratio(Sample::rate);
        let measured = samples.rounds.iter().flatten();
        let limited = measured.clone().filter(|sample| sample.is_limited_by_client()).count();
        let counted = samples.counted.as_ref();
        let calls = counted.and_then(|s| Some(s.calls? as f64 / s.requests as f64));
        let own = counted.and_then(|sample| sample.own_enters);
        Row {
            server: server.to_string(),
            rate: samples.spread(Sample::rate),
            cpu: samples.spread(Sample::cpu),
            rate_ratio,
            cpu_ratio: ratio(Sample::cpu),
            calls: calls.or(own),
            calls_are_own: calls.is_none() && own.is_some(),
            p50: samples.median(|sample| sample.p50),
            p99: samples.median(|sample| sample.p99),
            standing: judge(rate_ratio, measured.clone().count(), noisy),
            limited_by_client: 2 * limited > measured.count(),
            failure: samples.failure.clone(),
        }
    }
}

/// Idle connections: their cost for the active ones, and in memory.
#[derive(Debug, Serialize)]
pub struct Scale {
    pub idle: u32,
    pub active: u32,
    pub others: f64,
    /// Why the ratio cannot be trusted, if so.
    pub noise: Option<String>,
    pub rows: Vec<ScaleRow>,
}

#[derive(Debug, Serialize)]
pub struct ScaleRow {
    pub server: String,
    /// CPU time for a request among the idle ones, as a ratio to that without them.
    pub cost: Option<Spread>,
    /// Resident memory in KiB: alone, and with the idle connections.
    pub memory_start: Option<f64>,
    pub memory_idle: Option<f64>,
    /// Bytes for each idle connection.
    pub each: Option<f64>,
    pub failure: Option<String>,
}

impl Scale {
    pub fn new(
        idle: u32,
        active: u32,
        machine: &Machine,
        servers: &[String],
        alone: &[Samples],
        among: &[Samples],
    ) -> Scale {
        let all = alone.iter().chain(among).flat_map(|samples| samples.rounds.iter().flatten());
        let others = Spread::of(all.map(Sample::others)).map_or(0.0, |spread| spread.median);
        let row = |((server, alone), among): ((&String, &Samples), &Samples)| {
            let memory_start = among.median(|sample| sample.memory_start as f64);
            let memory_idle = among.median(|sample| sample.memory_idle as f64);
            let each = memory_start.zip(memory_idle);
            ScaleRow {
                server: server.clone(),
                cost: Spread::of_ratios(&among.each(Sample::cpu), &alone.each(Sample::cpu)),
                memory_start,
                memory_idle,
                each: each.map(|(start, end)| 1024.0 * (end - start) / f64::from(idle)),
                failure: among.failure.clone().or_else(|| alone.failure.clone()),
            }
        };
        let rows = servers.iter().zip(alone).zip(among).map(row).collect();
        let noise = noise(others, machine.traced.as_deref());
        Scale { idle, active, others, noise, rows }
    }
}
