//! Kernels by package name, from Debian's archive.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use common::environment::Refusal;

use super::image;
use toolbox::debian::{Apt, Archive};

/// A kernel, and where Debian has it.
pub struct Wanted {
    /// Its name in the cache and in messages.
    pub name: &'static str,
    /// The suites that carry it; the highest version of their kernels is taken. A suite that is
    /// gone from the archive does no harm as long as another is left.
    suites: &'static [&'static str],
}

/// The kernels that readers have. When Debian moves a suite to its museum, its kernel is reported
/// as missing, and its line here needs a suite that carries it today.
pub const KERNELS: [Wanted; 4] = [
    Wanted { name: "5.10", suites: &["bullseye", "bullseye-security"] },
    Wanted { name: "6.1", suites: &["bookworm"] },
    Wanted { name: "6.12", suites: &["trixie"] },
    Wanted { name: "newest", suites: &["sid", "trixie-backports"] },
];

/// The metapackages to begin with: the small kernel for virtual machines, or the full one.
const METAPACKAGES: [&str; 2] = ["linux-image-cloud-amd64", "linux-image-amd64"];

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

/// Fetches the image of a kernel into the cache: the highest version of all its suites, or if the
/// mirror fails to have that one, the version of one suite.
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
    // A suite that is gone makes this fail although another may have answered: only a missing
    // kernel is an error.
    let update = apt.run("apt-get", &["--quiet", "update"])?;
    let Some(package) = package(apt) else {
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

/// The package that holds the image, from a metapackage down.
fn package(apt: &Apt) -> Option<String> {
    METAPACKAGES.iter().find_map(|metapackage| {
        let mut package = (*metapackage).to_string();
        loop {
            let shown = apt.run("apt-cache", &["show", "--no-all-versions", &package]).ok()?;
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

/// The package that this one leads to on the way to the image, by its `Depends` line. `None` at the
/// end of the way.
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
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for place in ["boot/vmlinuz-6.1.0-50", "usr/lib/modules/7.3.4/vmlinuz"] {
            let path = root.join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "image").unwrap();
            assert_eq!(find_image(root), Some(path.clone()));
            fs::remove_file(path).unwrap();
        }
        assert_eq!(find_image(root), None);
    }
}
