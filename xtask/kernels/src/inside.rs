//! Inside the booted kernel: the first process, which runs the days and reports.
//!
//! The runner itself is the first process, so the initramfs needs no shell and nothing from a
//! distribution. It prepares what a distribution would (`/proc`, the loopback interface), runs
//! the programs one after the other, and restarts the machine, which ends the emulator.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atlas::nvme;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

use super::console::{self, Message, Ran};
use super::facts;
use super::one;
use grader::exercise::folders;

/// Where the programs of the days are in the initramfs.
pub const DAYS: &str = "/days";

/// What runs, in order: the two days that end by themselves, whose findings are kept, and then all
/// four with the clients and checks of `cargo xtask run`.
pub const PROGRAMS: [&[&str]; 3] = [
    &["/days/day01", "--json"],
    &["/days/day02", "--json"],
    &["/xtask", "run", "--programs", DAYS, "--patience", "60", "--json"],
];

/// Where the programs are that ask for a chapter's answers, if they were packed.
pub const ANSWERS: &str = "/answers";

/// How long one of them may take.
pub const ANSWERS_PATIENCE: Duration = Duration::from_secs(240);

/// The atlas, if it was packed.
const ATLAS: [&str; 4] = ["/atlas-runner", "--json", "--programs", DAYS];

/// The names of the entries to record for the book, if any.
pub const RECORDED: &str = "/recorded";

/// The part of the disk that the scratch files of the atlas and of the answers are on, if it was
/// formatted and this kernel has ext4.
const FILES: u32 = 2;

/// Where the exercises' programs are, if they were packed.
pub const EXERCISES: &str = "/exercises";

/// Where the programs run, and where those that write files do.
const HOME: &str = "/";
const SCRATCH: &str = "/tmp";

/// How long a program may take. Emulation is slow, and the machine below it may be busy.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs as the first process of a booted kernel, and does not return.
///
/// # Errors
/// In any other process: it would restart the machine.
pub fn run() -> Result<()> {
    ensure!(
        std::process::id() == 1,
        "--inside is for the kernels that `cargo xtask kernels` boots: leave it out"
    );
    if let Err(error) = prepare().and_then(|()| report()) {
        // Only the console can show an error here.
        let _ = writeln!(io::stdout(), "xtask: {error:#}");
    }
    match reboot(RebootMode::RB_AUTOBOOT).context("restarting")? {}
}

fn prepare() -> Result<()> {
    for (kind, place) in
        [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")]
    {
        fs::create_dir_all(place).with_context(|| format!("making {place}"))?;
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mounting {place}"))?;
    }
    // From here on only a panic may interrupt our reports (proc(5)).
    fs::write("/proc/sys/kernel/printk", "1").context("silencing the console")?;
    raise_loopback()
}

/// Brings the loopback interface up: its flags, IFF_UP among them, are a file (sysfs). The
/// kernel then gives it 127.0.0.1 by itself.
fn raise_loopback() -> Result<()> {
    const FLAGS: &str = "/sys/class/net/lo/flags";
    let text = fs::read_to_string(FLAGS).with_context(|| format!("reading {FLAGS}"))?;
    let flags = u32::from_str_radix(text.trim().trim_start_matches("0x"), 16)
        .with_context(|| format!("{FLAGS} holds {text:?}"))?;
    fs::write(FLAGS, format!("{:#x}", flags | libc::IFF_UP as u32))
        .with_context(|| format!("raising the loopback interface by {FLAGS}"))
}

fn report() -> Result<()> {
    if let Ok(command) = fs::read_to_string(one::COMMAND) {
        let words: Vec<&str> = command.lines().collect();
        say(&Message::Ran(run_program(&words, HOME, PATIENCE)))?;
        say(&Message::Rings(fs::read_to_string(one::RINGS).unwrap_or_default()))?;
        return say(&Message::Done);
    }
    say(&Message::Facts(facts::ask().context("asking the kernel what it is")?))?;
    for command in PROGRAMS {
        say(&Message::Ran(run_program(command, HOME, PATIENCE)))?;
    }
    // Mounted over the folder that is there; without it the files stay in memory.
    if let Some(files) = nvme::part(FILES).map(|name| format!("/dev/{name}")) {
        let _ = mount(Some(&*files), SCRATCH, Some("ext4"), MsFlags::empty(), None::<&str>);
    }
    if let Ok(programs) = fs::read_dir(ANSWERS) {
        for program in programs {
            let path = program?.path().display().to_string();
            say(&Message::Ran(run_program(&[&path], SCRATCH, ANSWERS_PATIENCE)))?;
        }
    }
    if Path::new(ATLAS[0]).exists() {
        say(&Message::Ran(run_program(&ATLAS, HOME, PATIENCE)))?;
        if let Ok(names) = fs::read_to_string(RECORDED) {
            let names: Vec<&str> = names.split_whitespace().collect();
            let record = [ATLAS[0], "--record", "--programs", DAYS];
            say(&Message::Ran(run_program(&[&record[..], &names].concat(), HOME, PATIENCE)))?;
        }
    }
    if Path::new(EXERCISES).exists() {
        for exercise in folders::load(Path::new("/"))? {
            let verify = ["/grader", "exercise", "verify", &exercise.name, "--json"];
            let options = ["--again", "2", "--programs", EXERCISES];
            let verify = [&verify[..], &options].concat();
            say(&Message::Ran(run_program(&verify, HOME, PATIENCE)))?;
        }
    }
    say(&Message::Done)
}

/// Runs a program in `folder`, and reports how it ended, after `patience` at the latest.
pub fn run_program(command: &[&str], folder: impl AsRef<Path>, patience: Duration) -> Ran {
    let mut program = Command::new(command[0]);
    // The workspace inside: the folder above the one that this variable names.
    program.env("CARGO_MANIFEST_DIR", "/days");
    program
        .args(&command[1..])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let name = Path::new(command[0]).file_name().unwrap_or_default().to_string_lossy();
    let ran = Ran { command: format!("{name} {}", command[1..].join(" ")), ..Ran::default() };
    match testkit::output_within(program, patience) {
        Ok(output) => Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            ..ran
        },
        Err(error) => Ran { stderr: format!("{error:#}"), ..ran },
    }
}

fn say(message: &Message) -> Result<()> {
    let mut console = io::stdout().lock();
    console
        .write_all(console::line(message).as_bytes())
        .and_then(|()| console.flush())
        .context("writing to the console")
}
