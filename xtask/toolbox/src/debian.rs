//! Debian's packages by name, from the archive that apt is configured for.
//!
//! apt does the work: it knows the mirror, the proxy and the keys. It gets separate sources, lists
//! and a cache below `target/`, so that the system's stay unchanged and root is not needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use common::environment::Refusal;

/// The keys that Debian signs its archive with; the package of the same name brings them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's archives as this machine's apt reaches them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Archive {
    main: String,
    security: Option<String>,
}

impl Archive {
    /// Asks apt for its sources. `why` says what needs them, `otherwise` what to do without them.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is missing: apt, its package lists, or Debian.
    pub fn find(why: &str, otherwise: &str) -> Result<Archive> {
        let no_archive = |what: &str| Refusal {
            what: what.to_string(),
            why: why.to_string(),
            remedy: otherwise.to_string(),
        };
        let format = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";
        let output = Command::new("apt-get")
            .args(["indextargets", "--format", format, "Created-By: Packages"])
            .output();
        let Ok(output) = output else {
            return Err(no_archive("apt-get is not installed").into());
        };
        let listed = String::from_utf8_lossy(&output.stdout);
        if listed.trim().is_empty() {
            return Err(Refusal {
                what: "apt has no package lists yet".to_string(),
                why: "they come with the first update".to_string(),
                remedy: "sudo apt-get update".to_string(),
            }
            .into());
        }
        let archive = Archive::of(&listed);
        let archive =
            archive.ok_or_else(|| no_archive("apt has no Debian archive among its sources"))?;
        if !Path::new(KEYRING).exists() {
            return Err(Refusal {
                what: format!("{KEYRING} is not there"),
                why: "Debian's packages are checked against it".to_string(),
                remedy: "sudo apt-get install debian-archive-keyring".to_string(),
            }
            .into());
        }
        Ok(archive)
    }

    /// Reads lines of origin, label and address.
    fn of(listed: &str) -> Option<Archive> {
        let mut archive = Archive::default();
        for line in listed.lines() {
            let fields: Vec<&str> = line.splitn(3, '|').collect();
            match fields[..] {
                ["Debian", "Debian", uri] => archive.main = uri.to_string(),
                ["Debian", "Debian-Security", uri] => archive.security = Some(uri.to_string()),
                _ => {}
            }
        }
        (!archive.main.is_empty()).then_some(archive)
    }

    /// The lines of a `sources.list` for these suites; suites of an archive that apt does not know
    /// are left out.
    pub fn sources(&self, suites: &[&str]) -> String {
        let line = |suite: &&str| {
            let security = suite.ends_with("-security");
            let uri = if security { self.security.as_ref()? } else { &self.main };
            Some(format!(
                "deb [arch=amd64 signed-by={KEYRING} target=Packages] {uri} {suite} main\n"
            ))
        };
        suites.iter().filter_map(line).collect()
    }
}

/// An apt with separate sources, lists and cache.
pub struct Apt {
    directory: PathBuf,
}

impl Apt {
    /// Keeps everything in `directory`.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn new(sources: &str, directory: &Path) -> Result<Apt> {
        let directory = directory.to_path_buf();
        let files = [
            ("sources.list", sources.to_string()),
            // One priority for all suites: the highest version is the candidate, even from a suite
            // (backports) that is normally used only by name.
            ("preferences", "Package: *\nPin: release *\nPin-Priority: 500\n".to_string()),
            ("apt.conf", configuration(&directory)),
        ];
        for folder in ["lists/partial", "cache/archives/partial", "debs"] {
            fs::create_dir_all(directory.join(folder))
                .with_context(|| format!("making {}", directory.join(folder).display()))?;
        }
        for (name, text) in files {
            fs::write(directory.join(name), text)
                .with_context(|| format!("writing {}", directory.join(name).display()))?;
        }
        Ok(Apt { directory })
    }

    /// Runs `apt-get` or `apt-cache`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        let output = Command::new(program)
            .arg("-c")
            .arg(self.directory.join("apt.conf"))
            .args(args)
            .current_dir(self.directory.join("debs"))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {program}"))?;
        Ok(Output {
            succeeded: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Downloads these packages with everything that they depend on, unpacks them into one folder
    /// and returns it.
    ///
    /// # Errors
    /// If apt does not have them.
    pub fn unpack_with_dependencies(&self, packages: &[&str]) -> Result<PathBuf> {
        let install = ["--quiet", "--yes", "--download-only", "--no-install-recommends", "install"];
        let download = self.run("apt-get", &[&install[..], packages].concat())?;
        if !download.succeeded {
            bail!("apt could not download {}: {}", packages.join(", "), download.errors());
        }
        let unpacked = self.directory.join("unpacked");
        for deb in fs::read_dir(self.directory.join("cache/archives"))?.flatten() {
            if deb.path().extension().is_some_and(|extension| extension == "deb") {
                extract(&deb.path(), &unpacked)?;
            }
        }
        Ok(unpacked)
    }

    /// Downloads and unpacks one package; returns the folder.
    ///
    /// # Errors
    /// If apt does not have it.
    pub fn unpack(&self, package: &str) -> Result<PathBuf> {
        let debs = self.directory.join("debs");
        for leftover in fs::read_dir(&debs)?.flatten() {
            let path = leftover.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        let download = self.run("apt-get", &["--quiet", "download", package])?;
        let deb = fs::read_dir(&debs)?.flatten().map(|entry| entry.path()).next();
        let Some(deb) = deb.filter(|_| download.succeeded) else {
            bail!("apt could not download {package}: {}", download.errors());
        };
        let unpacked = debs.join("unpacked");
        extract(&deb, &unpacked)?;
        fs::remove_file(&deb)?;
        Ok(unpacked)
    }
}

fn extract(deb: &Path, into: &Path) -> Result<()> {
    let status = Command::new("dpkg-deb").arg("--extract").arg(deb).arg(into).status();
    if !status.context("starting dpkg-deb")?.success() {
        bail!("dpkg-deb could not unpack {}", deb.display());
    }
    Ok(())
}

/// What apt answered.
pub struct Output {
    /// Whether it went well.
    pub succeeded: bool,
    /// What it printed.
    pub stdout: String,
    stderr: String,
}

impl Output {
    /// apt's errors, on one line.
    pub fn errors(&self) -> String {
        let lines: Vec<&str> =
            self.stderr.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        if lines.is_empty() { "nothing".to_string() } else { lines.join("; ") }
    }
}

/// An `apt.conf`(5) that is read after the system's, whose proxies it keeps.
fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "// No hooks of the system after an update.\n\
         #clear APT::Update;\n\
         APT::Architecture \"amd64\";\n\
         APT::Default-Release \"\";\n\
         // Run by root, apt would download as another user, who may not write here.\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"2\";\n\
         // An old suite's signature may have passed its date; it is still checked.\n\
         Acquire::Check-Valid-Until \"false\";\n\
         Dir::Etc::sourcelist \"{directory}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::preferences \"{directory}/preferences\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::State::lists \"{directory}/lists\";\n\
         Dir::State::status \"/dev/null\";\n\
         Dir::Cache \"{directory}/cache\";\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_debian_and_of_nobody_else() {
        let listed = "Node Source|Node Source|https://node.example/\n\
                      Debian|Debian|http://mirror.example/debian/\n\
                      Debian|Debian-Security|http://mirror.example/security/\n";
        let archive = Archive::of(listed).unwrap();
        assert_eq!(archive.main, "http://mirror.example/debian/");
        let sources = archive.sources(&["bullseye", "bullseye-security"]);
        let lines: Vec<&str> = sources.lines().collect();
        assert!(lines[0].ends_with("http://mirror.example/debian/ bullseye main"), "{sources}");
        assert!(lines[1].ends_with("security/ bullseye-security main"), "{sources}");
        assert_eq!(Archive::of("Ubuntu|Ubuntu|http://mirror.example/ubuntu/\n"), None);
    }

    #[test]
    fn a_suite_of_an_archive_that_apt_does_not_know_is_left_out() {
        let archive = Archive { main: "http://mirror.example/debian/".into(), security: None };
        assert_eq!(archive.sources(&["bullseye", "bullseye-security"]).lines().count(), 1);
    }
}
