//! What a worker may take: time, and the bytes of an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::MAX_FRAME_BYTES;
use crate::Request;

/// The exit code of a program that was to become a worker's and could not, as when there is none of that name; its last
/// words say why.
pub const CANNOT_START: i32 = 125;

/// How long a worker may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From its start to its greeting.
    pub greeting: Duration,
    /// Over one request.
    pub answer: Duration,
    /// How much memory its process may take, in bytes. Whoever starts the process sees to it; here it is only told, where
    /// a worker ends that had too little.
    pub memory: Option<u64>,
    /// Ends all waiting.
    pub stop: Stop,
}

/// Told to many at once: stop.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on there is nothing more to wait for.
    pub fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether that was said.
    pub fn is_now(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The most bytes that an answer to this request can have, be it right or not, where the request itself has `asked`: a
/// generous multiple of its tensors in the widest type, and a text for each step. What claims more is not waited for, as
/// it would fill the harness' memory.
pub(super) fn largest_answer(request: &Request, asked: usize) -> u32 {
    const MIB: u64 = 1 << 20;
    let steps = request.actions.len() as u64 + 1;
    let features: u64 = request.layers.iter().map(|layer| layer.features as u64).sum();
    let tensors = (asked as u64).saturating_mul(16).saturating_add(features.saturating_mul(64 * steps));
    let bytes = tensors.saturating_add(MIB + steps * (MIB / 16));
    u32::try_from(bytes).unwrap_or(MAX_FRAME_BYTES).min(MAX_FRAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, DType, LayerConfig, LayerKind};

    #[test]
    fn an_answer_may_be_much_larger_than_its_request_and_not_without_a_bound() {
        let layer = LayerConfig::new(LayerKind::BatchNorm1d, 1 << 20, DType::F32);
        let steps = vec![Action::Train { at: String::new() }; 3];
        let request = Request { case: "wide".to_owned(), layers: vec![layer], actions: steps };
        // After the constructor and each step: five tensors of the state.
        assert!(u64::from(largest_answer(&request, 400)) > 4 * 5 * 4 * (1 << 20));
        assert!(largest_answer(&request, 400) < 1 << 29);
        assert_eq!(largest_answer(&request, 1 << 30), MAX_FRAME_BYTES);
    }
}
