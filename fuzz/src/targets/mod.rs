//! Functions of arbitrary bytes that must come to an end without a panic: what cargo-fuzz's targets call, which are
//! programs of a few lines in `fuzz/targets/`.
//!
//! Each panics where something is wrong, and only there: that is how libFuzzer is told. The committed inputs of
//! `fuzz/corpus/` go through them in an ordinary test as well.

pub mod budgets;
mod bytes;
pub mod frames;
pub mod ptx;
pub mod suite;
pub mod whole_case;

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its program and of its folder below `fuzz/corpus/`.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "suite", run: suite::suite },
    Target { name: "frames", run: frames::frames },
    Target { name: "ptx", run: ptx::ptx },
    Target { name: "budgets", run: budgets::budgets },
    Target { name: "whole-case", run: whole_case::whole_case },
];
