//! What a worker says first.

use std::collections::BTreeMap;

use bn_cases::case::{Action, Dictionary, Setting};
use bn_cases::{DType, Observable, Tensor};
use serde::{Deserialize, Serialize};

use super::PROTOCOL;
use crate::{BackendInfo, Input, Lacks, Request, Unobservable};

/// Who a worker is, and what of the cases it need not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Its short name, as the results show it.
    pub name: String,
    /// The version of what is judged, with what matters beside: `numpy 2.2.6`.
    pub version: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// The floating-point types that it computes with; all where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtypes: Option<Vec<DType>>,
    /// What it cannot express, each with the reason that the verdict `unsupported` gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lacks: BTreeMap<Feature, String>,
    /// What cannot be seen of its state, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unobservable: BTreeMap<Observable, String>,
    /// Why there is nothing to judge here, with what to type: "onnxruntime is not installed: pip install onnxruntime".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
}

/// A feature that a backend may lack: those of [`Lacks`], and models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// More than one layer.
    Models,
    /// See [`Lacks`], as of all that follow.
    CumulativeAverage,
    /// `track_running_stats=False`.
    Untracked,
    /// `reset_running_stats()`.
    Reset,
    /// Assignments to momentum, eps and `track_running_stats`.
    Settings,
    /// New tensors in the place of parameters and buffers.
    NewTensors,
    /// `requires_grad` of weight and bias.
    RequiresGrad,
    /// Conversion to another type.
    Cast,
    /// Statistics of another type than the parameters.
    MixedLayer,
    /// State dictionaries.
    StateDict,
    /// Inputs of integers.
    Integers,
    /// Layouts other than contiguous.
    Layouts,
}

impl Hello {
    /// The greeting of a backend that answers by itself what it cannot express.
    pub fn new(info: &BackendInfo) -> Self {
        let BackendInfo { name, version, about, unobservable } = info.clone();
        let unobservable = unobservable.into_iter().map(|it| (it.tensor, it.reason)).collect();
        Hello {
            protocol: PROTOCOL,
            name,
            version,
            about,
            dtypes: None,
            lacks: BTreeMap::new(),
            unobservable,
            absent: None,
        }
    }

    /// Who it is.
    pub fn info(&self) -> BackendInfo {
        let unobservable = self
            .unobservable
            .iter()
            .map(|(tensor, reason)| Unobservable { tensor: *tensor, reason: reason.clone() });
        BackendInfo {
            name: self.name.clone(),
            version: self.version.clone(),
            about: self.about.clone(),
            unobservable: unobservable.collect(),
        }
    }

    /// Why the worker need not be asked this, or `None` when it is to be.
    pub fn unsupported(&self, request: &Request) -> Option<String> {
        if self.absent.is_some() {
            return self.absent.clone();
        }
        let lacks = |feature| self.lacks.get(&feature);
        if let Some(reason) = lacks(Feature::Models).filter(|_| request.layers.len() > 1) {
            return Some(reason.clone());
        }
        let known = Lacks {
            cumulative_average: lacks(Feature::CumulativeAverage),
            untracked: lacks(Feature::Untracked),
            reset: lacks(Feature::Reset),
            settings: lacks(Feature::Settings),
            new_tensors: lacks(Feature::NewTensors),
            requires_grad: lacks(Feature::RequiresGrad),
            cast: lacks(Feature::Cast),
            mixed_layer: lacks(Feature::MixedLayer),
            state_dict: lacks(Feature::StateDict),
            integers: lacks(Feature::Integers),
            layouts: lacks(Feature::Layouts),
            counter: None,
        };
        known.reason(request).or_else(|| {
            let dtypes = self.dtypes.as_ref()?;
            let other = types(request).find(|dtype| dtype.is_float() && !dtypes.contains(dtype))?;
            let names: Vec<&str> = dtypes.iter().map(|dtype| dtype.name()).collect();
            Some(format!("it computes with {}, not with {other}", names.join(", ")))
        })
    }
}

/// The types of all that a request speaks of, as often as it does.
fn types(request: &Request) -> impl Iterator<Item = DType> {
    let of_layers = request.layers.iter().flat_map(|layer| {
        let parameters = layer.affine.then_some(layer.dtype);
        parameters.into_iter().chain(layer.track_running_stats.then_some(layer.statistics_dtype))
    });
    of_layers.chain(request.actions.iter().flat_map(types_of_step))
}

fn types_of_step(action: &Action<Tensor>) -> Vec<DType> {
    match action {
        Action::Forward { input: Input { dtype, .. }, .. } => vec![*dtype],
        Action::Backward { grad, .. } => vec![grad.dtype()],
        Action::Cast { to, .. } => vec![*to],
        Action::Set { settings, .. } => {
            let new = |setting: &Setting<Tensor>| match setting {
                Setting::Tensor(_, Some(tensor)) => Some(tensor.dtype()),
                _ => None,
            };
            settings.iter().filter_map(new).collect()
        }
        Action::LoadState { from: Dictionary { entries, .. }, .. } => {
            entries.iter().map(|(_, tensor)| tensor.dtype()).collect()
        }
        _ => Vec::new(),
    }
}
