//! A trace as steps that a reader can play: [`story`] chooses what is shown, [`steps`] makes the
//! steps of it, [`captions`] says what each does, [`recording`] is what the ring player reads,
//! [`rings`] makes one of each ring of a run.

pub mod captions;
pub mod recording;
pub mod rings;
pub mod steps;
pub mod story;
