//! Is the answer right?
//!
//! The [`runner`] asks the oracle and every backend the same [`bn_api::Request`], [`budget`] says how far each
//! element of a sound answer may be from the oracle's, [`judge`] compares, [`deviations`] knows what is
//! declared, and everything that comes of it is in [`results::RunResults`], from which reports are made. [`faults`]
//! asks whether the cases would notice: it judges answers that are known to be wrong.

pub mod audit;
pub mod budget;
pub mod deviations;
pub mod faults;
pub mod judge;
pub mod oracle;
pub mod parallel;
pub mod results;
pub mod runner;
