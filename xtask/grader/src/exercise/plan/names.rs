//! The kernel's names in a plan, checked against the catalogue.

use std::fmt;
use std::io;

use common::catalog::{ENTRY_FLAGS, OPERATIONS, Table};
use common::environment::errno_name;
use serde::{Deserialize, Serialize};

use crate::exercise::near::near;
use ringtrace::event::What;

/// Short names of operations.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(try_from = "OneOrMore")]
pub struct Operations(pub(super) Vec<String>);

/// A name, or a list of names.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an operation in quotes, or a list of them")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The short name of an entry's flag.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct EntryFlag(pub(super) String);

impl TryFrom<OneOrMore> for Operations {
    type Error = String;

    fn try_from(names: OneOrMore) -> Result<Operations, String> {
        let names = match names {
            OneOrMore::One(name) => vec![name],
            OneOrMore::More(names) => names,
        };
        let known: Result<Vec<_>, _> = names.iter().map(|it| known(&OPERATIONS, it)).collect();
        known.map(Operations)
    }
}

impl Operations {
    /// Whether the list has this operation.
    pub fn has(&self, op: &str) -> bool {
        self.0.iter().any(|name| name == op)
    }

    /// Whether an event is an entry of one of these operations.
    pub fn is_entry(&self, what: &What) -> bool {
        matches!(what, What::Submit(submit) if self.has(&submit.op))
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

impl TryFrom<String> for EntryFlag {
    type Error = String;

    fn try_from(name: String) -> Result<EntryFlag, String> {
        known(&ENTRY_FLAGS, &name).map(EntryFlag)
    }
}

/// The short form of a name in a table of the kernel's names.
fn known(table: &Table, name: &str) -> Result<String, String> {
    let entry = table.by_name(name).or_else(|| table.by_name(&name.to_uppercase()));
    entry.map(|entry| entry.short.to_string()).ok_or_else(|| {
        let all: Vec<&str> = table.entries.iter().map(|entry| entry.short).collect();
        format!("`{name}` is not a known {}; {}", table.what, likely(name, &all))
    })
}

/// Fails unless this is a number or the name of an error, such as `ETIME`.
///
/// # Errors
/// An unknown name, with the most similar ones.
pub fn known_error(name: &str) -> Result<(), String> {
    // The error numbers that a kernel returns to programs.
    let names = (1..=133).map(|code| errno_name(&io::Error::from_raw_os_error(code)));
    let names: Vec<String> = names.filter(|name| name.starts_with('E')).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    match all.contains(&name) {
        true => Ok(()),
        false => Err(format!("`{name}` is neither a number nor an error; {}", likely(name, &all))),
    }
}

/// Suggests the names that are meant most likely.
fn likely(name: &str, all: &[&str]) -> String {
    match near(&name.to_uppercase(), all, 2).as_slice() {
        [] => format!("{} is one", all[0]),
        near => format!("did you mean {}?", near.join(" or ")),
    }
}
