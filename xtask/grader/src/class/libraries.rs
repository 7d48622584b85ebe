//! The libraries that a workbook may use, compiled once, and the programs of a class compiled
//! with them.
//!
//! Cargo builds the libraries with an empty program of ours. A student's program is one file, and
//! `rustc` compiles it behind the walls, without Cargo. So two students or two runs share no
//! folder, and no old output can be taken for a new one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::exercise::compile::Build;
use crate::exercise::failure::{Failure, shortened};
use crate::exercise::verdict::Verdict;
use crate::exercise::workbook::{LIBRARIES, manifest_of, target, write_whole};

/// The time limit of a compilation. That of a program also has a limit of CPU time.
const LONGEST: Duration = Duration::from_secs(600);
/// The most characters of the compiler's messages that are kept.
const WORDS: usize = 10_000;

/// The compiled libraries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Libraries {
    /// The compiler's folder, with `bin/rustc` in it.
    pub rust: PathBuf,
    /// The folder of the compiled libraries.
    pub folder: PathBuf,
    /// Their files, by the names that programs use.
    pub files: BTreeMap<String, String>,
}

impl Libraries {
    /// Builds the libraries, unless they exist already.
    ///
    /// # Errors
    /// If there is no compiler, or they do not compile.
    pub fn build(workspace: &Path) -> Result<Libraries> {
        // Not in the target folder, which another checkout may share.
        let package = workspace.join("target/class/libraries");
        let common = workspace.join("common").canonicalize().context("the folder of `common`")?;
        let manifest = manifest_of(workspace, "libraries", &common.display().to_string())?;
        write_whole(&package.join("Cargo.toml"), manifest.as_bytes())?;
        let lock = fs::read(workspace.join("Cargo.lock")).context("reading Cargo.lock")?;
        write_whole(&package.join("Cargo.lock"), &lock)?;
        write_whole(&package.join("src/main.rs"), b"fn main() {}\n")?;
        let built = Build {
            manifest: &package.join("Cargo.toml"),
            target: &target(workspace).join("workbook"),
            program: None,
            within: LONGEST,
            env: Vec::new(),
        }
        .run()?;
        let Some(folder) = built.libraries.values().find_map(|path| path.parent()) else {
            bail!("the libraries do not compile:\n{}", built.cargo);
        };
        let mut files = BTreeMap::new();
        for library in LIBRARIES.into_iter().chain(["common"]) {
            let library = library.replace('-', "_");
            let file = built.libraries.get(&library).and_then(|path| path.file_name());
            let file =
                file.with_context(|| format!("{library} does not compile:\n{}", built.cargo))?;
            files.insert(library, file.to_string_lossy().into_owned());
        }
        Ok(Libraries { rust: rust(workspace)?, folder: folder.to_path_buf(), files })
    }

    /// Compiles a program into the current folder.
    ///
    /// # Errors
    /// The verdict, if the program does not compile.
    pub fn compile(&self, name: &str, text: &str) -> Result<PathBuf, Verdict> {
        let not_observed = |why: String| Verdict::Failed(Failure::not_observed(why));
        let (source, program) = (format!("{name}.rs"), PathBuf::from(format!("./{name}")));
        fs::write(&source, text)
            .map_err(|error| not_observed(format!("{source} cannot be written: {error}")))?;
        let mut command = Command::new(self.rust.join("bin/rustc"));
        command.args(["--edition=2024", "--crate-type=bin", "--crate-name", name]);
        command.args(["-C", "strip=debuginfo", "-o"]).arg(&program).arg(&source);
        command.arg("-L").arg(format!("dependency={}", self.folder.display()));
        for (name, file) in &self.files {
            command.arg("--extern").arg(format!("{name}={}", self.folder.join(file).display()));
        }
        // The variables that Cargo sets for a program.
        command.envs([("CARGO_BIN_NAME", name), ("CARGO_CRATE_NAME", name)]);
        command.envs([("CARGO_PKG_NAME", "workbook"), ("CARGO_PKG_VERSION", "0.1.0")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        testkit::die_with_parent(&mut command);
        match testkit::output_within(command, LONGEST) {
            Ok(output) if output.status.success() => Ok(program),
            Ok(output) => {
                let words = String::from_utf8_lossy(&output.stderr);
                Err(Verdict::NotCompiled(shortened(&words, WORDS)))
            }
            // The machine is the cause, not the program.
            Err(error) => Err(not_observed(format!("{error:#}."))),
        }
    }
}

/// The folder of the compiler that Cargo uses.
fn rust(workspace: &Path) -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc).args(["--print", "sysroot"]).current_dir(workspace).output();
    let output = output.with_context(|| format!("cannot start {}", rustc.to_string_lossy()))?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}
