//! Looking for the shortest plan that still fails.

use std::time::{Duration, Instant};

use super::plan::Plan;

/// How long the search may go on.
const SEARCH: Duration = Duration::from_secs(60);
/// How often a shorter plan is tried before it counts as good: a failure may depend on the moment.
const TRIES: usize = 3;

/// Leaves out clients and steps as long as the plan still fails; also returns how the last
/// one did.
pub fn shrink(
    plan: Plan,
    failure: String,
    play: impl Fn(&Plan) -> Result<(), String>,
) -> (Plan, String) {
    let end = Instant::now() + SEARCH;
    let mut shortest = (plan, failure);
    let mut again = true;
    while again {
        again = false;
        for shorter in shorter(&shortest.0) {
            if Instant::now() > end {
                return shortest;
            }
            if let Some(failure) = (0..TRIES).find_map(|_| play(&shorter).err()) {
                shortest = (shorter, failure);
                again = true;
                break;
            }
        }
    }
    shortest
}

/// Plans with a part left out, the largest parts first.
fn shorter(plan: &Plan) -> Vec<Plan> {
    let count = plan.clients.len();
    let without = |range: std::ops::Range<usize>| {
        let mut shorter = plan.clone();
        shorter.clients.drain(range);
        shorter
    };
    let mut plans = Vec::new();
    if count > 3 {
        plans.extend([without(0..count / 2), without(count / 2..count)]);
    }
    if count > 1 {
        plans.extend((0..count).map(|client| without(client..client + 1)));
    }
    if plan.interruption.is_some() {
        plans.push(Plan { interruption: None, ..plan.clone() });
    }
    for (client, steps) in plan.clients.iter().map(|client| client.steps.len()).enumerate() {
        for step in 0..steps {
            let mut shorter = plan.clone();
            shorter.clients[client].steps.remove(step);
            plans.push(shorter);
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::plan::Deed;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let long = |plan: &Plan| {
            let steps = plan.clients.iter().flat_map(|client| &client.steps);
            steps.filter(|step| matches!(step, Deed::Send(_))).count() > 1
        };
        let play = |plan: &Plan| if long(plan) { Err("two sends".to_string()) } else { Ok(()) };
        let plan = (0..).map(Plan::new).find(|plan| plan.clients.len() > 8 && long(plan));
        let (shortest, failure) = shrink(plan.unwrap(), String::new(), play);
        assert_eq!(failure, "two sends");
        assert!(shortest.clients.len() <= 2 && shortest.interruption.is_none(), "{shortest}");
        assert_eq!(shortest.clients.iter().map(|client| client.steps.len()).sum::<usize>(), 2);
    }
}
