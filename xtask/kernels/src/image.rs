//! The release that a kernel image says it is.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use common::catalog::Kernel;

/// No release is longer, with the zero behind it.
const LONGEST: usize = 256;
/// As far as the header and a version string can reach: its offset is a `u16` past 0x200.
const HEAD: u64 = 0x200 + u16::MAX as u64 + LONGEST as u64;

/// Reads the release (`6.1.0-50-cloud-amd64`) from the header of a bzImage.
///
/// # Errors
/// If the file cannot be read, or is not a bzImage.
pub fn release_of(path: &Path) -> Result<String> {
    let shown = path.display();
    // A pipe would make the read wait.
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = open.with_context(|| format!("reading {shown}"))?;
    ensure!(file.metadata()?.is_file(), "{shown} is not a file");
    let mut bytes = Vec::new();
    file.take(HEAD).read_to_end(&mut bytes).with_context(|| format!("reading {shown}"))?;
    let Some(release) = release(&bytes) else {
        bail!(
            "{shown} is not a bzImage of x86-64 (a compressed kernel as in /boot/vmlinuz-…; a bare \
             vmlinux is not one)"
        );
    };
    Ok(release)
}

/// The x86 boot protocol: "HdrS" at 0x202; at 0x20e the offset of the version string, minus 0x200.
/// Its first word is the release. Source: the kernel's `Documentation/arch/x86/boot.rst`.
fn release(bytes: &[u8]) -> Option<String> {
    if bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let offset = u16::from_le_bytes(bytes.get(0x20e..0x210)?.try_into().ok()?);
    let text = bytes.get(usize::from(offset) + 0x200..)?;
    let end = text.iter().position(|byte| matches!(byte, 0 | b' ')).filter(|end| *end < LONGEST)?;
    let release = std::str::from_utf8(&text[..end]).ok()?;
    Kernel::parse(release)?;
    // It is printed, and becomes the name of a file.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+~_-".contains(&byte);
    release.bytes().all(plain).then(|| release.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(version: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[0x202..0x206].copy_from_slice(b"HdrS");
        bytes[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        bytes[0x300..0x300 + version.len()].copy_from_slice(version);
        bytes
    }

    #[test]
    fn the_release_is_the_first_word() {
        let bytes = image(b"6.1.0-50-cloud-amd64 (maintainer) #1 SMP\0");
        assert_eq!(release(&bytes).as_deref(), Some("6.1.0-50-cloud-amd64"));
    }

    #[test]
    fn other_files_are_no_images() {
        assert_eq!(release(b""), None);
        assert_eq!(release(&[0x7f; 0x1000]), None);
        assert_eq!(release(&image(b"nonsense (x)\0")), None);
        for unfit in ["6.1\x1b]0;PWNED\x07 x\0", "6.1/../../x x\0", "6.1é x\0"] {
            assert_eq!(release(&image(unfit.as_bytes())), None, "{unfit:?}");
        }
        let mut truncated = image(b"6.1.0 x\0");
        truncated.truncate(0x301);
        assert_eq!(release(&truncated), None);
    }

    #[test]
    fn only_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&fifo, Path::new("/dev/zero"), Path::new("/")] {
            let error = release_of(path).unwrap_err().to_string();
            assert!(error.ends_with("is not a file"), "{error}");
        }
    }
}
