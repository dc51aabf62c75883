//! The messages, and how their tensors go along.

use std::collections::VecDeque;

use bn_cases::case::{self, Modes};
use bn_cases::{DType, Tensor, TensorName};
use serde::{Deserialize, Serialize};

use super::container::{Packer, Unpacked, unpack};
use super::{Hello, PROTOCOL, WireError};
use crate::{Action, LayerConfig, LayerError, LayerKind, Outcome, Request, Response, StepAnswer};

/// Everything that is said over a pipe.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// By a worker, once and first.
    Hello(Hello),
    /// To a worker.
    Request {
        /// What its answer repeats.
        id: u64,
        /// The question.
        request: Request,
    },
    /// By a worker, to a request.
    Answer {
        /// That of the request.
        id: u64,
        /// The answer. That a worker crashed or was late it cannot say itself.
        response: Response,
    },
}

impl Message {
    /// The frame, its length in front.
    ///
    /// # Errors
    /// When it would be too large.
    pub fn encode(&self) -> Result<Vec<u8>, WireError> {
        match self {
            Message::Hello(hello) => encode_hello(hello),
            Message::Request { id, request } => encode_request(*id, request),
            Message::Answer { id, response } => encode_answer(*id, response, &[]),
        }
    }

    /// Reads a frame, which is given without its length.
    ///
    /// # Errors
    /// When it is not a message of this protocol; a greeting of another one says of which.
    pub fn decode(frame: &[u8]) -> Result<Self, WireError> {
        Self::decode_timed(frame).map(|(message, _)| message)
    }

    /// The same, with how long a worker says that its layers took over each step of an answer, in nanoseconds.
    ///
    /// # Errors
    /// The same.
    pub(super) fn decode_timed(frame: &[u8]) -> Result<(Self, Vec<u64>), WireError> {
        let Unpacked { message, tensors } = unpack(frame)?;
        let text = match serde_json::from_str(&message) {
            Ok(Text::Hello(hello)) if hello.protocol != PROTOCOL => {
                return Err(WireError::Protocol(u64::from(hello.protocol)));
            }
            Ok(text) => text,
            // Of another version nothing but the number can be expected to be where it is here.
            Err(error) => {
                return Err(match serde_json::from_str(&message) {
                    Ok(Greeting { hello: Version { protocol } }) if protocol != u64::from(PROTOCOL) => {
                        WireError::Protocol(protocol)
                    }
                    _ => error.into(),
                });
            }
        };
        let mut times = Vec::new();
        let message = match text {
            Text::Hello(hello) => Message::Hello(hello),
            Text::Request(request) => request.read(tensors)?,
            Text::Answer { id, steps, nanos } => {
                times = nanos;
                Message::Answer { id, response: Response::Answered(read_steps(steps, tensors)?) }
            }
            Text::Unsupported { id, reason } => {
                Message::Answer { id, response: Response::Unsupported { reason } }
            }
            Text::Error { id, message } => {
                Message::Answer { id, response: Response::Broken { how: Outcome::Error, message } }
            }
        };
        Ok((message, times))
    }

    /// What kind it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Message::Hello(_) => "a greeting",
            Message::Request { .. } => "a request",
            Message::Answer { .. } => "an answer",
        }
    }
}

/// A message as its text says it; where a tensor is due, there is the name that it has in the frame.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Text {
    Hello(Hello),
    Request(RequestText),
    Answer {
        id: u64,
        steps: Vec<StepText>,
        /// How long the layers themselves took over each step; a worker need not say.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nanos: Vec<u64>,
    },
    Unsupported {
        id: u64,
        reason: String,
    },
    Error {
        id: u64,
        message: String,
    },
}

/// What greetings of all versions have in common.
#[derive(Deserialize)]
struct Greeting {
    hello: Version,
}

#[derive(Deserialize)]
struct Version {
    protocol: u64,
}

#[derive(Serialize, Deserialize)]
struct RequestText {
    id: u64,
    case: String,
    layers: Vec<LayerText>,
    steps: Vec<ActionText>,
}

/// A [`LayerConfig`].
#[derive(Serialize, Deserialize)]
struct LayerText {
    path: String,
    kind: LayerKind,
    features: usize,
    eps: f64,
    momentum: Option<f64>,
    affine: bool,
    track_running_stats: bool,
    dtype: DType,
    statistics_dtype: DType,
    weight: Option<String>,
    bias: Option<String>,
    running_mean: Option<String>,
    running_var: Option<String>,
    num_batches_tracked: Option<i64>,
    /// Between bncheck and its own workers alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_in: Option<DType>,
}

/// A step, and what it makes of the modes of all layers, for those who do not want to implement how.
#[derive(Serialize, Deserialize)]
struct ActionText {
    #[serde(flatten)]
    action: case::Action<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modes: Option<Vec<ModeText>>,
}

/// The modes of one layer.
#[derive(Serialize, Deserialize)]
struct ModeText {
    training: bool,
    weight: bool,
    bias: bool,
}

/// What an answer says of a step beside its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<LayerError>,
}

fn frame(packer: Packer, text: &Text) -> Result<Vec<u8>, WireError> {
    packer.finish(&serde_json::to_string(text)?).map_err(WireError::TooLarge)
}

/// The frame of a greeting.
///
/// # Errors
/// When it would be too large.
pub(super) fn encode_hello(hello: &Hello) -> Result<Vec<u8>, WireError> {
    frame(Packer::default(), &Text::Hello(hello.clone()))
}

/// The frame of a request.
///
/// # Errors
/// When it would be too large.
pub(super) fn encode_request(id: u64, request: &Request) -> Result<Vec<u8>, WireError> {
    let mut packer = Packer::default();
    let layers = request.layers.iter().enumerate();
    let layers = layers.map(|(number, layer)| LayerText::of(layer, number, &mut packer)).collect();
    let mut modes = Modes::new(request.layers.iter().map(|layer| layer.path.as_str()));
    let actions = request.actions.iter().enumerate();
    let steps = actions.map(|(index, action)| ActionText::of(action, index + 1, &mut modes, &mut packer));
    let steps = steps.collect();
    let text = Text::Request(RequestText { id, case: request.case.clone(), layers, steps });
    frame(packer, &text)
}

/// The frame of an answer, with how long the layers took over each step, where that is known.
///
/// # Errors
/// When it would be too large.
pub(super) fn encode_answer(id: u64, response: &Response, nanos: &[u64]) -> Result<Vec<u8>, WireError> {
    let mut packer = Packer::default();
    let text = match response {
        Response::Answered(answers) => {
            for (number, answer) in answers.iter().enumerate() {
                for (name, tensor) in &answer.tensors {
                    packer.add(&format!("{number}/{name}"), tensor);
                }
            }
            let steps = answers.iter().map(|answer| StepText { error: answer.error.clone() });
            Text::Answer { id, steps: steps.collect(), nanos: nanos.to_vec() }
        }
        Response::Unsupported { reason } => Text::Unsupported { id, reason: reason.clone() },
        Response::Broken { message, .. } => Text::Error { id, message: message.clone() },
    };
    frame(packer, &text)
}

impl LayerText {
    fn of(layer: &LayerConfig, number: usize, packer: &mut Packer) -> Self {
        let mut named = |tensor: &Option<Tensor>, name: &str| {
            let tensor = tensor.as_ref()?;
            let name = format!("layers/{number}/{name}");
            packer.add(&name, tensor);
            Some(name)
        };
        LayerText {
            weight: named(&layer.weight, "weight"),
            bias: named(&layer.bias, "bias"),
            running_mean: named(&layer.running_mean, "running_mean"),
            running_var: named(&layer.running_var, "running_var"),
            path: layer.path.clone(),
            kind: layer.kind,
            features: layer.features,
            eps: layer.eps,
            momentum: layer.momentum,
            affine: layer.affine,
            track_running_stats: layer.track_running_stats,
            dtype: layer.dtype,
            statistics_dtype: layer.statistics_dtype,
            num_batches_tracked: layer.num_batches_tracked,
            held_in: layer.held_in,
        }
    }

    fn read(self, tensors: &mut Tensors) -> Result<LayerConfig, WireError> {
        let mut read = |name: Option<String>| name.map(|name| tensors.take(&name)).transpose();
        Ok(LayerConfig {
            weight: read(self.weight)?,
            bias: read(self.bias)?,
            running_mean: read(self.running_mean)?,
            running_var: read(self.running_var)?,
            path: self.path,
            kind: self.kind,
            features: self.features,
            eps: self.eps,
            momentum: self.momentum,
            affine: self.affine,
            track_running_stats: self.track_running_stats,
            dtype: self.dtype,
            statistics_dtype: self.statistics_dtype,
            num_batches_tracked: self.num_batches_tracked,
            held_in: self.held_in,
        })
    }
}

impl ActionText {
    /// Step `number`, counted from 1.
    fn of(action: &Action, number: usize, modes: &mut Modes, packer: &mut Packer) -> Self {
        let kind = match action {
            Action::Forward { .. } => "input",
            Action::Backward { .. } => "grad",
            Action::Set { .. } => "setting",
            _ => "entry",
        };
        let mut count = 0;
        let text = action.map(&mut |tensor: &Tensor| {
            count += 1;
            let name = match kind {
                "input" | "grad" => format!("steps/{number}/{kind}"),
                _ => format!("steps/{number}/{kind}/{count}"),
            };
            packer.add(&name, tensor);
            name
        });
        modes.apply(action);
        let changes = matches!(
            action,
            Action::Train { .. }
                | Action::Eval { .. }
                | Action::Freeze { .. }
                | Action::Unfreeze { .. }
                | Action::RequiresGrad { .. }
        );
        let modes = changes.then(|| {
            let layers = modes.layers().iter();
            layers
                .map(|layer| ModeText { training: layer.training, weight: layer.weight, bias: layer.bias })
                .collect()
        });
        ActionText { action: text, modes }
    }
}

impl RequestText {
    fn read(self, tensors: Vec<(String, Tensor)>) -> Result<Message, WireError> {
        let mut tensors = Tensors { left: tensors.into(), missing: None };
        let layers = self.layers.into_iter().map(|layer| layer.read(&mut tensors));
        let layers = layers.collect::<Result<_, _>>()?;
        let actions = self.steps.iter().map(|step| step.action.map(&mut |name| tensors.take_or_note(name)));
        let actions = actions.collect();
        match tensors.missing {
            None => {
                let request = Request { case: self.case, layers, actions };
                Ok(Message::Request { id: self.id, request })
            }
            Some(name) => Err(no_tensor(&name)),
        }
    }
}

/// The tensors of a frame, each of which is spoken of once, mostly in the order in which they are there.
struct Tensors {
    left: VecDeque<(String, Tensor)>,
    /// One that is spoken of and not there.
    missing: Option<String>,
}

impl Tensors {
    fn find(&mut self, name: &str) -> Option<Tensor> {
        let place = self.left.iter().position(|(known, _)| known == name)?;
        self.left.remove(place).map(|(_, tensor)| tensor)
    }

    fn take(&mut self, name: &str) -> Result<Tensor, WireError> {
        self.find(name).ok_or_else(|| no_tensor(name))
    }

    fn take_or_note(&mut self, name: &str) -> Tensor {
        self.find(name).unwrap_or_else(|| {
            self.missing.get_or_insert_with(|| name.to_owned());
            Tensor::full(DType::F32, &[0], 0.0)
        })
    }
}

fn no_tensor(name: &str) -> WireError {
    WireError::Mismatch(format!("there is no tensor `{name}`"))
}

/// The steps of an answer with their tensors, which are called `STEP/NAME`.
fn read_steps(steps: Vec<StepText>, tensors: Vec<(String, Tensor)>) -> Result<Vec<StepAnswer>, WireError> {
    let mut answers: Vec<StepAnswer> =
        steps.into_iter().map(|step| StepAnswer { error: step.error, tensors: Vec::new() }).collect();
    let count = answers.len();
    for (full, tensor) in tensors {
        let (step, name) = full
            .split_once('/')
            .and_then(|(step, name)| Some((step.parse::<usize>().ok()?, name)))
            .ok_or_else(|| WireError::Mismatch(format!("the tensor `{full}` is not called STEP/NAME")))?;
        let name = TensorName::try_from(name.to_owned())
            .map_err(|why| WireError::Mismatch(format!("{why} (`{full}`)")))?;
        // A step's tensor has one name alone, so that it is not there twice under two.
        let due = format!("{step}/{name}");
        if due != full {
            return Err(WireError::Mismatch(format!("the tensor `{full}` is to be called `{due}`")));
        }
        let none = || WireError::Mismatch(format!("`{full}` is of none of the answer's {count} steps"));
        answers.get_mut(step).ok_or_else(none)?.tensors.push((name, tensor));
    }
    Ok(answers)
}

#[cfg(test)]
mod tests;
