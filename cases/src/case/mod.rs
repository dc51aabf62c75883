//! An expanded case, everything in it resolved and checked.

mod action;
mod describe;
mod modes;

use std::collections::BTreeMap;

pub use action::{Action, Dictionary, Frozen, Input, Layout, Part, Reach, Setting, Slot};
pub use modes::{LayerMode, Modes, is_within};

use crate::data::{Draws, Role, generate};
use crate::format::{CaseSpec, Fill, LayerSpec, Tier};
use crate::observed::{ErrorClass, TensorName};
use crate::written::Written;
use crate::yaml::Node;
use crate::{DType, Tensor};

/// Where a case is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// What the suite says of itself.
    pub suite_about: Option<String>,
    /// The story that the suite tells, where it tells one.
    pub story: Option<std::sync::Arc<Story>>,
    /// The case's name within the suite.
    pub name: String,
    /// The axes it was multiplied over, with its value's label on each.
    pub axes: Vec<(String, String)>,
    /// Where it is written.
    pub place: Place,
    /// The lines it is written in.
    pub written: std::sync::Arc<Written>,
    /// The fields as written, defaults and axes merged.
    pub fields: Node,
    /// The fields, read.
    pub spec: CaseSpec,
    /// The layers, resolved, in the order in which a forward runs them.
    pub layers: Vec<Layer>,
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
    /// Its path in the model; empty where the layer is all there is.
    pub path: String,
    /// Its fields.
    pub spec: LayerSpec,
    /// The class.
    pub kind: LayerKind,
    /// Channels, C.
    pub features: usize,
    /// The type of weight and bias.
    pub dtype: DType,
    /// The type of the running statistics.
    pub statistics_dtype: DType,
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
    /// Whether its first sample stands for all of them.
    pub one_sample: bool,
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

/// Fields that a case has beside those of the format, for filters: the class, the names of the steps in
/// order, whether any forward happens in training mode, the number of layers, the layouts of inputs and gradients, and
/// whether any layer holds a tensor in f16 or bf16 at any time.
pub const DERIVED_FIELDS: [&str; 8] =
    ["suite", "name", "kind", "steps", "trains", "layers", "layouts", "half_layers"];

/// Fields that a case has a value of even where it does not write them.
const DEFAULTED_FIELDS: [&str; 11] = [
    "dtype",
    "seed",
    "tier",
    "layer.dtype",
    "layer.statistics_dtype",
    "layer.features",
    "layer.eps",
    "layer.momentum",
    "layer.affine",
    "layer.track_running_stats",
    "input.dtype",
];

/// The most bytes of a value in [`Case::all_fields`].
pub const LONGEST_FIELD: usize = 160;

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
        Some(generated.tensor(self.spec.seed, None))
    }

    /// The value of a field for filters and reports: as written, or else the format's default. `None` when
    /// neither is there.
    pub fn field(&self, path: &str) -> Option<String> {
        // What the resolved case says comes before what is written: null may stand for something.
        match path {
            "layer.dtype" => return Some(self.first().dtype.to_string()),
            "layer.statistics_dtype" => return Some(self.first().statistics_dtype.to_string()),
            "layer.features" => return Some(self.first().features.to_string()),
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
            "tier" => self.spec.tier.name().to_owned(),
            "input.dtype" => self.spec.input.dtype.unwrap_or(self.spec.dtype).to_string(),
            "kind" => format!("{:?}", self.first().kind),
            "layers" => self.layers.len().to_string(),
            "layouts" => self.layouts(),
            "half_layers" => self.has_half_layers().to_string(),
            "steps" => self.script.iter().map(Action::name).collect::<Vec<_>>().join(" "),
            "trains" => self.trains().to_string(),
            _ => return None,
        })
    }

    /// All fields that [`Case::field`] knows of this case, by their dotted paths, with their values: axes, what is
    /// written, defaults and [`DERIVED_FIELDS`]. Values that are longer than [`LONGEST_FIELD`] are left out.
    pub fn all_fields(&self) -> BTreeMap<String, String> {
        let mut paths: Vec<String> = self.axes.iter().map(|(axis, _)| axis.clone()).collect();
        paths.extend(DERIVED_FIELDS.iter().chain(&DEFAULTED_FIELDS).map(|&path| path.to_owned()));
        self.fields.paths(&mut paths);
        let value = |path: String| {
            let value = self.field(&path).filter(|value| value.len() <= LONGEST_FIELD)?;
            Some((path, value))
        };
        paths.into_iter().filter(|path| path != "about").filter_map(value).collect()
    }

    /// The layer, or the first one of a model.
    fn first(&self) -> &Layer {
        &self.layers[0]
    }

    /// Whether the case is run in this tier.
    pub fn is_in(&self, tier: Tier) -> bool {
        self.spec.tier <= tier
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
        constructed
            || self.script.iter().any(|action| matches!(action, Action::Cast { to, .. } if to.is_half()))
    }

    /// The layouts of its inputs and gradients, each once, in their order.
    fn layouts(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for action in &self.script {
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
