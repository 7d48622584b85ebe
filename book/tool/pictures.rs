//! `pictures`: draws README's pictures again. Chromium draws the ring player of a page and the
//! screen of `learn`, which runs in tmux in a copy of the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::build::{self, Place};
use crate::markup;
use crate::output;
use crate::problem::Problem;

/// The folder of README's pictures.
const FOLDER: &str = "book/pictures";

/// The page with the ring player, and the step that it shows.
const PLAYER: (&str, u32) = ("day1.html", 4);

/// The words on the screen when the first exercise has its verdict.
const JUDGED: &str = "E-";

/// How long a compiler may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Draws the pictures.
pub fn draw(place: &Place) -> Result<(), Vec<Problem>> {
    let pages = build::build(place)?;
    let folder = place.root.join(FOLDER);
    let one = |problem| vec![problem];
    fs::create_dir_all(&folder).map_err(|wrong| one(failed(FOLDER, &wrong)))?;
    player(&pages, &folder.join("ring-player.png")).map_err(one)?;
    learn(place, &pages, &folder.join("learn.png")).map_err(one)
}

/// The player alone, after some steps.
fn player(pages: &Path, picture: &Path) -> Result<(), Problem> {
    let (page, steps) = PLAYER;
    let text = fs::read_to_string(pages.join(page)).map_err(|wrong| failed(page, &wrong))?;
    let script = format!(
        "<script>addEventListener('load', () => {{\
           const figure = document.querySelector('.ring-player');\
           document.body.replaceChildren(figure);\
           document.body.style.padding = '16px';\
           for (let n = 0; n < {steps}; n++) figure.dispatchEvent(new KeyboardEvent('keydown', \
           {{key: 'ArrowRight', bubbles: true}}));\
         }});</script></body>"
    );
    photograph(pages, &text.replace("</body>", &script), (900, 640), picture)
}

/// The screen of `learn` with a verdict.
fn learn(place: &Place, pages: &Path, picture: &Path) -> Result<(), Problem> {
    let copy = place.root.join("target/pictures/workspace");
    let _ = fs::remove_dir_all(&copy);
    let target = place.root.join("target/pictures/target");
    run(Command::new("git")
        .args(["clone", "--quiet", "--no-hardlinks"])
        .arg(&place.root)
        .arg(&copy))?;
    let tmux = |arguments: &[&str]| {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", "pictures", "-f", "/dev/null"]).args(arguments);
        tmux.current_dir(&copy).env("CARGO_TARGET_DIR", &target).env("TERM", "xterm-256color");
        tmux
    };
    let learn = "cargo xtask learn";
    run(&mut tmux(&["new-session", "-d", "-x", "80", "-y", "24", "-s", "learn", learn]))?;
    let screen = judged(&|| run(&mut tmux(&["capture-pane", "-e", "-p", "-t", "learn"])), &copy);
    let _ = run(&mut tmux(&["kill-server"]));
    let page = format!(
        "<html><meta charset=\"utf-8\"><style>body {{ margin: 0; background: #1d1f21; color: #e6e6e6 }} \
         pre {{ margin: 14px; font: 15px/1.3 monospace }}</style><pre>{}</pre></html>",
        coloured(&screen?)
    );
    photograph(pages, &page, (780, 500), picture)
}

/// The screen when the starter was saved and has its verdict.
fn judged(screen: &dyn Fn() -> Result<String, Problem>, copy: &Path) -> Result<String, Problem> {
    let since = Instant::now();
    let mut saved = false;
    loop {
        let text = screen()?;
        if text.contains(JUDGED) {
            return Ok(text);
        }
        let starter = copy.join("workbook/src/bin/first_nop.rs");
        if !saved && text.contains("first_nop") && starter.is_file() {
            // Save as an editor does.
            let saved_again = fs::read(&starter).and_then(|bytes| fs::write(&starter, bytes));
            saved = saved_again.is_ok();
        }
        if since.elapsed() > PATIENCE {
            return Err(Problem::of("learn", "it showed no verdict", text));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// A terminal's text as HTML: its colours, bold and dim (`ECMA-48`, SGR).
fn coloured(screen: &str) -> String {
    let mut out = String::new();
    let mut pieces = screen.trim_end().split("\x1b[");
    out.push_str(&markup::html(pieces.next().unwrap_or_default()));
    let mut open = false;
    for piece in pieces {
        let (codes, text) = piece.split_once('m').unwrap_or(("", piece));
        if open {
            out.push_str("</span>");
        }
        let style: String = codes.split(';').filter_map(style).collect();
        out.push_str(&format!("<span style=\"{style}\">{}", markup::html(text)));
        open = true;
    }
    out + if open { "</span>" } else { "" }
}

fn style(code: &str) -> Option<&'static str> {
    Some(match code {
        "1" => "font-weight: bold;",
        "2" => "opacity: .65;",
        "4" => "text-decoration: underline;",
        "7" => "background: #e6e6e6; color: #1d1f21;",
        "31" => "color: #ff6b6b;",
        "32" => "color: #8bd17c;",
        "33" => "color: #e9c46a;",
        "36" => "color: #7fd1d8;",
        _ => return None,
    })
}

/// Lets Chromium draw a page that lies beside the built ones.
fn photograph(pages: &Path, page: &str, size: (u32, u32), picture: &Path) -> Result<(), Problem> {
    let file: PathBuf = pages.join("picture.html");
    fs::write(&file, page).map_err(|wrong| failed("picture.html", &wrong))?;
    let drawn = run(Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--window-size={},{}", size.0, size.1))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", file.display())));
    let _ = fs::remove_file(&file);
    drawn?;
    output::line(&format!("drew {}", picture.display()));
    Ok(())
}

/// The output of a program.
///
/// # Errors
/// If it is missing, or fails.
pub fn run(command: &mut Command) -> Result<String, Problem> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|wrong| failed(&name, &wrong))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Problem::of(&name, "it failed", words));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn failed(what: &str, wrong: &std::io::Error) -> Problem {
    Problem::of(what, format!("{wrong}"), "this needs Debian's chromium, tmux and git")
}

#[cfg(test)]
mod tests {
    use super::coloured;

    #[test]
    fn colours_become_spans() {
        assert_eq!(
            coloured("a <b>\x1b[1;31mred\x1b[0m end\n\n"),
            "a &lt;b&gt;<span style=\"font-weight: bold;color: #ff6b6b;\">red</span>\
             <span style=\"\"> end</span>"
        );
    }
}
