//! Is the answer right?
//!
//! The [`runner`] asks the oracle and every backend the same [`bn_api::Request`], [`trial`] says whether the oracle
//! itself is to be trusted, [`budget`] how far each element of a sound answer may be from the exact one, [`judge`]
//! compares, [`deviations`] knows what is declared, and everything that comes of it is in [`results::RunResults`], from
//! which reports are made. [`diagnosis`] says which known mistake reproduces a failure, [`sound`] asks whether the
//! budgets are wide enough, and [`faults`] whether the cases notice answers that are known to be wrong.

mod album;
pub mod audit;
pub mod bench;
pub mod budget;
pub mod changes;
pub mod deviations;
pub mod diagnosis;
pub mod faults;
pub mod finds;
pub mod journal;
pub mod judge;
pub mod merge;
pub mod needs;
pub mod oracle;
mod origins;
pub mod parallel;
mod pictures;
pub mod recorded;
pub mod results;
pub mod runner;
pub mod sound;
pub mod trial;
pub mod vacuity;
