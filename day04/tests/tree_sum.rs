//! `beyond/tree_sum.rs`: the sums are right, whatever lies in the folder, and the workers few.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use testkit::{
    PATIENCE, as_ordinary_user, io_uring_or_skip, limit_locked_memory, output_within, skipped,
};

/// A folder of its own for each test, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Folder(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/tree_sum.rs");
        let mut command = Command::new(testkit::example("tree_sum", &source));
        command.args(arguments).arg(&self.0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        output_within(self.command(arguments), PATIENCE).unwrap()
    }

    /// What it must print of a file.
    fn line(&self, sum: &str, length: usize, name: &str) -> String {
        format!("{sum} {length:>9} {}", self.0.join(name).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect()
}

/// The most workers that it saw, by its last line.
fn workers(output: &Output) -> usize {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.starts_with("at most ")).expect("the summary");
    line.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn each_regular_file_has_its_sum() {
    let test = "each_regular_file_has_its_sum";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
    fs::create_dir_all(folder.0.join("b/c")).unwrap();
    fs::write(folder.0.join("a"), "123456789").unwrap();
    fs::write(folder.0.join("b/c/empty"), "").unwrap();
    // Three READs and a short one, then the READ that finds the end.
    fs::write(folder.0.join("b/long"), vec![0; 200_000]).unwrap();
    mkfifo(&folder.0.join("fifo"), Mode::S_IRWXU).unwrap();
    symlink("a", folder.0.join("link")).unwrap();
    symlink(".", folder.0.join("b/circle")).unwrap();
    let expected = [
        // The check value of CRC-32.
        folder.line("cbf43926", 9, "a"),
        folder.line("00000000", 0, "b/c/empty"),
        // By zlib.
        folder.line("5ce0587b", 200_000, "b/long"),
    ];
    for arguments in [&[][..], &["--files", "1"], &["--workers", "1", "--async"]] {
        let output = folder.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert_eq!(lines(&output), expected, "{arguments:?}");
    }
}

#[test]
fn more_files_than_places_and_few_workers() {
    let test = "more_files_than_places_and_few_workers";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
    for number in 0..100 {
        fs::write(folder.0.join(format!("{number:03}")), vec![7; 100_000]).unwrap();
    }
    for (each, arguments) in [
        (1, &["--workers", "1", "--async"][..]),
        (2, &["--workers", "2", "--async", "--files", "64"]),
    ] {
        // On a disk a READ has to wait now, and its worker with it.
        for entry in fs::read_dir(&folder.0).unwrap() {
            let file = File::open(entry.unwrap().path()).unwrap();
            file.sync_all().unwrap();
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
        }
        let output = folder.run(arguments);
        assert_eq!(lines(&output).len(), 100, "{output:?}");
        // One pool for the names, and perhaps another for what has IOSQE_ASYNC.
        assert!(workers(&output) <= 2 * each, "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_fails_alone() {
    let test = "a_file_that_cannot_be_read_fails_alone";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
    fs::write(folder.0.join("a"), "123456789").unwrap();
    fs::write(folder.0.join("secret"), "").unwrap();
    fs::set_permissions(folder.0.join("secret"), Permissions::from_mode(0o000)).unwrap();
    let mut command = folder.command(&["--workers", "1"]);
    limit_locked_memory(&mut command, 8 << 20);
    // Root may read everything.
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let output = output_within(command, PATIENCE).unwrap();
    assert_eq!(lines(&output), [folder.line("cbf43926", 9, "a")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(error.contains("secret: Permission denied"), "{error}");
    assert!(error.contains("1 file could not be read"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let test = "a_folder_that_is_not_there_is_an_error";
    if !io_uring_or_skip(test) {
        return;
    }
    let folder = Folder::new(test);
    fs::remove_dir(&folder.0).unwrap();
    let output = folder.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(test) && error.contains("No such file"), "{error}");
    assert_eq!(folder.run(&["--workers", "0"]).status.code(), Some(2));
}
