//! How the grader runs a learner's program, and explains its hangs. The programs are this test
//! executable, started again with the name of one of [`programs`] in `LEARNER`.

mod hangs;
mod programs;
mod records;
mod runs;
mod servers;

use std::time::Duration;

use grader::exercise::attempt::Attempt;
use grader::exercise::failure::Failure;
use grader::exercise::ids::Id;
use grader::exercise::launch::Launch;
use grader::exercise::record::Record;

use programs::PROGRAMS;

/// The arguments that make this executable one of the programs. The harness gives it a thread
/// of its own; the main thread waits for that.
const AGAIN: [&str; 4] = ["--exact", "learner", "--nocapture", "--quiet"];

/// Not a test: the program that the other tests run.
#[test]
fn learner() {
    let Some(name) = std::env::var_os("LEARNER") else { return };
    let (_, program) = PROGRAMS.iter().find(|(known, _)| name == **known).expect("a program");
    program();
    std::process::exit(0);
}

fn attempt() -> Attempt {
    let program = std::env::current_exe().expect("this program");
    Attempt::new(
        "an_exercise",
        program,
        std::env::temp_dir().join(format!("attempt.{}", std::process::id())),
    )
}

/// A run with little patience, which is the longest wait of these tests.
fn launch(program: &str) -> Launch {
    let launch = attempt().run(format!("The program was run as {program}."));
    let launch = AGAIN.into_iter().fold(launch, Launch::arg);
    launch.env("LEARNER", program).patience(Duration::from_secs(3))
}

fn record(program: &str) -> Record {
    launch(program).to_end().expect("a program that ends")
}

#[track_caller]
fn fails(answer: Result<(), Failure>, id: Id) -> Failure {
    let failure = answer.expect_err("a failure");
    assert_eq!(failure.id, id, "{failure:#?}");
    failure
}
