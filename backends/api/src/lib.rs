//! What a backend is.
//!
//! A [`Request`] is one case with its tensors; a [`Response`] says, step by step, what a backend answered.
//! Both are plain data and cross a process boundary as they are ([`wire`]). A backend implements [`Backend`]
//! and [`Layer`]; one that is only a kernel (a function without state, such as a CUDA kernel) implements
//! [`Kernel`], and [`ModuleLayer`] gives it the state and the rules of `torch.nn.BatchNorm{1,2,3}d`.

mod backend;
mod clock;
mod drive;
pub mod dtypes;
mod kernel;
mod lacks;
mod memory;
mod model;
mod module;
mod request;
mod response;
pub mod wire;
pub mod worked_example;

pub use backend::{
    Backend, BackendInfo, Layer, LayerState, Output, ParameterGradients, Responder, Unobservable,
};
pub use bn_cases::case::{Dictionary, Frozen, LayerKind, Layout, Modes, Part, Slot, is_within};
pub use bn_cases::{Channels, DType, ErrorClass, Observable, Tensor, TensorName};
pub use clock::computing;
pub use drive::{InProcess, guarded};
pub use kernel::{Forward, Gradients, Kernel, RunningStats, Wanted};
pub use lacks::Lacks;
pub use memory::{Strided, is_both};
pub use model::{COUNTER, Entries, Loaded};
pub use module::ModuleLayer;
pub use request::{Action, Input, LayerConfig, Request, Setting};
pub use response::{LayerError, Outcome, Response, StepAnswer};
