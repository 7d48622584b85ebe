//! The file system that a kernel boots with: a cpio archive of a few programs.
//!
//! The kernel unpacks it into memory before it starts the first process, so there is no disk
//! and nothing to mount. The format is "newc", the only one that it reads
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`): for every file a header of
//! 6 + 13 × 8 hexadecimal digits, the name with a NUL, the contents; name and contents each
//! filled up to a multiple of four bytes; at the end an empty file of a fixed name.

use std::io::Write;

/// Type and permission bits, as in `st_mode` (inode(7)).
const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

/// An archive that grows in memory.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory. What is in it comes after it.
    pub fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, &[]);
    }

    /// Adds an executable file.
    pub fn program(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, PROGRAM, contents);
    }

    /// Adds another file.
    pub fn file(&mut self, name: &str, contents: &[u8]) {
        self.entry(name, FILE, contents);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(contents.len()).expect("a newc file is smaller than 4 GiB");
        let name_size = name.len() as u32 + 1;
        // Magic, inode, mode, owner, group, links, time, size, four device numbers, length
        // of the name, checksum (none in this variant).
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            write!(self.bytes, "{field:08x}").expect("a vector takes every write");
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use testkit::skipped;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.directory("days");
        archive.program("days/day01", b"seven b");
        archive.program("init", b"#!");
        archive.finish()
    }

    /// The length of a header in bytes.
    const HEADER: usize = 6 + 13 * 8;

    #[test]
    fn every_part_begins_at_a_multiple_of_four() {
        let bytes = archive();
        let mut at = 0;
        let mut names = Vec::new();
        while at < bytes.len() {
            assert_eq!(at % 4, 0);
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |index: usize| {
                let digits = &bytes[at + 6 + 8 * index..at + 14 + 8 * index];
                usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let (size, name_size) = (field(6), field(11));
            let name = &bytes[at + HEADER..at + HEADER + name_size - 1];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            at = (at + HEADER + name_size).next_multiple_of(4) + size;
            at = at.next_multiple_of(4);
        }
        assert_eq!(names, ["days", "days/day01", "init", "TRAILER!!!"]);
    }

    #[test]
    fn cpio_unpacks_what_was_packed() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path();
        let cpio = Command::new("cpio")
            .args(["--extract", "--quiet", "--make-directories"])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .spawn();
        let Ok(mut cpio) = cpio else {
            return skipped("cpio_unpacks_what_was_packed", "no cpio here");
        };
        cpio.stdin.take().unwrap().write_all(&archive()).unwrap();
        assert!(cpio.wait().unwrap().success());
        assert_eq!(std::fs::read(directory.join("days/day01")).unwrap(), b"seven b");
        assert_eq!(std::fs::read(directory.join("init")).unwrap(), b"#!");
    }
}
