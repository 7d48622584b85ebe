//! `cargo xtask learn`: the exercises one after the other, checked at every save.
//!
//! [`placement`] is where to begin and what to skip, [`course`] the learner's way through the
//! exercises, [`session`] what each key does, and [`pages`] the texts. [`screen`] and [`plain`] show
//! them, [`terminal`] reads keys, [`editor`] opens the program, [`saves`] notices a save, and
//! [`worker`] checks.

mod course;
mod editor;
pub mod pages;
pub mod placement;
mod plain;
pub mod saves;
mod screen;
pub mod session;
mod terminal;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::exercise::exercises;
use crate::exercise::folders::Folders;
use crate::exercise::paint::Paint;
use crate::exercise::workbook::Workbook;
use toolbox::programs::workspace;

use placement::{Begin, Start};
use session::Session;

/// The exercises, one after the other, checked at every save
///
/// Your programs are in workbook/, which git ignores. Save one, and it is compiled, run under
/// the tracer, and judged by what the kernel saw. Your progress is kept there too.
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    begin: Begin,

    /// Print lines only, without colours and screen control, for screen readers and logs
    #[arg(long)]
    plain: bool,

    #[command(flatten)]
    folders: Folders,
}

/// Runs the loop.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exercises::failed("cargo xtask learn", error),
    }
}

fn run(options: &Options) -> Result<()> {
    let workspace = workspace();
    let all = options.folders.load(&workspace)?;
    // Before anything is written.
    let start = Start::of(&options.begin, &all)?;
    let workbook = Workbook::of(&workspace);
    workbook.prepare().and_then(|()| workbook.tell_editor())?;
    let plain = options.plain || !terminal::is_there();
    let paint = if plain { Paint::default() } else { Paint::for_stdout() };
    let session = Session::begin(&workspace, workbook.clone(), all, start, paint, plain)?;
    if plain { plain::run(session, workbook) } else { screen::run(session, workbook) }
}
