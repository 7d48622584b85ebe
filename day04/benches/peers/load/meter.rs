//! The measuring time, the counts in it, and the use of the CPUs meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::calls::Calls;
use super::{Measured, Options};

/// Counts answers between the end of the warm-up and the end.
pub struct Meter {
    server: ClockId,
    /// `None`: not asked for, or not allowed.
    calls: Option<Calls>,
    cpus: Vec<usize>,
    warm_up: Duration,
    time: Duration,
    began: Instant,
    window: Option<Reading>,
    closed: Option<Reading>,
    latencies: Vec<u32>,
}

/// The clocks at one moment.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    server: Duration,
    client: Duration,
    busy: Duration,
    calls: Option<u64>,
}

impl Meter {
    pub fn new(options: &Options) -> Result<Meter> {
        let server = clock_getcpuclockid(Pid::from_raw(options.pid as i32))
            .context("the server's CPU clock")?;
        Ok(Meter {
            server,
            calls: options.count_calls.then(|| Calls::of(options.pid).ok()).flatten(),
            cpus: options.cpus.clone(),
            warm_up: Duration::from_millis(options.warm_up),
            time: Duration::from_millis(options.time),
            began: Instant::now(),
            window: None,
            closed: None,
            latencies: Vec::with_capacity(1 << 20),
        })
    }

    /// The first request goes out.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Asked in every turn: whether to go on.
    pub fn goes_on(&mut self, now: Instant) -> Result<bool> {
        match self.window {
            None if now >= self.began + self.warm_up => {
                self.latencies.clear();
                self.window = Some(self.read()?);
            }
            Some(window) if now >= window.at + self.time => {
                self.closed = Some(self.read()?);
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    }

    /// A request of `asked` is answered whole.
    pub fn answered(&mut self, asked: Instant, now: Instant) {
        let taken = now.saturating_duration_since(asked).as_nanos();
        self.latencies.push(taken.try_into().unwrap_or(u32::MAX));
    }

    fn read(&self) -> Result<Reading> {
        let clock = |clock| clock_gettime(clock).map(Duration::from);
        Ok(Reading {
            at: Instant::now(),
            server: clock(self.server).context("the server's CPU time: it has ended")?,
            client: clock(ClockId::CLOCK_PROCESS_CPUTIME_ID)?,
            calls: self.calls.as_ref().map(Calls::read).transpose()?,
            busy: busy(&fs::read_to_string("/proc/stat")?, &self.cpus, ticks()?),
        })
    }

    pub fn outcome(mut self, memory_start: u64, memory_idle: u64) -> Result<Measured> {
        let (Some(from), Some(to)) = (self.window, self.closed) else {
            anyhow::bail!("it ended before it was measured");
        };
        ensure!(!self.latencies.is_empty(), "no answer came in {} ms", self.time.as_millis());
        let between = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64();
        let server_cpu = between(from.server, to.server);
        let client_cpu = between(from.client, to.client);
        let busy = between(from.busy, to.busy);
        Ok(Measured {
            requests: self.latencies.len() as u64,
            seconds: (to.at - from.at).as_secs_f64(),
            server_cpu,
            client_cpu,
            others_cpu: (busy - server_cpu - client_cpu).max(0.0),
            p50: percentile(&mut self.latencies, 50),
            p99: percentile(&mut self.latencies, 99),
            memory_start,
            memory_idle,
            calls: to.calls.zip(from.calls).map(|(to, from)| to - from),
        })
    }
}

/// In microseconds, from nanoseconds.
fn percentile(latencies: &mut [u32], percent: usize) -> f64 {
    let rank = (latencies.len() * percent).div_ceil(100).max(1) - 1;
    let (_, value, _) = latencies.select_nth_unstable(rank);
    f64::from(*value) / 1000.0
}

fn ticks() -> Result<u64> {
    let ticks = sysconf(SysconfVar::CLK_TCK)?.context("no CLK_TCK")?;
    Ok(ticks as u64)
}

/// The time that these CPUs were not idle, from /proc/stat (proc_stat(5)): a line
/// `cpuN user nice system idle iowait irq softirq steal …`, in ticks. Stolen time counts: a
/// neighbour on the host took it.
fn busy(stat: &str, cpus: &[usize], ticks: u64) -> Duration {
    let mut sum = 0;
    for line in stat.lines() {
        let mut fields = line.split_ascii_whitespace();
        let cpu = fields.next().and_then(|name| name.strip_prefix("cpu")?.parse().ok());
        if cpu.is_some_and(|cpu| cpus.contains(&cpu)) {
            let times: Vec<u64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
            let idle: u64 = times.iter().skip(3).take(2).sum();
            sum += times.iter().sum::<u64>() - idle;
        }
    }
    Duration::from_millis(sum * 1000 / ticks)
}

#[cfg(test)]
mod tests {
    // No imports: the bench target has no test harness, which leaves the tests out.

    #[test]
    fn a_percentile_is_a_latency_that_was_seen() {
        let mut latencies: Vec<u32> = (1..=200).rev().map(|n| n * 1000).collect();
        assert_eq!(super::percentile(&mut latencies, 50), 100.0);
        assert_eq!(super::percentile(&mut latencies, 99), 198.0);
        assert_eq!(super::percentile(&mut [7000], 99), 7.0);
    }

    #[test]
    fn idle_and_waiting_time_is_not_busy() {
        let stat = "cpu  99 99 99 99 99 99 99 99 0 0\ncpu0 1 2 4 1000 2000 8 16 32 7 7\n\
                    cpu1 100 0 0 5 5 0 0 0 0 0\ncpu2 9 9 9 9 9 9 9 9 0 0\nintr 5\n";
        assert_eq!(super::busy(stat, &[0], 100).as_millis(), 630);
        assert_eq!(super::busy(stat, &[0, 1], 100).as_millis(), 1630);
    }
}
