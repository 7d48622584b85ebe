//! The learner's folder: a small separate Cargo workspace that git ignores, so that a pull does not
//! change it and its code cannot break the workspace.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use toml_edit::{DocumentMut, Item, value};

use super::compile::{Build, Built};
use super::exercises::Exercise;

/// The manifest's first lines.
const YOURS: &str = "# Yours: `cargo add` what you like. `cargo xtask` keeps the versions of the\n\
                     # crates that it needs, and makes this file again when you delete it.\n";

/// How long a compilation may take.
const COMPILE: Duration = Duration::from_secs(300);

/// A workbook, and the workspace that it belongs to.
#[derive(Clone, Debug)]
pub struct Workbook {
    workspace: PathBuf,
    folder: PathBuf,
    target: PathBuf,
}

impl Workbook {
    /// The workbook of a workspace. It need not exist yet.
    pub fn of(workspace: &Path) -> Workbook {
        Workbook::at(workspace, &workspace.join("workbook"))
    }

    /// A workbook in another folder.
    pub fn at(workspace: &Path, folder: &Path) -> Workbook {
        Workbook {
            workspace: workspace.to_path_buf(),
            folder: folder.to_path_buf(),
            target: target(workspace).join("workbook"),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The learner's program for an exercise.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("src/bin").join(format!("{name}.rs"))
    }

    /// Makes the missing files. Existing files do not change, except the versions of the crates
    /// that the programs depend on: these follow the workspace.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn prepare(&self) -> Result<()> {
        let bins = self.folder.join("src/bin");
        fs::create_dir_all(&bins).with_context(|| format!("making {}", bins.display()))?;
        self.write_manifest()?;
        self.write_configs()?;
        // The learner's programs have the starters' format.
        write_if_missing(
            &self.folder.join("rustfmt.toml"),
            "max_width = 80\nuse_small_heuristics = \"Max\"\n",
        )?;
        self.follow_lock()
    }

    /// Only the versions of our crates change: the learner may have added others.
    fn write_manifest(&self) -> Result<()> {
        let path = self.folder.join("Cargo.toml");
        let ours = manifest_of(&self.workspace, "workbook", "../common")?;
        let Ok(there) = fs::read_to_string(&path) else {
            return write_whole(&path, ours.as_bytes());
        };
        match with_versions_of(&there, &ours) {
            Some(text) if text != there => write_whole(&path, text.as_bytes()),
            // Cargo explains a manifest that cannot be read.
            _ => Ok(()),
        }
    }

    /// Makes `cargo xtask` work in each folder of the workbook. Each folder has its own alias,
    /// because Cargo resolves the path in an alias from the folder in which it is called. An
    /// absolute path could not contain a space, and would be wrong on another machine. The tool
    /// stays in the workspace's target folder, where it is already compiled.
    fn write_configs(&self) -> Result<()> {
        for (folder, up) in
            [("", ".."), ("src", "../.."), ("src/bin", "../../.."), ("backup", "../..")]
        {
            let mut config = String::from("# So that `cargo xtask …` works in this folder too.\n");
            if folder.is_empty() {
                config.push_str("[build]\ntarget-dir = \"../target/workbook\"\n\n");
            }
            let manifest = format!("run --manifest-path {up}/Cargo.toml");
            let alias =
                format!("xtask = \"{manifest} --target-dir {up}/target --package xtask --\"\n");
            config.push_str(&format!("[alias]\n{alias}"));
            let path = self.folder.join(folder).join(".cargo/config.toml");
            write_if_missing(&path, &config)?;
            // An older alias, which compiled the tool a second time, beside the learner's programs.
            let once = format!("xtask = \"{manifest} --package xtask --\"\n");
            match fs::read_to_string(&path) {
                Ok(there) if there.contains(&once) => {
                    write_whole(&path, there.replace(&once, &alias).as_bytes())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Names the workbook to rust-analyzer, for an editor that opens the whole workspace. An editor
    /// that opens the workbook finds it by itself.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn tell_editor(&self) -> Result<()> {
        let settings = self.workspace.join(".vscode/settings.json");
        write_if_missing(
            &settings,
            "{\n  \"rust-analyzer.linkedProjects\": [\"Cargo.toml\", \"workbook/Cargo.toml\"]\n}\n",
        )
    }

    /// Copies the workspace's lock file, so that the workbook uses versions that are already on
    /// this machine. Remembers what it copied, because a workbook may come from another machine, so
    /// that file times mean nothing. Replaces a lock that Cargo left half-written when the disk was
    /// full.
    fn follow_lock(&self) -> Result<()> {
        let theirs = self.workspace.join("Cargo.lock");
        let (ours, copied) = (self.folder.join("Cargo.lock"), self.folder.join(".workspace.lock"));
        let lock = fs::read(&theirs).with_context(|| format!("reading {}", theirs.display()))?;
        let followed = fs::read(&copied).is_ok_and(|copied| copied == lock);
        let whole = fs::read_to_string(&ours).is_ok_and(|text| text.parse::<DocumentMut>().is_ok());
        if !followed || !whole {
            write_whole(&ours, &lock)?;
            write_whole(&copied, &lock)?;
        }
        Ok(())
    }

    /// Copies the starter of an exercise, unless the learner has a program already. Returns whether
    /// it copied.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&self, exercise: &Exercise) -> Result<bool> {
        self.prepare()?;
        let path = self.program(&exercise.name);
        self.take_over(exercise)?;
        if path.exists() {
            return Ok(false);
        }
        let starter = fs::read(exercise.starter()).context("reading the starter")?;
        write_whole(&path, &starter)?;
        Ok(true)
    }

    /// Renames a program that was begun under the exercise's former name.
    pub(super) fn take_over(&self, exercise: &Exercise) -> Result<()> {
        let Some(former) = &exercise.about.formerly else { return Ok(()) };
        let (old, new) = (self.program(former), self.program(&exercise.name));
        if old.exists() && !new.exists() {
            fs::rename(&old, &new).with_context(|| format!("renaming {}", old.display()))?;
        }
        Ok(())
    }

    /// Whether the libraries of all programs are compiled. The first time takes about a minute.
    pub fn is_compiled(&self) -> bool {
        let Ok(files) = fs::read_dir(self.target.join("debug/deps")) else { return false };
        files.flatten().any(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            name.starts_with("libcommon-") && name.ends_with(".rlib")
        })
    }

    /// Cargo compiles a file again if it is newer than the compiled program. A file that was copied
    /// here may be older and still different, so it gets the present time.
    fn let_cargo_see(&self, name: &str) {
        let Ok(program) = fs::metadata(self.program(name)) else { return };
        let built = fs::metadata(self.target.join("debug").join(name));
        let Some(built) = built.and_then(|about| about.modified()).ok() else { return };
        let (Ok(written), came) = (program.modified(), changed(&program)) else { return };
        if written <= built && came > built {
            written_now(&self.program(name));
        }
    }

    /// Compiles the learner's program, one at a time. The result is a copy, because another check
    /// may compile another program of that name to the same place.
    ///
    /// # Errors
    /// If Cargo cannot be started. A program that does not compile is not an error here.
    pub fn compile(&self, name: &str) -> Result<Built> {
        self.prepare()?;
        let _one_at_a_time = lock(&self.target.join(".compile.lock"))?;
        self.let_cargo_see(name);
        let build = Build {
            manifest: &self.folder.join("Cargo.toml"),
            target: &self.target,
            program: Some(name),
            within: COMPILE,
            env: Vec::new(),
        };
        let mut built = build.run()?;
        built.copy_programs(&self.target)?;
        Ok(built)
    }
}

/// The crates that programs may use besides `common`.
pub const LIBRARIES: [&str; 4] = ["io-uring", "anyhow", "libc", "nix"];

/// The manifest of a package of programs, with the workspace's versions of these crates.
///
/// # Errors
/// If the workspace's manifest lacks one of them.
pub fn manifest_of(workspace: &Path, name: &str, common: &str) -> Result<String> {
    let path = workspace.join("Cargo.toml");
    let theirs =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut manifest = format!(
        "{YOURS}\n[package]\nname = \"{name}\"\nversion = \
         \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n# Of its own, so that nothing here can \
         break the workspace around it.\n[workspace]\n\n[dependencies]\ncommon = {{ path = \
         \"{common}\" }}\n"
    );
    for dependency in LIBRARIES {
        let line = theirs
            .lines()
            .find(|line| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(" =")))
            .with_context(|| format!("{} does not name {dependency}", path.display()))?;
        manifest.push_str(line);
        manifest.push('\n');
    }
    manifest.push_str("\n[profile.dev]\ndebug = \"line-tables-only\"\n");
    Ok(manifest)
}

/// A manifest with the dependencies of another one, and their versions. `None` if it is not TOML.
fn with_versions_of(there: &str, ours: &str) -> Option<String> {
    let (mut there, ours) = (there.parse::<DocumentMut>().ok()?, ours.parse::<DocumentMut>().ok()?);
    let dependencies = there["dependencies"].or_insert(toml_edit::table()).as_table_like_mut()?;
    for (name, wanted) in ours["dependencies"].as_table_like()?.iter() {
        match dependencies.get_mut(name) {
            None => {
                dependencies.insert(name, wanted.clone());
            }
            Some(item) => set_version(item, version(wanted)),
        }
    }
    Some(there.to_string())
}

/// The version that a dependency asks for. A path has no version.
fn version(dependency: &Item) -> Option<&str> {
    dependency.as_str().or_else(|| dependency.get("version")?.as_str())
}

/// Sets a dependency's version. Its features stay, because the learner may have added some.
fn set_version(dependency: &mut Item, wanted: Option<&str>) {
    let Some(wanted) = wanted.filter(|wanted| version(dependency) != Some(wanted)) else { return };
    match dependency.as_table_like_mut() {
        Some(table) => {
            table.insert("version", value(wanted));
        }
        None => *dependency = value(wanted),
    }
}

/// Cargo's target folder, in which this program itself is.
pub fn target(workspace: &Path) -> PathBuf {
    let own = std::env::current_exe().ok();
    let found = own.as_deref().and_then(|program| {
        let profile = |path: &&Path| path.ends_with("debug") || path.ends_with("release");
        Some(program.ancestors().find(profile)?.parent()?.to_path_buf())
    });
    found.unwrap_or_else(|| workspace.join("target"))
}

/// When a file last changed in any way, also by a move or by a copy with its old time.
fn changed(about: &fs::Metadata) -> SystemTime {
    let since = |seconds: i64, nanoseconds: i64| {
        Duration::new(seconds.try_into().unwrap_or(0), nanoseconds.try_into().unwrap_or(0))
    };
    SystemTime::UNIX_EPOCH + since(about.ctime(), about.ctime_nsec())
}

/// Sets a file's time to now, if that is allowed.
pub(super) fn written_now(path: &Path) {
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Waits for this lock file. Dropping the result unlocks it.
///
/// # Errors
/// If the file cannot be made or locked.
pub fn lock(path: &Path) -> Result<Flock<File>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("locking {}", path.display()))
}

fn write_if_missing(path: &Path, text: &str) -> Result<()> {
    if path.exists() { Ok(()) } else { write_whole(path, text.as_bytes()) }
}

/// Writes a file so that it has either its old content or all of its new one, even if the program
/// is killed.
///
/// # Errors
/// If it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A separate name, because two threads may write the same file.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let beside = folder.join(format!(".{name}.{}.{number}", std::process::id()));
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.with_context(|| format!("writing {}", path.display()))
}
