//! The search finds a constant by any part of its name: `fsync` and `op_fs` lead to
//! `IORING_OP_FSYNC`, and `E-NOT` to `E-NOT-SUBMITTED`.
//!
//! mdBook's index has words as they are, cut at hyphens, and finds a word by its beginning. This
//! module adds words to the built index: each end of a name that begins at one of its parts, and
//! whole words with hyphens. `theme/search.js` keeps the hyphens of the reader's words.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The text before the index in its file, and after it.
const AROUND: [&str; 2] = ["window.search = Object.assign(window.search, JSON.parse('", "'));"];

/// The lists of verdicts and faults. They come first among the sections that have such a name.
const LISTS: [&str; 2] = ["by-symptom.html#verdicts", "by-symptom.html#faults"];

/// Adds the words to the index of built pages.
///
/// # Errors
/// If there is no index, or it is not mdBook's.
pub fn widen(folder: &Path) -> Result<(), String> {
    let path = folder.join("searchindex.js");
    let text = fs::read_to_string(&path).map_err(|wrong| wrong.to_string())?;
    let mut index = read(&text)?;
    let docs = index.pointer("/index/documentStore/docs").cloned().unwrap_or_default();
    let urls = index["doc_urls"].clone();
    for field in ["title", "body", "breadcrumbs"] {
        let root = index.pointer_mut(&format!("/index/index/{field}/root"));
        let root = root.ok_or(format!("it has no field {field}"))?;
        let mut words = Vec::new();
        collect(root, &mut String::new(), &mut words);
        for (word, found) in &words {
            ends(word).for_each(|end| insert(root, end, found));
        }
        for (id, doc) in docs.as_object().into_iter().flatten() {
            let url = id.parse().ok().and_then(|at: usize| urls[at].as_str());
            let often = if url.is_some_and(|url| LISTS.contains(&url)) { 100.0 } else { 1.0 };
            let found = Map::from_iter([(id.clone(), json!({"tf": often}))]);
            let text = doc[field].as_str().unwrap_or_default();
            hyphenated(text).for_each(|word| insert(root, &word, &found));
        }
    }
    fs::write(&path, written(&index)).map_err(|wrong| wrong.to_string())
}

/// The index out of its file, where it is JSON within quotes of JavaScript.
fn read(text: &str) -> Result<Value, String> {
    let [before, after] = AROUND;
    let quoted = text.strip_prefix(before).and_then(|rest| rest.trim_end().strip_suffix(after));
    let quoted = quoted.ok_or("it does not begin and end as mdBook writes it")?;
    let plain = quoted.replace("\\'", "'").replace("\\\\", "\\");
    serde_json::from_str(&plain).map_err(|wrong| wrong.to_string())
}

/// The text of its file.
fn written(index: &Value) -> String {
    let [before, after] = AROUND;
    let quoted = index.to_string().replace('\\', "\\\\").replace('\'', "\\'");
    format!("{before}{quoted}{after}")
}

/// All words of a tree, each with its sections. A node's children are under one letter each, and
/// its own sections under `docs`.
fn collect(node: &Value, word: &mut String, words: &mut Vec<(String, Map<String, Value>)>) {
    for (key, child) in node.as_object().into_iter().flatten() {
        if key == "docs" {
            let found = child.as_object().filter(|found| !found.is_empty());
            words.extend(found.map(|found| (word.clone(), found.clone())));
        } else if key != "df" {
            word.push_str(key);
            collect(child, word, words);
            word.truncate(word.len() - key.len());
        }
    }
}

/// Adds sections to a word, and the word to the tree.
fn insert(root: &mut Value, word: &str, found: &Map<String, Value>) {
    let mut node = root;
    for letter in word.chars() {
        let child = &mut node[letter.to_string()];
        if child.is_null() {
            *child = json!({"docs": {}, "df": 0});
        }
        node = child;
    }
    if let Some(docs) = node["docs"].as_object_mut() {
        for (id, count) in found {
            docs.entry(id).or_insert_with(|| count.clone());
        }
        node["df"] = docs.len().into();
    }
}

/// The ends of a name that begin at a part of it: `op_fsync` and `fsync` of `ioring_op_fsync`.
fn ends(word: &str) -> impl Iterator<Item = &str> {
    let inside = |(at, _): &(usize, char)| *at > 0 && !word[..*at].ends_with(char::is_alphanumeric);
    let parts = word.char_indices().filter(inside).map(|(at, _)| &word[at..]);
    parts.filter(|end| end.len() > 2 && end.starts_with(char::is_alphabetic))
}

/// The words of a text that have a hyphen, in lower case.
fn hyphenated(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric() && !"-_".contains(letter));
    words
        .map(|word| word.trim_matches('-').to_lowercase())
        .filter(|word| word.contains('-') && word.len() < 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_parts() {
        assert_eq!(ends("ioring_op_fsync").collect::<Vec<_>>(), ["op_fsync", "fsync"]);
        assert_eq!(ends("opcode::readmulti").collect::<Vec<_>>(), ["readmulti"]);
        assert_eq!(ends("pread(2").count(), 0);
        let words = hyphenated("It is E-NOT-SUBMITTED, a - b, and end-of-file.");
        assert_eq!(words.collect::<Vec<_>>(), ["e-not-submitted", "end-of-file"]);
    }

    #[test]
    fn the_index_stays_what_it_was_and_gets_more_words() {
        let folder = tempfile::tempdir().unwrap();
        let node = |word: &str| {
            let mut root = json!({"docs": {}, "df": 0});
            insert(&mut root, word, &Map::from_iter([("7".into(), json!({"tf": 2.0}))]));
            root
        };
        let field = |word: &str| json!({"root": node(word)});
        let index = json!({"doc_urls": ["a.html"], "index": {
            "index": {"title": field("it's"), "body": field("op_nop"), "breadcrumbs": field("x")},
            "documentStore": {"docs": {"7": {"title": "", "body": "E-NO", "breadcrumbs": ""}}},
        }});
        let path = folder.path().join("searchindex.js");
        fs::write(&path, written(&index)).unwrap();
        widen(folder.path()).unwrap();
        widen(folder.path()).unwrap();
        let index = read(&fs::read_to_string(&path).unwrap()).unwrap();
        let (mut words, root) = (Vec::new(), &index["index"]["index"]["body"]["root"]);
        collect(root, &mut String::new(), &mut words);
        let names: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        assert_eq!(names, ["e-no", "nop", "op_nop"]);
        assert_eq!(words[1].1["7"]["tf"], 2.0);
        assert!(widen(&folder.path().join("none")).is_err());
    }
}
