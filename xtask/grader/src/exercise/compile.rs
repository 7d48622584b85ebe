//! Compiles learners' programs with Cargo, from the crates on this machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use toolbox::cargo::{self, Diagnostic, Message};

/// The result of a build.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// The programs, by name.
    pub programs: BTreeMap<String, PathBuf>,
    /// The compiler's messages on each program that does not compile, by name.
    pub errors: BTreeMap<String, String>,
    /// The libraries that the programs are linked with, by the names that programs use.
    pub libraries: BTreeMap<String, PathBuf>,
    /// The compiler's warnings, by name.
    pub warnings: BTreeMap<String, String>,
    /// Cargo's other messages.
    pub cargo: String,
    /// The folder of the programs, if they are copies.
    copies: Option<Arc<Copies>>,
}

/// A folder that is removed when its last owner is dropped.
#[derive(Debug)]
struct Copies(PathBuf);

impl Drop for Copies {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What to build.
#[derive(Clone, Debug)]
pub struct Build<'a> {
    /// The package.
    pub manifest: &'a Path,
    /// The target folder.
    pub target: &'a Path,
    /// One program of the package. If `None`, all of them.
    pub program: Option<&'a str>,
    /// The time limit.
    pub within: Duration,
    /// Variables for Cargo.
    pub env: Vec<(OsString, OsString)>,
}

impl Build<'_> {
    /// Compiles the package.
    ///
    /// # Errors
    /// If Cargo cannot be started, or does not end in time.
    pub fn run(&self) -> Result<Built> {
        let colours = std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let format = if colours { "json-diagnostic-rendered-ansi" } else { "json" };
        let mut command = cargo::command();
        command
            .args(["build", "--offline", "--keep-going", "--message-format", format])
            .arg("--manifest-path")
            .arg(self.manifest)
            .arg("--target-dir")
            .arg(self.target);
        match self.program {
            Some(program) => command.args(["--bin", program]),
            None => command.arg("--bins"),
        };
        command.envs(self.env.iter().cloned()).stdin(Stdio::null());
        // Cargo's variables of this package would be wrong for another one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_") {
                command.env_remove(name);
            }
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = testkit::output_within(command, self.within).context("compiling")?;
        let mut built = Built::read(&String::from_utf8_lossy(&output.stdout));
        built.cargo = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(built)
    }
}

impl Built {
    /// Copies the programs below `folder`, where no other check overwrites them.
    ///
    /// # Errors
    /// If the disk has no room for them.
    pub fn copy_programs(&mut self, folder: &Path) -> Result<()> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let all = folder.join("checks");
        // Removes the folders of checks that were killed.
        for old in fs::read_dir(&all).into_iter().flatten().flatten() {
            let name = old.file_name().to_string_lossy().into_owned();
            let process = name.split('.').next().unwrap_or_default();
            if !Path::new("/proc").join(process).exists() {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let folder = all.join(format!("{}.{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let copies = Copies(folder);
        for (name, program) in &mut self.programs {
            let copy = copies.0.join(name);
            fs::copy(&*program, &copy).with_context(|| format!("copying {name}"))?;
            *program = copy;
        }
        self.copies = Some(Arc::new(copies));
        Ok(())
    }

    /// Reads Cargo's messages, one JSON object on each line.
    fn read(messages: &str) -> Built {
        let mut built = Built::default();
        for message in cargo::messages(messages) {
            built.note(message);
        }
        // If a program did not compile, an older one may still exist.
        let failed: Vec<String> = built.errors.keys().cloned().collect();
        for name in failed {
            built.programs.remove(&name);
        }
        built
    }

    fn note(&mut self, message: Message) {
        let name = message.target.name.clone();
        if message.target.is("lib") {
            let mut files = message.filenames.into_iter();
            if let Some(file) = files.find(|file| file.extension().is_some_and(|it| it == "rlib")) {
                self.libraries.insert(name.replace('-', "_"), file);
            }
            return;
        }
        if !message.target.is("bin") {
            return;
        }
        if let Some(program) = message.executable {
            self.programs.insert(name.clone(), program);
        }
        let Some(Diagnostic { level, rendered: Some(text) }) = message.message else { return };
        let list = match level.as_str() {
            "error" | "error: internal compiler error" => &mut self.errors,
            "warning" => &mut self.warnings,
            _ => return,
        };
        list.entry(name).or_default().push_str(&text);
    }

    /// The program of that name.
    ///
    /// # Errors
    /// The compiler's messages, or Cargo's if it did not start the compiler.
    pub fn program(&self, name: &str) -> Result<PathBuf, String> {
        match (self.programs.get(name), self.errors.get(name)) {
            (Some(program), _) => Ok(program.clone()),
            (None, Some(errors)) => Err(errors.clone()),
            (None, None) => Err(self.cargo.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_compile_has_the_compilers_words() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"common"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"good"},"executable":"/t/good"}
{"reason":"compiler-message","target":{"kind":["bin"],"name":"bad"},"message":{"level":"error","rendered":"error: no\n"}}
{"reason":"compiler-message","target":{"kind":["bin"],"name":"good"},"message":{"level":"warning","rendered":"warning: unused\n"}}
{"reason":"build-finished","success":false}"#;
        let built = Built::read(messages);
        assert_eq!(built.program("good"), Ok(PathBuf::from("/t/good")));
        assert_eq!(built.program("bad"), Err("error: no\n".to_string()));
        assert_eq!(built.warnings["good"], "warning: unused\n");
    }
}
