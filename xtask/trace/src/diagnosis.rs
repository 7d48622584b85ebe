//! What is wrong with a program, as far as its rings and its calls show it.

pub mod hang;
