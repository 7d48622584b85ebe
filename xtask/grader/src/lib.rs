//! The grader: [`exercise`] has the exercises and judges programs by their records; [`learn`] is
//! for a learner, [`class`] for a teacher.

pub mod class;
pub mod exercise;
pub mod learn;
