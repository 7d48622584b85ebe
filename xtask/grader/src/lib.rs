//! The grader: [`exercise`] holds the exercises and what judges a program by its record;
//! [`learn`] is that for a learner, [`class`] for a teacher.

pub mod class;
pub mod exercise;
pub mod learn;
