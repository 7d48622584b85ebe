//! The tables, as people read them: 80 columns.

use common::text::{WIDTH, wrap};

use super::results::{Results, Row, Scale, ScaleRow, Table};
use super::statistics::{Spread, Standing};

/// A table and what may be concluded from it.
pub fn table(table: &Table) -> String {
    let mut lines = vec![
        table.title.clone(),
        format!(
            "  {:<18} {:>17}  {:>17} {:>6} {:>7} {:>7}",
            "", "requests/second", "CPU a request", "calls", "p50 µs", "p99 µs"
        ),
    ];
    lines.extend(table.rows.iter().map(row));
    lines.extend(failures(table.rows.iter().map(|row| (&row.server, &row.failure))));
    lines.extend(conclusion(table).iter().map(|line| wrap(&format!("  {line}"), WIDTH, 2)));
    lines.join("\n") + "\n"
}

fn row(row: &Row) -> String {
    let calls = row.calls.map_or_else(dash, |calls| {
        format!("{}{}", rounded(calls), if row.calls_are_own { "*" } else { "" })
    });
    format!(
        "  {:<18} {:>17}  {:>17} {:>6} {:>7} {:>7}",
        row.server,
        ratio(row.rate_ratio),
        ratio(row.cpu_ratio),
        calls,
        row.p50.map_or_else(dash, micros),
        row.p99.map_or_else(dash, micros),
    )
}

fn dash() -> String {
    "–".to_string()
}

/// `1.23 (1.10–1.31)`
fn ratio(spread: Option<Spread>) -> String {
    spread
        .map_or_else(dash, |Spread { median, min, max }| format!("{median:.2} ({min:.2}–{max:.2})"))
}

fn rounded(calls: f64) -> String {
    if calls < 10.0 { format!("{calls:.2}") } else { format!("{calls:.0}") }
}

fn micros(time: f64) -> String {
    if time < 100.0 { format!("{time:.1}") } else { format!("{time:.0}") }
}

fn failures<'a>(
    all: impl Iterator<Item = (&'a String, &'a Option<String>)>,
) -> impl Iterator<Item = String> {
    all.filter_map(|(server, failure)| {
        Some(wrap(&format!("  {server}: {}", failure.as_ref()?), WIDTH, 4))
    })
}

/// Which server is faster, unless the results are too noisy.
fn conclusion(table: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    let reference = table.rows.iter().find(|row| row.server == super::plan::REFERENCE);
    if let Some((rate, cpu)) = reference.and_then(|row| row.rate.zip(row.cpu)) {
        lines.push(format!(
            "1.00 is epoll: {:.0} requests a second, {:.1} µs CPU each.",
            rate.median, cpu.median
        ));
    }
    if let Some(noise) = &table.noise {
        lines.push(format!("Too noisy to tell: {noise}."));
        return lines;
    }
    let mut say = |standing, what: &str| {
        let servers = table.standing(standing);
        if !servers.is_empty() {
            lines.push(format!("{what}: {}.", servers.join(", ")));
        }
    };
    say(Standing::Ahead, "Ahead of epoll in every round");
    say(Standing::Behind, "Behind epoll in every round");
    say(Standing::Unclear, "Too close, or too noisy, to tell");
    let limited: Vec<&str> = table
        .rows
        .iter()
        .filter(|row| row.limited_by_client)
        .map(|row| row.server.as_str())
        .collect();
    if !limited.is_empty() {
        lines.push(format!(
            "The client was busier than {}: compare the CPU time there, not the rate.",
            limited.join(", ")
        ));
    }
    lines
}

/// The idle connections.
pub fn scale(scale: &Scale) -> String {
    let mut lines = vec![
        format!("echo, 64 bytes, {} connections among {} idle ones", scale.active, scale.idle),
        format!(
            "  {:<18} {:>17}  {:>12} {:>12} {:>11}",
            "", "CPU a request", "memory alone", "with idle", "bytes each"
        ),
    ];
    lines.extend(scale.rows.iter().map(scale_row));
    lines.extend(failures(scale.rows.iter().map(|row| (&row.server, &row.failure))));
    let note = "CPU: as a ratio to the same connections alone. Memory: what the process has in \
                RAM; what the kernel holds for sockets is not in it. Tables that a server makes \
                at its start count as memory alone.";
    lines.push(wrap(&format!("  {note}"), WIDTH, 2));
    if let Some(noise) = &scale.noise {
        lines.push(wrap(&format!("  Too noisy to tell: {noise}."), WIDTH, 2));
    }
    lines.join("\n") + "\n"
}

fn scale_row(row: &ScaleRow) -> String {
    let memory = |kib: Option<f64>| kib.map_or_else(dash, |kib| format!("{:.1} MiB", kib / 1024.0));
    format!(
        "  {:<18} {:>17}  {:>12} {:>12} {:>11}",
        row.server,
        ratio(row.cost),
        memory(row.memory_start),
        memory(row.memory_idle),
        row.each.map_or_else(dash, |bytes| format!("{bytes:.0}")),
    )
}

/// How to read the tables, and how the system calls were counted.
pub fn legend(results: &Results) -> String {
    let rows = || results.workloads.iter().flat_map(|table| &table.rows);
    let counted = rows().any(|row| row.calls.is_some() && !row.calls_are_own);
    let own = rows().any(|row| row.calls_are_own);
    let calls = match (counted, own) {
        (true, false) => "counted by the kernel (raw_syscalls:sys_enter) in a round of their own",
        (_, true) => {
            "counted by the kernel where that is allowed (it takes root); those with * are \
             the server's own count of its io_uring_enter calls, with those for connecting"
        }
        (false, false) => "not counted: that takes root and tracefs",
    };
    let text = format!(
        "Requests a second and CPU time of the server for each, as ratios to epoll: the median \
         of {} rounds (lowest–highest). Calls: system calls for each request, {calls}. p50, p99: \
         half, and 99 of 100, of the answers took no longer; the client has one request \
         outstanding on each connection. In the ack workloads day04, threads, epoll and tokio \
         end their own side and wait for the client's end; the rungs close at once, which \
         resets a client that still sends.",
        results.rounds
    );
    wrap(&text, WIDTH, 0)
}
