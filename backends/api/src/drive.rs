//! Takes a backend's layers through the steps of a request.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bn_cases::ErrorClass;

use crate::clock;
use crate::model::{Given, Model};
use crate::{Backend, BackendInfo, LayerError, Request, Responder, Response, StepAnswer};

/// A backend that answers in this process.
pub struct InProcess<B> {
    backend: B,
    info: BackendInfo,
    /// Of the latest answer, by step.
    nanos: Vec<u64>,
}

impl<B: Backend> InProcess<B> {
    /// A responder around a backend.
    pub fn new(backend: B) -> Self {
        let info = backend.info();
        InProcess { backend, info, nanos: Vec::new() }
    }
}

impl<B: Backend> Responder for InProcess<B> {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn nanos(&self) -> &[u64] {
        &self.nanos
    }

    fn respond(&mut self, request: &Request) -> Response {
        self.nanos.clear();
        if let Some(reason) = self.backend.unsupported(request) {
            return Response::Unsupported { reason };
        }
        let (made, nanos) = timed(|| guarded(|| Model::new(&self.backend, &request.layers)));
        let mut model = match made {
            Ok(model) => model,
            // Without a layer every step fails as the constructor did.
            Err(error) => {
                let answer = StepAnswer { error: Some(error), tensors: Vec::new() };
                return Response::Answered(vec![answer; request.actions.len() + 1]);
            }
        };
        let mut answers = Vec::with_capacity(request.actions.len() + 1);
        answers.push(observe(&model, Ok(Vec::new())));
        self.nanos.push(nanos);
        for action in &request.actions {
            let (given, nanos) = timed(|| guarded(|| model.act(action)));
            self.nanos.push(nanos);
            answers.push(observe(&model, given));
        }
        Response::Answered(answers)
    }
}

/// Does a step, and says how long its arithmetic took, in nanoseconds.
fn timed<T>(step: impl FnOnce() -> T) -> (T, u64) {
    // What was measured while the state was read belongs to no step.
    clock::take();
    let since = Instant::now();
    let done = step();
    let whole = since.elapsed();
    (done, clock::take().unwrap_or(whole).as_nanos() as u64)
}

/// The step's own tensors and the state after it, whether it raised an error or not.
fn observe(model: &Model, given: Result<Given, LayerError>) -> StepAnswer {
    let (mut tensors, mut error) = match given {
        Ok(tensors) => (tensors, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    match guarded(|| model.state()) {
        Ok(state) => tensors.extend(state),
        Err(state_error) => error = error.or(Some(state_error)),
    }
    StepAnswer { error, tensors }
}

/// Runs a part of a backend; a panic becomes an error of class `panic`.
///
/// # Errors
/// Those of `part`, and the panic.
pub fn guarded<T>(part: impl FnOnce() -> Result<T, LayerError>) -> Result<T, LayerError> {
    catch_unwind(AssertUnwindSafe(part)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        Err(LayerError::new(ErrorClass::Panic, message))
    })
}
