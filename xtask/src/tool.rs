//! The tools that are separate programs, so that `cargo xtask run` compiles none of them.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use toolbox::cargo;
use toolbox::programs::workspace;

/// A tool's arguments, which it reads itself.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<OsString>,
}

impl Words {
    /// Runs a package's program with them.
    pub fn for_package(self, package: &str) -> ExitCode {
        run(package, self.words)
    }

    /// Runs one of the grader's commands with them.
    pub fn for_grader(self, command: &str) -> ExitCode {
        run("grader", [vec![command.into()], self.words].concat())
    }
}

/// Lets Cargo build and run a package of the workspace. Cargo, and then the program, takes the
/// place of this process, so that a signal reaches it.
pub fn run(package: &str, words: Vec<OsString>) -> ExitCode {
    let mut command = cargo::command();
    command.args(["run", "--quiet", "--locked", "--package", package, "--manifest-path"]);
    command.arg(workspace().join("Cargo.toml"));
    if let Some(target) = target() {
        // Cargo is quiet, and what it compiles the first time takes minutes.
        if !target.join("debug").join(program(package)).exists() {
            eprintln!("compiling {package}; the first time this takes minutes");
        }
        command.arg("--target-dir").arg(target);
    }
    let error = command.arg("--").args(words).exec();
    eprintln!("error: Cargo cannot be started: {error}\n  run this as `cargo xtask …`");
    ExitCode::FAILURE
}

/// The name of a package's program.
fn program(package: &str) -> String {
    package.replace("atlas-runner", "atlas_runner")
}

/// Cargo's target folder, found from this program's own path in `target/debug`. A configuration in
/// the learner's folder, such as the workbook's, may name another folder.
fn target() -> Option<std::path::PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().nth(2).map(Path::to_path_buf)
}
