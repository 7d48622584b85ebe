//! Every field of a plan, as in `check.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::names::{EntryFlag, Operations};

/// A check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The sentence for a program that passes. It may contain the values of all runs, and
    /// `{enters}`, the number of enters of the last run.
    pub passed: String,
    /// The runs, one after the other.
    #[serde(rename = "run")]
    pub runs: Vec<PlannedRun>,
}

/// A run of the program, and its expected results. In all texts `{NAME}` stands for a value of
/// `draw` or for the path of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannedRun {
    /// How many times to run it, each time with new values, so that a fixed answer fails.
    pub times: u32,
    /// Random values, by name.
    pub draw: BTreeMap<String, Draw>,
    /// Files for the program, by name.
    pub files: BTreeMap<String, PlannedFile>,
    /// The arguments. Each value of a list is an argument.
    pub args: Vec<String>,
    /// The program's standard input.
    pub stdin: String,
    /// A file as its standard output, such as `/dev/full`. Then the check does not see the output.
    pub stdout: Option<String>,
    /// The most bytes that its files may have: a WRITE across that limit is short.
    pub file_limit: Option<u64>,
    /// How the program must end.
    pub exit: Exit,
    /// Entries that the program must submit.
    pub entries: Vec<Entries>,
    /// How often it may call `io_uring_enter`.
    pub enters: Option<Enters>,
    /// What the program must print.
    pub output: Option<Output>,
}

impl Default for PlannedRun {
    fn default() -> PlannedRun {
        PlannedRun {
            times: 1,
            draw: BTreeMap::new(),
            files: BTreeMap::new(),
            args: Vec::new(),
            stdin: String::new(),
            stdout: None,
            file_limit: None,
            exit: Exit::default(),
            entries: Vec::new(),
            enters: None,
            output: None,
        }
    }
}

/// A file in a folder of the check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannedFile {
    /// Its content before the run. Without this field the file does not exist yet.
    pub before: Option<String>,
    /// Its content at the end, byte for byte.
    pub after: Option<String>,
    /// The sentence for a wrong content.
    pub otherwise: Option<String>,
}

/// How a program must end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exit {
    /// Whether it must end with an exit status other than 0. Then it need not have taken every
    /// completion.
    pub failure: bool,
    /// The sentence for another end.
    pub otherwise: Option<String>,
}

/// Entries of one operation. Each must have completed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// The operation, as the trace writes it: `NOP`; or a list of operations, of which any is
    /// right.
    pub op: Operations,
    /// How many of them, exactly. Without any of the three counts: one, or one for each
    /// `user_data`.
    pub count: Option<u64>,
    /// How many at least.
    pub at_least: Option<u64>,
    /// How many at most.
    pub at_most: Option<u64>,
    /// The `user_data` of each. With a list, one entry for each of its values.
    pub user_data: Option<String>,
    /// Flags that each entry must have, as the trace writes them: `IO_LINK`.
    #[serde(default)]
    pub flags: Vec<EntryFlag>,
    /// Flags that no entry may have.
    #[serde(default)]
    pub without_flags: Vec<EntryFlag>,
    /// Other fields of each entry, by the names of `cargo xtask trace --json`: `offset`, `bytes`.
    #[serde(default)]
    pub details: BTreeMap<String, Detail>,
    /// The result of each: a number, or an error such as `ETIME`. Without this field, any result
    /// that is not an error.
    pub result: Option<Detail>,
    /// The sentence to print instead of the usual one.
    pub otherwise: Option<String>,
}

/// How often `io_uring_enter` may be called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enters {
    /// The largest allowed number.
    pub at_most: u64,
    /// The sentence to print instead of the usual one.
    pub otherwise: Option<String>,
}

/// The expected standard output.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// The whole output, byte for byte.
    pub exactly: Option<String>,
    /// Each of these texts in a line of its own, in any order, and no other lines. A line may have
    /// more words.
    pub lines: Vec<String>,
    /// Words that the output must contain.
    pub contains: Vec<String>,
    /// Whether entries of the ring must have written the output. Needs `exactly`.
    pub through_ring: bool,
    /// The operation on which the output depends: the program must not print before its first
    /// completion.
    pub after: Option<Operations>,
    /// The sentence to print instead of the usual one.
    pub otherwise: Option<String>,
}

/// A number or a text of the record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or a text in quotes")]
pub enum Detail {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}
