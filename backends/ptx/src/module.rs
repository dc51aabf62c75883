//! A module and its kernels.

use thiserror::Error;

use crate::instruction::{Instruction, Register, Special};

/// PTX that is not understood, or that this must not execute.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// The line of the PTX, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A parameter of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the PTX.
    pub name: String,
    /// Where it begins among the kernel's parameters, in bytes.
    pub offset: usize,
    /// Its size in bytes.
    pub bytes: usize,
    /// Its alignment in bytes.
    pub align: usize,
}

/// A variable of the module: kernels may read it.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub name: String,
    pub offset: usize,
    pub bytes: usize,
}

/// Parsed PTX.
#[derive(Debug, Clone)]
pub struct Module {
    pub(crate) kernels: Vec<Kernel>,
    /// Of `.file`: number and name.
    pub(crate) files: Vec<(u32, String)>,
    pub(crate) variables: Vec<Variable>,
    /// What the variables hold.
    pub(crate) image: Vec<u8>,
    /// The lines of the text, for messages.
    pub(crate) lines: Vec<String>,
}

impl Module {
    /// Reads PTX, all of it.
    ///
    /// # Errors
    /// The first line that is not understood: an unknown opcode or modifier, `.approx`, `.ftz`, atomics, calls, local
    /// memory, and what is not PTX at all.
    pub fn parse(text: &str) -> Result<Module, ParseError> {
        crate::parse::module(text)
    }

    /// The kernel of this name.
    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }

    /// All kernels, in the order of the text.
    pub fn kernels(&self) -> impl Iterator<Item = &Kernel> {
        self.kernels.iter()
    }
}

/// A kernel, decoded.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) shared: Vec<Variable>,
    pub(crate) shared_bytes: usize,
    pub(crate) max_threads: Option<[u32; 3]>,
    pub(crate) code: Vec<Instruction>,
    pub(crate) registers: usize,
    /// The names of the registers by number, for messages.
    pub(crate) names: Vec<String>,
    pub(crate) predicates: usize,
    pub(crate) predicate_names: Vec<String>,
    pub(crate) constants: Vec<(u64, Register)>,
    pub(crate) specials: Vec<(Special, Register)>,
}

impl Kernel {
    /// Its name in the PTX.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its parameters in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Shared memory that it declares with a size, in bytes.
    pub fn shared_bytes(&self) -> usize {
        self.shared_bytes
    }

    /// All bytes of its parameters together.
    pub(crate) fn parameter_bytes(&self) -> usize {
        self.parameters.last().map_or(0, |last| last.offset + last.bytes)
    }
}
