//! The button on transcripts and figures: it runs them on this machine, and shows the result.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::serving::{Serving, has_emulator};
use crate::session::{Page, Tried, from_files, in_browser};

/// The place below the nth element of this kind that shows its own run.
fn below(selector: &str, nth: usize) -> String {
    format!(
        "[...document.querySelectorAll('{selector}')].filter(it => !it.closest('.living'))[{nth}].nextElementSibling"
    )
}

/// Presses the nth button, by keyboard.
async fn press_run(page: &Page, selector: &str, nth: usize) -> Tried {
    let place = below(selector, nth);
    let there = format!("return {place}.querySelector('.living-button') !== null");
    page.until("there is a button", &there).await?;
    page.js(&format!("{place}.querySelector('.living-button').focus()"), vec![]).await?;
    let button = page.client.active_element().await?;
    button.send_keys(&char::from(Key::Enter).to_string()).await?;
    Ok(())
}

/// Waits for the end of the nth run, and returns the text in its place.
async fn end_of(
    page: &Page,
    selector: &str,
    nth: usize,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let place = below(selector, nth);
    let ended = format!(
        "return / after .* s\\.$|^Not now/.test({place}.querySelector('[role=status]').textContent)"
    );
    page.until("it ends", &ended).await?;
    let text = page.js(&format!("return {place}.innerText"), vec![]).await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_transcript_and_a_figure_run_from_their_page() {
    if !testkit::io_uring_or_skip("a_transcript_and_a_figure_run_from_their_page") {
        return;
    }
    in_browser("a_transcript_and_a_figure_run_from_their_page", |page| async move {
        let serving = Serving::start();
        page.open(&format!("{}day1.html", serving.address), "light", (1280, 800)).await?;
        press_run(&page, ".transcript", 0).await?;
        let buttons = format!(
            "return [...{}.querySelectorAll('.living-button')].map((it) => it.innerText)",
            below(".transcript", 0)
        );
        let buttons = page.js(&buttons, vec![]).await?.to_string();
        assert_eq!(buttons.contains("on Linux 6.1, emulated"), has_emulator(), "{buttons}");
        let text = end_of(&page, ".transcript", 0).await?;
        assert!(text.contains("$ cargo run -p day01"), "{text}");
        assert!(text.contains("its bytes    \"hello io\""), "{text}");
        assert!(text.contains("Your machine printed what the book says."), "{text}");
        assert!(text.contains("Just now: day01 on Linux"), "{text}");

        press_run(&page, ".ring-player", 0).await?;
        let text = end_of(&page, ".ring-player", 0).await?;
        assert!(text.contains("What your kernel did"), "{text}");
        assert!(text.contains("Recorded and yours, side by side"), "{text}");
        // Both players are there, and the new one is played by its keys.
        let figure = format!("{}.querySelector('.ring-player')", below(".ring-player", 0));
        let script = format!(
            "const figure = {figure};
            figure.querySelector('.ring-stage').focus();
            return figure.player.recording.counts.NOP;"
        );
        assert_eq!(page.js(&script, vec![]).await?, json!(1));
        let stage = page.client.active_element().await?;
        stage.send_keys(&char::from(Key::Right).to_string()).await?;
        let step = page.js(&format!("return {figure}.dataset.step"), vec![]).await?;
        assert_eq!(step, json!("2"));
        // What differs is marked.
        let other = format!(
            "const done = arguments[arguments.length - 1];
            import(new URL('-/rings.js', location.href)).then(({{ rings }}) => {{
                const own = {figure}.player.recording;
                const recorded = JSON.parse(JSON.stringify(own));
                recorded.counts.enters += 1;
                recorded.rings[0].flags.push('SQPOLL');
                const shown = rings([{{ rings: [own] }}], recorded);
                done([...shown.querySelectorAll('tr.differs')].map(row => row.textContent));
            }});"
        );
        let differs = page.client.execute_async(&other, vec![]).await?;
        let rows = json!(["setup flagsSQPOLLnone (differs)", "enters21 (differs)"]);
        assert_eq!(differs, rows);
        assert_eq!(nameless(&page).await?, Vec::<String>::new());
        let complaints = page.log("browser").await?;
        assert!(complaints.is_empty(), "{complaints:#?}");
        Ok(())
    });
}

/// Elements without a name for a screen reader.
async fn nameless(page: &Page) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    const ROLES: [&str; 7] = ["button", "link", "slider", "combobox", "log", "status", "region"];
    page.devtools("Accessibility.enable", json!({})).await?;
    let tree = page.devtools("Accessibility.getFullAXTree", json!({})).await?;
    let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
    let text =
        |node: &Value, what: &str| node[what]["value"].as_str().unwrap_or_default().to_owned();
    let shown = nodes.iter().filter(|node| node["ignored"] != json!(true));
    let ours = shown.filter(|node| ROLES.contains(&text(node, "role").as_str()));
    // A status is named by its content.
    let named = |node: &Value| text(node, "role") == "status" || !text(node, "name").is_empty();
    let (named, nameless): (Vec<_>, Vec<_>) = ours.partition(|node| named(node));
    let roles: Vec<String> = named.iter().map(|node| text(node, "role")).collect();
    for role in ["log", "status", "region"] {
        assert!(roles.iter().any(|it| it == role), "{role} in {roles:?}");
    }
    Ok(nameless.iter().map(ToString::to_string).collect())
}

#[test]
fn one_at_a_time_until_it_is_stopped() {
    if !testkit::io_uring_or_skip("one_at_a_time_until_it_is_stopped") {
        return;
    }
    in_browser("one_at_a_time_until_it_is_stopped", |page| async move {
        let serving = Serving::start();
        for (theme, size) in [("light", (1024, 768)), ("navy", (390, 844))] {
            page.open(&format!("{}day3.html", serving.address), theme, size).await?;
            // Ten clients, six of which wait for five seconds.
            press_run(&page, ".transcript", 0).await?;
            let place = below(".transcript", 0);
            let listens = format!(
                "return {place}.querySelector('.living-output').textContent.includes('listening')"
            );
            page.until("the server listens", &listens).await?;
            press_run(&page, ".transcript", 1).await?;
            let other = end_of(&page, ".transcript", 1).await?;
            assert!(other.contains("Not now: day3-naive is running: one at a time."), "{other}");
            let stop = format!("{place}.querySelectorAll('.living-button')[1].click()");
            page.js(&stop, vec![]).await?;
            let text = end_of(&page, ".transcript", 0).await?;
            assert!(text.contains("Stopped after"), "{text}");
            let sideways = "return ['html', '.content'].every(name => {
                const node = document.querySelector(name);
                return node.scrollWidth <= node.clientWidth; })";
            assert_eq!(page.js(sideways, vec![]).await?, json!(true), "{size:?}: it fits");
        }
        Ok(())
    });
}

#[test]
fn the_built_book_has_no_button() {
    in_browser("the_built_book_has_no_button", |page| async move {
        page.open(&format!("{}day1.html", from_files()), "light", (1280, 800)).await?;
        let none = "return document.querySelectorAll('.living, .living-button').length";
        assert_eq!(page.js(none, vec![]).await?, json!(0));
        Ok(())
    });
}

#[test]
fn what_writes_files_leaves_the_readers_alone() {
    if !testkit::io_uring_or_skip("what_writes_files_leaves_the_readers_alone") {
        return;
    }
    // A reader's file, where the transcript removes one and writes one.
    let own = Path::new("/tmp/my.log");
    let made = fs::File::create_new(own).is_ok();
    let about = || fs::metadata(own).map(|it| (it.len(), it.modified().expect("a time")));
    let before = about().expect("it is there");
    let serving = Serving::start();
    let events: Vec<Value> = events(serving.post("-/run/transcript/files-log")).collect();
    let after = about();
    if made {
        let _ = fs::remove_file(own);
    }
    assert_eq!(after.expect("it is still there"), before);
    let end = events.last().expect("an end");
    assert_eq!((&end["complaint"], &end["differences"]), (&Value::Null, &json!([])), "{events:?}");
}

#[test]
fn where_io_uring_is_blocked_the_program_says_why() {
    in_browser("where_io_uring_is_blocked_the_program_says_why", |page| async move {
        let serving = Serving::start_with(|command| {
            let refused = nix::errno::Errno::EPERM as i32;
            testkit::block_io_uring(command, refused);
        });
        page.open(&format!("{}setup.html", serving.address), "light", (1280, 800)).await?;
        press_run(&page, ".transcript", 0).await?;
        let text = end_of(&page, ".transcript", 0).await?;
        assert!(text.contains("why:") && text.contains("try:"), "{text}");
        assert!(text.contains("Your machine printed something else"), "{text}");
        Ok(())
    });
}

#[test]
fn the_presenter_runs_it_too() {
    if !testkit::io_uring_or_skip("the_presenter_runs_it_too") {
        return;
    }
    in_browser("the_presenter_runs_it_too", |page| async move {
        let serving = Serving::start();
        page.open(&format!("{}setup.html", serving.address), "light", (1024, 768)).await?;
        // At once, before the server has said what can be run.
        let script = "document.querySelector('.presenter-begin').click();
            const stage = document.querySelector('.presenter-stage');
            const next = [...document.querySelectorAll('.presenter-bar button')][1];
            for (let at = 0; at < 20 && !stage.querySelector('.transcript'); at++) {
                next.click();
            }
            return stage.firstElementChild.className";
        assert_eq!(page.js(script, vec![]).await?, json!("runnable"));
        let there = "const button = document.querySelector('.presenter-stage .living-button');
            button?.focus();
            return document.activeElement === button";
        page.until("there is a button", there).await?;
        let button = page.client.active_element().await?;
        button.send_keys(&char::from(Key::Enter).to_string()).await?;
        let ended = "return document.querySelector('.presenter-stage').innerText
            .includes('Your machine printed what the book says.')";
        page.until("it has run on the stage", ended).await
    });
}

/// The lines of a run, as the page gets them.
fn events(client: TcpStream) -> impl Iterator<Item = Value> {
    let mut reader = BufReader::new(client);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        line.clear();
    }
    reader.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok())
}

/// Whether any process has this in its environment.
fn lives(mark: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let environments = processes.filter_map(|it| fs::read(it.path().join("environ")).ok());
    let mark = mark.as_bytes();
    environments.into_iter().any(|it| it.windows(mark.len()).any(|part| part == mark))
}

#[test]
fn a_run_ends_with_its_page_and_with_the_server() {
    if !testkit::io_uring_or_skip("a_run_ends_with_its_page_and_with_the_server") {
        return;
    }
    for how in ["page", "server"] {
        let mark = format!("LIVING_{how}_{}", std::process::id());
        let scratch = tempfile::tempdir().expect("a folder");
        let mut serving = Serving::start_with(|command| {
            command.env("LIVING_MARK", &mark).env("TMPDIR", scratch.path());
        });
        let left = || fs::read_dir(scratch.path()).expect("the folder").count();
        let client = serving.post("-/run/transcript/day3-naive");
        let mut events = events(client.try_clone().expect("a socket"));
        let listens = |event: &Value| {
            event["text"].as_str().is_some_and(|text| text.contains("listening on"))
        };
        assert!(events.any(|event| listens(&event)), "it listens");
        assert_ne!(left(), 0, "the folder of the run");
        match how {
            "page" => {
                drop(events);
                let _ = client.shutdown(std::net::Shutdown::Both);
                // Then another one may begin.
                testkit::wait_until("the end of the run", || {
                    let mut answer = String::new();
                    let mut client = serving.post("-/stop");
                    client.read_to_string(&mut answer).is_ok() && answer.ends_with("null")
                });
            }
            _ => {
                serving.kill();
                testkit::wait_until("the end of all", || !lives(&mark));
            }
        }
        testkit::wait_until("an empty folder", || left() == 0);
    }
}

#[test]
fn an_entry_of_the_atlas_runs_and_its_answers_come() {
    if !testkit::io_uring_or_skip("an_entry_of_the_atlas_runs_and_its_answers_come") {
        return;
    }
    let serving = Serving::start();
    let events: Vec<Value> = events(serving.post("-/run/atlas/nop")).collect();
    let text = |event: &Value| event["text"].as_str().unwrap_or_default().to_owned();
    assert!(events.iter().any(|it| text(it) == "cargo xtask atlas nop"), "{events:?}");
    assert!(events.iter().any(|it| text(it).contains("NOP → 0")), "{events:?}");
    let end = events.last().expect("an end");
    assert_eq!((&end["event"], &end["complaint"]), (&json!("end"), &Value::Null), "{end}");
}

#[test]
fn a_transcript_runs_in_the_emulated_machine() {
    const TEST: &str = "a_transcript_runs_in_the_emulated_machine";
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    if !has_emulator() {
        return testkit::skipped(TEST, "there is no qemu (Debian: apt install qemu-system-x86)");
    }
    if !target.join("kernels/6.1.bzImage").is_file() {
        return testkit::skipped(TEST, "`cargo xtask kernels` has fetched no kernel here");
    }
    let serving = Serving::start();
    let events: Vec<Value> = events(serving.post("-/emulate/transcript/day01")).collect();
    let printed = |event: &Value| {
        event["text"].as_str().is_some_and(|text| text.contains("its bytes    \"hello io\""))
    };
    assert!(events.iter().any(printed), "{events:?}");
    let end = events.last().expect("an end");
    assert_eq!((&end["complaint"], &end["differences"]), (&Value::Null, &json!([])), "{end}");
    let ring = &end["traces"][0]["rings"][0];
    assert!(ring["kernel"].as_str().is_some_and(|kernel| kernel.starts_with("6.1.")), "{ring}");
    assert_eq!(ring["counts"]["NOP"], json!(1), "{ring}");
}

#[test]
fn only_names_of_the_book_are_run_and_only_on_loopback() {
    let serving = Serving::start();
    for path in [
        "run/transcript/no-such",
        "run/transcript/..%2fday01",
        "run/transcript/day01.txt",
        "run/figure/day01",
        "run/atlas/--missing",
        "run/transcript/day01;id",
        "emulate/transcript/day3-naive",
        "emulate/figure/nop",
        "emulate/atlas/--missing",
        "run/day01",
        "run",
    ] {
        let mut answer = String::new();
        serving.post(&format!("-/{path}")).read_to_string(&mut answer).expect("an answer");
        let refused = ["HTTP/1.1 409", "HTTP/1.1 404"].iter().any(|it| answer.starts_with(it));
        assert!(refused, "{path}: {answer}");
    }
    assert_eq!(serving.said(), "");
    let port = serving.host_and_word().0.rsplit(':').next().expect("a port").to_owned();
    assert!(TcpStream::connect(format!("127.0.0.2:{port}")).is_err());
}
