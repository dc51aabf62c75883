//! An independent check of the PTX and of its interpreter: the same kernels compiled by g++, with `shim.h` for what only a
//! GPU has words for, driven beside the interpreter. After every launch all memory that the kernel was given is compared, bit
//! for bit.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod both;
mod compiled;
mod inputs;
mod planted;
mod shim;
mod signature;
mod sweep;
mod words;
