//! Finds every exercise's `check.rs` and makes a module of it: nobody keeps a list.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| PathBuf::from(env::var_os(name).expect("Cargo sets it"));
    let workspace = variable("CARGO_MANIFEST_DIR").join("../..").canonicalize()?;
    let (mut modules, mut table) = (String::new(), String::new());
    let days = sorted(&workspace)?.into_iter().map(|folder| folder.join("exercises"));
    for exercises in days.chain([workspace.join("day04/beyond/exercises")]).filter(|it| it.is_dir())
    {
        // A folder that is new, or gone, counts as a change of this one.
        println!("cargo::rerun-if-changed={}", exercises.display());
        for exercise in sorted(&exercises)? {
            let check = exercise.join("check.rs");
            if check.is_file() {
                let name = exercise.file_name().unwrap_or_default().to_string_lossy();
                let _ = writeln!(modules, "#[path = {check:?}]\nmod {name};");
                let _ = writeln!(table, "    ({name:?}, {name}::check),");
            }
        }
    }
    let text = format!("{modules}\nconst PROCEDURES: &[(&str, Procedure)] = &[\n{table}];\n");
    fs::write(variable("OUT_DIR").join("checks.rs"), text)
}

/// What lies in a folder, by name.
fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
