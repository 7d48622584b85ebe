//! The book on paper.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Whether Debian's chromium and poppler-utils are there. If not, says so.
fn printer(test: &str) -> bool {
    let missing = ["chromium", "pdfinfo", "pdftotext"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_err());
    if let Some(name) = missing {
        testkit::skipped(test, format!("there is no {name}"));
    }
    missing.is_none()
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a text")
}

fn put(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[test]
fn the_contents_have_the_page_numbers() {
    if !printer("the_contents_have_the_page_numbers") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let book = Path::new(env!("CARGO_MANIFEST_DIR"));
    put(root, "book/book.toml", &read(&book.join("book.toml")));
    for file in fs::read_dir(book.join("theme")).expect("the theme").flatten() {
        let name = file.file_name().into_string().expect("a name");
        put(root, &format!("book/theme/{name}"), &read(&file.path()));
    }
    put(
        root,
        "book/src/SUMMARY.md",
        "# Summary\n\n[One](one.md)\n\n# Part\n\n- [Two](two.md)\n- [Three](three.md)\n",
    );
    let long = "A line of the first chapter.\n\n".repeat(120);
    put(root, "book/src/one.md", &format!("<!-- minutes: 1 -->\n\n# One\n\n{long}"));
    let wide = "x".repeat(100);
    let listing = format!("```text\n{wide}\n```\n");
    put(root, "book/src/two.md", &format!("<!-- minutes: 1 -->\n\n# Two\n\n{listing}"));
    put(root, "book/src/three.md", "<!-- minutes: 1 -->\n\n# Three\n\nShort.\n");
    let pdf = root.join("book.pdf");
    output(Command::new(env!("CARGO_BIN_EXE_book")).arg("pdf").arg(&pdf).arg("--root").arg(root));
    let text = output(Command::new("pdftotext").arg("-layout").arg(&pdf).arg("-"));
    assert!(text.contains(&wide), "a line of source fits:\n{text}");
    let sheets: Vec<&str> = text.split('\x0c').collect();
    for title in ["Two", "Three"] {
        let line = sheets[0].lines().find(|line| line.trim_start().starts_with(title));
        let number = line.and_then(|line| line.split_whitespace().last()).expect("its number");
        let number: usize = number.parse().expect("a number");
        let first = sheets[number - 1].lines().find(|line| !line.trim().is_empty());
        assert_eq!(first.map(str::trim), Some(title), "sheet {number}:\n{}", sheets[number - 1]);
        assert!(sheets[number - 1].trim_end().ends_with(&number.to_string()), "no page number");
    }
}

#[test]
fn the_cheat_sheet_fits_one_sheet() {
    if !printer("the_cheat_sheet_fits_one_sheet") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let dest = folder.path().join("pages");
    output(Command::new(env!("CARGO_BIN_EXE_book")).arg("build").arg("--dest").arg(&dest));
    let pdf = folder.path().join("sheet.pdf");
    output(
        Command::new("chromium")
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"])
            .arg(format!("--print-to-pdf={}", pdf.display()))
            .arg(format!("file://{}/cheat-sheet.html", dest.display())),
    );
    let facts = output(Command::new("pdfinfo").arg(&pdf));
    let pages = facts.lines().find_map(|line| line.strip_prefix("Pages:")).map(str::trim);
    assert_eq!(pages, Some("1"), "{facts}");
}
