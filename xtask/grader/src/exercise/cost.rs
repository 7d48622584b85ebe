//! The cost of a passing program, in calls and entries, and how it compares with the exercise's
//! solution.

use std::cmp::Ordering;

use common::text::several;
use serde::{Deserialize, Serialize};

/// Calls of `io_uring_enter`, and entries. The smaller cost is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cost {
    /// The calls, also those that never returned. A call that a signal interrupts and the kernel
    /// restarts counts once.
    pub enters: u64,
    /// The entries that the kernel took.
    pub entries: u64,
}

impl Cost {
    /// The cost of `part`, if this is the cost of `all`, rounded to a whole number, but to 1 at
    /// least if it is not 0.
    #[must_use]
    pub fn share(self, part: u64, all: u64) -> Cost {
        let all = all.max(1);
        let share = |number: u64| ((number * part + all / 2) / all).max(number.min(1));
        Cost { enters: share(self.enters), entries: share(self.entries) }
    }

    /// In words, without the unit.
    pub fn words(self) -> String {
        let enters = calls(self.enters);
        let entries = match self.entries {
            1 => "1 entry".to_string(),
            count => format!("{count} entries"),
        };
        format!("{enters} of io_uring_enter, {entries}")
    }
}

pub(super) fn calls(count: u64) -> String {
    several(count as usize, "call")
}

/// The cost of an exercise's solution, as in `exercise.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Par {
    /// As in [`Cost`].
    pub enters: u64,
    /// As in [`Cost`].
    pub entries: u64,
    /// The unit of the cost: `client`, `8 tags`.
    #[serde(default = "run")]
    pub per: String,
}

fn run() -> String {
    "run".to_string()
}

impl Par {
    /// Whether the cost is for a whole run.
    pub fn is_of_run(&self) -> bool {
        self.per == run()
    }

    /// How a program compares with the solution, in enters and in entries. A difference of a tenth
    /// in a server's cost is chance: two completions may come one by one or together.
    fn compared(&self, cost: Cost) -> (Ordering, Ordering) {
        let near = |took: u64, par: u64| !self.is_of_run() && took.abs_diff(par) <= par / 10;
        let compare =
            |took: u64, par| if near(took, par) { Ordering::Equal } else { took.cmp(&par) };
        (compare(cost.enters, self.enters), compare(cost.entries, self.entries))
    }

    /// Whether a program's cost is that of the solution.
    pub fn is_met(&self, cost: Cost) -> bool {
        self.compared(cost) == (Ordering::Equal, Ordering::Equal)
    }

    /// Whether a program needs no more enters and no more entries than the solution.
    pub fn is_reached(&self, cost: Cost) -> bool {
        let (enters, entries) = self.compared(cost);
        enters.is_le() && entries.is_le()
    }

    /// How a program compares with the solution, in one line.
    pub fn standing(&self, cost: Cost) -> String {
        let Par { enters, entries, per } = self;
        let words = format!("{} per {per}", cost.words());
        match self.compared(cost) {
            _ if self.is_met(cost) => format!("At par: {words}."),
            _ if self.is_reached(cost) => {
                format!("Better than par, {enters} and {entries}: {words}.")
            }
            (Ordering::Less, _) | (_, Ordering::Less) => {
                format!("{words}; par is {enters} and {entries}.")
            }
            _ => format!("{words}; {enters} and {entries} are possible."),
        }
    }
}

/// The measurements of a passing program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Its cost.
    pub cost: Cost,
    /// Its needless work, one sentence each.
    pub remarks: Vec<String>,
}

impl Measured {
    /// The same measurements with the cost of `part` of `all`.
    #[must_use]
    pub fn share(self, part: u64, all: u64) -> Measured {
        Measured { cost: self.cost.share(part, all), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_where_it_stands_in_one_line() {
        let par = Par { enters: 4, entries: 8, per: "client".into() };
        let standing = |enters, entries| par.standing(Cost { enters, entries });
        assert_eq!(standing(4, 8), "At par: 4 calls of io_uring_enter, 8 entries per client.");
        let more = "8 entries per client; 4 and 8 are possible.";
        assert_eq!(standing(5, 8), format!("5 calls of io_uring_enter, {more}"));
        let better = "Better than par, 4 and 8: 1 call of io_uring_enter, 8 entries per client.";
        assert_eq!(standing(1, 8), better);
        let mixed = "5 calls of io_uring_enter, 1 entry per client; par is 4 and 8.";
        assert_eq!(standing(5, 1), mixed);
        let long = Par { enters: 10, entries: 20, per: "message".into() };
        assert!(long.standing(Cost { enters: 99, entries: 999 }).len() <= 78);
        assert!(long.standing(Cost { enters: 9, entries: 19 }).len() <= 78);
    }

    #[test]
    fn of_a_server_a_tenth_is_chance() {
        let mut par = Par { enters: 10, entries: 9, per: "client".into() };
        let met = |par: &Par, enters, entries| par.is_met(Cost { enters, entries });
        assert!(met(&par, 9, 9) && met(&par, 11, 9) && !met(&par, 12, 9) && !met(&par, 10, 8));
        par.per = run();
        assert!(met(&par, 10, 9) && !met(&par, 9, 9) && !met(&par, 11, 9));
    }

    #[test]
    fn a_share_is_a_whole_number() {
        let cost = |enters, entries| Cost { enters, entries };
        assert_eq!(cost(41, 61).share(1, 20), cost(2, 3));
        assert_eq!(cost(15, 60).share(8, 60), cost(2, 8));
        assert_eq!(cost(1, 60).share(8, 60), cost(1, 8));
        assert_eq!(cost(0, 0).share(8, 60), cost(0, 0));
    }
}
