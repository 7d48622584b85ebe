//! Kernels by package name, from the Debian archive that apt is configured for.
//!
//! apt does the work: it knows the mirror, the proxy and the keys. It is given sources, lists
//! and a cache of its own under `target/kernels/`, so that the system's are left alone and
//! no root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use common::environment::Refusal;

use super::image;

/// A kernel, and where Debian has it.
pub struct Wanted {
    /// What the cache and the messages call it.
    pub name: &'static str,
    /// The suites that carry it; of their kernels the highest version is taken. One that is
    /// gone from the archive does no harm as long as another is left.
    suites: &'static [&'static str],
}

/// The kernels that readers have. When Debian moves a suite to its museum, the kernel of the
/// line is named as missing and the line wants a suite that carries it today.
pub const KERNELS: [Wanted; 4] = [
    Wanted { name: "5.10", suites: &["bullseye", "bullseye-security"] },
    Wanted { name: "6.1", suites: &["bookworm"] },
    Wanted { name: "6.12", suites: &["trixie"] },
    Wanted { name: "newest", suites: &["sid", "trixie-backports"] },
];

/// The metapackages to begin with: the small kernel for virtual machines, or the full one.
const METAPACKAGES: [&str; 2] = ["linux-image-cloud-amd64", "linux-image-amd64"];

/// The keys that Debian signs its archive with; the package of the same name brings them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's archives as this machine's apt reaches them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Archive {
    main: String,
    security: Option<String>,
}

impl Archive {
    /// Asks apt for its sources.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is missing: apt, its package lists, or Debian.
    pub fn find() -> Result<Archive> {
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

    /// The lines of a `sources.list` for these suites; those of an archive that apt does not
    /// know are left out.
    fn sources(&self, suites: &[&str]) -> String {
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

fn no_archive(what: &str) -> Refusal {
    Refusal {
        what: what.to_string(),
        why: "the kernels 5.10, 6.1, 6.12 and the newest are fetched from Debian's archive"
            .to_string(),
        remedy: "give kernels yourself: cargo xtask kernels --image FILE… (a bzImage, such as a \
                 readable copy of /boot/vmlinuz-…), or run this on Debian"
            .to_string(),
    }
}

impl Wanted {
    /// Where the image is kept.
    pub fn path(&self, cache: &Path) -> PathBuf {
        cache.join(format!("{}.bzImage", self.name))
    }

    /// Whether it is there, and is an image.
    pub fn is_cached(&self, cache: &Path) -> bool {
        image::release_of(&self.path(cache)).is_ok()
    }
}

/// Fetches the image of a kernel into the cache: the highest version of all its suites, or
/// where the mirror fails to have that one, what one of the suites has.
///
/// # Errors
/// If the archive cannot be reached, no longer carries the kernel, or its package holds no image.
pub fn fetch(archive: &Archive, wanted: &Wanted, cache: &Path) -> Result<PathBuf> {
    let path = wanted.path(cache);
    let directory = cache.join("apt").join(wanted.name);
    let fetch_from = |suites: &[&str]| {
        let apt = Apt::new(&archive.sources(suites), &directory)?;
        fetch_to(&apt, &path)
    };
    let mut alone = wanted.suites.chunks(1);
    fetch_from(wanted.suites)
        .or_else(|error| match alone.any(|suite| fetch_from(suite).is_ok()) {
            true => Ok(()),
            false => Err(error),
        })
        .with_context(|| {
            let suites = wanted.suites.join(" or ");
            format!("the kernel {} could not be fetched from {suites}", wanted.name)
        })?;
    // Lists and modules, a hundred megabytes of them.
    fs::remove_dir_all(&directory).with_context(|| format!("clearing {}", directory.display()))?;
    Ok(path)
}

fn fetch_to(apt: &Apt, path: &Path) -> Result<()> {
    // A suite that is gone makes this fail although another may have answered: whether there
    // is a kernel decides.
    let update = apt.run("apt-get", &["--quiet", "update"])?;
    let Some(package) = apt.package() else {
        return Err(Refusal {
            what: format!("apt knows no kernel there; it says: {}", update.errors()),
            why: "the archive cannot be reached, or Debian has moved the suite to its museum of \
                  old releases"
                .to_string(),
            remedy: "try again; or get the kernel elsewhere: cargo xtask kernels --image FILE…"
                .to_string(),
        }
        .into());
    };
    let unpacked = apt.unpack(&package)?;
    let vmlinuz =
        find_image(&unpacked).with_context(|| format!("the package {package} holds no vmlinuz"))?;
    image::release_of(&vmlinuz)?;
    fs::rename(&vmlinuz, path).with_context(|| format!("writing {}", path.display()))
}

/// An apt with sources, lists and a cache of its own.
struct Apt {
    directory: PathBuf,
}

impl Apt {
    fn new(sources: &str, directory: &Path) -> Result<Apt> {
        let directory = directory.to_path_buf();
        let files = [
            ("sources.list", sources.to_string()),
            // One priority for all suites: the highest version is the candidate, also where
            // a suite (backports) asks to be used only by name.
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

    fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
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

    /// The package that holds the image, from a metapackage down.
    fn package(&self) -> Option<String> {
        METAPACKAGES.iter().find_map(|metapackage| {
            let mut package = (*metapackage).to_string();
            loop {
                let shown = self.run("apt-cache", &["show", "--no-all-versions", &package]).ok()?;
                if !shown.succeeded {
                    return None;
                }
                match next_package(&shown.stdout) {
                    // Each step goes from a general name to a particular one; a package that
                    // names itself would be a loop.
                    Some(next) if next != package => package = next,
                    _ => return Some(package),
                }
            }
        })
    }

    /// Downloads and unpacks a package, and tells where.
    fn unpack(&self, package: &str) -> Result<PathBuf> {
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
        let status = Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(&unpacked).status();
        if !status.context("starting dpkg-deb")?.success() {
            bail!("dpkg-deb could not unpack {}", deb.display());
        }
        fs::remove_file(&deb)?;
        Ok(unpacked)
    }
}

struct Output {
    succeeded: bool,
    stdout: String,
    stderr: String,
}

impl Output {
    /// What apt complained of, on one line.
    fn errors(&self) -> String {
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
         // root's apt would download as another user, who may not write here.\n\
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

/// The package that this one leads to on the way to the image, by its `Depends` line. `None`
/// where the way ends.
///
/// `linux-image-cloud-amd64` depends on `linux-image-6.1.0-50-cloud-amd64`, which holds the
/// image; in newer suites that one depends on `linux-binary-…`, which does.
fn next_package(shown: &str) -> Option<String> {
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    let names = || depends.split(',').filter_map(|one| one.split_whitespace().next());
    let versioned = |name: &&str| {
        name.strip_prefix("linux-image-")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    names()
        .find(|name| name.starts_with("linux-binary-"))
        .or_else(|| names().find(versioned))
        .map(str::to_string)
}

/// The image in an unpacked package: `boot/vmlinuz-…`, or `usr/lib/modules/…/vmlinuz`.
fn find_image(unpacked: &Path) -> Option<PathBuf> {
    let entries = |directory: PathBuf| {
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    let in_boot = entries(unpacked.join("boot"));
    let in_modules = ["usr/lib/modules", "lib/modules"]
        .into_iter()
        .flat_map(|modules| entries(unpacked.join(modules)))
        .flat_map(entries);
    in_boot.chain(in_modules).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
            && path.is_file()
    })
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

    #[test]
    fn the_way_from_a_metapackage_to_the_image() {
        let meta = "Package: linux-image-cloud-amd64\nDepends: linux-base-cloud-amd64 (= 7.3.4-1), \
                    linux-image-7.3.4+deb13-cloud-amd64 (= 7.3.4-1), linux-modules-cloud-amd64 (= 7.3.4-1)\n";
        assert_eq!(next_package(meta).as_deref(), Some("linux-image-7.3.4+deb13-cloud-amd64"));
        let image = "Package: linux-image-7.3.4+deb13-cloud-amd64\nDepends: dracut | initramfs-tools \
                     (>= 0.120) | linux-initramfs-tool, linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1), \
                     linux-binary-7.3.4+deb13-cloud-amd64 (= 7.3.4-1)\n";
        assert_eq!(next_package(image).as_deref(), Some("linux-binary-7.3.4+deb13-cloud-amd64"));
        let binary = "Depends: linux-base-7.3.4+deb13-cloud-amd64 (= 7.3.4-1)\n";
        assert_eq!(next_package(binary), None);
        let old = "Depends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2)\n";
        assert_eq!(next_package(old), None);
    }

    #[test]
    fn the_image_is_found_in_old_and_new_packages() {
        let root = std::env::temp_dir().join(format!("kernels-debian-{}", std::process::id()));
        for place in ["boot/vmlinuz-6.1.0-50", "usr/lib/modules/7.3.4/vmlinuz"] {
            let path = root.join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "image").unwrap();
            assert_eq!(find_image(&root), Some(path));
            fs::remove_dir_all(&root).unwrap();
        }
        assert_eq!(find_image(&root), None);
    }
}
