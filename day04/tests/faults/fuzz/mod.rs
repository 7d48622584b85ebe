//! Random conversations, judged by a model of what each client must see.
//!
//! The plan follows from the seed; the moments at which things happen do not. A failure
//! prints the seed, the shortest plan that still failed, and what was seen of it.

mod client;
mod model;
mod plan;
mod shrink;

use std::ops::Range;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::{Server, holds_within, open_fds, ring_operations, ring_slots};

use self::client::Seen;
use self::model::Story;
use self::plan::{Client, Deed, End, Interruption, Plan};
use super::{day04, number_from, serve};

/// Plans that are played when the environment names none, in four tests that run side by
/// side.
const PLANS: u64 = 60;
/// How long the clients of one plan may take, all together: more would be a server that
/// hangs. Less than its idle timeout, or that would end what hangs.
const DEADLINE: Duration = Duration::from_secs(45);
/// How long a server may need to tidy up.
const TIDY: Duration = Duration::from_secs(20);

#[test]
fn fuzz_a_quarter() {
    fuzz(0);
}

#[test]
fn fuzz_another_quarter() {
    fuzz(1);
}

#[test]
fn fuzz_a_third_quarter() {
    fuzz(2);
}

#[test]
fn fuzz_the_last_quarter() {
    fuzz(3);
}

/// Plays every fourth plan, beginning with this one.
fn fuzz(first: u64) {
    if serve(&[]).is_none() {
        return;
    }
    let seeds = seeds();
    for seed in seeds.skip(first as usize).step_by(4) {
        let plan = Plan::new(seed);
        if number_from("FAULTS_SEED").is_some() {
            eprintln!("plan {seed}:\n{plan}");
        }
        if let Err(failure) = play(&plan) {
            let (shortest, failure) = shrink::shrink(plan, failure, play);
            panic!("FAULTS_SEED={seed} failed; the shortest plan that did:\n{shortest}\n{failure}");
        }
    }
}

fn seeds() -> Range<u64> {
    let seed = number_from("FAULTS_SEED");
    let plans = number_from("FAULTS_PLANS");
    let first = seed.unwrap_or(1);
    first..first + plans.unwrap_or(if seed.is_some() { 1 } else { PLANS })
}

/// Plays a plan against a new server; returns what was wrong, if anything.
fn play(plan: &Plan) -> Result<(), String> {
    let server = Server::start(day04(&plan.arguments())).map_err(|error| format!("{error:#}"))?;
    let rest = at_rest(&server)?;
    let deadline = Instant::now() + DEADLINE;
    let mut story: Story<'_> = std::thread::scope(|scope| {
        let clients = plan.clients.iter().map(|client| {
            let (key, address) = (key(plan, client), server.address());
            let play = move || client::play(client, plan.reply, address, deadline, key);
            (client, scope.spawn(play))
        });
        let clients: Vec<_> = clients.collect();
        interrupt(&server, plan.interruption);
        let seen = |thread: std::thread::ScopedJoinHandle<'_, Seen>| thread.join().unwrap();
        clients.into_iter().map(|(client, thread)| (client, seen(thread))).collect()
    });
    let last = last_client(plan);
    let mut complaints = Vec::new();
    let stopped = if plan.is_interrupted() || model::is_full(plan, &story) {
        server.wait()
    } else {
        if plan.max.is_none() {
            let (key, deadline) = (key(plan, &last), Instant::now() + DEADLINE);
            story.push((&last, client::play(&last, plan.reply, server.address(), deadline, key)));
        }
        complaints.extend(untidy(&server, &rest).err());
        server.stop(Signal::SIGINT)
    };
    let stopped = stopped.map_err(|error| format!("{error:#}; clients: {story:#?}"))?;
    if stopped.status.code() != Some(0)
        || !stopped.summary.is_object()
        || !stopped.stderr.is_empty()
    {
        return Err(format!("it did not end well: {stopped:?}"));
    }
    complaints.extend(model::judge(plan, &story, &stopped));
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// A client that comes after all the others is served as if there had been none.
fn last_client(plan: &Plan) -> Client {
    let number = plan.clients.iter().map(|client| client.number + 1).max().unwrap_or(0);
    Client { number, comes_at: 0, steps: vec![Deed::Send(1000)], end: End::Politely }
}

/// What a client's bytes are made from.
fn key(plan: &Plan, client: &Client) -> u64 {
    plan.seed << 16 | client.number as u64
}

fn interrupt(server: &Server, interruption: Option<Interruption>) {
    let wait = |time| std::thread::sleep(Duration::from_millis(time));
    match interruption {
        None => {}
        Some(Interruption::StopAndContinue { at, lasts }) => {
            wait(at);
            server.signal(Signal::SIGSTOP);
            wait(lasts);
            server.signal(Signal::SIGCONT);
        }
        Some(Interruption::Interrupt { at }) => {
            wait(at);
            server.signal(Signal::SIGINT);
        }
        Some(Interruption::Twice { at }) => {
            wait(at);
            server.signal(Signal::SIGINT);
            wait(at);
            server.signal(Signal::SIGINT);
        }
    }
}

/// A server without clients: its descriptors, and the operations that wait in its ring.
fn at_rest(server: &Server) -> Result<(usize, Vec<u32>), String> {
    let pid = server.pid();
    let mut rest = (0, Vec::new());
    // It arms its accept after it has said that it listens.
    holds_within(TIDY, || {
        rest = (open_fds(pid).unwrap_or(0), ring_operations(pid).unwrap_or_default());
        rest.1.len() >= 2
    });
    if rest.1.len() < 2 { Err(format!("it never comes to rest: {rest:?}")) } else { Ok(rest) }
}

/// Whether the server is as it was before the clients came.
fn untidy(server: &Server, before: &(usize, Vec<u32>)) -> Result<(), String> {
    let now = || {
        let pid = server.pid();
        (ring_slots(pid).ok(), open_fds(pid).ok(), ring_operations(pid).ok())
    };
    let tidy = (Some(vec![]), Some(before.0), Some(before.1.clone()));
    if holds_within(TIDY, || now() == tidy) {
        return Ok(());
    }
    Err(format!("slots, descriptors and operations are {:?}, and were {tidy:?}", now()))
}
