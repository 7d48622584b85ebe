//! The reader's own programs on the pages of the exercises.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::serving::{Serving, has_emulator};
use crate::session::{self, Page, Tried, in_browser};

/// How long to wait: it may include compiling everything that a reader's program needs.
const LONG: Duration = Duration::from_secs(600);

/// A workspace with the exercises and what their programs need, so that no test touches a real
/// workbook.
struct Workspace {
    folder: PathBuf,
    /// The command in place of `cargo xtask`.
    xtask: PathBuf,
}

impl Workspace {
    fn new() -> Self {
        // The same path each time, so that it is compiled only once.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("living-exercises");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = fs::read_to_string(real.join("Cargo.toml")).expect("the manifest");
        // Of all packages, keep only the one that the programs use.
        let (before, rest) = manifest.split_once("members = [").expect("members");
        let (_, after) = rest.split_once("\n[").expect("another table");
        let manifest = format!("{before}members = [\"common\"]\n\n[{after}");
        fs::write(folder.join("Cargo.toml"), manifest).expect("a file");
        fs::copy(real.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a copy");
        copy(&real.join("common"), &folder.join("common"));
        for day in ["day01", "day02", "day03", "day04"] {
            copy(&real.join(day).join("exercises"), &folder.join(day).join("exercises"));
        }
        let build = ["build", "--quiet", "--locked", "--package", "grader"];
        let built = Command::new(env!("CARGO")).args(build).current_dir(&real).status();
        assert!(built.is_ok_and(|status| status.success()), "the grader is built");
        let grader = Path::new(env!("CARGO_BIN_EXE_book")).with_file_name("grader");
        let xtask = folder.join("xtask.sh");
        let script = format!(
            "#!/bin/sh\nCARGO_MANIFEST_DIR='{}/xtask' exec '{}' \"$@\"\n",
            folder.display(),
            grader.display()
        );
        fs::write(&xtask, script).expect("a script");
        fs::set_permissions(&xtask, fs::Permissions::from_mode(0o755)).expect("a mode");
        Self { folder, xtask }
    }

    /// Checks a program as from a terminal.
    fn check(&self, name: &str) {
        let mut command = Command::new(&self.xtask);
        command.args(["exercise", "check", name]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = testkit::output_within(command, LONG).expect("an end");
        let words = String::from_utf8_lossy(&output.stderr);
        let program = self.folder.join(format!("workbook/src/bin/{name}.rs"));
        assert!(program.is_file(), "{words}");
    }

    /// `learn`, running on its own exercise.
    fn learn(&self, name: &str) -> Learn {
        let mut command = Command::new(&self.xtask);
        command.args(["learn", "--plain", name]).stdin(Stdio::piped());
        testkit::die_with_parent(&mut command);
        Learn(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("learn"))
    }

    /// The progress file.
    fn progress(&self) -> Value {
        let text = fs::read_to_string(self.folder.join("workbook/progress.json"));
        serde_json::from_str(&text.expect("the progress")).expect("JSON")
    }

    /// Saves the solution as the reader's program.
    fn solve(&self, name: &str) {
        let solution = self.folder.join("day01/exercises").join(name).join("solution.rs");
        let program = self.folder.join(format!("workbook/src/bin/{name}.rs"));
        fs::copy(solution, program).expect("a save");
    }
}

/// A running `learn`. Dropping it ends it.
struct Learn(Child);

impl Learn {
    /// Leaves it by its key.
    fn quit(mut self) {
        let keys = self.0.stdin.take().map(|mut keys| keys.write_all(b"q\n"));
        assert!(matches!(keys, Some(Ok(()))), "it reads keys");
        assert!(self.0.wait().is_ok_and(|status| status.success()), "it ends well");
    }
}

impl Drop for Learn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

/// The place of an exercise on its page.
fn place(name: &str) -> String {
    format!("document.querySelector('[data-exercise={name}]')")
}

/// Waits until an exercise's place says something.
async fn says(page: &Page, name: &str, words: &str) -> Tried {
    let script = format!("return {}.innerText.includes('{words}')", place(name));
    let mut tried = page.until(words, &script).await;
    for _ in 0..3 {
        // It may include a compilation.
        if tried.is_err() {
            tried = page.until(words, &script).await;
        }
    }
    if tried.is_err() {
        let text = page.js(&format!("return {}.innerText", place(name)), vec![]).await?;
        return Err(format!("{name} does not say {words}: {text}").into());
    }
    Ok(())
}

/// Presses a button of an exercise by keyboard, as soon as it is there.
async fn press(page: &Page, name: &str, words: &str) -> Tried {
    let button = format!(
        "[...{}.querySelectorAll('button')].find(it => !it.hidden && \
         it.innerText.includes('{words}'))",
        place(name)
    );
    page.until(words, &format!("return {button} !== undefined")).await?;
    page.js(&format!("{button}.focus()"), vec![]).await?;
    page.client.active_element().await?.send_keys(&char::from(Key::Enter).to_string()).await?;
    Ok(())
}

#[test]
fn each_save_is_checked_and_the_solution_opens_by_the_rules() {
    const TEST: &str = "each_save_is_checked_and_the_solution_opens_by_the_rules";
    if session::found().is_none() {
        return in_browser(TEST, |_| async { Ok(()) });
    }
    if !testkit::io_uring_or_skip(TEST) {
        return;
    }
    let workspace = Workspace::new();
    // The libraries of all programs are compiled first.
    workspace.check("probe_first");
    in_browser(TEST, |page| async move {
        let serving = Serving::start_with(|command| {
            command.arg("--xtask").arg(&workspace.xtask);
        });
        let url = format!("{}exercises-day1.html", serving.address);
        page.open(&url, "light", (1024, 768)).await?;
        let learn = workspace.learn("hello_write");
        // Begun, and perhaps checked already: a program that appears is a save.
        says(&page, "hello_write", "hello_write.rs").await?;
        says(&page, "first_nop", "Not begun.").await?;
        says(&page, "probe_first", "You have begun.").await?;
        press(&page, "first_nop", "Begin").await?;
        says(&page, "first_nop", "not yet (E-NOT-SUBMITTED)").await?;
        says(&page, "first_nop", "What the kernel recorded").await?;
        assert!(workspace.folder.join("workbook/src/bin/first_nop.rs").is_file());
        let within = format!("return {}.contains(document.activeElement)", place("first_nop"));
        assert_eq!(page.js(&within, vec![]).await?, json!(true), "the focus stays there");

        // Neither passed nor given up.
        let early = "return fetch('-/exercise/first_nop/solution').then(it => it.status)";
        assert_eq!(page.js(early, vec![]).await?, json!(409));
        let listen = format!(
            "const status = {}.querySelector('[role=status]');
            window.said = [];
            new MutationObserver(() => window.said.push(status.textContent))
                .observe(status, {{ childList: true }});",
            place("first_nop")
        );
        page.js(&listen, vec![]).await?;
        workspace.solve("first_nop");
        says(&page, "first_nop", "first_nop.rs: passed.").await?;
        let said = page.js("return window.said.join('\\n')", vec![]).await?;
        assert!(!said.to_string().contains("not yet"), "the old verdict: {said}");
        let counts = format!(
            "return {}.querySelector('.ring-player').player.recording.counts.NOP",
            place("first_nop")
        );
        assert_eq!(page.js(&counts, vec![]).await?, json!(1), "its own rings are played");
        let buttons =
            format!("return {}.innerText.includes('on Linux 6.1, emulated')", place("first_nop"));
        assert_eq!(page.js(&buttons, vec![]).await?, json!(has_emulator()));
        press(&page, "first_nop", "Show the solution").await?;
        says(&page, "first_nop", "^^^").await?;

        // The same progress as in a terminal.
        workspace.check("one_enter");
        workspace.solve("one_enter");
        workspace.check("one_enter");
        says(&page, "one_enter", "passed").await?;

        press(&page, "probe_first", "Give up").await?;
        press(&page, "probe_first", "No").await?;
        press(&page, "probe_first", "Give up").await?;
        press(&page, "probe_first", "Yes").await?;
        says(&page, "probe_first", "^^^").await?;
        says(&page, "probe_first", "You gave it up.").await?;
        // Meanwhile `learn` passes its exercise, and no progress is lost.
        workspace.solve("hello_write");
        says(&page, "hello_write", "hello_write.rs: passed.").await?;
        testkit::wait_until("all are noted", || {
            let passed = json!(["first_nop", "hello_write", "one_enter"]);
            workspace.progress()["passed"] == passed
        });
        assert_eq!(workspace.progress()["given_up"], json!(["probe_first"]));
        learn.quit();
        assert_eq!(workspace.progress()["passed"].as_array().map(Vec::len), Some(3));

        let complaints = page.log("browser").await?;
        page.open(&format!("{}progress.html", serving.address), "light", (390, 844)).await?;
        page.until(
            "the map counts them",
            "return /3 of \\d+ exercises passed, 1 given up/.test(document.body.innerText)",
        )
        .await?;
        let ours = |it: &&Value| !it.to_string().contains("first_nop/solution");
        assert_eq!(complaints.iter().find(ours), None, "no other than the refused one");
        Ok(())
    });
}
