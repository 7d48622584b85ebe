//! The kernel's names in a plan, looked up in the catalogue.

use std::fmt;

use common::catalog::{ENTRY_FLAGS, OPERATIONS, Table};
use serde::{Deserialize, Serialize};

use crate::trace::event::What;

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
    /// Whether this is one of them.
    pub fn has(&self, op: &str) -> bool {
        self.0.iter().any(|name| name == op)
    }

    /// Whether an event is an entry of one of them.
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
        let near = |short: &str| name.to_uppercase().contains(short) || short.contains(name);
        let near: Vec<&str> =
            table.entries.iter().map(|entry| entry.short).filter(|short| near(short)).collect();
        let likely = match near.as_slice() {
            [] => format!("{} is one", table.entries[0].short),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        format!("`{name}` is no {}; {likely}", table.what)
    })
}
