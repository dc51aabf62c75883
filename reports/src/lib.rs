//! How results are shown. Every rendering is a function of [`bn_harness::results::RunResults`] alone.

pub mod json;
pub mod sound;
pub mod style;
pub mod terminal;
