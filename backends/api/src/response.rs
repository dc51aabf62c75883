//! What a backend answered.

use bn_cases::{ErrorClass, Observable, Tensor, TensorName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A backend's answer to a [`Request`](crate::Request).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// One answer for the new layer and one after every step.
    Answered(Vec<StepAnswer>),
    /// The backend has no way to express this case.
    Unsupported {
        /// Why.
        reason: String,
    },
    /// The backend broke down and gave no answer.
    Broken {
        /// How.
        how: Outcome,
        /// What is known of it: a signal, what the process said last.
        message: String,
    },
}

/// How a backend broke down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It could not be asked, or its answer could not be read.
    Error,
    /// Its process ended before it answered.
    Crash,
    /// It did not answer in time, and its process was stopped.
    Timeout,
}

/// What could be seen after one step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepAnswer {
    /// The error the step raised, if it did.
    pub error: Option<LayerError>,
    /// What the step gave, and the whole state of every layer after it.
    pub tensors: Vec<(TensorName, Tensor)>,
}

impl StepAnswer {
    /// A tensor by its name.
    pub fn tensor(&self, name: &TensorName) -> Option<&Tensor> {
        self.of(&name.layer, name.tensor)
    }

    /// A tensor of the layer at a path.
    pub fn of(&self, layer: &str, tensor: Observable) -> Option<&Tensor> {
        let found = self.tensors.iter().find(|(name, _)| name.is(layer, tensor));
        found.map(|(_, tensor)| tensor)
    }
}

/// An error that a layer raised, in its own words, with the class that the backend's author gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message} ({class})")]
pub struct LayerError {
    /// Why, in terms that all backends share.
    pub class: ErrorClass,
    /// The backend's words.
    pub message: String,
}

impl LayerError {
    /// An error of this class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        LayerError { class, message: message.into() }
    }

    /// An error of no class in particular.
    pub fn other(error: impl std::fmt::Display) -> Self {
        LayerError::new(ErrorClass::Other, error.to_string())
    }
}
