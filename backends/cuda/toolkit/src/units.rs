//! What is compiled: one PTX file a unit.

/// A PTX file and what it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// The file's name, without `.ptx`.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// The CUDA C++, a file in [`KERNELS`].
    pub source: &'static str,
    /// What is defined for the preprocessor: `NAME=VALUE`.
    pub defines: &'static [&'static str],
}

/// Where the CUDA C++ is, in the repository. It includes files of this folder only.
pub const KERNELS: &str = "backends/cuda/kernels";

/// Where the PTX is, in the repository.
pub const PTX: &str = "backends/cuda/ptx";

/// The PTX that the backend runs: one file a type that tensors are stored in.
pub const UNITS: &[Unit] = &[
    Unit {
        name: "batch_norm_f16",
        about: "batch normalization of tensors of f16",
        source: "batch_norm.cu",
        defines: &["BN_STORAGE=f16"],
    },
    Unit {
        name: "batch_norm_bf16",
        about: "batch normalization of tensors of bf16",
        source: "batch_norm.cu",
        defines: &["BN_STORAGE=bf16"],
    },
    Unit {
        name: "batch_norm_f32",
        about: "batch normalization of tensors of f32",
        source: "batch_norm.cu",
        defines: &["BN_STORAGE=f32"],
    },
    Unit {
        name: "batch_norm_f64",
        about: "batch normalization of tensors of f64",
        source: "batch_norm.cu",
        defines: &["BN_STORAGE=f64"],
    },
];
