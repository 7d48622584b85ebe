//! A run as a page of its own: the ring player, the events beside it, and what is wrong.
//!
//! All of it is in one file, which needs no network and no server.

use std::fmt::Write as _;

use serde_json::json;

use super::event::Event;
use super::player::rings;
use super::summary::Summary;
use super::{summary_text, text};

/// The book's player, which plays recordings there, and runs here.
const PLAYER: [&str; 2] = [
    include_str!("../../../book/theme/ring-player.css"),
    include_str!("../../../book/theme/ring-player.js"),
];
const PAGE: [&str; 2] = [include_str!("html/page.css"), include_str!("html/page.js")];

/// How many events are listed: a browser has to draw each.
const MOST_EVENTS: usize = 20_000;

/// How many rings are played, the first ones.
const MOST_RINGS: usize = 8;

/// The page of a run.
pub fn page(command: &str, kernel: &str, events: &[Event], summary: &Summary) -> String {
    let program = command.split(' ').next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or(program);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · ringtrace</title>\n<style>\n{}\n{}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<p><code>{}</code>, on Linux {}.</p>\n</header>\n<main>\n",
        PAGE[0],
        PLAYER[0],
        escaped(command),
        escaped(kernel),
        title = escaped(name),
    );
    diagnoses(&mut page, summary);
    players(&mut page, command, kernel, events);
    list(&mut page, events);
    let totals = escaped(&summary_text::page(summary, None));
    let _ =
        write!(page, "<section id=\"totals\">\n<h2>Totals</h2>\n<pre>{totals}</pre>\n</section>\n");
    let _ =
        write!(page, "</main>\n<script>\n{}\n{}</script>\n</body>\n</html>\n", PLAYER[1], PAGE[1]);
    page
}

fn diagnoses(page: &mut String, summary: &Summary) {
    if summary.diagnoses.is_empty() {
        return;
    }
    page.push_str("<section id=\"wrong\">\n<h2>What is wrong</h2>\n<ul>\n");
    for diagnosis in &summary.diagnoses {
        let _ = writeln!(
            page,
            "<li id=\"{}\"><p><strong>{}</strong></p>\n<p>{}</p>\n<p class=\"book\">In the book: \
             <code>{}</code></p></li>",
            escaped(diagnosis.kind),
            escaped(&diagnosis.seen),
            escaped(&diagnosis.advice()),
            escaped(diagnosis.book),
        );
    }
    page.push_str("</ul>\n</section>\n");
}

/// A player for each ring.
fn players(page: &mut String, command: &str, kernel: &str, events: &[Event]) {
    page.push_str("<div class=\"rings\">\n");
    let number = rings::number(events);
    if number == 0 {
        page.push_str("<p>The program had no ring that could be followed.</p>\n");
    }
    for recording in rings::of_run(command, kernel, events, MOST_RINGS) {
        let _ = writeln!(
            page,
            "<figure class=\"ring-player\" data-ring=\"{}\"><figcaption><span class=\"ring-title\">\
             {}</span></figcaption><div class=\"ring-steps\"></div><script \
             type=\"application/json\" class=\"ring-data\">{}</script></figure>",
            recording.name,
            recording.title,
            in_script(&json!(recording).to_string()),
        );
    }
    if number > MOST_RINGS {
        let _ = writeln!(
            page,
            "<p>The first {MOST_RINGS} of {number} rings are played; the events are those of all.</p>"
        );
    }
    page.push_str("</div>\n");
}

/// The events, which the page's script lists and searches.
fn list(page: &mut String, events: &[Event]) {
    let rows: Vec<_> = events
        .iter()
        .take(MOST_EVENTS)
        .map(|event| {
            let lines = text::lines(std::slice::from_ref(event), usize::from(u16::MAX));
            let words = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
            json!([event.us, event.tid, words])
        })
        .collect();
    let left_out = events.len().saturating_sub(rows.len());
    page.push_str(
        "<section id=\"events\">\n<h2>Events</h2>\n<label>Search <input type=\"search\" \
         placeholder=\"RECV, EAGAIN, [0x7]…\"></label> <output></output>\n<ol></ol>\n",
    );
    if left_out > 0 {
        let _ = writeln!(page, "<p>{left_out} later events are left out: `--json` has them.</p>");
    }
    let _ = writeln!(
        page,
        "<script type=\"application/json\" class=\"events-data\">{}</script>\n</section>",
        in_script(&json!(rows).to_string())
    );
}

/// Text for HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// JSON within a script element, which nothing in it can end.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_stays_text() {
        assert_eq!(escaped("<a b=\"&\">"), "&lt;a b=&quot;&amp;&quot;&gt;");
        let json = in_script(&json!("</script><!--").to_string());
        assert!(!json.contains('<'), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), "</script><!--");
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = page("./server --x", "6.18", &[], &Summary::default());
        for link in ["src=", "href=", "url(", "@import", "fetch("] {
            assert!(!page.contains(link), "{link}");
        }
        assert!(page.contains("<title>server · ringtrace</title>"));
    }
}
