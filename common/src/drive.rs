//! Drives a day from outside.
