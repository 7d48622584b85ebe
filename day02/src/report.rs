//! What was asked and what was granted: as data, and as text.

use common::catalog::{FEATURES, SETUP_FLAGS};
use common::ring::Granted;
use common::{environment, text};
use serde::{Deserialize, Serialize};

/// A run of day02; `--json` prints it as one object.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The kernel's release.
    pub kernel: String,
    /// What the kernel granted to the one ring; `None` in a walk, which makes many rings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Parameters>,
    /// What was done, in order.
    pub steps: Vec<Section>,
    /// What this kernel can do beyond operations and flags.
    pub features: Vec<Feature>,
    /// Calls of `io_uring_enter` in all.
    pub enters: u32,
}

/// What the kernel wrote into `struct io_uring_params`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Parameters {
    /// Submission queue entries.
    pub sq_entries: u32,
    /// Completion queue entries.
    pub cq_entries: u32,
    /// The `IORING_SETUP_*` in force.
    pub flags: Vec<String>,
}

/// Things that belong together.
#[derive(Debug, Serialize, Deserialize)]
pub struct Section {
    /// What it is about.
    pub title: String,
    /// What was asked, one by one.
    pub rows: Vec<Row>,
}

/// One thing that was asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// What the program asked.
    pub asked: String,
    /// What the kernel granted or did.
    pub granted: String,
    /// Calls of `io_uring_enter` that it took; zero where there was nothing to submit.
    pub enters: Option<u32>,
}

/// A feature bit.
#[derive(Debug, Serialize, Deserialize)]
pub struct Feature {
    /// The name in the headers, or the bit where the catalogue knows none.
    pub name: String,
    /// The kernel that it came with.
    pub since: String,
    /// What it is good for.
    pub meaning: String,
}

impl Parameters {
    /// With names for the bits.
    pub fn of(granted: &Granted) -> Parameters {
        Parameters {
            sq_entries: granted.sq_entries,
            cq_entries: granted.cq_entries,
            flags: bits(granted.flags).map(|bit| SETUP_FLAGS.name(bit).to_string()).collect(),
        }
    }
}

impl Feature {
    fn of(bit: u32) -> Feature {
        let entry = FEATURES.get(bit);
        Feature {
            name: FEATURES.name(bit).to_string(),
            since: entry.map_or("?".to_string(), |entry| entry.since.to_string()),
            meaning: entry.map_or("newer than the catalogue", |entry| entry.meaning).to_string(),
        }
    }
}

impl Section {
    /// A step without rows yet.
    pub fn new(title: &str) -> Section {
        Section { title: title.to_string(), rows: Vec::new() }
    }

    /// Adds a row about something that takes no `io_uring_enter`, such as setting a ring up.
    pub fn row(&mut self, asked: impl Into<String>, granted: impl Into<String>) {
        self.rows.push(Row { asked: asked.into(), granted: granted.into(), enters: None });
    }

    /// Adds a row about something that was submitted, and the `io_uring_enter` calls that it took.
    pub fn row_with_enters(
        &mut self,
        asked: impl Into<String>,
        enters: u32,
        granted: impl Into<String>,
    ) {
        let (asked, granted) = (asked.into(), granted.into());
        self.rows.push(Row { asked, granted, enters: Some(enters) });
    }
}

impl Report {
    /// What this kernel answered.
    pub fn new(granted: Option<Parameters>, steps: Vec<Section>, features: u32) -> Report {
        let rows = steps.iter().flat_map(|step| &step.rows);
        Report {
            kernel: environment::kernel_release(),
            granted,
            enters: rows.filter_map(|row| row.enters).sum(),
            steps,
            features: bits(features).map(Feature::of).collect(),
        }
    }

    /// The report in words, 80 columns wide; `long` says what each feature means.
    pub fn text(&self, long: bool) -> String {
        let mut lines = vec![
            format!("day 02 · asked → granted, on Linux {}", self.kernel),
            "in front: the io_uring_enter calls that it took".to_string(),
        ];
        for (number, step) in (1..).zip(&self.steps) {
            lines.push(format!("\n{number}. {}", step.title));
            lines.extend(step.rows.iter().map(Row::line));
        }
        lines.push(format!("\n{}. Features of this kernel, and since when", self.steps.len() + 1));
        if long {
            lines.extend(self.features.iter().map(Feature::line));
        } else {
            lines.extend(self.features.chunks(3).map(Feature::three));
        }
        lines.push(format!("\nio_uring_enter calls in all: {}", self.enters));
        lines.push(match self.granted {
            None => "try: --entries 100 --sqpoll, then --defer-taskrun as well; --long".to_string(),
            Some(_) => "try: day02 without options, for all that can be asked".to_string(),
        });
        lines.join("\n") + "\n"
    }
}

impl Row {
    fn line(&self) -> String {
        let enters = self.enters.map_or(String::new(), |enters| enters.to_string());
        let line = format!("{enters:>3}  {:<28} → {}", self.asked, self.granted);
        text::wrap(&line, text::WIDTH, 36)
    }
}

impl Feature {
    fn short(&self) -> &str {
        self.name.trim_start_matches(FEATURES.prefix)
    }

    fn line(&self) -> String {
        let line = format!("     {:<15} {:<4} {}", self.short(), self.since, self.meaning);
        text::wrap(&line, text::WIDTH, 26)
    }

    fn three(features: &[Feature]) -> String {
        let column =
            |feature: &Feature| format!("{:<24}", format!("{} {}", feature.short(), feature.since));
        format!("     {}", features.iter().map(column).collect::<String>().trim_end())
    }
}

/// The bits that are set, one by one.
fn bits(set: u32) -> impl Iterator<Item = u32> {
    (0..u32::BITS).map(|shift| 1 << shift).filter(move |bit| set & bit != 0)
}
