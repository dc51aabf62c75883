//! Cases whose parts are chosen one by one.

use bn_cases::DType;
use bn_cases::format::CaseSpec;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::data::{self, FillPlan};
use super::layer::{self, LayerPlan};
use super::model::{self, ModelPlan};
use super::shape::{self, ShapePlan};
use super::steps::{self, InputPlan, StepPlan};
use super::types::{self, LayerTypes};

/// Which of all that a part can be it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choice {
    /// The seed that it is drawn from.
    pub seed: u32,
    /// How often it is then made simpler.
    pub simpler: u8,
}

/// The strategies of a case's parts, which know nothing of each other.
pub struct Parts {
    types: BoxedStrategy<(DType, LayerTypes)>,
    layer: BoxedStrategy<LayerPlan>,
    model: BoxedStrategy<Option<ModelPlan>>,
    shape: BoxedStrategy<ShapePlan>,
    input: BoxedStrategy<InputPlan>,
    grad: BoxedStrategy<Option<FillPlan>>,
    steps: BoxedStrategy<Vec<StepPlan>>,
}

impl Default for Parts {
    fn default() -> Self {
        Parts {
            types: types::case(),
            layer: layer::plan(),
            model: model::plan(),
            shape: shape::plan(),
            input: steps::input(),
            grad: data::grad(),
            steps: steps::plan(),
        }
    }
}

impl Parts {
    /// The case of such parts. `choose` is asked for each of them once, always in the same order.
    ///
    /// Bytes cannot stand for a strategy's choices themselves, as proptest's `PassThrough` has it: each `prop_oneof!` takes
    /// half of those that are left, and where none are left proptest waits for ever for a number other than 0.
    pub fn case(&self, choose: &mut dyn FnMut() -> Choice) -> CaseSpec {
        let types = drawn(&self.types, choose());
        let layer = drawn(&self.layer, choose());
        let model = drawn(&self.model, choose());
        let shape = drawn(&self.shape, choose());
        let input = drawn(&self.input, choose());
        let grad = drawn(&self.grad, choose());
        let seed = drawn(&super::seed(), choose());
        let steps = drawn(&self.steps, choose());
        super::fit((types, layer, model, (shape, input, grad, seed), steps))
    }
}

fn drawn<S: Strategy>(strategy: &S, choice: Choice) -> S::Value {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&choice.seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut tree =
        strategy.new_tree(&mut TestRunner::new_with_rng(config, rng)).expect("nothing is filtered");
    for _ in 0..choice.simpler {
        if !tree.simplify() {
            break;
        }
    }
    tree.current()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_chosen_apart_from_the_others() {
        let parts = Parts::default();
        let case = |changed: usize| {
            let mut number = 0;
            parts.case(&mut || {
                number += 1;
                Choice { seed: if number == changed { 77 } else { 3 }, simpler: 0 }
            })
        };
        assert_eq!(case(0), case(0));
        let (one, other) = (case(0), case(7));
        assert_ne!(one.seed, other.seed);
        assert_eq!(CaseSpec { seed: one.seed, ..other }, one);
    }

    #[test]
    fn a_part_can_be_made_simpler() {
        let parts = Parts::default();
        let steps = |simpler| {
            let case = parts.case(&mut || Choice { seed: 5, simpler });
            case.steps.map_or(0, |steps| steps.len())
        };
        assert!(steps(200) < steps(0), "{} steps of {}", steps(200), steps(0));
    }
}
