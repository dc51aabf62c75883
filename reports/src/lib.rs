//! How results are shown. Every rendering is a function of [`bn_harness::results::RunResults`] alone, that of the kill
//! matrix of [`bn_harness::faults::KillMatrix`].

pub mod budgets;
pub mod faults;
pub mod json;
pub mod sound;
pub mod style;
pub mod terminal;
