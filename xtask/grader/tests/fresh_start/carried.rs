//! A workbook that a learner carries to another machine.

use std::fs;

use super::{Learner, workspace};

/// Files that a learner copies to another machine must not depend on this one.
#[test]
fn a_workbook_speaks_of_no_place_outside() {
    let learner = Learner::new("fresh_carried");
    learner.writes("first_nop", "mine");
    learner.passes(&["first_nop"]);
    learner.workbook.reset_all(&learner.all).expect("a reset");
    learner.workbook.undo_all(&learner.all).expect("an undo");
    learner.learns(&["--from", "day2"]);
    let mut folders = vec![learner.workbook.folder().to_path_buf()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|it| it.expect("one").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).expect("text");
            for place in [&learner.folder, &workspace().canonicalize().expect("it")] {
                let place = place.display().to_string();
                assert!(!text.contains(&place), "{}: {text}", path.display());
            }
        }
    }
    assert!(files > 5, "{files}");
}

#[test]
fn a_lock_of_another_machine_gives_way_and_the_learners_own_stays() {
    let learner = Learner::new("fresh_lock");
    let lock = learner.workbook.folder().join("Cargo.lock");
    let read = || fs::read_to_string(&lock).expect("a lock");
    let theirs = fs::read_to_string(workspace().join("Cargo.lock")).expect("a lock");
    assert_eq!(read(), theirs);
    // With a crate that the learner added. A new checkout of the workspace changes nothing.
    let mine = theirs.clone() + "\n[[package]]\nname = \"rand\"\nversion = \"0.9.0\"\n";
    fs::write(&lock, &mine).expect("a change");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::File::open(&lock).and_then(|it| it.set_modified(long_ago)).expect("ours");
    learner.workbook.prepare().expect("a workbook");
    assert_eq!(read(), mine);
    // Copied from a machine with another version of the workspace, just now.
    fs::write(learner.workbook.folder().join(".workspace.lock"), "another").expect("a file");
    fs::write(&lock, "[[package]]\nname = \"another\"\n").expect("a file");
    learner.workbook.prepare().expect("a workbook");
    assert_eq!(read(), theirs);
}

#[test]
fn an_alias_that_we_wrote_once_is_mended_and_one_of_the_learners_stays() {
    let learner = Learner::new("fresh_alias");
    let once = |up: &str| {
        format!("[alias]\nxtask = \"run --manifest-path {up}/Cargo.toml --package xtask --\"\n")
    };
    let path = |folder: &str| learner.workbook.folder().join(folder).join(".cargo/config.toml");
    let read = |folder: &str| fs::read_to_string(path(folder)).expect("a file");
    let now = ["", "src", "src/bin", "backup"].map(read);
    for (folder, up) in [("", ".."), ("src", "../.."), ("src/bin", "../../..")] {
        fs::write(path(folder), format!("# mine\n{}\n[net]\n", once(up))).expect("a file");
    }
    let mine = "[alias]\nxtask = \"run --package xtask --\"\n";
    fs::write(path("backup"), mine).expect("a file");
    learner.workbook.prepare().expect("a workbook");
    for (nth, folder) in ["", "src", "src/bin"].into_iter().enumerate() {
        let (text, alias) = (read(folder), now[nth].lines().last().expect("the alias"));
        assert!(text.contains(alias) && alias.contains("--target-dir"), "{text}");
        assert!(text.starts_with("# mine\n") && text.ends_with("[net]\n"), "{text}");
    }
    assert_eq!(read("backup"), mine);
}
