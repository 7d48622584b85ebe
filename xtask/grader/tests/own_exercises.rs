//! A teacher's exercises, in a folder outside of the repository. They are in `exercises/` beside
//! this file, and follow the book's page *Writing an exercise*.

mod workspace;

use std::fs;
use std::path::{Path, PathBuf};

use grader::exercise::folders;
use testkit::io_uring_or_skip;

use workspace::{Workspace, copy, text};

/// A copy of the teacher's folder beside a copy of the workspace.
fn teachers(workspace: &Workspace) -> PathBuf {
    let folder = workspace.0.with_extension("teacher");
    let _ = fs::remove_dir_all(&folder);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exercises"), &folder);
    folder
}

/// Runs `exercise` with the folder; the exit code and what was printed, errors last.
fn exercise(workspace: &Workspace, folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = folder.display().to_string();
    let output = workspace.run(&[&["exercise"], arguments, &["--exercises", &folder]].concat());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn the_folder_takes_the_place_of_the_books_exercises() {
    let workspace = Workspace::new("own_list");
    let folder = teachers(&workspace);
    let (code, list) = exercise(&workspace, &folder, &["list"]);
    assert_eq!(code, Some(0), "{list}");
    assert!(list.contains("Day 1") && list.contains("read_at"), "{list}");
    assert!(!list.contains("first_nop"), "{list}");
    // One exercise, and beside it those of a day.
    let one = folder.join("read_at");
    let day = workspace.0.join("day01/exercises").display().to_string();
    let (code, list) = exercise(&workspace, &one, &["list", "--exercises", &day]);
    assert_eq!(code, Some(0), "{list}");
    let at = |name: &str| list.find(name).unwrap_or_else(|| panic!("no {name}: {list}"));
    assert!(at("first_nop") < at("read_at"), "{list}");
    assert!(!list.contains("overflow"), "{list}");
    let (code, hint) = exercise(&workspace, &folder, &["hint", "read_at", "3"]);
    assert!(code == Some(0) && hint.contains(".offset(offset)"), "{hint}");
    let (code, shown) = exercise(&workspace, &folder, &["show", "read_at", "reads_all"]);
    assert!(code == Some(0) && shown.contains("+    let read"), "{shown}");
}

#[test]
fn it_is_checked_and_verified_as_the_books_are() {
    if !io_uring_or_skip("it_is_checked_and_verified_as_the_books_are") {
        return;
    }
    let workspace = Workspace::new("own_check");
    let folder = teachers(&workspace);
    let (code, verdict) = exercise(&workspace, &folder, &["check", "read_at"]);
    assert_eq!(code, Some(1), "{verdict}");
    assert!(verdict.contains("read_at: not yet (E-WRONG-ENTRY)"), "{verdict}");
    assert!(verdict.contains("The offset of this READ is"), "{verdict}");
    let (code, told) = exercise(&workspace, &folder, &["verify", "read_at"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("all as stated") && told.contains("read_at reads_all"), "{told}");

    let shown = folder.display().to_string();
    let output = workspace.run(&["learn", "--plain", "--exercises", &shown]);
    let page = text(&output.stdout);
    assert!(page.contains("A piece out of the middle"), "{page}{}", text(&output.stderr));

    let class = workspace.0.join("class");
    fs::create_dir_all(class.join("ada")).expect("a folder");
    fs::copy(folder.join("read_at/solution.rs"), class.join("ada/read_at.rs")).expect("a copy");
    let class = class.display().to_string();
    let output = workspace.run(&["class", &class, "--exercises", &shown]);
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    assert!(table.contains("read_at") && !table.contains("first_nop"), "{table}");
    assert!(table.lines().any(|line| line.starts_with("ada") && line.contains('*')), "{table}");
}

/// The comparison with the solution, and the lowest cost so far.
#[test]
fn a_program_that_passes_is_told_where_it_stands() {
    if !io_uring_or_skip("a_program_that_passes_is_told_where_it_stands") {
        return;
    }
    let workspace = Workspace::new("own_par");
    let folder = teachers(&workspace);
    let solution = fs::read_to_string(folder.join("read_at/solution.rs")).expect("a solution");
    let twice = solution.replace("ring.submit_and_wait", "ring.submit()?; ring.submit_and_wait");
    let busy = "ring.submit()?; for _ in 0..9 { ring.submit()?; } ring.submit_and_wait";
    let busy = solution.replace("ring.submit_and_wait", busy);
    let list = || exercise(&workspace, &folder, &["list"]).1;
    let possible = "2 calls of io_uring_enter, 1 entry per run; 1 and 1 are possible.";
    let at_par = "At par: 1 call of io_uring_enter, 1 entry per run.";
    for (program, told, listed) in [
        (twice, possible, format!("min  passed\n    {possible}\n")),
        (solution, at_par, "min  at par\n".to_string()),
        // The best one counts.
        (busy, "9 calls of io_uring_enter submitted nothing", "min  at par\n".to_string()),
    ] {
        fs::create_dir_all(workspace.0.join("workbook/src/bin")).expect("a folder");
        fs::write(workspace.program("read_at"), program).expect("a program");
        let (code, verdict) = exercise(&workspace, &folder, &["check", "read_at"]);
        assert!(code == Some(0) && verdict.contains(told), "{verdict}");
        assert!(verdict.lines().all(|line| line.chars().count() <= 80), "{verdict}");
        assert!(list().contains(&listed), "{}", list());
    }
    let output = workspace.run(&[
        "exercise",
        "list",
        "--json",
        "--exercises",
        &folder.display().to_string(),
    ]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(line["best"], serde_json::json!({"enters": 1, "entries": 1}));
    assert_eq!((&line["state"], &line["standing"]), (&"passed".into(), &at_par.into()));

    let about = folder.join("read_at/exercise.toml");
    let text = fs::read_to_string(&about).expect("a file");
    let spoilt = text.replace("enters = 1, entries = 1", "enters = 2, entries = 1");
    fs::write(&about, spoilt).expect("a file");
    let (code, told) = exercise(&workspace, &folder, &["verify", "read_at"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("its par is `enters = 1, entries = 1`"), "{told}");
    fs::write(&about, text.replace("par =", "# par =")).expect("a file");
    let (code, told) = exercise(&workspace, &folder, &["verify", "read_at"]);
    assert!(code == Some(1) && told.contains("the cost of the solution, is missing"), "{told}");
}

#[test]
fn what_a_folder_cannot_be_is_said_with_what_to_do() {
    let workspace = Workspace::new("own_wrong");
    let folder = teachers(&workspace);
    let one = folder.join("read_at");
    let says = |path: &Path, code: i32, words: &[&str]| {
        let (got, text) = exercise(&workspace, path, &["list"]);
        // Errors are wrapped.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(got, Some(code), "{text}");
        for words in words {
            assert!(text.contains(words), "{words:?} is missing: {text}");
        }
    };
    let spoil = |file: &str, from: &str, to: &str| {
        let path = one.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).expect("a file");
    };
    // The commands to type name the folder too.
    let (code, text) = exercise(&workspace, &folder, &["hint", "first_nop"]);
    assert!(code == Some(2) && text.contains("there are read_at."), "{text}");
    let (code, text) = exercise(&workspace, &folder, &["hint", "raed_at"]);
    assert!(code == Some(2) && text.contains("did you mean read_at?"), "{text}");
    fs::create_dir_all(workspace.0.join("workbook/src/bin")).expect("a folder");
    for which in ["read_at", "--all"] {
        fs::write(workspace.program("read_at"), "fn main() {}\n").expect("a program");
        let (code, text) = exercise(&workspace, &folder, &["reset", which]);
        let line = text.lines().find(|line| line.contains("--undo")).unwrap_or_default();
        let typed = line.trim_start_matches('`').split('`').next().unwrap_or_default();
        assert!(code == Some(0) && typed.contains("--exercises"), "{text}");
        let arguments: Vec<&str> = typed.split(' ').skip(2).collect();
        let output = workspace.run(&arguments);
        assert!(output.status.success(), "{typed}: {}", self::text(&output.stderr));
    }
    says(Path::new("~/mine"), 2, &["did not replace `~` with your home"]);
    says(&folder.join("nothing"), 2, &["there is no folder", "exercise new NAME"]);
    says(&workspace.0.join("common"), 2, &["holds no finished exercise", "exercise new NAME"]);

    spoil("check.toml", "passed =", "pased =");
    says(
        &folder,
        2,
        &[
            "check.toml",
            "line 3",
            "unknown field `pased`, expected `passed` or `run`",
            "mend what is left out",
        ],
    );
    spoil("check.toml", "pased =", "passed =");
    spoil("check.toml", "{piece.length}", "{peace.length}");
    says(
        &folder,
        2,
        &[
            "line 11: there is no value or file called peace.length",
            "has head, piece, tail, letter",
        ],
    );
    spoil("check.toml", "{peace.length}", "{piece.length}");

    fs::write(one.join("check.rs"), "").expect("a file");
    says(&folder, 2, &["check.rs: a check in Rust is compiled", "Write a check.toml"]);
    fs::remove_file(one.join("check.rs")).expect("a file");
    spoil("exercise.toml", "day = 1\n", "");
    says(&folder, 2, &["exercise.toml: write `day = 2`"]);
    spoil("exercise.toml", "order", "day = 1\norder");
    says(&folder, 0, &["read_at"]);

    fs::rename(&one, folder.join("first_nop")).expect("a rename");
    says(&folder, 2, &["day01/exercises has an exercise first_nop already"]);
    fs::rename(folder.join("first_nop"), folder.join("Read-At")).expect("a rename");
    says(&folder, 2, &["has small letters, digits and `_`"]);
    fs::rename(folder.join("Read-At"), &one).expect("a rename");
    let again = folder.join("again/read_at");
    copy(&one, &again);
    let shown = again.display().to_string();
    let (code, text) = exercise(&workspace, &folder, &["list", "--exercises", &shown]);
    assert!(code == Some(2) && text.contains("two exercises are called read_at"), "{text}");
}

#[test]
fn a_new_exercise_compiles_and_is_red_and_says_what_is_missing() {
    let workspace = Workspace::new("own_new");
    let folder = workspace.0.with_extension("teacher").join("deep");
    let _ = fs::remove_dir_all(&folder);
    let (code, page) = exercise(&workspace, &folder, &["new", "my_own", "--day", "3"]);
    assert_eq!(code, Some(0), "{page}");
    for file in ["brief.md", "solution.rs", "check.toml", "verify my_own --exercises"] {
        assert!(page.contains(file), "{page}");
    }
    let brief = folder.join("my_own/brief.md");
    fs::write(&brief, "mine").expect("a file");
    let (code, text) = exercise(&workspace, &folder, &["new", "my_own", "--day", "3"]);
    assert!(code == Some(2) && text.contains("nothing was changed"), "{text}");
    assert_eq!(fs::read_to_string(&brief).expect("a brief"), "mine");
    for name in ["My-Own", "match", "overflow", "a_name_that_is_too_long"] {
        let (code, text) = exercise(&workspace, &folder, &["new", name, "--day", "3"]);
        assert_eq!(code, Some(2), "{text}");
        assert!(!folder.join(name).exists(), "{name}");
    }
    // In the repository it is the last exercise of its day.
    let output = workspace.run(&["exercise", "new", "my_other", "--day", "3"]);
    assert!(output.status.success());
    let last = folders::load(&workspace.0).expect("the exercises");
    let last = last.into_iter().rfind(|exercise| exercise.day == 3).expect("day 3");
    assert_eq!(last.name, "my_other");

    if !io_uring_or_skip("a_new_exercise_compiles_and_is_red_and_says_what_is_missing") {
        return;
    }
    let (code, told) = exercise(&workspace, &folder, &["verify", "my_own"]);
    assert_eq!(code, Some(1), "{told}");
    for missing in [
        "brief.md: its first line is not `# TODO: a few words`, as in exercise.toml",
        "check.toml, line 1: there is a TODO",
        "variants.toml: 2 wrong answers; write 4 or more",
        "my_own--solution",
    ] {
        assert!(told.contains(missing), "{missing:?} is missing: {told}");
    }
    for good in ["my_own starter", "my_own empty", "my_own hard_coded"] {
        let line = told.lines().find(|line| line.contains(good)).unwrap_or_default();
        assert!(line.starts_with("ok"), "{told}");
    }
}
