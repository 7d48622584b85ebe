//! The built book in Debian's Firefox, which comes without a WebDriver program: these tests speak
//! its own protocol, Marionette (a length, a colon, and `[0, id, command, parameters]`).

#[path = "living/serving.rs"]
#[expect(dead_code, reason = "only its address is used")]
mod serving;
#[path = "browser/session.rs"]
#[expect(dead_code, reason = "only the built book is used, not Chromium")]
mod session;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

/// The widths: a phone, a projector, a desk.
const WIDTHS: [u64; 3] = [390, 1024, 1280];

/// A headless Firefox with its own folder.
struct Firefox {
    child: Child,
    stream: BufReader<TcpStream>,
    next: u64,
    _home: tempfile::TempDir,
}

impl Firefox {
    /// `None`, with a message, if Firefox is missing.
    fn start(test: &str) -> Option<Firefox> {
        let home = tempfile::tempdir().expect("a folder");
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            free.local_addr().expect("an address").port()
        };
        std::fs::write(
            home.path().join("user.js"),
            format!("user_pref(\"marionette.port\", {port});\n"),
        )
        .expect("a file");
        let child = ["firefox-esr", "firefox"].into_iter().find_map(|name| {
            Command::new(name)
                .args(["--headless", "--marionette", "--no-remote", "--profile"])
                .arg(home.path())
                .env("HOME", home.path())
                // The pages are our own, and a container may not have what its sandbox needs.
                .env("MOZ_DISABLE_CONTENT_SANDBOX", "1")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .ok()
        });
        let Some(mut child) = child else {
            testkit::skipped(test, "there is no firefox (Debian: apt install firefox-esr)");
            return None;
        };
        let mut stream = None;
        testkit::holds_within(PATIENCE, || {
            stream = TcpStream::connect(("127.0.0.1", port)).ok();
            stream.is_some() || child.try_wait().is_ok_and(|status| status.is_some())
        });
        let Some(stream) = stream else {
            let _ = child.kill();
            let _ = child.wait();
            testkit::skipped(test, "Firefox ended, or did not listen, on this machine");
            return None;
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let stream = BufReader::new(stream);
        let mut firefox = Firefox { child, stream, next: 0, _home: home };
        firefox.message();
        firefox.ask("WebDriver:NewSession", json!({}));
        Some(firefox)
    }

    /// One message: its length, a colon, JSON.
    fn message(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("Firefox answers");
            match byte[0] {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("all of the answer");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    fn ask(&mut self, command: &str, parameters: Value) -> Value {
        self.next += 1;
        let text = json!([0, self.next, command, parameters]).to_string();
        write!(self.stream.get_mut(), "{}:{text}", text.len()).expect("Firefox listens");
        let answer = self.message();
        assert!(answer[2].is_null(), "{command}: {}", answer[2]);
        answer[3].clone()
    }

    fn js(&mut self, script: &str) -> Value {
        let parameters = json!({"script": script, "args": []});
        self.ask("WebDriver:ExecuteScript", parameters)["value"].clone()
    }

    /// Opens a page of the built book in a window whose inside has this width.
    fn open(&mut self, page: &str, width: u64) {
        let url = format!("{}{page}", session::from_files());
        self.open_at(&url, width);
    }

    fn open_at(&mut self, url: &str, width: u64) {
        let rectangle = json!({"width": width, "height": 800});
        self.ask("WebDriver:SetWindowRect", rectangle);
        self.ask("WebDriver:Navigate", json!({"url": url}));
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn pages_are_whole_at_every_width() {
    let Some(mut firefox) = Firefox::start("pages_are_whole_at_every_width") else { return };
    for page in ["day1.html", "day4-echo.html", "c-to-rust.html", "kernels.html", "atlas-time.html"]
    {
        for width in WIDTHS {
            firefox.open(page, width);
            let wide = "return [innerWidth, ...['html', '.page', '.content'].map((name) => {
                    const node = document.querySelector(name);
                    return node.scrollWidth - node.clientWidth; })]";
            let seen = firefox.js(wide);
            for sideways in 1..4 {
                assert_eq!(seen[sideways], json!(0), "{page}, {width}: {seen}");
            }
            // Firefox has a least width for a window.
            assert!(seen[0].as_u64().is_some_and(|it| it <= width.max(500)), "{page}: {seen}");
        }
    }
}

#[test]
fn the_player_the_presenter_and_the_choices_work() {
    let test = "the_player_the_presenter_and_the_choices_work";
    let Some(mut firefox) = Firefox::start(test) else { return };
    firefox.open("day1.html", 1280);
    let step = "document.querySelector('.ring-next').click();
        return document.querySelector('.ring-player').dataset.step";
    assert_eq!(firefox.js(step), json!("2"));
    let drawn = "const box = document.querySelector('.ring-drawing').getBoundingClientRect();
        return box.width > 300 && box.height > 150";
    assert_eq!(firefox.js(drawn), json!(true));
    let chosen = "document.querySelectorAll('.choose button')[1].click();
        return document.querySelector('.choose-said').textContent.trim()";
    assert_eq!(firefox.js(chosen), json!("Right."));
    let presented = "document.querySelector('.presenter-begin').click();
        const view = document.querySelector('.presenter');
        const bar = document.querySelector('.presenter-bar').getBoundingClientRect();
        return view.open && bar.bottom <= innerHeight";
    assert_eq!(firefox.js(presented), json!(true));
}

#[test]
fn the_served_book_runs_what_stands_in_it() {
    let test = "the_served_book_runs_what_stands_in_it";
    if !testkit::io_uring_or_skip(test) {
        return;
    }
    let Some(mut firefox) = Firefox::start(test) else { return };
    let serving = serving::Serving::start();
    firefox.open_at(&format!("{}day1.html", serving.address), 1024);
    let button = "document.querySelector('.ring-player + .living .living-button')";
    assert!(testkit::holds_within(PATIENCE, || {
        firefox.js(&format!("return {button} !== null")) == json!(true)
    }));
    firefox.js(&format!("{button}.click()"));
    let mut text = Value::Null;
    let ended = testkit::holds_within(5 * PATIENCE, || {
        text = firefox.js("return document.querySelector('.ring-player + .living').innerText");
        text.as_str().is_some_and(|text| text.contains("Recorded and yours, side by side"))
    });
    assert!(ended, "{text}");
    let played = "const own = document.querySelector('.living .ring-player');
        own.querySelector('.ring-next').click();
        return own.dataset.step";
    assert_eq!(firefox.js(played), json!("2"));
}
