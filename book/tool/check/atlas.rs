//! Runs the atlas and compares it with its recording.

use std::path::Path;
use std::process::{Command, Stdio};

use atlas::Recording;

use super::ring;
use crate::atlas::{RECORDINGS, recording};
use crate::output;
use crate::problem::Problem;
use crate::transcript;

/// The command that makes a recording again.
const AGAIN: &str = "if the new recording is right, as root: cargo xtask atlas --record > \
                     book/atlas/host.jsonl";

/// What is wrong with the recording of the atlas; `None` if it cannot be made again here.
pub fn problems(root: &Path) -> Option<Vec<Problem>> {
    match ring::available("the atlas") {
        Ok(true) => {}
        Ok(false) => return None,
        Err(problem) => return Some(vec![problem]),
    }
    let (file, _) = RECORDINGS[0];
    let recorded = match recording(root, file) {
        Ok(recorded) => recorded,
        Err(wrong) => return Some(vec![Problem::of(file, wrong.what, wrong.remedy)]),
    };
    match run(root) {
        Ok(fresh) => compare(file, &recorded, &fresh),
        Err(wrong) => Some(vec![Problem::of(file, "the atlas cannot be run", wrong)]),
    }
}

/// A new recording, or the complaint of `cargo xtask atlas`.
fn run(root: &Path) -> Result<Recording, String> {
    let mut command = Command::new("cargo");
    command.args(["xtask", "atlas", "--record"]);
    transcript::run::environment(&mut command);
    let output = command.current_dir(root).stdin(Stdio::null()).output();
    let output = output.map_err(|wrong| format!("Cargo cannot be started: {wrong}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Recording::parse(&text).map_err(|wrong| format!("it printed no recording: {wrong:#}"))
}

/// The differences of a new run; `None` if it may differ: on another kernel, or as another user.
fn compare(file: &str, recorded: &Recording, fresh: &Recording) -> Option<Vec<Problem>> {
    if recorded.made != fresh.made {
        let by = |root| if root { "root" } else { "an ordinary user" };
        let (there, here) = (&recorded.made, &fresh.made);
        output::aside(&format!(
            "SKIPPED the atlas: {file} was recorded on Linux {} as {}; this is Linux {} and {}",
            there.linux,
            by(there.root),
            here.linux,
            by(here.root)
        ));
        return None;
    }
    let mut problems = Vec::new();
    for now in &fresh.entries {
        let (family, name) = (&now.report.family, &now.report.name);
        let Some(before) = recorded.entry(family, name) else {
            problems.push(Problem::of(file, format!("it lacks {family}/{name}"), AGAIN));
            continue;
        };
        if before.report.left_out != now.report.left_out {
            let reasons = now.report.left_out.iter().map(|it| format!("\n  {it}"));
            output::aside(&format!(
                "SKIPPED {name} of the atlas: it leaves out something else on this machine, or since \
                 it was recorded:{}",
                reasons.collect::<String>()
            ));
            continue;
        }
        if let Some((before, now)) = before.difference(now) {
            let what = format!("{family}/{name} says something else now");
            problems.push(Problem::of(file, what, format!("- {before}\n+ {now}\n{AGAIN}")));
        }
    }
    for gone in &recorded.entries {
        let (family, name) = (&gone.report.family, &gone.report.name);
        if fresh.entry(family, name).is_none() {
            let what = format!("the atlas has no entry {family}/{name} any more");
            problems.push(Problem::of(file, what, AGAIN));
        }
    }
    Some(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(lines: &[&str]) -> Recording {
        let lines = lines.join("\n").replace(
            "ROWS",
            "\"shows\":[],\"ran\":[],\"places\":[],\
             \"in_the_record\":[],\"family\":\"f\",\"rows\":[{\"kind\":\"entry\",\"asked\":\"A\"",
        );
        Recording::parse(&lines).unwrap()
    }

    const HERE: &str = r#"{"linux":"6.18","root":true}"#;
    const NONE: &str = r#"{"name":"a",ROWS,"answered":"0"}],"left_out":[]}"#;
    const MORE: &str = r#"{"name":"a",ROWS,"answered":"7"}],"left_out":[]}"#;
    const EINVAL: &str = r#"{"name":"a",ROWS,"answered":"EINVAL"}],"left_out":[]}"#;
    const LESS: &str = r#"{"name":"a",ROWS,"answered":"EINVAL"}],"left_out":[{"what":"x","why":"y","where":"root"}]}"#;

    #[test]
    fn a_run_must_say_what_was_recorded() {
        let recorded = recording(&[HERE, NONE]);
        let wrong = |lines: &[&str]| compare("a.jsonl", &recorded, &recording(lines)).unwrap();
        assert_eq!(wrong(&[HERE, NONE]), []);
        assert_eq!(wrong(&[HERE, MORE]), [], "numbers may differ");
        assert_eq!(wrong(&[HERE, LESS]), [], "skipped: it leaves out something else");
        let [other] = wrong(&[HERE, EINVAL]).try_into().unwrap();
        assert_eq!(other.what, "f/a says something else now");
        assert!(other.remedy.starts_with("-   A → 0\n+   A → EINVAL\n"), "{other}");
        let [gone] = wrong(&[HERE]).try_into().unwrap();
        assert_eq!(gone.what, "the atlas has no entry f/a any more");
        let new = compare("a.jsonl", &recording(&[HERE]), &recorded).unwrap();
        assert_eq!(new[0].what, "it lacks f/a");
    }

    #[test]
    fn another_kernel_or_user_is_not_compared() {
        let recorded = recording(&[HERE, NONE]);
        for made in [r#"{"linux":"7.3","root":true}"#, r#"{"linux":"6.18","root":false}"#] {
            assert_eq!(compare("a.jsonl", &recorded, &recording(&[made, EINVAL])), None);
        }
    }
}
