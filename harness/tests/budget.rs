//! What budgets are good for: a sound implementation stays within them, a classic mistake does not.
//!
//! The oracle is the reference backend in float64.

use bn_api::{
    Backend, BackendInfo, DType, Forward, Gradients, InProcess, Kernel, Layer, LayerConfig, LayerError,
    Layout, ModuleLayer, Observable, Request, Responder, RunningStats, Tensor, Wanted, dtypes,
};
use bn_cases::Suite;
use bn_harness::budget::{Accuracy, CaseBudget};
use bn_harness::deviations::Deviations;
use bn_harness::results::{CaseResult, TensorResult, Verdict};

mod common;
use common::{all_suites, cases, expected, reference, run, wrong};

/// One way of getting batch normalization wrong.
#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    /// None.
    Nothing,
    /// The running variance averages the biased variance.
    BiasedRunningVar,
    /// E[x²] - E[x]² in the accumulator's type.
    OnePassVariance,
    /// Momentum weighs the old average.
    SwappedMomentum,
    /// The gradient of the input lacks its third term.
    NoXhatTerm,
    /// 1/(σ + ε) for 1/√(σ² + ε).
    EpsOutsideRoot,
}

/// Batch normalization in f64, each result rounded once, with one mistake in it.
struct Mistaken(Mistake);

impl Backend for Mistaken {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "mistaken".to_owned(),
            version: "0".to_owned(),
            about: "wrong on purpose".to_owned(),
            unobservable: Vec::new(),
        }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(ModuleLayer::new(Mistaken(self.0), config)))
    }
}

/// What a forward keeps: x̂, γ/σ channel by channel, and what the gradients look like.
struct Saved {
    xhat: Vec<f64>,
    scale: Vec<f64>,
    batch_stats: bool,
    weight: Option<DType>,
    bias: Option<DType>,
}

impl Mistaken {
    fn batch_statistics(&self, input: &Tensor, channel: usize) -> (f64, f64) {
        let layout = input.channels();
        let values = || layout.indices(channel).map(|index| input.value(index));
        let n = layout.values as f64;
        if self.0 == Mistake::OnePassVariance && input.dtype() != DType::F64 {
            let (mut sum, mut squares) = (0.0_f32, 0.0_f32);
            for value in values() {
                sum += value as f32;
                squares += (value as f32) * (value as f32);
            }
            let mean = sum / n as f32;
            return (f64::from(mean), f64::from(squares / n as f32 - mean * mean));
        }
        let mean = values().sum::<f64>() / n;
        (mean, values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n)
    }

    fn inverse_std(&self, var: f64, eps: f64) -> f64 {
        if self.0 == Mistake::EpsOutsideRoot { 1.0 / (var.sqrt() + eps) } else { 1.0 / (var + eps).sqrt() }
    }

    fn moved(&self, old: &Tensor, batch: &[f64], factor: f64) -> Tensor {
        let (kept, new) =
            if self.0 == Mistake::SwappedMomentum { (factor, 1.0 - factor) } else { (1.0 - factor, factor) };
        let values = batch.iter().enumerate().map(|(c, batch)| kept * old.value(c) + new * batch);
        Tensor::from_values(old.dtype(), old.shape(), values)
    }
}

impl Kernel for Mistaken {
    type Saved = Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Saved), LayerError> {
        let (input, running) = (call.input.dtype(), call.running.as_ref());
        let tensors = [
            call.weight,
            call.bias,
            running.map(|running| &running.mean),
            running.map(|running| &running.var),
        ];
        let tensors = tensors.map(|tensor| tensor.map(Tensor::dtype));
        let refused =
            if call.input.is_empty() { Ok(()) } else { dtypes::check(input, tensors.into_iter().flatten()) };
        if !(call.use_batch_stats && dtypes::moves_before_it_refuses(input, tensors)) {
            refused.clone()?;
        }
        let layout = call.input.channels();
        let stats: Vec<(f64, f64)> = (0..layout.count)
            .map(|c| match &call.running {
                Some(running) if !call.use_batch_stats => (running.mean.value(c), running.var.value(c)),
                _ => self.batch_statistics(call.input, c),
            })
            .collect();
        // An empty batch moves nothing.
        let moves = call.use_batch_stats && !call.input.is_empty();
        if let (true, Some(running)) = (moves, call.running) {
            let n = layout.values as f64;
            let bessel = if self.0 == Mistake::BiasedRunningVar { 1.0 } else { n / (n - 1.0) };
            let means: Vec<f64> = stats.iter().map(|(mean, _)| *mean).collect();
            let vars: Vec<f64> = stats.iter().map(|(_, var)| var * bessel).collect();
            *running = RunningStats {
                mean: self.moved(&running.mean, &means, call.factor),
                var: self.moved(&running.var, &vars, call.factor),
            };
        }
        refused?;
        let inverse: Vec<f64> = stats.iter().map(|(_, var)| self.inverse_std(*var, call.eps)).collect();
        let gamma = |c| call.weight.map_or(1.0, |weight| weight.value(c));
        let beta = |c| call.bias.map_or(0.0, |bias| bias.value(c));
        let xhat: Vec<f64> = (0..call.input.len())
            .map(|i| {
                let c = layout.channel_of(i);
                (call.input.value(i) - stats[c].0) * inverse[c]
            })
            .collect();
        let output = xhat.iter().enumerate().map(|(i, xhat)| {
            let c = layout.channel_of(i);
            gamma(c) * xhat + beta(c)
        });
        // Of integers an empty batch is taken, and becomes what it is scaled by.
        let scales = call.weight.or(call.bias).filter(|_| !input.is_float());
        let output = Tensor::from_values(scales.map_or(input, Tensor::dtype), call.input.shape(), output);
        let saved = Saved {
            scale: (0..layout.count).map(|c| gamma(c) * inverse[c]).collect(),
            xhat,
            batch_stats: call.use_batch_stats,
            weight: call.weight.map(Tensor::dtype),
            bias: call.bias.map(Tensor::dtype),
        };
        Ok((output, saved))
    }

    fn backward(
        &self,
        saved: &Saved,
        grad_output: &Tensor,
        _: Layout,
        _: Wanted,
    ) -> Result<Gradients, LayerError> {
        let layout = grad_output.channels();
        let sum = |c: usize, term: &dyn Fn(usize) -> f64| layout.indices(c).map(term).sum::<f64>();
        let dy = |i: usize| grad_output.value(i);
        let sums: Vec<f64> = (0..layout.count).map(|c| sum(c, &dy)).collect();
        let dots: Vec<f64> = (0..layout.count).map(|c| sum(c, &|i| dy(i) * saved.xhat[i])).collect();
        let n = layout.values as f64;
        let input = (0..grad_output.len()).map(|i| {
            let c = layout.channel_of(i);
            if !saved.batch_stats {
                return saved.scale[c] * dy(i);
            }
            let third = if self.0 == Mistake::NoXhatTerm { 0.0 } else { saved.xhat[i] * dots[c] / n };
            saved.scale[c] * (dy(i) - sums[c] / n - third)
        });
        let parameter =
            |dtype, values: &[f64]| Tensor::from_values(dtype, &[values.len()], values.iter().copied());
        Ok(Gradients {
            input: Some(Tensor::from_values(grad_output.dtype(), grad_output.shape(), input)),
            weight: saved.weight.map(|dtype| parameter(dtype, &dots)),
            bias: saved.bias.map(|dtype| parameter(dtype, &sums)),
        })
    }
}

/// What becomes of the suites' cases whose id starts like this, with this mistake.
fn with_mistake(mistake: Mistake, id: &str) -> Vec<CaseResult> {
    let suites: Vec<Suite> = all_suites();
    let chosen: Vec<_> = cases(&suites).into_iter().filter(|case| case.id.starts_with(id)).collect();
    assert!(!chosen.is_empty(), "there is no case {id}");
    let open = || -> Box<dyn Responder> { Box::new(InProcess::new(Mistaken(mistake))) };
    run(&chosen, reference, &open, Deviations::default(), false).results
}

/// Whether the mistake fails all these cases in this tensor, and nothing does without the mistake.
#[track_caller]
fn is_caught(mistake: Mistake, tensor: Observable, id: &str) {
    for result in with_mistake(mistake, id) {
        assert_eq!(result.verdict, Verdict::Fail, "{}", result.case);
        let wrong = wrong(&result, tensor).unwrap_or_else(|| panic!("{tensor} is fine in {}", result.case));
        assert!(wrong.budget_used.is_none_or(|used| used > 1.0), "{}: {wrong:?}", result.case);
    }
    for result in with_mistake(Mistake::Nothing, id) {
        assert_eq!(result.verdict, Verdict::Pass, "{} without a mistake", result.case);
    }
}

#[test]
fn the_reference_is_within_the_budget_of_every_case() {
    let suites = all_suites();
    let results = run(&cases(&suites), reference, &reference, Deviations::default(), false);
    for result in &results.results {
        assert_eq!(result.verdict, Verdict::Pass, "{}", result.case);
        assert!(result.budget_used.is_none_or(|used| used <= 1.0), "{}: {result:?}", result.case);
    }
}

#[test]
fn f64_rounded_once_is_within_the_budget_of_every_case() {
    for result in with_mistake(Mistake::Nothing, "") {
        assert_eq!(result.verdict, Verdict::Pass, "{}", result.case);
    }
}

/// What comes of the reference under this oracle.
fn under_oracle(oracle: fn() -> Box<dyn Responder>, id: &str) -> Vec<CaseResult> {
    let suites: Vec<Suite> = all_suites();
    let chosen: Vec<_> = cases(&suites).into_iter().filter(|case| case.id.starts_with(id)).collect();
    run(&chosen, oracle, &reference, Deviations::default(), false).results
}

#[test]
fn an_oracle_that_adds_one_after_the_other_is_trusted_in_every_case() {
    for result in under_oracle(|| Box::new(InProcess::new(Mistaken(Mistake::Nothing))), "") {
        assert_eq!(result.verdict, Verdict::Pass, "{}: {:?}", result.case, result.reason);
    }
}

#[test]
fn an_oracle_with_a_mistake_is_in_doubt_whatever_the_type() {
    let oracles: [fn() -> Box<dyn Responder>; 4] = [
        || Box::new(InProcess::new(Mistaken(Mistake::BiasedRunningVar))),
        || Box::new(InProcess::new(Mistaken(Mistake::SwappedMomentum))),
        || Box::new(InProcess::new(Mistaken(Mistake::NoXhatTerm))),
        || Box::new(InProcess::new(Mistaken(Mistake::EpsOutsideRoot))),
    ];
    for oracle in oracles {
        for result in under_oracle(oracle, "conditioning/kappa[mode=train") {
            assert_eq!(result.verdict, Verdict::Suspect, "{}", result.case);
        }
    }
}

/// Whether its note says that some elements are not judged.
fn is_unjudged(tensor: &TensorResult) -> bool {
    tensor.note.as_ref().is_some_and(|note| note.contains("not judged"))
}

#[test]
fn an_element_without_a_finite_budget_is_noted() {
    let suites = all_suites();
    let all = cases(&suites);
    let results = run(&all, reference, &reference, Deviations::default(), false);
    for (case, result) in all.iter().zip(&results.results) {
        let request = Request::from_case(case);
        let expected = expected(&request);
        for (step, answer) in result.steps.iter().zip(&expected.steps) {
            for tensor in &step.tensors {
                let exact = answer.tensor(&tensor.tensor).expect("compared, so there");
                let budget = expected.budget().of(step.step, &tensor.tensor).expect("compared, so budgeted");
                let budget = &budget.elements;
                assert_eq!(budget.len(), exact.len());
                let place = || format!("{} step {} {}", case.id, step.step, tensor.tensor);
                for (index, budget) in budget.iter().enumerate() {
                    assert!(!budget.is_nan() || !exact.value(index).is_finite(), "{}", place());
                    assert!(budget.is_nan() || *budget >= 0.0, "{}", place());
                }
                assert_eq!(is_unjudged(tensor), tensor.total < exact.len(), "{}", place());
            }
        }
    }
}

#[test]
fn hardly_any_element_of_the_suites_goes_unjudged() {
    let suites = all_suites();
    let results = run(&cases(&suites), reference, &reference, Deviations::default(), false);
    let tensors: Vec<_> =
        results.results.iter().flat_map(|result| &result.steps).flat_map(|step| &step.tensors).collect();
    let unjudged = tensors.iter().filter(|tensor| is_unjudged(tensor)).count();
    assert!(unjudged * 50 < tensors.len(), "{unjudged} of {}", tensors.len());
}

#[test]
fn a_lesser_accuracy_never_has_the_smaller_budget() {
    let suites = all_suites();
    for case in cases(&suites).into_iter().filter(|case| case.dtype.size() == 2).step_by(5) {
        let request = Request::from_case(case);
        let expected = expected(&request);
        for accuracy in [Accuracy::Folded, Accuracy::StatisticsRoundedToStorage, Accuracy::StorageArithmetic]
        {
            let lesser = CaseBudget::derive(&request, &expected.steps, accuracy);
            for step in 0..expected.steps.len() {
                for (tensor, _) in &expected.steps[step].tensors {
                    let (Some(sound), Some(lesser)) =
                        (expected.budget().of(step, tensor), lesser.of(step, tensor))
                    else {
                        continue;
                    };
                    let pairs = sound.elements.iter().zip(&lesser.elements);
                    let smaller = pairs.into_iter().position(|(sound, lesser)| lesser < sound);
                    assert_eq!(smaller, None, "{} step {step} {tensor} {accuracy:?}", case.id);
                }
            }
        }
    }
}

#[test]
fn a_biased_running_variance_is_caught() {
    is_caught(
        Mistake::BiasedRunningVar,
        Observable::RunningVar,
        "pitfalls/1-momentum/three-batches[momentum=0.1,dtype=f32]",
    );
    // n is 1,024 there: the two variances are a thousandth apart.
    is_caught(
        Mistake::BiasedRunningVar,
        Observable::RunningVar,
        "conditioning/kappa[mode=train,shape=images",
    );
}

#[test]
fn a_variance_in_one_pass_is_caught_where_the_mean_is_a_thousand_spreads() {
    is_caught(
        Mistake::OnePassVariance,
        Observable::Output,
        "conditioning/kappa[mode=train,shape=images,dtype=f32]",
    );
    is_caught(Mistake::OnePassVariance, Observable::Output, "exact/far-from-zero[fill=above,dtype=f32]");
}

#[test]
fn momentum_the_other_way_round_is_caught_in_every_type() {
    for dtype in ["f16", "bf16", "f32", "f64"] {
        let id = format!("pitfalls/1-momentum/three-batches[momentum=0.1,dtype={dtype}]");
        is_caught(Mistake::SwappedMomentum, Observable::RunningMean, &id);
        is_caught(Mistake::SwappedMomentum, Observable::RunningVar, &id);
    }
}

#[test]
fn a_gradient_without_its_third_term_is_caught() {
    is_caught(Mistake::NoXhatTerm, Observable::GradInput, "gradients/kinds[mode=train,grad=follows-xhat]");
    is_caught(Mistake::NoXhatTerm, Observable::GradInput, "gradients/kinds-halves[mode=train");
    is_caught(Mistake::NoXhatTerm, Observable::GradInput, "gradients/without-affine[mode=train");
}

#[test]
fn eps_outside_the_root_is_caught_in_every_type() {
    for dtype in ["f16", "bf16", "f32", "f64"] {
        let id = format!("eps/exactly-the-variance[dtype={dtype}]");
        is_caught(Mistake::EpsOutsideRoot, Observable::Output, &id);
        is_caught(Mistake::EpsOutsideRoot, Observable::GradInput, &id);
    }
    is_caught(Mistake::EpsOutsideRoot, Observable::Output, "eps/against-variances[eps=1e-5,dtype=f32]");
}
