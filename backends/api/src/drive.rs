//! Takes a backend's layers through the steps of a request.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bn_cases::ErrorClass;

use crate::model::{Given, Model};
use crate::{Backend, BackendInfo, LayerError, Request, Responder, Response, StepAnswer};

/// A backend that answers in this process.
pub struct InProcess<B> {
    backend: B,
    info: BackendInfo,
}

impl<B: Backend> InProcess<B> {
    /// A responder around a backend.
    pub fn new(backend: B) -> Self {
        let info = backend.info();
        InProcess { backend, info }
    }
}

impl<B: Backend> Responder for InProcess<B> {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn respond(&mut self, request: &Request) -> Response {
        if let Some(reason) = self.backend.unsupported(request) {
            return Response::Unsupported { reason };
        }
        let mut model = match guarded(|| Model::new(&self.backend, &request.layers)) {
            Ok(model) => model,
            // Without a layer every step fails as the constructor did.
            Err(error) => {
                let answer = StepAnswer { error: Some(error), tensors: Vec::new() };
                return Response::Answered(vec![answer; request.actions.len() + 1]);
            }
        };
        let mut answers = Vec::with_capacity(request.actions.len() + 1);
        answers.push(observe(&model, Ok(Vec::new())));
        for action in &request.actions {
            let given = guarded(|| model.act(action));
            answers.push(observe(&model, given));
        }
        Response::Answered(answers)
    }
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
