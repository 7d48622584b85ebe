//! The output for made-up numbers, which never change.

use insta::assert_snapshot;

use super::machine::Machine;
use super::measure::Sample;
use super::plan::{ACTIVE, WORKLOADS, Workload};
use super::results::{Results, Samples, Scale, Table};
use super::statistics::Standing;
use super::{plot, text};

/// A tenth of a second with this many requests; `others` is the share that other programs took.
fn sample(requests: u64, others: f64) -> Option<Sample> {
    Some(Sample {
        requests,
        seconds: 0.1,
        server_cpu: 0.08,
        client_cpu: 0.07,
        others_cpu: 0.1 * others,
        p50: 21.5,
        p99: 1234.5,
        ..Sample::default()
    })
}

fn samples(requests: [u64; 3], others: f64) -> Samples {
    Samples {
        rounds: requests.map(|requests| sample(requests, others)).into(),
        counted: Some(Sample { requests: 100, calls: Some(304), ..Sample::default() }),
        failure: None,
    }
}

fn servers() -> Vec<String> {
    ["day04", "threads", "epoll", "tokio", "rung5_chain"].map(str::to_string).to_vec()
}

fn table(workload: Workload, others: f64) -> Table {
    let faster = samples([12_000, 15_000, 13_000], others);
    let mut slower = samples([5_000, 4_000, 6_000], others);
    slower.counted = Some(Sample { requests: 9, own_enters: Some(2.004), ..Sample::default() });
    let unclear = samples([9_900, 10_200, 10_000], others);
    let reference = samples([10_000; 3], others);
    let failed = Samples { failure: Some("the answer is 3 bytes".into()), ..Samples::default() };
    Table::new(workload, &machine(), &servers(), &[faster, slower, reference, unclear, failed])
}

fn machine() -> Machine {
    Machine {
        kernel: "6.18.0".into(),
        cpus: vec![0, 1],
        apart: Some((1, 0)),
        siblings: false,
        load_average: 0.1,
        open_files: 20_000,
        traced: None,
    }
}

fn results(others: f64) -> Results {
    let machine = machine();
    let workloads = vec![table(WORKLOADS[1], others), table(WORKLOADS[8], others)];
    Results { machine, rounds: 3, workloads, scale: None }
}

#[test]
fn a_table_of_a_quiet_machine() {
    let table = table(WORKLOADS[1], 0.01);
    assert_snapshot!(text::table(&table));
    assert_eq!(table.standing(Standing::Ahead), ["day04"]);
    assert_eq!(table.standing(Standing::Behind), ["threads"]);
    assert_eq!(table.standing(Standing::Unclear), ["tokio"]);
}

#[test]
fn a_noisy_machine_has_no_winner() {
    let table = table(WORKLOADS[1], 0.4);
    let text = text::table(&table);
    assert!(text.contains("Too noisy to tell: other programs took 40 % of a CPU meanwhile."));
    assert!(!text.contains("Ahead") && !text.contains("Behind"), "{text}");
    assert_eq!(table.standing(Standing::Noisy), ["day04", "threads", "tokio"]);
    assert!(table.standing(Standing::Ahead).is_empty());
}

#[test]
fn a_busy_client_is_named() {
    let busy = |sample: &Option<Sample>| {
        let sample = sample.clone()?;
        Some(Sample { client_cpu: 0.099, ..sample })
    };
    let mut day04 = samples([12_000; 3], 0.0);
    day04.rounds = day04.rounds.iter().map(busy).collect();
    let epoll = samples([10_000; 3], 0.0);
    let names = ["day04", "epoll"].map(str::to_string);
    let text = text::table(&Table::new(WORKLOADS[1], &machine(), &names, &[day04, epoll]));
    assert!(text.contains("The client was busier than day04:"), "{text}");
}

#[test]
fn idle_connections() {
    let memory = |mut samples: Samples, start, idle| {
        for sample in samples.rounds.iter_mut().flatten() {
            (sample.memory_start, sample.memory_idle) = (start, idle);
        }
        samples
    };
    let names = ["day04", "threads"].map(str::to_string);
    let alone = [samples([10_000; 3], 0.0), samples([10_000; 3], 0.0)];
    let among = [
        memory(samples([10_000, 9_000, 8_000], 0.0), 3_000, 3_100),
        memory(samples([5_000; 3], 0.0), 3_000, 103_000),
    ];
    let scale = Scale::new(10_000, ACTIVE.connections, &machine(), &names, &alone, &among);
    assert_snapshot!(text::scale(&scale));
    let loud = [samples([10_000; 3], 0.5), samples([10_000; 3], 0.5)];
    let scale = Scale::new(10_000, ACTIVE.connections, &machine(), &names, &loud, &loud);
    assert!(text::scale(&scale).contains("Too noisy to tell"));
}

#[test]
fn the_legend_says_who_counted() {
    assert_snapshot!(text::legend(&results(0.0)));
}

#[test]
fn the_picture_tells_its_numbers_in_words() {
    let svg = plot::svg(&results(0.0));
    assert_snapshot!(svg);
    assert!(plot::svg(&results(0.5)).contains("(too noisy to tell)"));
}

#[test]
fn tables_fit_80_columns() {
    let text = text::table(&table(WORKLOADS[3], 0.0)) + &text::table(&table(WORKLOADS[9], 0.9));
    for line in text.lines().chain(text::legend(&results(0.0)).lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_failure_is_told_and_makes_the_comparison_incomplete() {
    assert!(!results(0.0).is_complete());
    assert!(text::table(&table(WORKLOADS[1], 0.0)).contains("rung5_chain: the answer is 3 bytes"));
    let json = serde_json::to_value(results(0.0)).unwrap();
    assert_eq!(json["workloads"][0]["name"], "echo-64-32");
    assert_eq!(json["workloads"][0]["rows"][0]["rate_ratio"]["median"], 1.3);
    assert_eq!(json["workloads"][0]["rows"][1]["calls_are_own"], true);
}
