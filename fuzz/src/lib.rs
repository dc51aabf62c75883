//! What should be asked next?
//!
//! A suite asks what somebody thought of. This crate asks what nobody did: [`strategy`] makes whole cases
//! (a layer or a model of some, data, gradients, steps) weighted towards the places where batch normalization
//! goes wrong, and [`property`] says what must hold of every one of them. Whatever is generated is a
//! [`bn_cases::format::CaseSpec`], which [`render`] writes as a YAML suite and [`bn_cases::load_str`] reads
//! back, so that a find is a case that a person can read, replay and keep.
//!
//! What fuzzing answers here:
//!
//! - *Is the reference backend within the budget of its own formulas in float64, or double-double for f64, and is
//!   float64 within its own of double-double?* A violation is a mistake of the reference or a budget that a sound
//!   implementation breaks; either way bncheck's, and no libtorch is needed to see it.
//! - *Does the format read whatever it allows?* Every generated case must load and come back the same.
//! - *Would a mistake be found?* A seeded one must be, and shrink to a case of a step or two.
//! - *Do a backend's answers agree with each other?* What follows from one of them is asked as well: permuted samples,
//!   scaled inputs, another layout.
//!
//! - *Does what others write ever do harm?* [`targets`] are functions of arbitrary bytes for cargo-fuzz.
//!
//! [`hunt`] asks backends such cases for as long as one likes, [`shrink`] makes what it finds small, and [`by_fuzz`] measures
//! both on known mistakes. Where it will grow: mixtures that take a case of a suite and change one thing.

pub mod bulk;
pub mod by_fuzz;
pub mod hunt;
pub mod property;
pub mod random;
pub mod render;
pub mod shrink;
pub mod strategy;
pub mod targets;
