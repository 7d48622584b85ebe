//! `beyond/tree_sum.rs`: the sums are right, whatever lies in the folder, and the workers few.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use testkit::{Folder, PATIENCE, example, ordinary_user_or_skip, output_within};

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = example("tree_sum");
    command.args(arguments).arg(folder);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    output_within(command(folder, arguments), PATIENCE).unwrap()
}

/// What it must print of a file.
fn line(folder: &Path, sum: &str, length: usize, name: &str) -> String {
    format!("{sum} {length:>9} {}", folder.join(name).display())
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
    let Some(folder) = Folder::or_skip("each_regular_file_has_its_sum") else { return };
    fs::create_dir_all(folder.join("b/c")).unwrap();
    fs::write(folder.join("a"), "123456789").unwrap();
    fs::write(folder.join("b/c/empty"), "").unwrap();
    // Three READs and a short one, then the READ that finds the end.
    fs::write(folder.join("b/long"), vec![0; 200_000]).unwrap();
    mkfifo(&folder.join("fifo"), Mode::S_IRWXU).unwrap();
    symlink("a", folder.join("link")).unwrap();
    symlink(".", folder.join("b/circle")).unwrap();
    let expected = [
        // The check value of CRC-32.
        line(&folder, "cbf43926", 9, "a"),
        line(&folder, "00000000", 0, "b/c/empty"),
        // As zlib computes it.
        line(&folder, "5ce0587b", 200_000, "b/long"),
    ];
    for arguments in [&[][..], &["--files", "1"], &["--workers", "1", "--async"]] {
        let output = run(&folder, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert_eq!(lines(&output), expected, "{arguments:?}");
    }
}

#[test]
fn more_files_than_places_and_few_workers() {
    let Some(folder) = Folder::or_skip("more_files_than_places_and_few_workers") else { return };
    for number in 0..100 {
        fs::write(folder.join(format!("{number:03}")), vec![7; 100_000]).unwrap();
    }
    for (each, arguments) in [
        (1, &["--workers", "1", "--async"][..]),
        (2, &["--workers", "2", "--async", "--files", "64"]),
    ] {
        // On a disk a READ has to wait now, and its worker with it.
        for entry in fs::read_dir(&*folder).unwrap() {
            let file = File::open(entry.unwrap().path()).unwrap();
            file.sync_all().unwrap();
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
        }
        let output = run(&folder, arguments);
        assert_eq!(lines(&output).len(), 100, "{output:?}");
        // The kernel may have two pools of workers: one for the names, one for what has
        // IOSQE_ASYNC.
        assert!(workers(&output) <= 2 * each, "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_fails_alone() {
    let test = "a_file_that_cannot_be_read_fails_alone";
    let Some(folder) = Folder::or_skip(test) else { return };
    fs::write(folder.join("a"), "123456789").unwrap();
    fs::write(folder.join("secret"), "").unwrap();
    fs::set_permissions(folder.join("secret"), Permissions::from_mode(0o000)).unwrap();
    let mut command = command(&folder, &["--workers", "1"]);
    // Root can read every file.
    if !ordinary_user_or_skip(test, &mut command, 8 << 20) {
        return;
    }
    let output = output_within(command, PATIENCE).unwrap();
    assert_eq!(lines(&output), [line(&folder, "cbf43926", 9, "a")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(error.contains("secret: Permission denied"), "{error}");
    assert!(error.contains("1 file could not be read"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let test = "a_folder_that_is_not_there_is_an_error";
    let Some(folder) = Folder::or_skip(test) else { return };
    fs::remove_dir(&*folder).unwrap();
    let output = run(&folder, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(test) && error.contains("No such file"), "{error}");
    assert_eq!(run(&folder, &["--workers", "0"]).status.code(), Some(2));
}
