//! Compiles the CUDA kernel to PTX and holds what it becomes to static gates, on a machine without a GPU.
//!
//! Only who changes the kernel needs it: the PTX is committed, and running it needs neither NVRTC nor an
//! assembler.

pub mod compile;
pub mod gates;
pub mod limits;
pub mod made;
pub mod nvrtc;
pub mod parallel;
pub mod place;
pub mod planted;
pub mod ptx;
pub mod ptxas;
pub mod sass;
pub mod self_test;
pub mod sources;
// The backend's own file, and not its crate: that has the PTX in it which this one makes.
#[path = "../../src/stamp.rs"]
pub mod stamp;
pub mod units;
