//! Compiling and checking on a thread of its own, so that keys are heard meanwhile.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::exercise::check;
use crate::exercise::exercises::Exercise;
use crate::exercise::record::Record;
use crate::exercise::verdict::Verdict;
use crate::exercise::workbook::Workbook;

/// How far a check has come.
#[derive(Debug)]
pub enum Step {
    /// It compiles; the program is being run.
    Compiled,
    /// The verdict, and what was seen of the last run.
    Done(Box<(Verdict, Option<Record>)>),
    /// Nothing could be compiled at all.
    Broken(String),
}

/// The thread.
pub struct Worker {
    jobs: Sender<(u64, Exercise)>,
    steps: Receiver<(u64, Step)>,
    number: u64,
}

impl Worker {
    /// Starts it.
    pub fn new(workbook: Workbook) -> Worker {
        let (jobs, asked) = mpsc::channel::<(u64, Exercise)>();
        let (tell, steps) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(job) = asked.recv() {
                // Only the newest save counts.
                let (number, exercise) = asked.try_iter().last().unwrap_or(job);
                let step = one(&workbook, &exercise, || {
                    let _ = tell.send((number, Step::Compiled));
                });
                if tell.send((number, step)).is_err() {
                    break;
                }
            }
        });
        Worker { jobs, steps, number: 0 }
    }

    /// Asks for a check; what was asked before is forgotten.
    pub fn check(&mut self, exercise: &Exercise) {
        self.forget();
        let _ = self.jobs.send((self.number, exercise.clone()));
    }

    /// What was asked is of no interest any more.
    pub fn forget(&mut self) {
        self.number += 1;
    }

    /// News of the check that was asked for last.
    pub fn news(&self) -> Option<Step> {
        let newest = |(number, step)| (number == self.number).then_some(step);
        self.steps.try_iter().find_map(newest)
    }
}

fn one(workbook: &Workbook, exercise: &Exercise, compiled: impl Fn()) -> Step {
    let built = match workbook.compile(&exercise.name) {
        Ok(built) => built,
        Err(error) => return Step::Broken(format!("{error:#}")),
    };
    match built.program(&exercise.name) {
        Ok(program) => {
            compiled();
            Step::Done(Box::new(check::with_record(exercise, &program)))
        }
        Err(words) => Step::Done(Box::new((Verdict::NotCompiled(words), None))),
    }
}
