//! The parts of a built page that `check` needs.

use std::cell::RefCell;
use std::collections::HashSet;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// One page.
#[derive(Debug, Default)]
pub struct Html {
    /// The fragments that a link can lead to.
    pub ids: HashSet<String>,
    /// The fragments of headings and of definitions in lists, in the order of the page.
    pub headings: Vec<String>,
    /// The targets of its links.
    pub links: Vec<String>,
    /// What it loads: the element, and the address.
    pub loads: Vec<(String, String)>,
    /// Images and drawings without an alternative text.
    pub silent: Vec<String>,
    /// Whether a code block would be sent to the playground.
    pub playground: bool,
}

impl Html {
    /// Reads a page.
    pub fn parse(text: &str) -> Self {
        let queue = BufferQueue::default();
        queue.push_back(StrTendril::from(text));
        let tokenizer = Tokenizer::new(Collector::default(), TokenizerOpts::default());
        let _ = tokenizer.feed(&queue);
        tokenizer.end();
        let collected = tokenizer.sink.0.into_inner();
        collected.page
    }
}

/// Reads the tokens one after the other.
#[derive(Default)]
struct Collector(RefCell<Reading>);

/// What has been read so far.
#[derive(Default)]
struct Reading {
    page: Html,
    /// Within `<main>`: mdBook's own buttons are outside.
    main: bool,
    /// Within a `<style>`.
    style: bool,
    /// Within the heading of an admonition, whose sign is mere decoration.
    sign: bool,
    /// A drawing without a label, until its `<title>` comes.
    drawing: Option<String>,
}

impl TokenSink for Collector {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut reading = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => reading.tag(&tag),
            Token::CharacterTokens(text) if reading.style => {
                reading.page.loads.extend(styled(&text).map(|url| ("style".to_owned(), url)));
                TokenSinkResult::Continue
            }
            _ => TokenSinkResult::Continue,
        }
    }
}

impl Reading {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = tag.name.as_ref();
        if tag.kind == TagKind::EndTag {
            self.end(name);
            return TokenSinkResult::Continue;
        }
        let attribute = |wanted: &str| value(tag, wanted);
        let class = attribute("class").unwrap_or_default();
        if let Some(id) = attribute("id") {
            if self.main && matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dt") {
                self.page.headings.push(id.clone());
            }
            self.page.ids.insert(id);
        }
        self.page.loads.extend(loads(tag));
        match name {
            "main" => self.main = true,
            "a" => {
                self.page.links.extend(attribute("href"));
                self.page.ids.extend(attribute("name"));
            }
            "p" => self.sign = class.contains("blockquote-tag-title"),
            "pre" | "code" => self.page.playground |= class.split(' ').any(|it| it == "playground"),
            "img" if self.main && attribute("alt").is_none_or(|alt| alt.trim().is_empty()) => {
                self.page.silent.push(format!("img {}", attribute("src").unwrap_or_default()));
            }
            "svg" if self.main && !self.sign => {
                let said = attribute("aria-label").is_some_and(|label| !label.trim().is_empty())
                    || attribute("aria-labelledby").is_some()
                    || attribute("aria-hidden").is_some_and(|hidden| hidden == "true");
                self.drawing = (!said).then(|| format!("svg {class}"));
            }
            "title" => self.drawing = None,
            "script" => return TokenSinkResult::RawData(RawKind::ScriptData),
            "style" => {
                self.style = true;
                return TokenSinkResult::RawData(RawKind::Rawtext);
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }

    fn end(&mut self, name: &str) {
        match name {
            "main" => self.main = false,
            "style" => self.style = false,
            "p" => self.sign = false,
            "svg" => self.page.silent.extend(self.drawing.take()),
            _ => {}
        }
    }
}

/// The value of a tag's attribute. Names such as `xlink:href` are compared without their prefix.
fn value(tag: &Tag, wanted: &str) -> Option<String> {
    let local = |name: &str| name.rsplit(':').next() == Some(wanted);
    tag.attrs.iter().find(|it| local(it.name.local.as_ref())).map(|it| it.value.to_string())
}

/// What the browser loads for a tag by itself.
fn loads(tag: &Tag) -> Vec<(String, String)> {
    let name = tag.name.as_ref();
    let attributes: &[&str] = match name {
        "script" | "iframe" | "embed" | "audio" | "track" | "input" => &["src"],
        "img" | "source" => &["src", "srcset"],
        "video" => &["src", "poster"],
        "object" => &["data"],
        "link" | "use" | "image" | "feimage" | "base" => &["href"],
        _ => &[],
    };
    let mut loads: Vec<_> = attributes
        .iter()
        .filter_map(|attribute| value(tag, attribute))
        .flat_map(|url| url.split(',').map(|url| url.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    loads.extend(value(tag, "style").iter().flat_map(|style| styled(style).collect::<Vec<_>>()));
    loads.into_iter().map(|url| (name.to_owned(), url)).collect()
}

/// What a style sheet loads: `url(…)` and `@import "…"`.
pub fn styled(css: &str) -> impl Iterator<Item = String> {
    let clean = |url: &str| url.trim().trim_matches(['"', '\'']).to_owned();
    let urls = css.split("url(").skip(1).filter_map(|rest| rest.split(')').next());
    let imports = css.split("@import").skip(1).filter_map(|rest| rest.split([';', '\n']).next());
    let imports = imports.filter(|rest| !rest.contains("url("));
    urls.chain(imports).map(clean)
}

/// Whether an address leads away from the book.
pub fn remote(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    lower.starts_with("//")
        || ["http:", "https:", "ws:", "wss:", "ftp:"].iter().any(|it| lower.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = Html::parse(
            r##"<link rel="stylesheet" href="a.css"><style>@import "http://x/y.css"; a { b: url('https://z') }</style>
<svg></svg><main id="top"><a name="old" href="b.html#c">b</a><h2 id="c">C</h2>
<script>"<a href='no'>"</script><img src="i.png"><img src="j.png" alt="J">
<svg class="one"><rect/></svg><svg><title>Two</title></svg><svg aria-label="3"></svg>
<p class="blockquote-tag-title"><svg></svg></p><use xlink:href="http://u/"/>
<p style="background: url(//v)">x</p></main>"##,
        );
        assert_eq!(page.links, ["b.html#c"]);
        assert!(["top", "c", "old"].iter().all(|id| page.ids.contains(*id)), "{:?}", page.ids);
        assert_eq!(page.headings, ["c"]);
        assert_eq!(page.silent, ["img i.png", "svg one"]);
        let remote: Vec<&str> =
            page.loads.iter().map(|(_, url)| url.as_str()).filter(|url| remote(url)).collect();
        assert_eq!(remote.len(), 4, "{remote:?}");
        assert!(!page.playground);
        assert!(Html::parse("<pre class=\"playground\">").playground);
    }
}
