//! The kernels' answers to the programs of the chapters: the examples of day04 whose names end in
//! `_answers`.
//!
//! Such a program asks the kernel that it runs on, and prints a line for each question, `QUESTION:
//! ANSWER`. An answer that may differ in the next run begins with `~`. The answers are kept in
//! `book/answers/NAME/linux_6_1.txt`, where the book reads them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use common::catalog::Kernel;
use common::environment;
use nix::unistd::geteuid;

use super::console::{Ran, one_line};
use super::inside::{ANSWERS_PATIENCE, run_program};

/// How the names of the programs end.
pub const SUFFIX: &str = "_answers";

/// Where the answers are kept.
const FOLDER: &str = "book/answers";

/// What a kernel answered to one program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The program's name.
    pub program: String,
    /// Its questions and their answers, in order.
    pub lines: Vec<(String, String)>,
    /// Why answers may be missing, if the program failed.
    pub failed: Option<String>,
}

impl Asked {
    fn answer(&self, question: &str) -> Option<&str> {
        self.lines.iter().find(|(asked, _)| asked == question).map(|(_, answer)| answer.as_str())
    }
}

/// A kernel and what it answered.
pub type OfKernel = (Kernel, Vec<Asked>);

/// Reads what a program printed; `None` if it is another kind of program.
pub fn read(ran: &Ran) -> Option<Asked> {
    let program = ran.command.trim_end();
    if !program.ends_with(SUFFIX) {
        return None;
    }
    let mut asked = Asked { program: program.to_string(), ..Asked::default() };
    for line in ran.stdout.lines() {
        match line.split_once(": ") {
            Some((question, _)) if asked.answer(question).is_some() => {
                asked.failed = Some(format!("it asks twice: {question}"));
            }
            Some((question, answer)) => {
                asked.lines.push((question.to_string(), answer.to_string()));
            }
            None => asked.failed = Some(format!("no line QUESTION: ANSWER: {line}")),
        }
    }
    if ran.code != Some(0) {
        let code = ran.code.map_or("no exit status".into(), |code| format!("exit status {code}"));
        asked.failed = Some(format!("{code}: {}", one_line(&ran.stderr)));
    }
    Some(asked)
}

/// Asks the kernel of this machine in `folder`, as root like the booted ones. `None` for an ordinary
/// user, and if there is no recording and none is made.
///
/// # Errors
/// If no folder can be made for the programs to work in.
pub fn of_this_machine(
    workspace: &Path,
    folder: &Path,
    programs: &[PathBuf],
    record: bool,
) -> Result<Option<OfKernel>> {
    let Some(kernel) = Kernel::parse(&environment::kernel_release()) else { return Ok(None) };
    let is_recorded = |program: &PathBuf| {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        file(workspace, &name, kernel).exists()
    };
    if !geteuid().is_root() || !(record || programs.iter().any(is_recorded)) {
        return Ok(None);
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let ask = |program: &PathBuf| {
        read(&run_program(&[&program.display().to_string()], folder, ANSWERS_PATIENCE))
    };
    Ok(Some((kernel, programs.iter().filter_map(ask).collect())))
}

fn file(workspace: &Path, program: &str, kernel: Kernel) -> PathBuf {
    let name = format!("linux_{}_{}.txt", kernel.major, kernel.minor);
    workspace.join(FOLDER).join(program).join(name)
}

/// Writes what a kernel answered, and returns the files. A program that failed writes nothing. An
/// answer that was marked as varying in the recording stays so.
///
/// # Errors
/// If they cannot be written.
pub fn keep(workspace: &Path, (kernel, all): &OfKernel) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for asked in all.iter().filter(|asked| asked.failed.is_none()) {
        let file = file(workspace, &asked.program, *kernel);
        let before = recorded(&asked.program, &file).unwrap_or_default();
        let line = |(question, answer): &(String, String)| {
            let marked = before.answer(question).is_some_and(varies) && !varies(answer);
            format!("{question}: {}{answer}\n", if marked { "~" } else { "" })
        };
        let text: String = asked.lines.iter().map(line).collect();
        fs::create_dir_all(file.parent().unwrap_or(workspace))
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("writing {}", file.display()))?;
        files.push(file);
    }
    Ok(files)
}

/// The answers that were kept.
fn recorded(program: &str, file: &Path) -> std::io::Result<Asked> {
    let stdout = fs::read_to_string(file)?;
    let ran = Ran { command: program.to_owned(), code: Some(0), stdout, ..Ran::default() };
    Ok(read(&ran).unwrap_or_default())
}

/// What is wrong with a kernel's answers: programs that failed and, if a recording must be
/// `compared`, answers that differ from it.
///
/// # Errors
/// If there is a recording that cannot be read.
pub fn problems(workspace: &Path, (kernel, all): &OfKernel, compared: bool) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for asked in all {
        let program = &asked.program;
        if let Some(failed) = &asked.failed {
            problems.push(format!("{kernel}: {program}: {failed}"));
        }
        let file = file(workspace, program, *kernel);
        if !compared || !file.exists() {
            continue;
        }
        let recorded = recorded(program, &file).with_context(|| format!("{}", file.display()))?;
        for question in questions([&recorded, asked]) {
            let [before, now] = [&recorded, asked].map(|it| it.answer(question));
            if !same(before, now) && ![before, now].into_iter().flatten().any(varies) {
                let [before, now] = [before, now].map(|it| it.unwrap_or("nothing"));
                problems
                    .push(format!("{kernel}: {program}: {question}: {now}; recorded is: {before}"));
            }
        }
    }
    Ok(problems)
}

/// The questions of several kernels, each once, in order.
fn questions<'a>(all: impl IntoIterator<Item = &'a Asked>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let lines = all.into_iter().flat_map(|asked| &asked.lines);
    lines.map(|(question, _)| question.as_str()).filter(|it| seen.insert(*it)).collect()
}

/// Whether two answers are the same, as far as they must be: a varying answer may also be missing.
fn same(one: Option<&str>, other: Option<&str>) -> bool {
    one == other || (one.is_none_or(varies) && other.is_none_or(varies))
}

/// Whether an answer may differ in the next run.
fn varies(answer: &str) -> bool {
    answer.starts_with('~')
}

/// For each program the questions that a kernel answers differently from the newest one.
pub fn text(all: &[OfKernel]) -> String {
    let mut all: Vec<&OfKernel> = all.iter().collect();
    all.sort_by_key(|(kernel, _)| *kernel);
    let Some((newest, programs)) = all.last() else { return String::new() };
    let mut text = String::new();
    for newest_asked in programs {
        let program = &newest_asked.program;
        let of = |(kernel, asked): &&'_ OfKernel| {
            let asked = asked.iter().find(|it| it.program == *program)?.clone();
            Some((*kernel, asked))
        };
        let of: Vec<(Kernel, Asked)> = all.iter().filter_map(of).collect();
        let mut count = 0;
        let mut differing = String::new();
        for question in questions(of.iter().map(|(_, asked)| asked)) {
            count += 1;
            let right = newest_asked.answer(question);
            let others: String = of
                .iter()
                .map(|(kernel, asked)| (kernel, asked.answer(question)))
                .filter(|(_, answer)| !same(*answer, right))
                .map(|(kernel, answer)| format!("    {kernel}: {}\n", answer.unwrap_or("nothing")))
                .collect();
            if !others.is_empty() {
                differing += &format!("  {question}: {}\n{others}", right.unwrap_or("nothing"));
            }
        }
        let differ = match differing.is_empty() {
            true => "all kernels agree".to_string(),
            false => format!("answered differently on {newest}:"),
        };
        text += &format!("\n{program} has {count} questions; {differ}\n{differing}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(stdout: &str, code: Option<i32>) -> Asked {
        let (command, stdout) = ("file_answers ".to_string(), stdout.to_string());
        read(&Ran { command, code, stdout, stderr: "oh\nno".to_string() }).unwrap()
    }

    fn of(release: &str, stdout: &str) -> OfKernel {
        (Kernel::parse(release).unwrap(), vec![ran(stdout, Some(0))])
    }

    #[test]
    fn each_line_is_a_question_and_its_answer() {
        let asked = ran("a: 1\nb: at: 2\n", Some(0));
        assert_eq!(asked.answer("b"), Some("at: 2"));
        assert_eq!(asked.failed, None);
        for (text, code, failed) in [
            ("a: 1\na: 2\n", Some(0), "it asks twice: a"),
            ("a: 1\nno answer\n", Some(0), "no line QUESTION: ANSWER: no answer"),
            ("a: 1\n", Some(1), "exit status 1: oh no"),
            ("a: 1\n", None, "no exit status: oh no"),
        ] {
            assert_eq!(ran(text, code).failed.as_deref(), Some(failed));
        }
        assert_eq!(read(&Ran { command: "day01 --json".into(), ..Ran::default() }), None);
    }

    #[test]
    fn answers_are_compared_with_those_that_were_kept() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path();
        let before = of("6.1.0", "a: 1\nb: ~2\nc: 3\n");
        let files = keep(workspace, &before).unwrap();
        assert_eq!(files, [workspace.join("book/answers/file_answers/linux_6_1.txt")]);
        let differ = |now: &OfKernel| problems(workspace, now, true).unwrap();
        assert!(differ(&before).is_empty());
        assert!(differ(&of("6.1.9", "a: 1\nb: ~7\nc: 3\n")).is_empty());
        assert!(differ(&of("6.12.0", "a: 0\n")).is_empty());
        let now = of("6.1.0", "a: 0\nb: 2\nd: 4\n");
        let expected = [
            "6.1: file_answers: a: 0; recorded is: 1",
            "6.1: file_answers: c: nothing; recorded is: 3",
            "6.1: file_answers: d: 4; recorded is: nothing",
        ];
        assert_eq!(differ(&now), expected);
        assert!(problems(workspace, &now, false).unwrap().is_empty());
        keep(workspace, &of("6.1.0", "a: 0\nb: 2\n")).unwrap();
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), "a: 0\nb: ~2\n");
    }

    #[test]
    fn a_program_that_failed_is_named_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let failed = (Kernel::parse("6.1").unwrap(), vec![ran("a: 1\n", Some(1))]);
        assert!(keep(folder.path(), &failed).unwrap().is_empty());
        let problems = problems(folder.path(), &failed, false).unwrap();
        assert_eq!(problems, ["6.1: file_answers: exit status 1: oh no"]);
    }

    #[test]
    fn what_differs_from_the_newest_kernel_is_listed() {
        let kernels = [
            of("7.3", "a: new\nb: ~2\nc: 3\nd: ~4\n"),
            of("5.10", "a: old\nb: ~1\n"),
            of("6.1", "a: new\nb: ~1\nc: 3\n"),
        ];
        insta::assert_snapshot!(text(&kernels));
    }
}
