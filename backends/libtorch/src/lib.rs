//! libtorch as a backend: `at::batch_norm` on the CPU, called through [`tch`], with the gradients that its
//! own autograd gives. The rules of `torch.nn` around it are those of [`bn_api::ModuleLayer`].
//!
//! Run in f64 this is the oracle; run in a case's own dtype it is one contestant more.

pub mod autograd;
mod backend;
pub mod convert;
pub mod error;
mod kernel;
pub mod threads;

pub use backend::{LIBTORCH_VERSION, Libtorch, TCH_VERSION};
pub use kernel::BatchNormKernel;
