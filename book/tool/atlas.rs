//! The atlas as the book shows it: its files, and the recordings of runs.
//!
//! An entry's words and its listing come from its file in `day01/atlas` or `day02/atlas`. Its
//! questions and answers come from `book/atlas/*.jsonl`, which `cargo xtask atlas --record` prints.
//! An entry without a recording is shown without them.

use std::fs;
use std::path::Path;

use atlas::{Recorded, Recording};

use crate::passage;
use crate::problem::Complaint;

/// The days that have an atlas.
const DAYS: [&str; 2] = ["day01", "day02"];

/// The recordings, and the book's words for the machines that they were made on. The second machine
/// may show what the first cannot.
pub const RECORDINGS: [(&str, &str); 2] =
    [("book/atlas/host.jsonl", ""), ("book/atlas/emulated.jsonl", "in the emulated machine")];

/// The atlas.
pub struct Atlas {
    /// The folders, in the order of the days' programs.
    pub families: Vec<Family>,
    /// The files of [`RECORDINGS`] that exist.
    pub runs: Vec<Run>,
}

/// A folder of entries.
pub struct Family {
    /// The folder's name.
    pub name: String,
    /// Its subject, from its `mod.rs`, as Markdown.
    pub about: String,
    /// Its entries, in the order of its `mod.rs`.
    pub entries: Vec<Entry>,
}

/// The file of an entry.
pub struct Entry {
    /// Its name on the command line.
    pub name: String,
    /// Its path from the workspace.
    pub file: String,
    /// The name in its first line.
    pub title: String,
    /// The words of its first line, as Markdown.
    pub lead: String,
    /// The rest of its header, as Markdown.
    pub prose: String,
    /// Its function `show`.
    pub listing: String,
}

/// A recorded run.
pub struct Run {
    /// The kernel's release.
    linux: String,
    /// The machine, if it was not an ordinary one.
    machine: &'static str,
    recording: Recording,
}

impl Atlas {
    /// Reads all of it.
    pub fn read(root: &Path) -> Result<Atlas, Complaint> {
        let mut families = Vec::new();
        for day in DAYS {
            let main = load(root, &format!("{day}/atlas/main.rs"))?;
            // Family { name: "files", entries: files::ENTRIES },
            for name in
                main.split("Family { name: \"").skip(1).filter_map(|it| it.split('"').next())
            {
                families.push(Family::read(root, day, name)?);
            }
        }
        let mut runs = Vec::new();
        for (file, machine) in RECORDINGS.iter().filter(|(file, _)| root.join(file).is_file()) {
            let recording = recording(root, file)?;
            runs.push(Run { linux: recording.made.linux.clone(), machine, recording });
        }
        Ok(Atlas { families, runs })
    }

    /// A family by the name of its folder.
    pub fn family(&self, name: &str) -> Result<&Family, Complaint> {
        self.families.iter().find(|family| family.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.families.iter().map(|it| it.name.as_str()).collect();
            Complaint::new(
                format!("the atlas has no family `{name}`"),
                format!("there are: {}", known.join(", ")),
            )
        })
    }

    /// The runs that show an entry: those of the second machine only if the first left something
    /// out.
    pub fn runs_of(&self, family: &str, name: &str) -> Vec<(&Run, &Recorded)> {
        let mut found: Vec<(&Run, &Recorded)> = Vec::new();
        for run in &self.runs {
            let Some(recorded) = run.recording.entry(family, name) else { continue };
            let adds = found.last().is_none_or(|(_, before)| {
                let left_out = |it: &Recorded| it.report.left_out.len();
                left_out(recorded) < left_out(before)
            });
            if adds {
                found.push((run, recorded));
            }
        }
        found
    }

    /// The entry that shows a name of the catalogue: the entry of that name, or else the first that
    /// shows it beside other things.
    pub fn that_shows(&self, name: &str) -> Option<(&Family, &Entry)> {
        let shows = |family: &Family, entry: &Entry, first: bool| {
            self.runs_of(&family.name, &entry.name).iter().any(|(_, recorded)| {
                let mut shown = recorded.report.shows.iter().take(if first { 1 } else { 99 });
                shown.any(|it| it == name)
            })
        };
        let entries =
            || self.families.iter().flat_map(|it| it.entries.iter().map(move |e| (it, e)));
        entries()
            .find(|(family, entry)| shows(family, entry, true))
            .or_else(|| entries().find(|(family, entry)| shows(family, entry, false)))
    }
}

impl Run {
    /// Its kernel, in a sentence that began with `on Linux`.
    pub fn called(&self) -> String {
        match self.machine {
            "" => self.linux.clone(),
            machine => format!("{}, {machine}", self.linux),
        }
    }
}

impl Family {
    fn read(root: &Path, day: &str, name: &str) -> Result<Family, Complaint> {
        let folder = format!("{day}/atlas/{name}");
        let text = load(root, &format!("{folder}/mod.rs"))?;
        // fsync::ENTRY, and `r#async::ENTRY` for a keyword of Rust.
        let files = text.split("::ENTRY").map(|before| {
            let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &before[start.map_or(0, |at| at + 1)..]
        });
        let count = text.matches("::ENTRY").count();
        let entries = files.take(count).map(|file| Entry::read(root, &folder, file));
        Ok(Family {
            name: name.to_owned(),
            about: header(&text),
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Its page in the book.
    pub fn page(&self) -> String {
        format!("atlas-{}.md", self.name.replace('_', "-"))
    }

    /// Its folder's name in a sentence.
    pub fn called(&self) -> String {
        self.name.replace('_', " ")
    }
}

impl Entry {
    fn read(root: &Path, folder: &str, name: &str) -> Result<Entry, Complaint> {
        let file = format!("{folder}/{name}.rs");
        let text = load(root, &file)?;
        let header = header(&text);
        let (first, prose) = header.split_once("\n\n").unwrap_or((&header, ""));
        let (title, lead) = first.split_once(": ").ok_or_else(|| {
            Complaint::new(
                format!("{file} does not begin with its name and what it is for"),
                "make its first line `//! FSYNC: flush a file to its disk.`",
            )
        })?;
        let mut letters = lead.chars();
        let lead = letters.next().map(|first| first.to_uppercase().to_string() + letters.as_str());
        Ok(Entry {
            name: name.to_owned(),
            title: title.to_owned(),
            lead: lead.unwrap_or_default(),
            prose: paragraphs(prose),
            listing: passage::cut(&text, Some("show"), &file)?,
            file,
        })
    }
}

/// Reads a recording of the workspace.
pub fn recording(root: &Path, file: &str) -> Result<Recording, Complaint> {
    Recording::parse(&load(root, file)?).map_err(|wrong| {
        Complaint::new(
            format!("{file} is not a recording: {wrong:#}"),
            "cargo xtask atlas --record prints one",
        )
    })
}

/// The comment at the top of a source file.
fn header(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// A header's lines, with a new paragraph after a line that had room for the next word.
fn paragraphs(prose: &str) -> String {
    const WIDTH: usize = "//! ".len() + 92;
    let mut out = String::new();
    let mut lines = prose.lines().peekable();
    while let Some(line) = lines.next() {
        out += line;
        let next = lines.peek().and_then(|next| next.split(' ').next()).unwrap_or_default();
        let ends =
            line.ends_with(['.', ')', ':']) && "//! ".len() + line.len() + next.len() < WIDTH;
        out += if ends && !next.is_empty() { "\n\n" } else { "\n" };
    }
    out.trim_end().to_owned()
}

/// The text of a file of the workspace.
fn load(root: &Path, file: &str) -> Result<String, Complaint> {
    fs::read_to_string(root.join(file)).map_err(|wrong| {
        Complaint::new(format!("{file} cannot be read: {wrong}"), "the atlas is made of such files")
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A workspace with one family of one entry, which the second machine shows better.
    pub fn workspace() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("day01/atlas/main.rs", "Family { name: \"files\", entries: files::ENTRIES },\n"),
            (
                "day01/atlas/files/mod.rs",
                "//! About files.\n\nENTRIES = &[\n    r#fsync::ENTRY,\n];\n",
            ),
            (
                "day01/atlas/files/fsync.rs",
                "//! FSYNC: flush a file.\n//!\n//! Since 5.1. It\n//! waits.\n\n// ANCHOR: show\nfn \
                 show() {}\n// ANCHOR_END: show\n",
            ),
            ("day02/atlas/main.rs", ""),
            (
                "book/atlas/host.jsonl",
                "{\"linux\":\"6.18\",\"root\":true}\n{\"name\":\"fsync\",\"family\":\"files\",\
                 \"shows\":[\"IORING_OP_FSYNC\",\"IORING_FSYNC_DATASYNC\"],\"rows\":[{\"kind\":\
                 \"entry\",\"asked\":\"FSYNC of a|b\",\"answered\":\"EINVAL\",\"errno\":\"EINVAL\",\
                 \"why\":\"no disk\"}],\"left_out\":[{\"what\":\"IORING_FSYNC_DATASYNC\",\"why\":\
                 \"needs Linux 7.0\",\"where\":\"newer_kernel\"}],\"ran\":[null],\"places\":[\
                 \"worker\"],\"in_the_record\":[\"IORING_OP_FSYNC\"]}\n",
            ),
            (
                "book/atlas/emulated.jsonl",
                "{\"linux\":\"7.3\",\"root\":true}\n{\"name\":\"fsync\",\"family\":\"files\",\
                 \"shows\":[\"IORING_OP_FSYNC\",\"IORING_FSYNC_DATASYNC\"],\"rows\":[{\"kind\":\
                 \"entry\",\"asked\":\"DATASYNC\",\"answered\":\"0\"}],\"left_out\":[],\"ran\":[\
                 \"worker\"],\"places\":[\"worker\"],\"in_the_record\":[\"IORING_OP_FSYNC\",\
                 \"IORING_FSYNC_DATASYNC\"]}\n",
            ),
        ];
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn an_entry_is_read_from_its_file() {
        let root = workspace();
        let atlas = Atlas::read(root.path()).unwrap();
        let family = atlas.family("files").unwrap();
        assert_eq!(
            (family.page().as_str(), family.about.as_str()),
            ("atlas-files.md", "About files.")
        );
        let [entry] = family.entries.as_slice() else { panic!("one entry") };
        assert_eq!((entry.name.as_str(), entry.title.as_str()), ("fsync", "FSYNC"));
        assert_eq!(
            (entry.lead.as_str(), entry.prose.as_str()),
            ("Flush a file.", "Since 5.1. It\nwaits.")
        );
        assert_eq!(entry.listing, "fn show() {}\n");
        let Err(wrong) = atlas.family("flies") else { panic!("no such family") };
        assert_eq!(wrong.what, "the atlas has no family `flies`");
        assert_eq!(wrong.remedy, "there are: files");
    }

    #[test]
    fn a_line_that_ends_early_ends_a_paragraph() {
        let long =
            "It takes a line that is as long as lines of a source file are here, and then it ends.";
        let text = format!("Since 5.1.\nIt\nwaits.\n{long}\nThen comes more.\n");
        let expected = format!("Since 5.1.\n\nIt\nwaits.\n\n{long}\n\nThen comes more.");
        assert_eq!(paragraphs(&text), expected);
        let full = format!("{long} Much more.\nThen.");
        assert_eq!(paragraphs(&full), full);
    }

    #[test]
    fn the_second_machine_fills_the_gaps_of_the_first() {
        let root = workspace();
        let runs = |atlas: &Atlas| {
            atlas
                .runs_of("files", "fsync")
                .iter()
                .map(|(run, _)| run.linux.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(runs(&Atlas::read(root.path()).unwrap()), ["6.18", "7.3"]);
        let host = root.path().join("book/atlas/host.jsonl");
        let text = fs::read_to_string(&host).unwrap();
        let from = text.find("{\"what\"").unwrap();
        let to = text[from..].find('}').unwrap() + from;
        fs::write(&host, [&text[..from], &text[to + 1..]].concat()).unwrap();
        assert_eq!(runs(&Atlas::read(root.path()).unwrap()), ["6.18"]);
        fs::remove_file(&host).unwrap();
        assert_eq!(runs(&Atlas::read(root.path()).unwrap()), ["7.3"]);
        fs::write(&host, "{}\n").unwrap();
        let Err(wrong) = Atlas::read(root.path()) else { panic!("no recording") };
        assert!(
            wrong.what.starts_with("book/atlas/host.jsonl is not a recording: line 1"),
            "{wrong:?}"
        );
    }

    #[test]
    fn a_name_leads_to_the_entry_that_is_named_after_it() {
        let root = workspace();
        let atlas = Atlas::read(root.path()).unwrap();
        for name in ["IORING_OP_FSYNC", "IORING_FSYNC_DATASYNC"] {
            assert_eq!(atlas.that_shows(name).unwrap().1.name, "fsync", "{name}");
        }
        assert!(atlas.that_shows("IORING_OP_NOP").is_none());
    }
}
