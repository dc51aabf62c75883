//! Executes PTX on the CPU and reports what a kernel does wrong.
//!
//! [`Module::parse`] decodes the text once; what it does not know it refuses with the opcode and the line.
//! [`launch`] executes a kernel on a [`Memory`], block after block, and ends with a [`Fault`] at the first thing that
//! a kernel must not do: the list is [`FaultKind`].
//!
//! Numbers: every operation is IEEE 754 with subnormals kept. A NaN that an operation makes is the canonical one,
//! `0x7fffffff` in f32 and `0x7fffffffffffffff` in f64 (payloads are not handed on, as they may be on a GPU, so that the
//! result depends on nothing but the operands' values). Moves, loads, stores, selections, `neg` and `abs` keep bits.

// A fault is rare and large: all that may end in one hand it on in a box.
#![allow(clippy::unnecessary_box_returns)]

// Expressions that are written once for all types convert more than one of them needs.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast, clippy::cast_lossless)]
mod arithmetic;
mod bits;
mod convert;
mod decode;
mod execute;
mod fault;
mod float;
mod instruction;
mod lanes;
mod launch;
mod lexer;
mod lookup;
mod memory;
mod module;
mod parse;
mod race;
mod syntax;
mod warp;

pub use decode::{hints, opcodes};
pub use fault::{Fault, FaultKind, LaunchError, SourcePlace};
pub use launch::{Launch, Statistics, launch, launch_within};
pub use memory::{Memory, MemoryError, OutOfMemory, Purpose};
pub use module::{Kernel, Module, Parameter, ParseError};
