//! The release that a kernel image says it is.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use common::catalog::Kernel;

/// Reads the release (`6.1.0-50-cloud-amd64`) from the header of a bzImage.
///
/// # Errors
/// If the file cannot be read, or is no bzImage.
pub fn release_of(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let Some(release) = release(&bytes) else {
        bail!(
            "{} is no bzImage of x86-64 (a compressed kernel as in /boot/vmlinuz-…; a bare vmlinux \
             is not one)",
            path.display()
        );
    };
    Ok(release)
}

/// The x86 boot protocol: "HdrS" at 0x202, and at 0x20e where the version string lies, less
/// 0x200. Its first word is the release. Source: the kernel's `Documentation/arch/x86/boot.rst`.
fn release(bytes: &[u8]) -> Option<String> {
    if bytes.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let offset = u16::from_le_bytes(bytes.get(0x20e..0x210)?.try_into().ok()?);
    let text = bytes.get(usize::from(offset) + 0x200..)?;
    let end = text.iter().position(|byte| matches!(byte, 0 | b' ')).filter(|end| *end < 256)?;
    let release = std::str::from_utf8(&text[..end]).ok()?;
    Kernel::parse(release)?;
    Some(release.to_string())
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
        let mut truncated = image(b"6.1.0 x\0");
        truncated.truncate(0x301);
        assert_eq!(release(&truncated), None);
    }
}
