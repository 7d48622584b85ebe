//! The runs that a page may start: the book's transcripts with their own commands, its figures with
//! the clients of their recordings, the entries of the atlas. One at a time. A request only selects
//! one by name; no other part of it reaches a shell.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::catalog::Kernel;
use common::environment;
use serde::Serialize;

use super::run::Run;
use crate::atlas::Atlas;
use crate::output;
use crate::transcript::Transcript;

/// The folder of the transcripts.
const TRANSCRIPTS: &str = "book/transcripts";

/// The current run, if any.
#[derive(Debug, Default)]
pub struct Runs {
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    name: String,
    stop: Arc<AtomicBool>,
}

/// Something that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `book/transcripts/NAME.txt`.
    Transcript,
    /// `book/traces/NAME.json`.
    Figure,
    /// An entry of the atlas.
    Atlas,
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// This one.
    This,
    /// One that `cargo xtask kernels` emulates.
    Emulated,
}

/// A command in the emulated machine.
pub const EMULATED: &str = "cargo xtask kernels --on 6.1 -- ";

/// Its kernel.
const EMULATED_KERNEL: &str = "6.1";

/// Whether each can run from a page, by its kind and name: `None`, or why not.
#[derive(Debug, Serialize)]
pub struct Offer {
    transcript: BTreeMap<String, Option<String>>,
    figure: BTreeMap<String, Option<String>>,
    atlas: BTreeMap<String, Option<String>>,
    /// What can run in the emulated machine, if this one has an emulator.
    emulated: Option<Emulated>,
}

/// The names of what can run in the emulated machine.
#[derive(Debug, Serialize)]
struct Emulated {
    kernel: &'static str,
    transcript: Vec<String>,
    figure: Vec<String>,
    atlas: Vec<String>,
}

/// Everything that can run from a page.
pub fn offer(root: &Path) -> Offer {
    const KINDS: [Kind; 3] = [Kind::Transcript, Kind::Figure, Kind::Atlas];
    let all = KINDS.map(|kind| names(root, kind));
    let may = |kind, machine, name: &String| load(root, kind, machine, name).err();
    let [transcript, figure, atlas] = [0, 1, 2].map(|at| {
        let names = all[at].iter();
        names.map(|name| (name.clone(), may(KINDS[at], Machine::This, name))).collect()
    });
    let emulated = emulated_kernel().map(|kernel| {
        let [transcript, figure, atlas] = [0, 1, 2].map(|at| {
            let names = all[at].iter();
            let can = |name: &&String| may(KINDS[at], Machine::Emulated, name).is_none();
            names.filter(can).cloned().collect()
        });
        Emulated { kernel, transcript, figure, atlas }
    });
    Offer { transcript, figure, atlas, emulated }
}

/// The kernel that `cargo xtask kernels` can boot here, if there is an emulator.
pub fn emulated_kernel() -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    let found = cfg!(target_arch = "x86_64")
        && folders.any(|folder| folder.join("qemu-system-x86_64").is_file());
    found.then_some(EMULATED_KERNEL)
}

/// The names of the book's transcripts, of its figures, or of the atlas's entries.
fn names(root: &Path, kind: Kind) -> Vec<String> {
    let (folder, extension) = match kind {
        Kind::Transcript => (TRANSCRIPTS, "txt"),
        Kind::Figure => ("book/traces", "json"),
        Kind::Atlas => {
            let families = Atlas::read(root).map_or_else(|_| Vec::new(), |atlas| atlas.families);
            return families.into_iter().flat_map(|it| it.entries).map(|it| it.name).collect();
        }
    };
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let named = entries.map(|entry| entry.path()).filter_map(|path| {
        let right = path.extension().is_some_and(|it| it == extension);
        right.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
    });
    named.collect()
}

/// The commands of a run that has one of the book's [`names`], or why it is refused.
fn load(root: &Path, kind: Kind, machine: Machine, name: &str) -> Result<Transcript, String> {
    let text = match kind {
        Kind::Figure => format!("$ cargo xtask record --print {name}\n"),
        Kind::Atlas => format!("$ cargo xtask atlas {name}\n"),
        Kind::Transcript => {
            let file = root.join(TRANSCRIPTS).join(format!("{name}.txt"));
            fs::read_to_string(file).map_err(|wrong| wrong.to_string())?
        }
    };
    let mut transcript = Transcript::parse(&text).map_err(|(_, wrong)| wrong.what)?;
    if transcript.commands.iter().any(|command| changes(&command.text)) {
        return Err("it writes or removes files outside this workspace".to_owned());
    }
    let release = match machine {
        Machine::This => environment::kernel_release(),
        Machine::Emulated => {
            let [command] = &mut transcript.commands[..] else { return Err(NO_SHELL.to_owned()) };
            if command.background || !is_packed(&command.text) {
                return Err(NO_SHELL.to_owned());
            }
            command.text.insert_str(0, EMULATED);
            EMULATED_KERNEL.to_owned()
        }
    };
    match transcript.needs.filter(|needs| Kernel::parse(&release).is_some_and(|it| it < *needs)) {
        Some(needs) => Err(format!("it needs Linux {needs}, and this is {release}")),
        None => Ok(transcript),
    }
}

/// Why a command does not run in the emulated machine.
const NO_SHELL: &str = "the emulated machine has the days and the atlas, but no shell";

/// Whether the emulated machine has the program of a command, which uses nothing of a shell's.
fn is_packed(command: &str) -> bool {
    let days = ["cargo run -p day0", "cargo xtask run --day ", "cargo xtask atlas "];
    let plain = |letter: char| letter.is_alphanumeric() || " -_=.:".contains(letter);
    days.iter().any(|it| command.starts_with(it))
        && command.chars().all(plain)
        && !command.contains(" --example ")
}

/// Whether a command removes files, writes files outside the workspace, or needs root. Those in
/// `/tmp/` lie in the run's own folder.
fn changes(command: &str) -> bool {
    let command = &command.replace("rm -f /tmp/", "").replace(">/tmp/", "");
    let mut words = command.split([' ', ';', '(', '|', '&']);
    let writes = |(at, _): (usize, &str)| !command[at..].starts_with(">/dev/");
    words.any(|word| ["rm", "mv", "sudo"].contains(&word))
        || command.match_indices(">/").any(writes)
}

impl Runs {
    /// Prepares a run. Refused if a page may not start it, or while another one runs.
    pub fn begin(
        self: &Arc<Self>,
        root: &Path,
        kind: Kind,
        machine: Machine,
        name: &str,
    ) -> Result<Run, String> {
        if !names(root, kind).iter().any(|known| known == name) {
            return Err("the book has no such thing to run".to_owned());
        }
        let transcript = load(root, kind, machine, name)?;
        let mut current = self.lock();
        if let Some(Current { name, .. }) = current.as_ref() {
            return Err(format!("{name} is running: one at a time"));
        }
        let stop = Arc::new(AtomicBool::new(false));
        *current = Some(Current { name: name.to_owned(), stop: Arc::clone(&stop) });
        output::line(&format!("runs {name}, as its page asks for"));
        let place = Some(Place(Arc::clone(self)));
        Ok(Run { place, stop, root: root.to_owned(), kind, transcript })
    }

    /// Stops the current run.
    pub fn stop(&self) {
        if let Some(current) = self.lock().as_ref() {
            current.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The name of the current run.
    pub fn current(&self) -> Option<String> {
        self.lock().as_ref().map(|current| current.name.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one place for a run. Dropping it frees the place.
#[derive(Debug)]
pub struct Place(Arc<Runs>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_machine_is_left_to_the_reader() {
        for command in ["rm -f /tmp/x ~/y; rm z", "seq 3 >/var/three", "(sudo true)", "a 2>/etc/x"]
        {
            assert!(changes(command), "{command}");
        }
        for command in [
            "cargo run -p day01",
            "rm -f /tmp/x; seq 3 >/tmp/three",
            "a 2>/dev/null | grep rm.",
            "bash -c 'exec <>/dev/tcp/0/1'",
        ] {
            assert!(!changes(command), "{command}");
        }
    }

    #[test]
    fn the_emulated_machine_runs_what_it_has() {
        for command in
            ["cargo run -p day01", "cargo run -p day02 -- --entries 8", "cargo xtask run --day 3"]
        {
            assert!(is_packed(command), "{command}");
        }
        for command in [
            "cargo run -p day01 | wc -l",
            "cargo run -p day01 -- --quiet && echo yes",
            "cargo run -p day04 --example echo",
            "echo hello",
        ] {
            assert!(!is_packed(command), "{command}");
        }
    }
}
