//! Takes a layer through the steps of a request.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bn_cases::{ErrorClass, Observable, Tensor};

use crate::{Action, Backend, BackendInfo, Layer, LayerError, Request, Responder, Response, StepAnswer};

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
        let mut layer = match guarded(|| self.backend.create(&request.layer)) {
            Ok(layer) => layer,
            // Without a layer every step fails as the constructor did.
            Err(error) => {
                let answer = StepAnswer { error: Some(error), tensors: Vec::new() };
                return Response::Answered(vec![answer; request.actions.len() + 1]);
            }
        };
        let mut answers = Vec::with_capacity(request.actions.len() + 1);
        answers.push(observe(layer.as_mut(), Ok(Vec::new())));
        for action in &request.actions {
            let given = guarded(|| act(layer.as_mut(), action));
            answers.push(observe(layer.as_mut(), given));
        }
        Response::Answered(answers)
    }
}

type Given = Result<Vec<(Observable, Tensor)>, LayerError>;

fn act(layer: &mut dyn Layer, action: &Action) -> Given {
    match action {
        Action::Train => layer.set_training(true)?,
        Action::Eval => layer.set_training(false)?,
        Action::ZeroGrad => layer.zero_grad()?,
        Action::Sgd { lr } => layer.sgd(*lr)?,
        Action::ResetRunningStats => layer.reset_running_stats()?,
        Action::Set(settings) => {
            for setting in settings {
                layer.set(*setting)?;
            }
        }
        Action::Forward { input, no_grad } => {
            return Ok(vec![(Observable::Output, layer.forward(input, *no_grad)?)]);
        }
        Action::Backward { grad_output } => {
            let gradients = layer.backward(grad_output)?;
            let mut given = vec![(Observable::GradInput, gradients.input)];
            given.extend(gradients.weight.map(|tensor| (Observable::GradWeight, tensor)));
            given.extend(gradients.bias.map(|tensor| (Observable::GradBias, tensor)));
            return Ok(given);
        }
    }
    Ok(Vec::new())
}

/// The step's own tensors and the state after it, whether it raised an error or not.
fn observe(layer: &mut dyn Layer, given: Given) -> StepAnswer {
    let (mut tensors, mut error) = match given {
        Ok(tensors) => (tensors, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    match guarded(|| layer.state()) {
        Ok(state) => tensors.extend(state.into_tensors()),
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
