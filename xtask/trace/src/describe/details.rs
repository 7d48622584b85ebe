//! What is worth knowing about an entry, a completion or a call, as it is gathered.

use common::catalog::Table;
use serde_json::{Map, Value};

use crate::context::Reader;
use crate::decode::Entry;
use crate::flags::{self, List};
use crate::names::names;

/// One thing worth knowing about an entry, a completion or a call.
#[derive(Clone, Debug, PartialEq)]
struct Detail {
    /// Its name in the JSON events.
    key: &'static str,
    /// Its value there.
    value: Value,
    /// The same in words; empty where it is the usual case.
    words: String,
}

/// The things worth knowing about an entry, in the order in which people read them.
#[derive(Debug, Default)]
pub struct Details {
    list: Vec<Detail>,
    /// What kind of file bytes come from or go to.
    pub file: Option<String>,
}

impl Details {
    /// Adds one, under its name in the JSON events.
    pub fn add(&mut self, key: &'static str, value: impl Into<Value>, words: impl Into<String>) {
        self.list.push(Detail { key, value: value.into(), words: words.into() });
    }

    /// All but one, by its name in the JSON events.
    pub fn without(mut self, key: &str) -> Details {
        self.list.retain(|detail| detail.key != key);
        self
    }

    /// For people: `fd 3, multishot, into any free slot`.
    pub fn words(&self) -> String {
        let words: Vec<&str> = self
            .list
            .iter()
            .map(|detail| detail.words.as_str())
            .filter(|w| !w.is_empty())
            .collect();
        words.join(", ")
    }

    /// For programs: an object.
    pub fn object(&self) -> Map<String, Value> {
        self.list.iter().map(|detail| (detail.key.to_string(), detail.value.clone())).collect()
    }

    /// Adds io_uring's own flags, if any is set.
    pub(super) fn flags(&mut self, key: &'static str, table: &'static Table, bits: u32) {
        if bits != 0 {
            let words = format!("{:#}", table.flags(bits));
            self.add(key, names(table, bits), whose(key, words));
        }
    }

    /// Adds flags of other system calls, if any is set.
    pub(super) fn bits(&mut self, key: &'static str, list: impl List, bits: u32) {
        if bits != 0 {
            let names = flags::bits(list, bits);
            let words = names.join("|");
            self.add(key, names, whose(key, words));
        }
    }
}

/// Adds the name of the field to flags without any name.
fn whose(key: &str, words: String) -> String {
    if words.starts_with("0x") { format!("{key} {words}") } else { words }
}

/// An entry, and what its arguments refer to.
pub(super) struct Asked<'a> {
    pub entry: &'a Entry,
    pub program: Reader,
    /// What a `user_data` stands for.
    pub meaning: &'a dyn Fn(u64) -> String,
}
