//! Ratios of rounds, and what can be concluded from them.

use serde::Serialize;

/// Median, lowest and highest of several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[middle],
            _ => (values[middle - 1] + values[middle]) / 2.0,
        };
        Some(Spread { median, min, max })
    }

    /// The ratios of `own` to `reference`, round by round: what disturbs a whole round disturbs
    /// both, and cancels out.
    pub fn of_ratios(own: &[Option<f64>], reference: &[Option<f64>]) -> Option<Spread> {
        let pairs = own.iter().zip(reference);
        Spread::of(pairs.filter_map(|(own, reference)| Some((*own)? / (*reference)?)))
    }
}

/// How a server compares with the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// More requests a second in every round.
    Ahead,
    /// Fewer in every round.
    Behind,
    /// More in some, fewer in others.
    Unclear,
    /// Other programs used the machine, so the numbers depend on them, too.
    Noisy,
}

/// The share of a CPU that other processes may take before the results are too noisy.
const QUIET: f64 = 0.10;

/// With fewer rounds, all of them may agree by chance.
const ENOUGH_ROUNDS: usize = 3;

/// Why the results are too noisy, if they are: `others` is the share of a CPU that other processes
/// took meanwhile, `traced` the place where the kernel traces the servers.
pub fn noise(others: f64, traced: Option<&str>) -> Option<String> {
    match traced {
        _ if others > QUIET => {
            Some(format!("other programs took {:.0} % of a CPU meanwhile", 100.0 * others))
        }
        Some(place) => Some(format!("{place} traces what servers do")),
        None => None,
    }
}

/// Judges ratios of requests a second.
pub fn judge(ratios: Option<Spread>, rounds: usize, noisy: bool) -> Standing {
    match ratios {
        _ if noisy => Standing::Noisy,
        Some(ratios) if rounds >= ENOUGH_ROUNDS && ratios.min > 1.0 => Standing::Ahead,
        Some(ratios) if rounds >= ENOUGH_ROUNDS && ratios.max < 1.0 => Standing::Behind,
        _ => Standing::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64, min: f64, max: f64) -> Option<Spread> {
        Some(Spread { median, min, max })
    }

    #[test]
    fn the_median_of_ratios_is_not_the_ratio_of_medians() {
        let own = [Some(30.0), Some(4.0), None, Some(9.0)];
        let reference = [Some(10.0), Some(8.0), Some(1.0), Some(9.0)];
        assert_eq!(Spread::of_ratios(&own, &reference), spread(1.0, 0.5, 3.0));
        assert_eq!(Spread::of([4.0, 1.0]), spread(2.5, 1.0, 4.0));
        assert_eq!(Spread::of([f64::NAN]), None);
        assert_eq!(Spread::of_ratios(&own, &[None; 4]), None);
    }

    #[test]
    fn only_rounds_that_agree_on_a_quiet_machine_have_a_winner() {
        let (faster, slower) = (spread(1.2, 1.01, 1.3), spread(0.8, 0.7, 0.99));
        assert_eq!(judge(faster, 5, false), Standing::Ahead);
        assert_eq!(judge(slower, 5, false), Standing::Behind);
        assert_eq!(judge(spread(1.5, 0.99, 2.0), 5, false), Standing::Unclear);
        assert_eq!(judge(faster, 2, false), Standing::Unclear);
        assert_eq!(judge(None, 5, false), Standing::Unclear);
        for ratios in [faster, slower, None] {
            assert_eq!(judge(ratios, 5, true), Standing::Noisy);
        }
        assert_eq!(noise(0.02, None), None);
        assert_eq!(noise(0.11, None).unwrap(), "other programs took 11 % of a CPU meanwhile");
        assert_eq!(noise(0.02, Some("/t")).unwrap(), "/t traces what servers do");
    }
}
