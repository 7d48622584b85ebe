//! The operations of this kernel, next to those that this program knows.

use common::catalog::{Entry, OPERATION_GROUPS, OPERATIONS};
use common::text::{WIDTH, wrap};

/// Which operations to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// Those that this kernel has
    Have,
    /// Those that it lacks
    Missing,
    /// Both; those that it lacks are marked
    All,
}

// ANCHOR: operations
/// The codes of a kernel, compared with the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Operations<'kernel> {
    /// The codes that the kernel has.
    pub codes: &'kernel [u8],
}

impl Operations<'_> {
    /// Whether the kernel has an operation of the catalogue.
    pub fn has(&self, entry: &Entry) -> bool {
        self.codes.iter().any(|&code| u32::from(code) == entry.code)
    }

    /// Codes that the kernel has and the catalogue does not: the kernel is the newer one.
    /// Never index a table of names by a kernel's codes. The journal's own probe did, and
    /// crashes on every kernel with more operations than its table.
    pub fn unknown(&self) -> Vec<u8> {
        let unknown = |code: &u8| OPERATIONS.get(u32::from(*code)).is_none();
        self.codes.iter().copied().filter(unknown).collect()
    }
    // ANCHOR_END: operations

    /// The section that lists them, group by group.
    pub fn text(&self, which: Which, long: bool) -> String {
        let mut text = self.heading(which);
        for group in OPERATION_GROUPS {
            let mut listed =
                OPERATIONS.in_group(group).filter(|e| which.lists(self.has(e))).peekable();
            if listed.peek().is_none() {
                continue;
            }
            // Only where both kinds stand side by side do they need a mark.
            let mark = |entry| if which == Which::All && !self.has(entry) { "-" } else { "" };
            text += &if long {
                let lines: String = listed.map(|entry| line(mark(entry), entry)).collect();
                format!("  {group}\n{lines}")
            } else {
                let names: Vec<_> = listed.map(|e| format!("{}{}", mark(e), e.short)).collect();
                row(LABEL, group, &names.join(" "))
            };
        }
        let unknown: Vec<_> = self.unknown().iter().map(u8::to_string).collect();
        if which.lists(true) && !unknown.is_empty() {
            let codes = format!("{} (this kernel is newer than the program)", unknown.join(" "));
            text += &row(LABEL, "unknown codes", &codes);
        }
        if long {
            text += "  The probe lists operations, not their flags: a kernel with ACCEPT (5.5) may\n  \
                     lack its multishot (5.19).\n";
        }
        text
    }

    fn heading(&self, which: Which) -> String {
        let known = OPERATIONS.entries.len();
        let has = OPERATIONS.entries.iter().filter(|entry| self.has(entry)).count();
        let answer = match which {
            Which::Missing => format!("lacks {} of the {known}", known - has),
            _ => format!("has {has} of the {known}"),
        };
        let mark = if which == Which::All { " (-: not here)" } else { "" };
        format!("Operations: this kernel {answer} that this program knows{mark}\n")
    }
}

/// The groups have longer names than the other labels.
const LABEL: usize = 21;

impl Which {
    fn lists(self, has: bool) -> bool {
        match self {
            Which::Have => has,
            Which::Missing => !has,
            Which::All => true,
        }
    }
}

fn line(mark: &str, entry: &Entry) -> String {
    let Entry { code, short, since, meaning, .. } = entry;
    wrap(&format!("  {mark:1}{code:>3} {short:<16} {since:<4} {meaning}"), WIDTH, 29) + "\n"
}

/// A labelled line of a section, broken where it is too long.
pub fn row(label_width: usize, label: &str, value: &str) -> String {
    let line = format!("  {label:<label_width$} {value}");
    wrap(&line, WIDTH, label_width + 3) + "\n"
}
