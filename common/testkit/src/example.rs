//! The examples of a package, where Cargo puts them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command of the example `name`. Its output is piped, and its input is empty. For tests: Cargo
/// puts examples beside the directory of the test programs.
///
/// # Panics
/// If it is not built, or older than its sources. `cargo test` builds the examples; with `--test
/// NAME` it builds only that test.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("this test is a program");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let program = profile.join("examples").join(name);
    assert!(
        is_built(&program),
        "{name} is not built, or changed since: `cargo build --examples` in its package first"
    );
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether the program is at least as new as the sources that Cargo lists beside it.
fn is_built(program: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let Ok(list) = fs::read_to_string(program.with_extension("d")) else { return false };
    let (_, sources) = list.trim_end().split_once(": ").expect("PROGRAM: SOURCE…");
    // Cargo writes a backslash before a space in a name. A package's examples are built with this
    // crate, and use nothing of it.
    let sources = sources.replace("\\ ", "\0");
    let sources = sources.split(' ').map(|source| source.replace('\0', " "));
    let mut sources = sources.filter(|source| !source.starts_with(env!("CARGO_MANIFEST_DIR")));
    let built = written(program);
    built.is_some()
        && sources
            .all(|source| written(Path::new(&source)).is_some_and(|written| Some(written) <= built))
}
