//! `beyond/file_answers.rs`: what of its answers holds on every kernel and file system.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{PATIENCE, as_ordinary_user, example, io_uring_or_skip, output_within, skipped};

#[test]
fn an_ordinary_user_gets_the_answers_of_the_chapter() {
    let test = "an_ordinary_user_gets_the_answers_of_the_chapter";
    if !io_uring_or_skip(test) {
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/file_answers.rs");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(example("file_answers", &source));
    command.arg(&folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, PATIENCE).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    // The order of entries without a link is the kernel's choice. Misaligned reads are not
    // refused by every disk.
    for line in [
        "WRITE of 64 MiB and FSYNC, ASYNC on both, IO_LINK on the WRITE: WRITE 67108864, then FSYNC 0",
        "WRITE of 64 MiB and FSYNC, ASYNC on both, IO_DRAIN on the FSYNC: WRITE 67108864, then FSYNC 0",
        "a, b and c at offset 0: \"cld \"",
        "a, b and c at offset -1, the file's own position: \"abc \"",
        "a, b and c at offset 0 and O_APPEND: \"old abc\"",
        "READ_FIXED to an unmapped buffer: 13",
        "a new page at the same address begins with: 0",
        "WRITE_FIXED from the unmapped buffer: 13",
        "the file then: \"from the filefrom the file\"",
        "registering 1 MiB with RLIMIT_MEMLOCK at 64 KiB: Cannot allocate memory (os error 12)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing:\n{text}");
    }
    let left = fs::read_dir(&folder).unwrap().count();
    assert_eq!(left, 0, "it removes its files");
    fs::remove_dir(&folder).unwrap();
}
