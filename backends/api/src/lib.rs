//! What a backend is.
//!
//! A [`Request`] is one case with its tensors; a [`Response`] says, step by step, what a backend answered.
//! Both are plain data and cross a process boundary as they are ([`wire`]). A backend implements [`Backend`]
//! and [`Layer`]; one that is only a kernel (a function without state, such as a CUDA kernel) implements
//! [`Kernel`], and [`ModuleLayer`] gives it the state and the rules of `torch.nn.BatchNorm{1,2,3}d`.

mod backend;
mod drive;
mod kernel;
mod lacks;
mod request;
mod response;
pub mod wire;
pub mod worked_example;

pub use backend::{Backend, BackendInfo, Gradients, Layer, LayerState, Responder, Unobservable};
pub use bn_cases::case::{LayerKind, Setting};
pub use bn_cases::{Channels, DType, ErrorClass, Observable, Tensor};
pub use drive::{InProcess, guarded};
pub use kernel::{Forward, Kernel, ModuleLayer, RunningStats};
pub use lacks::Lacks;
pub use request::{Action, LayerConfig, Request};
pub use response::{LayerError, Outcome, Response, StepAnswer};
