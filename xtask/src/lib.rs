//! The parts of the workspace's tool that others build on: finding the days' programs, and
//! the tracer.

#[cfg(not(target_os = "linux"))]
compile_error!("this workspace needs Linux: io_uring is an interface of its kernel");

#[cfg(target_os = "linux")]
pub mod programs;
#[cfg(target_os = "linux")]
pub mod trace;
