//! The common parts of the checks. A check judges by the kernel's record, by `/proc` and by what
//! clients receive, never by the program's text.
//!
//! The parts are [`nops`] with tags, [`written`] bytes, [`clients`] of a server, how it [`served`]
//! them, what is [`left`] after they have left, what was in [`flight`], a [`late_close`], [`tokens`],
//! and a [`fifo()`].

pub mod clients;
mod fifo;
pub mod flight;
pub mod late_close;
pub mod left;
pub mod nops;
pub mod served;
mod tokens;
pub mod written;

pub use fifo::fifo;
