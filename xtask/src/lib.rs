//! `cargo xtask`: [`run`] runs the days in order; separate programs do the rest.
//!
//! - [`tool`]: the programs in the folders beside this one: `trace`, `atlas`, `grader` (learn,
//!   exercise, class), `record`, `check`, `bench`, `kernels`; `toolbox` is what they share;
//! - [`trace`] and [`mod@book`]: the commands whose options this tool reads as well.

#[cfg(not(target_os = "linux"))]
compile_error!("this workspace needs Linux: io_uring is an interface of its kernel");

pub mod book;
pub mod run;
pub mod tool;
pub mod trace;
