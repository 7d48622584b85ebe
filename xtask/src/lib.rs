//! The parts of the workspace's tool that others build on: finding the days' programs, the
//! tracer, and the exercises.

#[cfg(not(target_os = "linux"))]
compile_error!("this workspace needs Linux: io_uring is an interface of its kernel");

#[cfg(target_os = "linux")]
pub mod cargo;
#[cfg(target_os = "linux")]
pub mod class;
#[cfg(target_os = "linux")]
pub mod exercise;
#[cfg(target_os = "linux")]
pub mod learn;
#[cfg(target_os = "linux")]
pub mod output;
#[cfg(target_os = "linux")]
pub mod programs;
#[cfg(target_os = "linux")]
pub mod record;
#[cfg(target_os = "linux")]
pub mod trace;
