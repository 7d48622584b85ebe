//! The commands as a learner and a teacher use them, on a copy of the workspace, so that no test
//! changes a real workbook.

mod check;
mod class;
mod learn;
mod listing;
mod texts;
mod workbook;
#[path = "../workspace/mod.rs"]
mod workspace;
