//! Every place in the book that a diagnosis names is there.

use std::fs;
use std::path::Path;

/// The fragments of a page's headings, as mdBook makes them.
fn fragments(page: &str) -> Vec<String> {
    let heading =
        |line: &&str| line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
    let fragment = |line: &str| {
        if let Some((_, own)) = line.rsplit_once(" {#") {
            return own.trim_end_matches('}').to_string();
        }
        let words = line.trim_start_matches('#').trim().replace(' ', "-").to_lowercase();
        words.chars().filter(|it| it.is_alphanumeric() || "-_".contains(*it)).collect()
    };
    page.lines().filter(heading).map(fragment).collect()
}

#[test]
fn every_place_in_the_book_is_there() {
    let crate_ = Path::new(env!("CARGO_MANIFEST_DIR"));
    let book = crate_.join("../../book/src");
    if !book.is_dir() {
        return;
    }
    let rules = fs::read_dir(crate_.join("src/diagnosis")).expect("the rules");
    let mut places = 0;
    for file in rules.map(|file| file.expect("a file").path()) {
        if file.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(file).expect("Rust");
        for place in text.split('"').filter(|text| text.contains(".html#") && !text.contains(' ')) {
            let (page, fragment) = place.split_once(".html#").expect("page and fragment");
            let page = fs::read_to_string(book.join(page).with_extension("md")).expect(place);
            assert!(fragments(&page).iter().any(|it| it == fragment), "{place}");
            places += 1;
        }
    }
    assert!(places > 0, "no rule names a place");
}
