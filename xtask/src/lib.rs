//! The workspace's tool: a module for each task of `cargo xtask`, and what they share.
//!
//! - [`run`]: the days in order; [`mod@bench`]: day 04 against other servers; [`kernels`]: the days on
//!   other kernels;
//! - [`trace`]: what crosses a program's rings, which [`record`] writes down for the book and
//!   [`exercise`] judges by; [`learn`] and [`class`] are exercises for a learner and for a teacher;
//! - [`book`] and [`check`]: the book, and what to run before a commit;
//! - [`programs`]: the days' programs, built by [`cargo`]; [`debian`]: packages by name; [`output`]:
//!   lines for the terminal.

#[cfg(not(target_os = "linux"))]
compile_error!("this workspace needs Linux: io_uring is an interface of its kernel");

#[cfg(target_os = "linux")]
pub mod bench;
#[cfg(target_os = "linux")]
pub mod book;
#[cfg(target_os = "linux")]
pub mod cargo;
#[cfg(target_os = "linux")]
pub mod check;
#[cfg(target_os = "linux")]
pub mod class;
#[cfg(target_os = "linux")]
mod debian;
#[cfg(target_os = "linux")]
pub mod exercise;
#[cfg(target_os = "linux")]
pub mod kernels;
#[cfg(target_os = "linux")]
pub mod learn;
#[cfg(target_os = "linux")]
pub mod output;
#[cfg(target_os = "linux")]
pub mod programs;
#[cfg(target_os = "linux")]
pub mod record;
#[cfg(target_os = "linux")]
pub mod run;
#[cfg(target_os = "linux")]
pub mod trace;
