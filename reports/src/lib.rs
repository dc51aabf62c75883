//! How results are shown. Every rendering is a function of [`bn_harness::results::RunResults`] alone, that of the kill
//! matrix of [`bn_harness::faults::KillMatrix`], that of how mistakes are told of
//! [`bn_harness::diagnosis::measure::Measurement`], that of a GPU of [`gpu_check::GpuCheck`],
//! that of how fast it is of [`bench::Bench`].

pub mod bench;
pub mod budgets;
pub mod causes;
pub mod changes;
pub mod diagnosis;
pub mod faults;
pub mod finds;
pub mod github;
pub mod gpu_check;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod read;
pub mod scoreboard;
pub mod sound;
pub mod style;
mod tally;
pub mod terminal;
pub mod write;
