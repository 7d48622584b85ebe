//! The imports of a `check.rs`: `use crate::exercise::prelude::*;`.

// This list does not change when an exercise is added or removed.
#![allow(unused_imports)]

pub use super::attempt::Attempt;
pub use super::checks::clients::*;
pub use super::checks::flight::*;
pub use super::checks::late_close::need_prompt_closes;
pub use super::checks::left::*;
pub use super::checks::served::*;
pub use super::checks::{fifo, nops, written};
pub use super::cost::Measured;
pub use super::failure::{Failure, Passed};
pub use super::ids::{self, Id};
pub use super::launch::Launch;
pub use super::measure::{ALONE, one_by_one, rests};
pub use super::record::{Moved, Record, Served, SocketOption, Target, WAITS, token, user_data};
pub use super::run::Run;
pub use ringtrace::event::{Complete, Enter, Event, Setup, Submit, What};
pub use ringtrace::watch::OtherCall;
