//! An expanded case, everything in it resolved and checked.

mod action;
mod describe;
mod fields;
mod modes;

use std::sync::Arc;

pub use action::{Action, Dictionary, Frozen, Input, Layout, Part, Reach, Setting, Slot};
pub use fields::{DERIVED_FIELDS, LONGEST_FIELD};
pub use modes::{LayerMode, Modes, is_within};

use crate::data::{Draws, Role, generate};
use crate::format::{CaseSpec, Fill, LayerSpec, Tier};
use crate::observed::{ErrorClass, TensorName};
use crate::variant::Variant;
use crate::written::Written;
use crate::yaml::read_again;
use crate::{DType, Tensor};

/// Where a case is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, as the user gave it.
    pub file: Arc<str>,
    /// The line of the case's name, counted from 1.
    pub line: usize,
}

/// One expanded case. What it has in common with the cases beside it is shared with them.
#[derive(Debug, Clone)]
pub struct Case {
    /// `suite/name[axis=label,…]`, the same in every run.
    pub id: String,
    /// The suite's name.
    pub suite: Arc<str>,
    /// What the suite says of itself.
    pub suite_about: Option<Arc<str>>,
    /// The story that the suite tells, where it tells one.
    pub story: Option<Arc<Story>>,
    /// The case's name within the suite.
    pub name: Arc<str>,
    /// Where it is written.
    pub place: Place,
    /// The lines it is written in.
    pub written: Arc<Written>,
    /// What the case shows.
    pub about: Option<Arc<str>>,
    /// When it is run.
    pub tier: Tier,
    /// The type of everything that has no type of its own.
    pub dtype: DType,
    /// The type of the inputs that have no type of their own.
    pub input_dtype: DType,
    /// Which data.
    pub seed: u64,
    /// The layers, resolved, in the order in which a forward runs them.
    pub layers: Arc<[Layer]>,
    /// The steps, resolved.
    pub script: Arc<[Action]>,
    /// What the file itself knows of the answer.
    pub published: Arc<[Published]>,
    /// Which of those that its matrix makes.
    pub(crate) variant: Variant,
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

/// What a suite teaches, for `bncheck explain`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// What is computed, as a formula.
    pub formula: String,
    /// What people get wrong, and what happens then.
    pub goes_wrong: String,
    /// What is right.
    pub right: String,
    /// Where it is documented: links, each with a word on what stands there.
    pub documented: Vec<String>,
}

/// A layer as a case describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    // What two layers differ in most is compared first.
    /// The class.
    pub kind: LayerKind,
    /// Channels, C.
    pub features: usize,
    /// The type of weight and bias.
    pub dtype: DType,
    /// The type of the running statistics.
    pub statistics_dtype: DType,
    /// Its path in the model; empty where the layer is all there is.
    pub path: String,
    /// Its fields.
    pub spec: LayerSpec,
}

impl Layer {
    /// The type of one of its tensors.
    pub fn dtype_of(&self, slot: Slot) -> DType {
        if slot.is_parameter() { self.dtype } else { self.statistics_dtype }
    }

    /// Whether it is constructed with this tensor.
    pub fn has(&self, slot: Slot) -> bool {
        if slot.is_parameter() { self.spec.affine } else { self.spec.track_running_stats }
    }

    /// How the case fills a tensor, where it does.
    pub fn fill(&self, slot: Slot) -> Option<&Fill> {
        match slot {
            Slot::Weight => self.spec.weight.as_ref(),
            Slot::Bias => self.spec.bias.as_ref(),
            Slot::RunningMean => self.spec.running_mean.as_ref(),
            Slot::RunningVar => self.spec.running_var.as_ref(),
        }
    }
}

/// A tensor that a case asks for, before its data exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    // What two tensors differ in most is compared first.
    /// Its element type.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// The how-many-eth of its role in the case, from 0.
    pub occurrence: u32,
    /// Whether its first sample stands for all of them.
    pub one_sample: bool,
    /// How it is filled.
    pub fill: Fill,
}

impl Generated {
    /// The data. `input` is the latest input, which a gradient may follow.
    pub fn tensor(&self, seed: u64, input: Option<&Tensor>) -> Tensor {
        let mut draws = Draws::new(seed, self.role, self.occurrence);
        let tensor = generate(&self.fill, &mut draws, self.dtype, &self.shape, input);
        if self.one_sample { tensor.repeat_first_sample() } else { tensor }
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
        tensor: TensorName,
        /// The elements, as f64.
        values: Vec<f64>,
        /// How far each may be from the truth.
        within: f64,
    },
    /// The step raises an error of this class.
    Error(ErrorClass),
}

impl Case {
    /// The initial contents of a parameter or buffer of layer number `layer`, where the case gives them.
    pub fn initial(&self, layer: usize, slot: Slot) -> Option<Tensor> {
        let number = layer as u32;
        let layer = &self.layers[layer];
        let fill = layer.fill(slot).filter(|_| layer.has(slot))?.clone();
        let (role, dtype) = (Role::of(slot), layer.dtype_of(slot));
        let generated = Generated {
            fill,
            role,
            occurrence: number,
            dtype,
            shape: vec![layer.features],
            one_sample: false,
        };
        Some(generated.tensor(self.seed, None))
    }

    /// The axes it was multiplied over, with its value's label on each, in the order of the file.
    pub fn axes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variant.axes()
    }

    /// The fields, defaults and axes merged. They are read again: a case keeps what it needs of them.
    ///
    /// # Panics
    /// Never: a case comes of fields that could be read.
    pub fn spec(&self) -> CaseSpec {
        read_again(&self.variant.fields()).unwrap_or_else(|| unreachable!("the fields of {}", self.id))
    }

    /// The layer, or the first one of a model.
    fn first(&self) -> &Layer {
        &self.layers[0]
    }

    /// Whether the case is run in this tier.
    pub fn is_in(&self, tier: Tier) -> bool {
        self.tier <= tier
    }

    /// Whether any forward happens in training mode.
    pub fn trains(&self) -> bool {
        let mut modes = Modes::new(self.layers.iter().map(|layer| layer.path.as_str()));
        self.script.iter().any(|action| {
            modes.apply(action);
            let Action::Forward { at, .. } = action else { return false };
            modes.layers().iter().any(|layer| layer.training && is_within(at, &layer.path))
        })
    }

    /// Whether any layer holds a parameter or a running statistic in a half type at any time.
    fn has_half_layers(&self) -> bool {
        let holds = |layer: &Layer| {
            let mut slots = Slot::ALL.into_iter().filter(|slot| layer.has(*slot)).peekable();
            slots.peek().is_some().then(|| slots.any(|slot| layer.dtype_of(slot).is_half()))
        };
        let half_input =
            |action: &Action| matches!(action, Action::Forward { input, .. } if input.dtype.is_half());
        // A layer that holds nothing computes in the input's type.
        let constructed = self
            .layers
            .iter()
            .any(|layer| holds(layer).unwrap_or_else(|| self.script.iter().any(half_input)));
        // So does one from which what it holds is taken, or that no longer hands its statistics to the kernel.
        let takes = |setting: &Setting| {
            matches!(setting, Setting::TrackRunningStats(false) | Setting::Tensor(_, None))
        };
        let takes_away =
            |action: &Action| matches!(action, Action::Set { settings, .. } if settings.iter().any(takes));
        let becomes = self.script.iter().any(takes_away) && self.script.iter().any(half_input);
        constructed
            || becomes
            || self.script.iter().any(|action| matches!(action, Action::Cast { to, .. } if to.is_half()))
    }

    /// Whether any forward is of an input of such a shape.
    fn has_input(&self, is_such: impl Fn(&[usize]) -> bool) -> bool {
        self.script
            .iter()
            .any(|action| matches!(action, Action::Forward { input, .. } if is_such(&input.tensor.shape)))
    }

    /// The layouts of its inputs and gradients, each once, in their order.
    fn layouts(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for action in self.script.iter() {
            if let Action::Forward { input: Input { layout, .. }, .. } | Action::Backward { layout, .. } =
                action
            {
                let name = layout.name().to_owned();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names.join(" ")
    }
}
