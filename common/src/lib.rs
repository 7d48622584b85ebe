//! The parts that every day of the journal needs, and no more.
//!
//! The days themselves show io_uring: its entries, its completions, the calls of the [`io_uring`]
//! crate. This crate does the work around that, and knows no day.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "io_uring is an interface of the Linux kernel: build this workspace on Linux \
     (in WSL 2, a virtual machine or a container on a Linux host)."
);

#[cfg(target_os = "linux")]
pub mod buffers;
#[cfg(target_os = "linux")]
pub mod catalog;
#[cfg(target_os = "linux")]
pub mod environment;
#[cfg(target_os = "linux")]
pub mod listener;
#[cfg(target_os = "linux")]
pub mod memory;
#[cfg(target_os = "linux")]
pub mod queues;
#[cfg(target_os = "linux")]
pub mod ring;
#[cfg(target_os = "linux")]
pub mod signals;
#[cfg(target_os = "linux")]
pub mod slots;
#[cfg(target_os = "linux")]
pub mod talk;
#[cfg(target_os = "linux")]
pub mod text;
#[cfg(target_os = "linux")]
pub mod token;
