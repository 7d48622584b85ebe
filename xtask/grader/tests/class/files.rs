//! What is written about a class, whatever the programs are and whenever they are judged.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use testkit::io_uring_or_skip;

use super::{Class, run, solution};

/// Any names of students, and any output of their programs.
#[test]
fn every_file_is_safe_to_open_and_short() {
    const TEST: &str = "every_file_is_safe_to_open_and_short";
    if !io_uring_or_skip(TEST) {
        return;
    }
    let class = Class::new("class_files");
    let long = "fn main() { panic!(\"<{}>\", \"\\u{1b}[31m&]]>\\\"\".repeat(30_000)) }";
    class.hand_in("=HYPERLINK(\"x\")", &solution());
    class.hand_in("+1", long);
    class.hand_in("-1", "fn main() { let x: u32 = \"=1+1\"; }");
    class.hand_in("@SUM(1)", &"\n".repeat(300_000));
    class.hand_in("\t<&\"]]>,;", long);
    let (csv, junit) = (class.folder.join("table.csv"), class.folder.join("table.xml"));
    let mut command = class.command();
    command.arg("--csv").arg(&csv).arg("--junit").arg(&junit);
    let table = run(command);
    assert!(table.contains("  *  1\n"), "{table}");

    let csv = fs::read_to_string(csv).expect("a table");
    for line in csv.lines().skip(1) {
        let fields = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).expect(line);
        for field in fields.split("\",\"") {
            assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{line}");
        }
    }
    for name in ["'=HYPERLINK(\"\"x\"\")", "'+1", "'-1", "'@SUM(1)", "?<&\"\"]]>,;"] {
        assert!(csv.contains(&format!("\n\"{name}\",\"1\",\"first_nop\",")), "{name}: {csv}");
    }
    let passed = csv.lines().find(|line| line.contains("\"passed\"")).expect("one that passed");
    assert!(passed.ends_with(",\"1\",\"1\",\"1\",\"1\",\"\""), "{passed}");
    let failed = csv.lines().find(|line| line.contains("E-PANIC")).expect("one that failed");
    assert!(failed.ends_with(",\"\",\"1\",\"\",\"1\",\"\""), "{failed}");
    assert!(csv.contains("\"failed\",\"E-PANIC\",\"The program panicked"), "{csv}");
    assert!(
        csv.contains("\"failed\",\"E-COMPILE\",\"error[E0308]: mismatched types\",\"next\","),
        "{csv}"
    );

    let junit = fs::read_to_string(junit).expect("a report");
    let document = roxmltree::Document::parse(&junit).expect("XML");
    let is_failure = |node: &roxmltree::Node| node.has_tag_name("failure");
    let failures: Vec<_> = document.descendants().filter(is_failure).collect();
    let mut kinds: Vec<_> = failures.iter().filter_map(|it| it.attribute("type")).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["E-COMPILE", "E-PANIC", "E-PANIC"]);
    assert!(failures.iter().all(|it| it.text().is_some_and(|text| text.contains("E-"))), "{junit}");

    let texts = fs::read_dir(class.folder.join("out")).expect("texts").flatten();
    let texts = texts.map(|text| fs::read_to_string(text.path()).expect("a text"));
    for text in texts.chain([table, csv, junit]) {
        assert!(text.len() < 20_000, "{} bytes: {}", text.len(), &text[..2000]);
        assert!(!text.contains('\x1b'), "{text:?}");
    }
}

#[test]
fn two_runs_at_a_time_judge_each_its_own_programs() {
    if !io_uring_or_skip("two_runs_at_a_time_judge_each_its_own_programs") {
        return;
    }
    let [good, bad, third] =
        ["good", "bad", "third"].map(|name| Class::new(&format!("class_two_{name}")));
    for student in ["one", "two", "three"] {
        good.hand_in(student, &solution());
        bad.hand_in(student, "fn main() { println!(\"nothing\") }");
    }
    let second = std::thread::spawn(move || run(bad.command()));
    let good = run(good.command());
    let bad = second.join().expect("the other run");
    assert_eq!(
        (good.matches("  *  1\n").count(), bad.matches("  x  0\n").count()),
        (3, 3),
        "{good}{bad}"
    );

    // The built files are now in the future, as after the clock was set back.
    in_the_future(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder"));
    third.hand_in("four", "fn main() { println!(\"nothing\") }");
    let third = run(third.command());
    assert!(third.contains("  x  0\n"), "{third}");
}

/// Sets the times of the files built for classes an hour ahead.
fn in_the_future(folder: &Path) {
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            in_the_future(&path);
        }
        let name = path.to_string_lossy();
        if ["submission", "class/libraries"].iter().any(|part| name.contains(part)) {
            let _ = File::open(&path).and_then(|file| file.set_modified(ahead));
        }
    }
}
