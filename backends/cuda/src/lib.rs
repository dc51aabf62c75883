//! The reference CUDA kernel as a backend.
//!
//! The kernels are in `kernels/`, in CUDA C++, and committed as PTX in `ptx/`. The host code is one for all devices: it
//! divides tensors ([`plan`]), brings them to the device ([`place`]) and launches kernels ([`passes`], [`kernel`]) through a
//! [`Launcher`](launch::Launcher), which is a GPU ([`device`]) or the PTX interpreter ([`interpreter`]).

pub mod arguments;
pub mod backend;
pub mod bench;
pub mod device;
pub mod executor;
pub mod interpreter;
pub mod kernel;
pub mod launch;
pub mod passes;
pub mod place;
pub mod plan;
pub mod ptx;
pub mod stamp;

pub use backend::{Absent, CudaResponder, Executes, open};
pub use kernel::Accumulator;
