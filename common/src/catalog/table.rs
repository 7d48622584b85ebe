//! A table of named numbers, and how names and flags are printed from it.

use std::fmt;

use super::Kernel;

/// One named number of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, as the kernel's header spells it.
    pub name: &'static str,
    /// The name without its table's prefix: `ACCEPT` for `IORING_OP_ACCEPT`. Unique in its
    /// table.
    pub short: &'static str,
    /// The operation's code, or the flag's single bit.
    pub code: u32,
    /// The first mainline release that has it.
    pub since: Kernel,
    /// What it belongs to: for operations one of [`super::OPERATION_GROUPS`], for the flags
    /// of a single operation the field they are in, such as `sqe->ioprio`.
    pub group: &'static str,
    /// One line of meaning, at most 60 characters.
    pub meaning: &'static str,
}

/// Whether a table's numbers are codes, of which one is meant, or bits, of which several are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each number stands for itself.
    Codes,
    /// Each number is a single bit.
    Flags,
}

/// Named numbers that belong together, in the order of their codes.
#[derive(Debug)]
pub struct Table {
    /// What one of them is, in words: "operation", "setup flag".
    pub what: &'static str,
    /// Codes or bits.
    pub kind: Kind,
    /// What the names have in common and [`Entry::short`] leaves out.
    pub prefix: &'static str,
    /// The entries, in the order of their codes.
    pub entries: &'static [Entry],
}

impl Table {
    /// The entry with this code, or for flags with this single bit.
    pub fn get(&self, code: u32) -> Option<&'static Entry> {
        self.entries.iter().find(|entry| entry.code == code)
    }

    /// The entry with this name, either as the header spells it or short.
    pub fn by_name(&self, name: &str) -> Option<&'static Entry> {
        self.entries.iter().find(|entry| entry.name == name || entry.short == name)
    }

    /// The code of a short name, for constants: there, an unknown name is a compile error.
    ///
    /// # Panics
    /// If the table has no such name.
    pub const fn code(&self, short: &str) -> u32 {
        let mut at = 0;
        while at < self.entries.len() {
            if matches!(strip(self.entries[at].short, short), Some(rest) if rest.is_empty()) {
                return self.entries[at].code;
            }
            at += 1;
        }
        panic!("the table has this name")
    }

    /// The entries of one group, in the order of their codes.
    pub fn in_group(&self, group: &str) -> impl Iterator<Item = &'static Entry> {
        self.entries.iter().filter(move |entry| entry.group == group)
    }

    /// The code's name for printing; for an unknown one what it is and its number, such as
    /// `operation 77`. `{:#}` prints the short name.
    pub fn name(&self, code: u32) -> Name<'_> {
        Name { table: self, code }
    }

    /// The entries whose bit is set in `bits`.
    pub fn set_in(&self, bits: u32) -> impl Iterator<Item = &'static Entry> {
        self.entries.iter().filter(move |entry| bits & entry.code != 0)
    }

    /// What is left of `bits` without the bits that the table knows.
    pub fn unknown_in(&self, bits: u32) -> u32 {
        self.entries.iter().fold(bits, |rest, entry| rest & !entry.code)
    }

    /// The names of the bits that are set, for printing: `A | B`, with the unknown ones as
    /// one number at the end, and `none` for zero. `{:#}` prints short names.
    pub fn flags(&self, bits: u32) -> Flags<'_> {
        Flags { table: self, bits }
    }
}

/// Prints a code's name: see [`Table::name`].
#[derive(Clone, Copy, Debug)]
pub struct Name<'t> {
    table: &'t Table,
    code: u32,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table.get(self.code) {
            Some(entry) if f.alternate() => f.pad(entry.short),
            Some(entry) => f.pad(entry.name),
            None => match self.table.kind {
                Kind::Codes => f.pad(&format!("{} {}", self.table.what, self.code)),
                Kind::Flags => f.pad(&format!("{} {:#x}", self.table.what, self.code)),
            },
        }
    }
}

/// Prints the names of the bits that are set: see [`Table::flags`].
#[derive(Clone, Copy, Debug)]
pub struct Flags<'t> {
    table: &'t Table,
    bits: u32,
}

impl fmt::Display for Flags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for entry in self.table.set_in(self.bits) {
            append(&mut text, if f.alternate() { entry.short } else { entry.name });
        }
        match self.table.unknown_in(self.bits) {
            0 if text.is_empty() => text.push_str("none"),
            0 => {}
            rest => append(&mut text, &format!("{rest:#x}")),
        }
        f.pad(&text)
    }
}

/// Adds one more name to a list of flags.
pub(super) fn append(text: &mut String, name: &str) {
    if !text.is_empty() {
        text.push_str(" | ");
    }
    text.push_str(name);
}

/// The release of a row, which is nothing but two numbers. Evaluated when the crate is
/// compiled: a misprint is a compile error.
pub(super) const fn release(text: &str) -> Kernel {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        assert!(bytes[at].is_ascii_digit() || bytes[at] == b'.', "a release such as 5.19");
        at += 1;
    }
    match Kernel::parse(text) {
        Some(kernel) => kernel,
        None => panic!("a release such as 5.19"),
    }
}

/// What is left of a name without the table's prefix, or where it has not got that (as
/// `IORING_LINK_TIMEOUT_UPDATE` among the timeout flags) without `IORING_`.
pub(super) const fn shorten(name: &'static str, prefix: &str) -> &'static str {
    match strip(name, prefix) {
        Some(short) => short,
        None => match strip(name, "IORING_") {
            Some(short) => short,
            None => panic!("every name begins with its table's prefix or with IORING_"),
        },
    }
}

/// `str::strip_prefix`, which is no `const fn`.
const fn strip(name: &'static str, prefix: &str) -> Option<&'static str> {
    let (name, prefix) = (name.as_bytes(), prefix.as_bytes());
    if name.len() < prefix.len() {
        return None;
    }
    let mut at = 0;
    while at < prefix.len() {
        if name[at] != prefix[at] {
            return None;
        }
        at += 1;
    }
    match std::str::from_utf8(name.split_at(at).1) {
        Ok(short) => Some(short),
        Err(_) => None,
    }
}

/// Declares a [`Table`] with one line a row: `NAME = code, "release", "group", "meaning";`.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $table:ident: $kind:ident, $what:literal, $prefix:literal;
        $($name:ident = $code:expr, $since:literal, $group:expr, $meaning:literal;)*
    ) => {
        $(#[$doc])*
        pub static $table: $crate::catalog::Table = $crate::catalog::Table {
            what: $what,
            kind: $crate::catalog::Kind::$kind,
            prefix: $prefix,
            entries: &[$($crate::catalog::Entry {
                name: stringify!($name),
                short: const { $crate::catalog::table::shorten(stringify!($name), $prefix) },
                code: $code,
                since: const { $crate::catalog::table::release($since) },
                group: $group,
                meaning: $meaning,
            }),*],
        };
    };
}

pub(super) use table;
