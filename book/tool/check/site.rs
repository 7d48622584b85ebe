//! Checks the built pages: their links, what they load, and their alternative texts.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::html::{self, Html};
use crate::markup;
use crate::paths::{name, normal};
use crate::problem::Problem;

/// The error page of a server. Its links are relative to a server's root.
const NOT_FOUND: &str = "404.html";

/// All chapters on one page: a mistake there is a mistake in a chapter, unless mdBook made it.
const PRINT: &str = "print.html";

/// The built book.
pub struct Site {
    folder: PathBuf,
    /// By their path in the folder.
    pages: BTreeMap<String, Html>,
}

impl Site {
    /// Reads all built pages.
    pub fn read(folder: &Path) -> Result<Self, Problem> {
        let mut pages = BTreeMap::new();
        for file in super::files::below(folder, &|path| has_extension(path, "html")) {
            let text = fs::read_to_string(&file).map_err(|wrong| {
                Problem::of(file.display().to_string(), format!("{wrong}"), "build the book again")
            })?;
            pages.insert(name(folder, &file), Html::parse(&text));
        }
        Ok(Self { folder: folder.to_owned(), pages })
    }

    /// Everything that is wrong with the pages. `root` is the workspace.
    pub fn problems(&self, root: &Path) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (file, page) in &self.pages {
            let source = Source::of(root, file);
            if file != NOT_FOUND {
                problems.extend(self.broken_links(file, page, &source));
            }
            for (element, url) in page.loads.iter().filter(|(_, url)| html::remote(url)) {
                problems.push(source.problem(
                    url,
                    &format!("<{element}> loads {url} from the network"),
                    "keep a copy in the book, and cite its source in a link",
                ));
            }
            for what in &page.silent {
                problems.push(source.problem(
                    what.split(' ').next_back().unwrap_or_default(),
                    &format!("<{what}> has no alternative text"),
                    "give an image an alt text, and an svg a <title>",
                ));
            }
            if page.playground {
                problems.push(source.problem(
                    "```rust",
                    "a code block would be sent to the playground",
                    "[output.html.playground]\nrunnable = false",
                ));
            }
        }
        problems.extend(self.style_sheets(root));
        // A chapter's mistake is also on the page to print, in other words.
        let (printed, mut problems): (Vec<_>, Vec<_>) =
            problems.into_iter().partition(|problem| problem.file == PRINT);
        if problems.is_empty() {
            problems = printed;
        }
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.to_string()));
        problems
    }

    /// The links of a page that lead nowhere.
    fn broken_links(&self, file: &str, page: &Html, source: &Source) -> Vec<Problem> {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let broken = page.links.iter().filter_map(|link| {
            let (what, remedy) = self.broken(file, folder, link)?;
            Some(source.problem(link, &what, &remedy))
        });
        broken.collect()
    }

    /// What is wrong with a link to `link` on the page `file`, and the remedy.
    fn broken(&self, file: &str, folder: &Path, link: &str) -> Option<(String, String)> {
        if has_scheme(link) {
            return None;
        }
        let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
        let path = decoded(path.split('?').next().unwrap_or_default());
        let mut target = match path.as_str() {
            "" => file.to_owned(),
            _ => normal(&folder.join(&path)).display().to_string(),
        };
        if self.folder.join(&target).is_dir() {
            target = normal(&Path::new(&target).join("index.html")).display().to_string();
        }
        self.leads_nowhere(&target, fragment, link)
    }

    /// What is wrong with an address: a page, and a fragment that may be empty.
    fn leads_nowhere(&self, target: &str, fragment: &str, link: &str) -> Option<(String, String)> {
        let Some(page) = self.pages.get(target) else {
            let there = self.folder.join(target).is_file();
            return (!there).then(|| {
                let pages: Vec<&str> = self.pages.keys().map(String::as_str).collect();
                let remedy = format!("there are: {}", pages.join(", "));
                (format!("the link to `{link}` leads to no page"), remedy)
            });
        };
        let fragment = decoded(fragment);
        if fragment.is_empty() || fragment == "top" || page.ids.contains(&fragment) {
            return None;
        }
        Some((
            format!("the link to `{link}` leads to no heading of {target}"),
            format!("it has: {}", page.headings.join(", ")),
        ))
    }

    /// What is wrong with `page.html#fragment`, written somewhere outside the book.
    pub fn reference(&self, address: &str) -> Option<(String, String)> {
        let (page, fragment) = address.split_once('#').unwrap_or((address, ""));
        self.leads_nowhere(page, fragment, address)
    }

    /// Style sheets and scripts of the book that load something from the network.
    fn style_sheets(&self, root: &Path) -> Vec<Problem> {
        let mut problems = Vec::new();
        for file in super::files::below(&self.folder, &|path| has_extension(path, "css")) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            for url in html::styled(&text).filter(|url| html::remote(url)) {
                problems.push(Problem::of(
                    name(&self.folder, &file),
                    format!("loads {url} from the network"),
                    "keep a copy in book/theme/",
                ));
            }
        }
        let theme = root.join("book/theme");
        for file in super::files::below(&theme, &|path| has_extension(path, "js")) {
            let text = fs::read_to_string(&file).unwrap_or_default();
            for (index, line) in text.lines().enumerate() {
                let line = line.replace("http://www.w3.org/", "");
                if line.contains("http://") || line.contains("https://") {
                    problems.push(Problem::at(
                        name(root, &file),
                        index + 1,
                        "a script that names an address of the network",
                        "the book works without one: take it out",
                    ));
                }
            }
        }
        problems
    }
}

/// The source of a page.
struct Source {
    /// The chapter, or the built page if there is none.
    file: String,
    text: String,
}

impl Source {
    fn of(root: &Path, page: &str) -> Self {
        let file = format!("book/src/{}", Path::new(page).with_extension("md").display());
        match fs::read_to_string(root.join(&file)) {
            Ok(text) => Self { file, text },
            Err(_) => Self { file: page.to_owned(), text: String::new() },
        }
    }

    /// A problem in the line that has `words`, if one does.
    fn problem(&self, words: &str, what: &str, remedy: &str) -> Problem {
        let markdown = words.replace(".html", ".md");
        let line = self
            .text
            .lines()
            .position(|line| {
                !words.is_empty() && (line.contains(words) || line.contains(&markdown))
            })
            .map(|index| index + 1);
        Problem { line, ..Problem::of(&self.file, what, remedy) }
    }
}

/// Whether a file's name has this ending.
fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

/// Whether a link leads out of the book: `https:`, `mailto:` and so on.
fn has_scheme(link: &str) -> bool {
    let scheme = link.split_once(':').map_or("", |(scheme, _)| scheme);
    link.starts_with("//")
        || (!scheme.is_empty()
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)))
}

/// `text` with `%20` and the like decoded.
fn decoded(text: &str) -> String {
    markup::decoded(text.as_bytes()).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        let pages = [
            ("a.html", "<h2 id=\"x\"></h2><a href=\"b.html#y\">"),
            ("b.html", "<h2 id=\"y\"></h2>"),
            ("in/c.html", "<a href=\"../a.html#x\"><a href=\"#no\">"),
        ];
        let pages = pages.map(|(file, text)| (file.to_owned(), Html::parse(text)));
        Site { folder: PathBuf::from("/nowhere"), pages: pages.into() }
    }

    #[test]
    fn links_are_followed() {
        let site = site();
        let broken = |file: &str, link: &str| {
            let folder = Path::new(file).parent().unwrap();
            site.broken(file, folder, link).map(|(what, _)| what)
        };
        for link in ["b.html", "b.html#y", "#x", "#", "https://a/b#c", "mailto:a@b", "in/c.html"] {
            assert_eq!(broken("a.html", link), None, "{link}");
        }
        assert_eq!(broken("in/c.html", "../a.html#x"), None);
        assert!(broken("a.html", "d.html").unwrap().contains("no page"));
        assert!(broken("a.html", "b.html#x").unwrap().contains("no heading of b.html"));
        assert!(broken("in/c.html", "a.html").unwrap().contains("no page"));
        assert_eq!(site.reference("b.html#y"), None);
        assert!(site.reference("b.html#z").is_some());
    }
}
