//! The examples of a package, where Cargo puts them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The program of the example `name`, whose source is the file or folder `source`. For tests:
/// Cargo puts examples beside the directory of the test programs.
///
/// # Panics
/// If it is not built, or older than its source. `cargo test` builds the examples; with `--test
/// NAME` it builds only that test.
pub fn example(name: &str, source: &Path) -> PathBuf {
    let test = std::env::current_exe().expect("this test is a program");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let program = profile.join("examples").join(name);
    let built = fs::metadata(&program).and_then(|data| data.modified());
    let written = last_written(source).expect("the source of an example");
    assert!(
        built.is_ok_and(|built| built >= written),
        "{name} is not built, or changed since: `cargo build --examples` in its package first"
    );
    program
}

/// When something in this file or folder was written last.
fn last_written(source: &Path) -> io::Result<SystemTime> {
    let data = fs::metadata(source)?;
    let mut last = data.modified()?;
    if data.is_dir() {
        for inside in fs::read_dir(source)? {
            last = last.max(last_written(&inside?.path())?);
        }
    }
    Ok(last)
}
