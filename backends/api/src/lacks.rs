//! What a layer has no words for, said once.

use bn_cases::{DType, Observable};

use crate::{Action, Layout, Request, Setting, Unobservable};

/// The features of `torch.nn.BatchNorm` that a layer does not have, each with the reason that the verdict
/// `unsupported` gives; nothing is lacking by default. `S` is a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lacks<S = &'static str> {
    /// `momentum=None`.
    pub cumulative_average: Option<S>,
    /// `track_running_stats=False`.
    pub untracked: Option<S>,
    /// `reset_running_stats()`.
    pub reset: Option<S>,
    /// Assignments to momentum, eps and `track_running_stats` after construction.
    pub settings: Option<S>,
    /// New tensors in the place of parameters and buffers, or none.
    pub new_tensors: Option<S>,
    /// Setting `requires_grad` of weight and bias, which freezing them needs.
    pub requires_grad: Option<S>,
    /// Conversion of an existing layer to another type.
    pub cast: Option<S>,
    /// Statistics of another type than the parameters.
    pub mixed_layer: Option<S>,
    /// `state_dict()` and `load_state_dict()`.
    pub state_dict: Option<S>,
    /// Inputs of integers.
    pub integers: Option<S>,
    /// Inputs and gradients that do not lie contiguously in memory.
    pub layouts: Option<S>,
    /// `num_batches_tracked`: cases are run all the same, and the rest of the state compared.
    pub counter: Option<S>,
}

impl<S: AsRef<str>> Lacks<S> {
    /// Why a request cannot be expressed, or `None` when it can.
    pub fn reason(&self, request: &Request) -> Option<String> {
        let layers = &request.layers;
        let asks_for = |wanted: fn(&Action) -> bool| request.actions.iter().any(wanted);
        let needs = [
            (layers.iter().any(|layer| layer.momentum.is_none()), &self.cumulative_average),
            (layers.iter().any(|layer| !layer.track_running_stats), &self.untracked),
            (layers.iter().any(|layer| layer.statistics_dtype != layer.dtype), &self.mixed_layer),
            (asks_for(|action| matches!(action, Action::ResetRunningStats { .. })), &self.reset),
            (asks_for(|action| sets(action, |setting| !replaces(setting))), &self.settings),
            (asks_for(|action| sets(action, replaces)), &self.new_tensors),
            (asks_for(sets_requires_grad), &self.requires_grad),
            (asks_for(|action| matches!(action, Action::Cast { .. })), &self.cast),
            (
                asks_for(|action| matches!(action, Action::SaveState { .. } | Action::LoadState { .. })),
                &self.state_dict,
            ),
            (asks_for(has_integers), &self.integers),
            (asks_for(is_not_contiguous), &self.layouts),
        ];
        let lacking = needs.into_iter().filter(|(needed, _)| *needed).find_map(|(_, reason)| reason.as_ref());
        lacking.map(|reason| reason.as_ref().to_owned())
    }

    /// What cannot be seen of the layer's state.
    pub fn unobservable(&self) -> Vec<Unobservable> {
        let counter = self.counter.as_ref().map(|reason| Unobservable {
            tensor: Observable::NumBatchesTracked,
            reason: reason.as_ref().to_owned(),
        });
        counter.into_iter().collect()
    }
}

fn sets(action: &Action, wanted: fn(&Setting) -> bool) -> bool {
    matches!(action, Action::Set { settings, .. } if settings.iter().any(wanted))
}

fn replaces(setting: &Setting) -> bool {
    matches!(setting, Setting::Tensor(..) | Setting::NumBatchesTracked(_))
}

fn sets_requires_grad(action: &Action) -> bool {
    match action {
        Action::RequiresGrad { .. } => true,
        Action::Freeze { what, .. } | Action::Unfreeze { what, .. } => what.affine(),
        _ => false,
    }
}

fn has_integers(action: &Action) -> bool {
    matches!(action, Action::Forward { input, .. } if input.dtype == DType::I64)
}

fn is_not_contiguous(action: &Action) -> bool {
    match action {
        Action::Forward { input, .. } => input.layout != Layout::Contiguous,
        Action::Backward { layout, .. } => *layout != Layout::Contiguous,
        _ => false,
    }
}
