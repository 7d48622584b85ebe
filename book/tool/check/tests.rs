//! A small book that is right, and that is broken in one place after the other: `check` names each.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Depth, check, traces};
use crate::build::Place;
use crate::problem::Problem;
use tempfile::TempDir;

/// The files of a small workspace with a book.
const FILES: [(&str, &str); 12] = [
    (
        "book/book.toml",
        "[book]\ntitle = \"T\"\n[build]\nbuild-dir = \"../pages\"\ncreate-missing = false\n\
         use-default-preprocessors = false\n[preprocessor.days]\ncommand = \"true\"\n\
         [output.html]\nadditional-css = [\"theme/days.css\"]\nhash-files = false\n\
         [output.html.playground]\nrunnable = false\n",
    ),
    ("book/theme/days.css", "main { color: var(--fg) }\n"),
    ("book/src/SUMMARY.md", "# Summary\n\n[One](one.md)\n\n# Part\n\n- [Two](two.md)\n"),
    (
        "book/src/one.md",
        "<!-- minutes: 5 -->\n# One\n\n[over there](two.md#the-listing)\n\n{{#transcript hello}}\n\n\
         It says {{#quote hello \"wor\"}} after {{#count nop enters}} call.\n\n{{#plan}}\n",
    ),
    (
        "book/src/two.md",
        "<!-- minutes: 7 -->\n# Two\n\n## The listing\n\n```rust\n\
         {{#include ../../day01/src/main.rs:go}}\n```\n\n{{#ring nop}}\n\n{{#figure box}}\n\n\
         {{#brief day01 first}}\n\n{{#catalog enter-flags}}\n\n{{#total two}} minutes\n\n\
         > [!NOTE]\n> A note.\n",
    ),
    (
        "book/figures/box.svg",
        "<svg viewBox=\"0 0 9 9\"><title>Box</title><desc>A box.</desc>\
         <rect fill=\"none\" stroke=\"currentColor\" width=\"5\" height=\"5\"/></svg>\n",
    ),
    ("book/transcripts/hello.txt", "$ echo hello; echo world\nhello\nworld\n"),
    (
        "book/traces/nop.json",
        "{\"name\":\"nop\",\"title\":\"A NOP\",\"program\":\"day01\",\"command\":\"day01\",\
         \"kernel\":\"6.18\",\"rings\":[{\"sq_entries\":8,\"cq_entries\":16,\"flags\":[]}],\
         \"steps\":[{\"do\":\"setup\",\"say\":\"A ring.\",\"call\":\"io_uring_setup\"}],\"counts\":{\"enters\":1}}",
    ),
    ("day01/src/main.rs", "// ANCHOR: go\nfn main() {}\n// ANCHOR_END: go\n"),
    ("day01/exercises/first/brief.md", "# First\n\nDo it.\n"),
    (
        "day01/exercises/first/exercise.toml",
        "title = \"First\"\nbook = \"two.html#the-listing\"\norder = 1\nminutes = 9\n",
    ),
    ("day01/exercises/first/solution.rs", "fn main() {}\n"),
];

/// The small workspace, in a temporary folder.
fn workspace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in FILES {
        put(folder.path(), file, text);
    }
    folder
}

fn put(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn checked(root: &Path, depth: Depth) -> Vec<Problem> {
    check(&Place { root: root.to_owned(), dest: None }, depth)
}

/// The messages of `check` when one text in one file is replaced.
fn broken(file: &str, right: &str, wrong: &str) -> String {
    let folder = workspace();
    let (_, text) = FILES.iter().find(|(name, _)| *name == file).unwrap();
    assert!(text.contains(right), "{file} has no {right}");
    put(folder.path(), file, &text.replacen(right, wrong, 1));
    let problems = checked(folder.path(), Depth::Pages);
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn what_is_right_is_left_alone() {
    let folder = workspace();
    assert_eq!(checked(folder.path(), Depth::Pages), []);
    let page = fs::read_to_string(folder.path().join("pages-checked/two.html")).unwrap();
    for part in [
        "fn main() {}",
        ">day01/src/main.rs</div>",
        "ring-player",
        "<title>Box",
        "Do it.",
        "IORING_ENTER_GETEVENTS",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = fs::read_to_string(folder.path().join("pages-checked/one.html")).unwrap();
    for part in ["<code>world</code> after 1 call", "echo hello", ">12<"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn each_mistake_is_named() {
    let one = "book/src/one.md";
    let two = "book/src/two.md";
    for (file, right, wrong, told) in [
        // Listings.
        (two, ":go}}", ":went}}", "two.md:7: day01/src/main.rs has no anchor `went`"),
        (two, "main.rs:go", "lib.rs:go", "two.md:7: there is no file day01/src/lib.rs"),
        (two, ":go}}", ":1:2}}", "two.md:7: `../../day01/src/main.rs:1:2` is not an anchor"),
        (
            two,
            "{{#include ../../day01/src/main.rs:go}}",
            "fn a() {}",
            "two.md:6: Rust that no compiler",
        ),
        (
            two,
            "../../day01/src/main.rs",
            "../../../main.rs",
            "two.md:7: `../../../main.rs` lies outside",
        ),
        ("day01/src/main.rs", "// ANCHOR: go\n", "", "two.md:7: day01/src/main.rs has no anchor"),
        (two, "```rust", "```", "two.md:6: a code block that does not say"),
        // Transcripts, recordings, figures, briefs, tables.
        (
            one,
            "transcript hello",
            "transcript hallo",
            "one.md:6: there is no file book/transcripts/hallo",
        ),
        (
            one,
            "\"wor\"",
            "\"war\"",
            "one.md:8: no line of the transcript's output contains \"war\"",
        ),
        (one, "\"wor\"", "\"o\"", "one.md:8: 2 lines of the transcript's output"),
        (one, "nop enters", "nop enter", "one.md:8: the recording does not count `enter`"),
        (two, "ring nop", "ring nap", "two.md:10: there is no file book/traces/nap.json"),
        (
            "book/traces/nop.json",
            "\"counts\"",
            "\"count\"",
            "book/traces/nop.json: it is not a recording",
        ),
        (two, "figure box", "figure bax", "two.md:12: there is no file book/figures/bax.svg"),
        (
            "book/figures/box.svg",
            "<title>Box</title>",
            "",
            "two.md:12: book/figures/box.svg: it has no <title>",
        ),
        (
            two,
            "day01 first",
            "day01 last",
            "two.md:14: there is no file day01/exercises/last/brief.md",
        ),
        (
            "day01/exercises/first/brief.md",
            "Do it.",
            "```rust\nlet a = 1;\n```",
            "first/brief.md:3: Rust that no compiler",
        ),
        (two, "enter-flags", "enter-flag", "two.md:16: the catalogue has no table `enter-flag`"),
        (two, "{{#total two}}", "{{#total three}}", "two.md:18: no page is called `three`"),
        (two, "{{#total two}}", "{{#totla two}}", "two.md:18: there is no directive `totla`"),
        (
            two,
            "{{#total two}}",
            "{{#total two",
            "two.md:18: the directive `{{#total two minutes` has no end",
        ),
        (
            one,
            "{{#transcript hello}}",
            "see {{#transcript hello}}",
            "one.md:6: `{{#transcript}}` shares its line",
        ),
        // Links, files, the network.
        (
            one,
            "two.md#the",
            "two.md#a",
            "one.md:4: the link to `two.html#a-listing` leads to no heading",
        ),
        (
            one,
            "(two.md#",
            "(tow.md#",
            "one.md:4: the link to `tow.html#the-listing` leads to no page",
        ),
        (
            two,
            "## The listing",
            "## A listing",
            "first/exercise.toml:2: the link to `two.html#the-listing`",
        ),
        (
            one,
            "# One",
            "![a](https://a.example/a.png)",
            "one.md:2: <img> loads https://a.example/a.png from the network",
        ),
        (one, "# One", "![](a.png)", "one.md:2: <img a.png> has no alternative text"),
        (
            "book/theme/days.css",
            "main",
            "@import \"https://a.example/a.css\"; main",
            "days.css: loads https://a.example/a.css",
        ),
        (one, "# One", "<div>", "one.md: mdBook warns"),
        // Pages.
        (one, "minutes: 5", "minutes: some", "one.md:1: the page does not say how many minutes"),
        (
            "book/src/SUMMARY.md",
            "- [Two](two.md)",
            "",
            "book/src/two.md: no link leads to this page",
        ),
        ("book/src/SUMMARY.md", "(two.md)", "(three.md)", "book/src/SUMMARY.md: "),
        ("book/book.toml", "runnable", "runable", "book/book.toml:13: "),
        (
            "book/book.toml",
            "runnable = false",
            "runnable = true",
            "book/book.toml:13: Rust blocks would be sent",
        ),
        (two, "{{#figure box}}", "", "book/figures/box.svg: no page shows it"),
    ] {
        let said = broken(file, right, wrong);
        assert!(said.contains(told), "{file}, {wrong}: not told `{told}` but\n{said}");
    }
}

#[test]
fn several_mistakes_are_named_at_once() {
    let folder = workspace();
    let root = folder.path();
    put(root, "day01/src/main.rs", "fn main() {}\n");
    put(root, "book/traces/nop.json", "{}");
    let text = FILES.iter().find(|(name, _)| *name == "book/src/one.md").unwrap().1;
    let text = text.replace("transcript hello", "transcript hallo").replace("two.md#", "two.md#x");
    put(root, "book/src/one.md", &text);
    let said: String =
        checked(root, Depth::Pages).iter().map(|problem| format!("{problem}\n")).collect();
    for told in [
        "one.md:4: the link to `two.html#xthe-listing` leads to no heading",
        "one.md:6: there is no file book/transcripts/hallo.txt",
        "two.md:7: day01/src/main.rs has no anchor `go`",
        "two.md:10: book/traces/nop.json: it is not a recording",
    ] {
        assert!(said.contains(told), "not told `{told}` but\n{said}");
    }
}

#[test]
fn a_pending_snapshot_is_named() {
    let folder = workspace();
    put(folder.path(), "day01/tests/snapshots/a.snap.new", "");
    let problems = checked(folder.path(), Depth::Pages);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].file, "day01/tests/snapshots/a.snap.new");
    assert_eq!(problems[0].remedy, "cargo insta review");
}

fn ran(root: &Path) -> Vec<Problem> {
    super::transcripts::problems(root).expect("they are run")
}

#[test]
fn a_transcript_that_no_run_prints_is_named() {
    if !testkit::io_uring_or_skip("a_transcript_that_no_run_prints_is_named") {
        return;
    }
    let folder = workspace();
    assert_eq!(ran(folder.path()), []);
    let file = "book/transcripts/hello.txt";
    put(folder.path(), file, "# needs: 5.1\n$ echo hello; echo world\nhello\nWorld\n");
    let problems = ran(folder.path());
    assert_eq!(problems.len(), 1, "{problems:?}");
    let said = problems[0].to_string();
    assert!(
        said.starts_with(&format!("{file}:2: a run of `echo hello; echo world` prints")),
        "{said}"
    );
    assert!(said.contains("    - World\n") && said.contains("    + world\n"), "{said}");
    put(folder.path(), file, "# needs: 99.1\n$ echo hello\nWorld\n");
    assert_eq!(ran(folder.path()), [], "skipped on this kernel");

    put(folder.path(), file, "# needs: 5.1\n$ echo hello; echo world\n…\n");
    assert_eq!(super::record(folder.path(), &["hello".to_owned()]), []);
    let recorded = fs::read_to_string(folder.path().join(file)).unwrap();
    assert_eq!(recorded, "# needs: 5.1\n$ echo hello; echo world\nhello\nworld\n");
    let unknown = super::record(folder.path(), &["hallo".to_owned()]);
    assert!(unknown[0].to_string().contains("there are: hello"), "{unknown:?}");
}

#[test]
fn a_recording_that_tells_another_story_is_named() {
    if !testkit::io_uring_or_skip("a_recording_that_tells_another_story_is_named") {
        return;
    }
    let folder = workspace();
    let shell = |script: &'static str| {
        move |name: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script, name]);
            command
        }
    };
    assert_eq!(traces::against(folder.path(), &shell("true")), Some(vec![]));
    let problems = traces::against(folder.path(), &shell("echo $0 has one enter more; exit 1"))
        .expect("they are compared");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].file, "book/traces/nop.json");
    assert!(problems[0].remedy.starts_with("nop has one enter more\n"), "{problems:?}");
    put(folder.path(), "book/traces/nop.json", "{");
    let problems = traces::against(folder.path(), &shell("true")).expect("they are compared");
    assert!(problems[0].what.starts_with("it is not a recording"), "{problems:?}");
}
