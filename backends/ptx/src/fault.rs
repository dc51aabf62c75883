//! What a kernel did wrong, and where.

use std::fmt;

use thiserror::Error;

/// A place in the kernel's source, from `.loc` and `.file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlace {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
}

/// What a kernel must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// An access outside of any allocation, of the block's shared memory or of the parameters.
    OutOfBounds,
    /// An address that is not a multiple of the access's size.
    Misaligned,
    /// An access to memory that was given back.
    UseAfterFree,
    /// A read of a byte that was never written.
    UninitialisedMemory,
    /// A read of a register or predicate that was never written in this lane.
    UninitialisedRegister,
    /// A write to memory that is an input, or to a variable of the module.
    WriteToInput,
    /// A second write to a byte of an output.
    WrittenTwice,
    /// Two threads of a block at one byte, one of them writing, and nothing orders them.
    Race,
    /// Two blocks of a launch at one byte, one of them writing.
    RaceBetweenBlocks,
    /// A barrier of the block that not all of its threads reach.
    BarrierDivergence,
    /// A mask that does not name exactly the lanes that are there, or a read from a lane that is not.
    PartialMask,
    /// A warp that does not come to an end.
    EndlessLoop,
    /// An integer divided by zero.
    DivisionByZero,
    /// The instruction `trap`.
    Trap,
}

/// A fault of a kernel: the first one that is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// The kernel's name.
    pub kernel: String,
    /// The line of the PTX, from 1.
    pub line: usize,
    /// The place in the source, where the PTX says it.
    pub source: Option<SourcePlace>,
    /// The block.
    pub block: [u32; 3],
    /// The thread in its block.
    pub thread: [u32; 3],
    /// The address, of a fault that has one.
    pub address: Option<u64>,
    /// What happened, in words.
    pub message: String,
    /// The text of the instruction.
    pub instruction: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.thread;
        let [i, j, k] = self.block;
        write!(f, "kernel `{}`, PTX line {}", self.kernel, self.line)?;
        if let Some(source) = &self.source {
            write!(f, " ({} line {})", source.file, source.line)?;
        }
        write!(f, ", block ({i}, {j}, {k}), thread ({x}, {y}, {z})")?;
        if let Some(address) = self.address {
            write!(f, ", address {address:#x}")?;
        }
        write!(f, ": {}, in `{}`", self.message, self.instruction)
    }
}

impl std::error::Error for Fault {}

/// Why a launch does not end well.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LaunchError {
    /// The module has no such kernel.
    #[error("the module has no kernel `{0}`")]
    NoKernel(String),
    /// A grid, a block, shared memory or parameters that no device takes, or that do not fit the kernel.
    #[error("kernel `{kernel}` cannot be launched: {message}")]
    BadLaunch {
        /// The kernel's name.
        kernel: String,
        /// What is wrong.
        message: String,
    },
    /// The kernel does what it must not.
    #[error(transparent)]
    Fault(Box<Fault>),
}

/// A fault while its place is still to be added.
#[derive(Debug)]
pub(crate) struct Problem {
    pub kind: FaultKind,
    pub lane: usize,
    pub address: Option<u64>,
    pub message: String,
}

impl Problem {
    pub fn new(kind: FaultKind, lane: usize, message: impl Into<String>) -> Box<Problem> {
        Box::new(Problem { kind, lane, address: None, message: message.into() })
    }

    pub fn at(kind: FaultKind, lane: usize, address: u64, message: impl Into<String>) -> Box<Problem> {
        Box::new(Problem { kind, lane, address: Some(address), message: message.into() })
    }
}
