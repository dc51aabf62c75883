//! The report in a real browser: a small driver that speaks the `DevTools` protocol over a pipe, the runs whose pages are
//! looked at, and the accessibility check. The tests are in `tests/`, the figures and the screenshots in `src/bin/`.
//!
//! Everything is behind the feature `browser`, which `just browser` switches on. It all serves tests: whatever goes wrong
//! in the browser ends them with a message that says what was waited for, so functions here panic rather than return.
#![cfg(feature = "browser")]
#![allow(clippy::missing_panics_doc, reason = "the crate's documentation says it of all of them")]

mod axe;
mod chromium;
mod ear;
mod input;
mod page;
pub mod runs;

pub use axe::Violation;
pub use ear::Heard;
pub use page::{Page, Theme};
