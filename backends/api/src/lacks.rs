//! What a layer has no words for, said once.

use bn_cases::Observable;

use crate::{Action, Request, Unobservable};

/// The features of `torch.nn.BatchNorm` that a layer does not have, each with the reason that the verdict
/// `unsupported` gives; nothing is lacking by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lacks {
    /// `momentum=None`.
    pub cumulative_average: Option<&'static str>,
    /// `track_running_stats=False`.
    pub untracked: Option<&'static str>,
    /// `reset_running_stats()`.
    pub reset: Option<&'static str>,
    /// Assignments to momentum, eps and `track_running_stats` after construction.
    pub settings: Option<&'static str>,
    /// `num_batches_tracked`: cases are run all the same, and the rest of the state compared.
    pub counter: Option<&'static str>,
}

impl Lacks {
    /// Why a request cannot be expressed, or `None` when it can.
    pub fn reason(&self, request: &Request) -> Option<String> {
        let asks_for = |wanted: fn(&Action) -> bool| request.actions.iter().any(wanted);
        let needs = [
            (request.layer.momentum.is_none(), self.cumulative_average),
            (!request.layer.track_running_stats, self.untracked),
            (asks_for(|action| matches!(action, Action::ResetRunningStats)), self.reset),
            (asks_for(|action| matches!(action, Action::Set(_))), self.settings),
        ];
        let lacking = needs.into_iter().filter(|(needed, _)| *needed).find_map(|(_, reason)| reason);
        lacking.map(str::to_owned)
    }

    /// What cannot be seen of the layer's state.
    pub fn unobservable(&self) -> Vec<Unobservable> {
        let counter = self
            .counter
            .map(|reason| Unobservable { tensor: Observable::NumBatchesTracked, reason: reason.to_owned() });
        counter.into_iter().collect()
    }
}
