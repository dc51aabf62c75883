//! An expanded case, everything in it resolved and checked.

use std::fmt::Write as _;

use crate::data::{Draws, Role, generate};
use crate::format::{CaseSpec, Fill};
use crate::observed::{ErrorClass, Observable};
use crate::yaml::Node;
use crate::{DType, Tensor};

/// Where a case is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user gave it.
    pub file: String,
    /// The line of the case's name, counted from 1.
    pub line: usize,
}

/// One expanded case.
#[derive(Debug, Clone)]
pub struct Case {
    /// `suite/name[axis=label,…]`, the same in every run.
    pub id: String,
    /// The suite's name.
    pub suite: String,
    /// What the suite shows.
    pub suite_about: Option<String>,
    /// The case's name within the suite.
    pub name: String,
    /// The axes it was multiplied over, with its value's label on each.
    pub axes: Vec<(String, String)>,
    /// Where it is written.
    pub place: Place,
    /// The fields as written, defaults and axes merged.
    pub fields: Node,
    /// The fields, read.
    pub spec: CaseSpec,
    /// The layer, resolved.
    pub layer: Layer,
    /// The steps, resolved.
    pub script: Vec<Action>,
    /// What the file itself knows of the answer.
    pub published: Vec<Published>,
}

/// Which of PyTorch's three classes the layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub enum LayerKind {
    /// `torch.nn.BatchNorm1d`: inputs (N, C) and (N, C, L).
    BatchNorm1d,
    /// `torch.nn.BatchNorm2d`: inputs (N, C, H, W).
    BatchNorm2d,
    /// `torch.nn.BatchNorm3d`: inputs (N, C, D, H, W).
    BatchNorm3d,
}

impl LayerKind {
    /// The class that takes inputs of this rank.
    pub fn for_rank(rank: usize) -> Option<Self> {
        match rank {
            2 | 3 => Some(LayerKind::BatchNorm1d),
            4 => Some(LayerKind::BatchNorm2d),
            5 => Some(LayerKind::BatchNorm3d),
            _ => None,
        }
    }

    /// Whether inputs of this rank are taken.
    pub fn takes(self, rank: usize) -> bool {
        Self::for_rank(rank) == Some(self)
    }
}

/// A layer as a case describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The class.
    pub kind: LayerKind,
    /// Channels, C.
    pub features: usize,
    /// The type of parameters and running statistics.
    pub dtype: DType,
}

/// One step, resolved: tensors have their shape, dtype and place in the stream of data.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Training mode.
    Train,
    /// Evaluation mode.
    Eval,
    /// A forward on a new input.
    Forward {
        /// The input.
        input: Generated,
        /// Whether a graph is kept.
        no_grad: bool,
    },
    /// A backward from the latest output.
    Backward {
        /// The gradient with respect to the output.
        grad: Generated,
    },
    /// Forget the accumulated gradients of weight and bias.
    ZeroGrad,
    /// `p -= lr · p.grad` for weight and bias.
    Sgd {
        /// The learning rate.
        lr: f64,
    },
    /// Running statistics as constructed.
    ResetRunningStats,
    /// Assignments to the layer's attributes.
    Set(Vec<Setting>),
}

/// An assignment to an attribute of a layer that has been constructed.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Setting {
    /// The weight of the new batch in the running statistics; `None` is the cumulative average.
    Momentum(Option<f64>),
    /// Added to the variance inside the root.
    Eps(f64),
    /// Whether training moves the running statistics.
    TrackRunningStats(bool),
}

/// `momentum=None`, `eps=0.001`: as one would assign it in Python.
impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Setting::Momentum(None) => f.write_str("momentum=None"),
            Setting::Momentum(Some(momentum)) => write!(f, "momentum={momentum}"),
            Setting::Eps(eps) => write!(f, "eps={eps}"),
            Setting::TrackRunningStats(true) => f.write_str("track_running_stats=True"),
            Setting::TrackRunningStats(false) => f.write_str("track_running_stats=False"),
        }
    }
}

impl Action {
    /// The step's name, as in the format.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Train => "train",
            Action::Eval => "eval",
            Action::Forward { no_grad: false, .. } => "forward",
            Action::Forward { no_grad: true, .. } => "forward (no_grad)",
            Action::Backward { .. } => "backward",
            Action::ZeroGrad => "zero_grad",
            Action::Sgd { .. } => "sgd",
            Action::ResetRunningStats => "reset_running_stats",
            Action::Set(_) => "set",
        }
    }
}

/// A tensor that a case asks for, before its data exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// How it is filled.
    pub fill: Fill,
    /// What it is for.
    pub role: Role,
    /// The how-many-eth of its role in the case, from 0.
    pub occurrence: u32,
    /// Its element type.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Generated {
    /// The data. `input` is the latest input, which a gradient may follow.
    pub fn tensor(&self, seed: u64, input: Option<&Tensor>) -> Tensor {
        let mut draws = Draws::new(seed, self.role, self.occurrence);
        generate(&self.fill, &mut draws, self.dtype, &self.shape, input)
    }
}

/// What the case file itself says about a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Which step, from 1; 0 is the layer as constructed.
    pub step: usize,
    /// What is known.
    pub what: PublishedAnswer,
    /// Where from.
    pub source: Option<String>,
}

/// What a case file knows of a step's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum PublishedAnswer {
    /// The elements of a tensor, each known to ± `within`.
    Tensor {
        /// Which tensor.
        tensor: Observable,
        /// The elements, as f64.
        values: Vec<f64>,
        /// How far each may be from the truth.
        within: f64,
    },
    /// The step raises an error of this class.
    Error(ErrorClass),
}

/// Fields that a case has beside those of the format, for filters: the class, the names of the steps in
/// order, and whether any forward happens in training mode.
pub const DERIVED_FIELDS: [&str; 5] = ["suite", "name", "kind", "steps", "trains"];

impl Case {
    /// The initial contents of a parameter or buffer, where the case gives them.
    pub fn initial(&self, role: Role) -> Option<Tensor> {
        let layer = &self.spec.layer;
        let fill = match role {
            Role::Weight => &layer.weight,
            Role::Bias => &layer.bias,
            Role::RunningMean => &layer.running_mean,
            Role::RunningVar => &layer.running_var,
            Role::Input | Role::Grad => &None,
        };
        let fill = fill.clone()?;
        let shape = vec![self.layer.features];
        let generated = Generated { fill, role, occurrence: 0, dtype: self.layer.dtype, shape };
        Some(generated.tensor(self.spec.seed, None))
    }

    /// The value of a field for filters and reports: as written, or else the format's default. `None` when
    /// neither is there.
    pub fn field(&self, path: &str) -> Option<String> {
        // What the resolved case says comes before what is written: null may stand for something.
        match path {
            "layer.dtype" => return Some(self.layer.dtype.to_string()),
            "layer.features" => return Some(self.layer.features.to_string()),
            _ => {}
        }
        if let Some((_, label)) = self.axes.iter().find(|(axis, _)| axis == path) {
            return Some(label.clone());
        }
        if let Some(node) = self.fields.at(path) {
            return Some(node.to_string());
        }
        let layer = &self.spec.layer;
        Some(match path {
            "suite" => self.suite.clone(),
            "name" => self.name.clone(),
            "dtype" => self.spec.dtype.to_string(),
            "seed" => self.spec.seed.to_string(),
            "layer.eps" => layer.eps.to_string(),
            "layer.momentum" => layer.momentum.map_or_else(|| "null".to_owned(), |m| m.to_string()),
            "layer.affine" => layer.affine.to_string(),
            "layer.track_running_stats" => layer.track_running_stats.to_string(),
            "kind" => format!("{:?}", self.layer.kind),
            "steps" => self.script.iter().map(Action::name).collect::<Vec<_>>().join(" "),
            "trains" => self.trains().to_string(),
            _ => return None,
        })
    }

    /// Whether any forward happens in training mode.
    pub fn trains(&self) -> bool {
        let mut training = true;
        self.script.iter().any(|action| {
            match action {
                Action::Train => training = true,
                Action::Eval => training = false,
                Action::Forward { .. } => return training,
                _ => {}
            }
            false
        })
    }

    /// The case in words: the layer as one would construct it in PyTorch, the data, the steps.
    pub fn describe(&self) -> String {
        let layer = &self.spec.layer;
        let mut text = format!(
            "{:?}({}, eps={}, momentum={}, affine={}, track_running_stats={}), parameters {}, input {}\n",
            self.layer.kind,
            self.layer.features,
            layer.eps,
            layer.momentum.map_or_else(|| "None".to_owned(), |momentum| momentum.to_string()),
            if layer.affine { "True" } else { "False" },
            if layer.track_running_stats { "True" } else { "False" },
            self.layer.dtype,
            self.spec.dtype,
        );
        for (number, action) in self.script.iter().enumerate() {
            let _ = write!(text, "  {:>2}. {}", number + 1, action.name());
            let _ = match action {
                Action::Forward { input, .. } => {
                    writeln!(text, "  input {:?}, {}", input.shape, describe_fill(&input.fill))
                }
                Action::Backward { grad } => {
                    writeln!(text, "  gradient {:?}, {}", grad.shape, describe_fill(&grad.fill))
                }
                Action::Sgd { lr } => writeln!(text, "  lr {lr}"),
                Action::Set(settings) => {
                    let all: Vec<String> = settings.iter().map(ToString::to_string).collect();
                    writeln!(text, "  {}", all.join(", "))
                }
                _ => writeln!(text),
            };
        }
        text
    }
}

fn describe_fill(fill: &Fill) -> String {
    match fill {
        Fill::Normal { mean, std } => format!("normal with mean {mean} and standard deviation {std}"),
        Fill::Uniform { low, high } => format!("uniform from {low} to {high}"),
        Fill::Constant(value) => format!("constant {value}"),
        Fill::Channels { mean, std } => format!("by channel: means {mean:?}, standard deviations {std:?}"),
        Fill::Ramp { from, to, along } => format!("ramp from {from} to {to} along {along:?}").to_lowercase(),
        Fill::Exact { mean, step } => format!("exact sums: mean {mean}, steps of {step}"),
        Fill::Correlated { mean, strength, noise } => {
            format!("{mean} + {strength}·xhat + {noise}·N(0, 1)")
        }
        Fill::Special { base, at } => format!("{}, {} element(s) replaced", describe_fill(base), at.len()),
        Fill::Values(_) => "written out".to_owned(),
        Fill::Bits(_) => "written out as bits".to_owned(),
    }
}
