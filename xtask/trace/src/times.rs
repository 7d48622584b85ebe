//! How long operations took: counted by size, so that a long trace takes no more memory than a
//! short one.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::ran::Ran;

/// The bits of a time that are kept: a quantile is exact to a 32nd.
const BITS: u32 = 5;

/// How long the operations of one kind took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Took {
    /// From the moment when the entry's enter continued into the kernel, until its completion was
    /// seen; multishots are left out.
    pub completing: Times,
    /// From there until it was seen that the program had taken the completion.
    pub reaping: Times,
}

/// Some lengths of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    min: u64,
    max: u64,
    /// How many there are of each size: of a time, all but its first [`BITS`] bits are zero.
    sizes: BTreeMap<u64, u64>,
}

impl Times {
    /// Adds a length in microseconds.
    pub fn add(&mut self, us: u64) {
        self.min = if self.sizes.is_empty() { us } else { self.min.min(us) };
        self.max = self.max.max(us);
        let low = (u64::BITS - us.leading_zeros()).saturating_sub(BITS);
        *self.sizes.entry(us >> low << low).or_default() += 1;
    }

    /// Their number, minimum, median, 99th percentile and maximum; `None` if there are no times.
    pub fn spread(&self) -> Option<Spread> {
        let count: u64 = self.sizes.values().sum();
        let at = |percent: u64| {
            let mut before = 0;
            let size = self.sizes.iter().find(|(_, times)| {
                before += *times;
                before * 100 >= count * percent
            });
            size.map(|(us, _)| (*us).clamp(self.min, self.max))
        };
        let (median_us, p99_us) = (at(50)?, at(99)?);
        (count > 0).then_some(Spread {
            count,
            min_us: self.min,
            median_us,
            p99_us,
            max_us: self.max,
        })
    }
}

/// A summary of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// The minimum, in microseconds.
    pub min_us: u64,
    /// The median, rounded down by a 32nd at most.
    pub median_us: u64,
    /// The 99th percentile, rounded likewise.
    pub p99_us: u64,
    /// The maximum.
    pub max_us: u64,
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.spread().serialize(serializer)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Times {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<Spread>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<Option<Spread>>()
    }
}

/// An operation that took long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Slow {
    /// How long, in microseconds.
    pub us: u64,
    /// Its ring.
    pub ring: u32,
    /// Its number.
    pub seq: u64,
    /// Its operation.
    pub op: String,
    /// Its `user_data` by its meaning.
    pub meaning: String,
    /// Where it ran.
    #[serde(flatten)]
    pub ran: Option<Ran>,
}

/// How many of the slowest operations are kept.
pub const SLOWEST: usize = 5;

/// Whether an operation that took this long is among the slowest so far.
pub fn is_slow(slowest: &[Slow], us: u64) -> bool {
    slowest.len() < SLOWEST || slowest.last().is_some_and(|slow| slow.us < us)
}

/// Puts one among the slowest, which stay in order.
pub fn keep(slowest: &mut Vec<Slow>, slow: Slow) {
    let at = slowest.partition_point(|other| other.us >= slow.us);
    slowest.insert(at, slow);
    slowest.truncate(SLOWEST);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_right_to_a_32nd() {
        let mut times = Times::default();
        assert_eq!(times.spread(), None);
        for us in 1..=1000 {
            times.add(us);
        }
        let spread = times.spread().expect("a thousand times");
        assert_eq!((spread.count, spread.min_us, spread.max_us), (1000, 1, 1000));
        assert!((484..=500).contains(&spread.median_us), "{spread:?}");
        assert!((959..=990).contains(&spread.p99_us), "{spread:?}");
    }

    #[test]
    fn a_million_times_take_no_more_memory_than_a_thousand() {
        let mut times = Times::default();
        for us in 0..1_000_000 {
            times.add(us * us);
        }
        assert!(times.sizes.len() <= 32 + 16 * 64, "{}", times.sizes.len());
    }

    #[test]
    fn the_slowest_are_kept_in_order() {
        let mut slowest = Vec::new();
        for us in [3, 9, 1, 7, 7, 5, 2] {
            let slow = Slow {
                us,
                ring: 1,
                seq: us,
                op: "READ".to_string(),
                meaning: String::new(),
                ran: None,
            };
            if is_slow(&slowest, us) {
                keep(&mut slowest, slow);
            }
        }
        assert_eq!(slowest.iter().map(|slow| slow.us).collect::<Vec<_>>(), [9, 7, 7, 5, 3]);
    }
}
