//! Compiles and checks on another thread, so that keys work meanwhile.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::exercise::check;
use crate::exercise::exercises::Exercise;
use crate::exercise::record::Record;
use crate::exercise::verdict::Verdict;
use crate::exercise::workbook::Workbook;

/// The progress of a check.
#[derive(Debug)]
pub enum News {
    /// The libraries that every program uses are compiled.
    Ready,
    /// The program is compiled, and now runs.
    Compiled,
    /// The verdict, and the record of the last run.
    Done(Box<(Verdict, Option<Record>)>),
    /// Compiling failed, not because of the program.
    Broken(String),
}

/// The thread.
pub struct Worker {
    jobs: Sender<(u64, Exercise)>,
    news: Receiver<(u64, News)>,
    number: u64,
    ready: bool,
}

impl Worker {
    /// Starts the thread. It compiles the libraries at once, by compiling the program of that name,
    /// while the learner reads the task. A check waits for them.
    pub fn new(workbook: Workbook, name: &str) -> Worker {
        let (jobs, asked) = mpsc::channel::<(u64, Exercise)>();
        let (tell, news) = mpsc::channel();
        let (ready, name) = (workbook.is_compiled(), name.to_string());
        thread::spawn(move || {
            // The check reports the program's mistakes later.
            let _ = workbook.compile(&name);
            let _ = tell.send((0, News::Ready));
            while let Ok(job) = asked.recv() {
                // Only the newest save counts.
                let (number, exercise) = asked.try_iter().last().unwrap_or(job);
                let step = one(&workbook, &exercise, || {
                    let _ = tell.send((number, News::Compiled));
                });
                if tell.send((number, step)).is_err() {
                    break;
                }
            }
        });
        Worker { jobs, news, number: 0, ready }
    }

    /// Starts a check, and drops the one before. Returns a sentence about it.
    pub fn check(&mut self, exercise: &Exercise) -> String {
        self.forget();
        let _ = self.jobs.send((self.number, exercise.clone()));
        match self.ready {
            true => format!("compiling {} …", exercise.name),
            false => format!("waiting for the libraries, then compiling {} …", exercise.name),
        }
    }

    /// A sentence for the beginning, if the libraries are not compiled yet.
    pub fn notice(&self) -> Option<&'static str> {
        (!self.ready).then_some(
            "The libraries are being compiled, this once: about a minute. The first check waits.",
        )
    }

    /// Drops the running check.
    pub fn forget(&mut self) {
        self.number += 1;
    }

    /// News of the last check, and of the libraries if the learner waits for them.
    pub fn news(&mut self) -> Option<News> {
        let (number, ready) = (self.number, self.ready);
        let step = self.news.try_iter().find_map(|(of, step)| match step {
            News::Ready => (!ready).then_some(News::Ready),
            step => (of == number).then_some(step),
        })?;
        self.ready |= matches!(step, News::Ready);
        Some(step)
    }
}

fn one(workbook: &Workbook, exercise: &Exercise, compiled: impl Fn()) -> News {
    let built = match workbook.compile(&exercise.name) {
        Ok(built) => built,
        Err(error) => return News::Broken(format!("{error:#}")),
    };
    match built.program(&exercise.name) {
        Ok(program) => {
            compiled();
            News::Done(Box::new(check::with_record(exercise, &program)))
        }
        Err(words) => News::Done(Box::new((Verdict::NotCompiled(words), None))),
    }
}
