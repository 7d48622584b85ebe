//! The packages that this workspace depends on: without known faults, and with an allowed licence.
//!
//! The faults are those of <https://rustsec.org>, as far as they concern packages in Cargo.lock;
//! `xtask/check/advisories.toml` keeps them, so that the check needs no network.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use toolbox::output::say;

/// The list, from the workspace.
const LIST: &str = "xtask/check/advisories.toml";

/// What the list says of itself.
const HEAD: &str = "\
# Advisories of https://github.com/rustsec/advisory-db on packages in Cargo.lock.
# `cargo xtask check --advisories DIR` writes this again; DIR is a clone of that repository.
";

/// Licences that a dependency may have. Each allows everybody to use and pass on what is built with
/// it. CC-BY-4.0 is that of icons which mdBook puts into pages.
const LICENCES: [&str; 11] = [
    "MIT",
    "Apache-2.0",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "CC0-1.0",
    "MPL-2.0",
    "CC-BY-4.0",
];

/// A package of Cargo.lock.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: Version,
    license: Option<String>,
    /// `None` for our own.
    source: Option<String>,
}

/// The file.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// The packages whose advisories were looked up.
    packages: BTreeSet<String>,
    #[serde(default)]
    advisory: Vec<Advisory>,
}

/// A fault of a package.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    id: String,
    package: String,
    /// The versions without it.
    sound: Vec<VersionReq>,
}

/// Names every dependency with a fault or another licence. Returns whether all are right.
pub fn check(workspace: &Path) -> Result<bool> {
    let packages = packages(workspace)?;
    let text =
        fs::read_to_string(workspace.join(LIST)).with_context(|| format!("reading {LIST}"))?;
    let list: List = toml::from_str(&text).with_context(|| LIST.to_string())?;
    let wrong = wrong(&packages, &list);
    for line in &wrong {
        say(line)?;
    }
    Ok(wrong.is_empty())
}

fn wrong(packages: &[Package], list: &List) -> Vec<String> {
    let mut wrong = Vec::new();
    for Package { name, version, license, .. } in packages {
        if !list.packages.contains(name) {
            wrong.push(format!(
                "{name}: its advisories were not looked up yet; clone \
                 https://github.com/rustsec/advisory-db and type `cargo xtask check --advisories DIR`"
            ));
        }
        let licence = license.as_deref().unwrap_or("no licence");
        if !may_be_used(licence) {
            wrong.push(format!("{name} {version}: its licence is {licence}"));
        }
        for advisory in list.advisory.iter().filter(|advisory| advisory.package == *name) {
            if !advisory.sound.iter().any(|versions| versions.matches(version)) {
                let id = &advisory.id;
                wrong.push(format!("{name} {version}: https://rustsec.org/advisories/{id}.html"));
            }
        }
    }
    wrong
}

/// Whether an SPDX expression leaves a choice of [`LICENCES`]. `/` is an old way to write OR.
fn may_be_used(expression: &str) -> bool {
    let words = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // OR binds looser than AND; the parentheses in use hold an OR that both sides of it allow.
    let known = |licence: &str| {
        let name = licence.split(" WITH ").next().unwrap_or_default().trim();
        LICENCES.contains(&name)
    };
    words.split(" OR ").any(|choice| choice.split(" AND ").all(known))
}

/// The packages from outside the workspace, as Cargo has locked them.
fn packages(workspace: &Path) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let output = Command::new("cargo")
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(workspace)
        .output()
        .context("starting cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("reading Cargo's answer")?;
    Ok(metadata.packages.into_iter().filter(|package| package.source.is_some()).collect())
}

/// Writes the list again, from a clone of the database.
pub fn refresh(workspace: &Path, database: &Path) -> Result<bool> {
    let names: BTreeSet<String> =
        packages(workspace)?.into_iter().map(|package| package.name).collect();
    let crates = database.join("crates");
    ensure!(crates.is_dir(), "{} is not a clone of rustsec/advisory-db", database.display());
    let mut list = List::default();
    for name in &names {
        let Ok(files) = fs::read_dir(crates.join(name)) else { continue };
        for file in files {
            let path = file?.path();
            let text = fs::read_to_string(&path)?;
            list.advisory.extend(advisory(&text).with_context(|| path.display().to_string())?);
        }
    }
    list.packages = names;
    list.advisory.sort_by(|one, other| one.id.cmp(&other.id));
    let text = format!("{HEAD}{}", toml::to_string_pretty(&list).context("writing TOML")?);
    fs::write(workspace.join(LIST), text).with_context(|| format!("writing {LIST}"))?;
    say(&format!(
        "{LIST}: {} advisories on {} packages",
        list.advisory.len(),
        list.packages.len()
    ))?;
    check(workspace)
}

/// One file of the database: TOML in the first block of Markdown. `None` if it was withdrawn.
fn advisory(text: &str) -> Result<Option<Advisory>> {
    #[derive(Deserialize)]
    struct File {
        advisory: About,
        versions: Versions,
    }
    #[derive(Deserialize)]
    struct About {
        id: String,
        package: String,
        withdrawn: Option<toml::Value>,
    }
    #[derive(Deserialize)]
    struct Versions {
        patched: Vec<VersionReq>,
        #[serde(default)]
        unaffected: Vec<VersionReq>,
    }
    let block = text.split("```").nth(1).and_then(|block| block.strip_prefix("toml"));
    let File { advisory, versions } =
        toml::from_str(block.context("it does not begin with TOML")?)?;
    let sound = [versions.patched, versions.unaffected].concat();
    let About { id, package, withdrawn } = advisory;
    Ok(withdrawn.is_none().then_some(Advisory { id, package, sound }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "```toml\n[advisory]\nid = \"RUSTSEC-1\"\npackage = \"a\"\n\n[versions]\n\
                        patched = [\">= 0.6.8\"]\nunaffected = [\"< 0.2.0\"]\n```\n\n# Words\n";

    fn package(version: &str, license: &str) -> Package {
        let version = Version::parse(version).unwrap();
        Package { name: "a".into(), version, license: Some(license.into()), source: None }
    }

    #[test]
    fn a_fault_another_licence_and_a_new_package_are_named() {
        let advisory = vec![advisory(FILE).unwrap().unwrap()];
        let list = List { packages: BTreeSet::from(["a".to_string()]), advisory };
        let found = |version, licence, list| wrong(&[package(version, licence)], list).join("\n");
        assert_eq!(found("0.6.9", "MIT", &list), "");
        assert_eq!(found("0.1.0", "MIT", &list), "");
        assert!(found("0.6.7", "MIT", &list).contains("RUSTSEC-1"));
        assert!(found("0.6.9", "GPL-3.0", &list).contains("GPL-3.0"));
        assert!(found("0.6.9", "MIT", &List::default()).contains("were not looked up"));
    }

    #[test]
    fn licences_may_be_chosen_and_added_up() {
        for good in ["MIT", "GPL-2.0 OR MIT", "Unlicense/MIT", "(MIT OR Apache-2.0) AND MIT"] {
            assert!(may_be_used(good), "{good}");
        }
        for bad in ["GPL-2.0", "MIT AND GPL-2.0", "no licence"] {
            assert!(!may_be_used(bad), "{bad}");
        }
    }
}
