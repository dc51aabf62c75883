//! The reference backend against its own formulas in float64, on generated cases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bn_api::{
    Backend, BackendInfo, Forward, Gradients, InProcess, Kernel, Layer, LayerConfig, LayerError, Layout,
    ModuleLayer, Request, Tensor, Wanted,
};
use bn_cases::DType;
use bn_cases::format::{CaseSpec, Fill, Step};
use bn_fuzz::property::{
    Violation, answers_within_budget, is_within_budget, loads_as_it_is, reference_is_within_budget,
};
use bn_fuzz::strategy;
use bn_reference::{Reference, ReferenceKernel};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

/// Finds of earlier runs, each a suite of its own. They stay cases whatever becomes of the strategies, which
/// the seeds that proptest would keep do not.
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cases/regressions");

/// `PROPTEST_CASES` says how many cases (256), `PROPTEST_RNG_SEED` which (always the same).
fn runner() -> TestRunner {
    let mut config = Config { failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(20_150_211);
    }
    TestRunner::new(config)
}

/// Looks for a case of which the property does not hold, and shrinks it.
fn hunt(property: impl Fn(&CaseSpec) -> Result<(), Violation>) -> Option<(CaseSpec, Violation)> {
    let tried = runner().run(&strategy::case(), |spec| {
        property(&spec).map_err(|violation| TestCaseError::fail(violation.what))
    });
    match tried {
        Ok(()) => None,
        Err(TestError::Fail(reason, spec)) => {
            let violation = property(&spec).err().unwrap_or_else(|| Violation {
                yaml: bn_fuzz::render::suite("fuzz", &spec),
                what: format!("it does not fail again: {reason}"),
                place: None,
            });
            Some((spec, violation))
        }
        Err(TestError::Abort(reason)) => panic!("the strategy gave up: {reason}"),
    }
}

fn regressions() -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(REGRESSIONS) else { return Vec::new() };
    let mut files: Vec<PathBuf> = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// Writes a find down and says where.
fn keep(violation: &Violation) -> PathBuf {
    // FNV-1a: a name that depends on the case alone.
    let digest = violation.yaml.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = Path::new(REGRESSIONS).join(format!("{digest:016x}.yaml"));
    let written = std::fs::create_dir_all(REGRESSIONS).and_then(|()| std::fs::write(&path, &violation.yaml));
    written.unwrap_or_else(|error| panic!("{}: {error}\n{violation}", path.display()));
    path
}

#[test]
fn the_reference_is_within_budget_of_its_formulas() {
    if let Some((_, violation)) = hunt(reference_is_within_budget) {
        let path = keep(&violation);
        panic!("{violation}\nkept as {}", path.display());
    }
}

#[test]
fn earlier_finds_stay_mended() {
    for path in regressions() {
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let suite = bn_cases::load_str(&path.display().to_string(), &text)
            .unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        for case in &suite.cases {
            let (mut contestant, mut oracle) = (InProcess::new(Reference), InProcess::new(Reference));
            if let Err(wrong) = answers_within_budget(&mut contestant, &mut oracle, case) {
                panic!("{}: {}", path.display(), wrong.what);
            }
        }
    }
}

#[test]
fn the_strategy_reaches_all_it_claims_to() {
    let mut runner = runner();
    let strategy = strategy::case();
    let mut seen = BTreeSet::new();
    for _ in 0..500 {
        let spec = strategy.new_tree(&mut runner).expect("nothing is filtered").current();
        let case = loads_as_it_is(&spec).unwrap_or_else(|why| panic!("{why}"));
        note(&spec, &mut seen);
        for action in &case.script {
            seen.insert(format!("step {}", action.name()));
            if let bn_cases::case::Action::Forward { input, .. } = action {
                let shape = &input.tensor.shape;
                assert!(shape.iter().product::<usize>() <= strategy::MAX_ELEMENTS, "{shape:?}");
            }
        }
        // Errors that are due are part of the claim.
        let request = Request::from_case(&case);
        let mut oracle = InProcess::new(Reference);
        let expected =
            bn_harness::oracle::Expected::ask(&mut oracle, &request).expect("the reference answers");
        let errors = expected.steps.iter().filter_map(|answer| answer.error.as_ref());
        seen.extend(errors.map(|error| format!("error {}", error.class)));
        seen.extend((expected.budget().kappa > 1e4).then(|| "kappa above 1e4".to_owned()));
    }
    let steps = [
        "train",
        "eval",
        "forward",
        "forward (no_grad)",
        "backward",
        "zero_grad",
        "sgd",
        "reset_running_stats",
        "set",
        "freeze",
        "unfreeze",
        "requires_grad",
        "cast",
        "save_state",
        "load_state",
    ];
    let fills = [
        "normal",
        "uniform",
        "constant",
        "channels",
        "ramp",
        "exact",
        "correlated",
        "special",
        "values",
        "bits",
    ];
    let claims = (steps.map(|step| format!("step {step}")).into_iter())
        .chain(fills.map(|fill| format!("fill {fill}")))
        .chain(DType::FLOATS.map(|dtype| format!("dtype {dtype}")))
        .chain(["f16", "bf16"].map(|dtype| format!("dtype {dtype} with f32")))
        .chain((2..=5).map(|rank| format!("rank {rank}")))
        .chain(["null", "0", "0.1", "1", "beyond"].map(|momentum| format!("momentum {momentum}")))
        .chain(["affine false", "track_running_stats false", "one channel"].map(str::to_owned))
        .chain(["error one_value_per_channel", "error no_graph", "kappa above 1e4"].map(str::to_owned));
    let missing: Vec<String> = claims.filter(|claim| !seen.contains(claim)).collect();
    assert!(missing.is_empty(), "500 cases have no {missing:?}");
}

/// Notes what a case contains.
fn note(spec: &CaseSpec, seen: &mut BTreeSet<String>) {
    let layer = &spec.layer;
    let shape = spec.input.shape.as_ref().expect("every generated case has a shape");
    seen.insert(format!("rank {}", shape.len()));
    seen.insert(format!("dtype {}", spec.dtype));
    seen.extend(layer.dtype.map(|dtype| format!("dtype {} with {dtype}", spec.dtype)));
    seen.insert(match layer.momentum {
        None => "momentum null".to_owned(),
        Some(momentum) if (0.0..=1.0).contains(&momentum) => format!("momentum {momentum}"),
        Some(_) => "momentum beyond".to_owned(),
    });
    seen.extend((!layer.affine).then(|| "affine false".to_owned()));
    seen.extend((!layer.track_running_stats).then(|| "track_running_stats false".to_owned()));
    seen.extend((shape[1] == 1).then(|| "one channel".to_owned()));
    let mut fills = vec![spec.input.fill.as_ref(), spec.grad.as_ref()];
    fills.extend([&layer.weight, &layer.bias, &layer.running_mean, &layer.running_var].map(Option::as_ref));
    for step in spec.steps.iter().flatten() {
        match step {
            Step::Forward { input: Some(input), .. } => fills.push(input.fill.as_ref()),
            Step::Backward { grad, .. } => fills.push(grad.as_ref()),
            _ => {}
        }
    }
    for fill in fills.into_iter().flatten() {
        let mut fill = fill;
        while let Fill::Special { base, .. } = fill {
            seen.insert("fill special".to_owned());
            fill = base;
        }
        let name = match fill {
            Fill::Normal { .. } => "normal",
            Fill::Uniform { .. } => "uniform",
            Fill::Constant(_) => "constant",
            Fill::Channels { .. } => "channels",
            Fill::Ramp { .. } => "ramp",
            Fill::Exact { .. } => "exact",
            Fill::Correlated { .. } => "correlated",
            Fill::Special { .. } => "special",
            Fill::Values(_) => "values",
            Fill::Bits(_) => "bits",
        };
        seen.insert(format!("fill {name}"));
    }
}

#[test]
fn a_biased_running_variance_is_found_and_shrinks() {
    let (spec, violation) = hunt(|spec| is_within_budget(BiasedRunningVariance, spec))
        .expect("a seeded mistake is found among the cases");
    let steps = spec.steps.as_ref().map_or(0, Vec::len);
    assert!(steps <= 2, "{steps} steps are left:\n{violation}");
    let place = violation.place.as_ref().expect("the violation is at a step");
    let tensor = place.tensor.as_ref().expect("the violation is in a tensor");
    assert_eq!(tensor.tensor.tensor, bn_api::Observable::RunningVar, "{violation}");
}

/// The reference, but the running variance averages the biased variance: without n/(n-1).
struct BiasedRunningVariance;

impl Backend for BiasedRunningVariance {
    fn info(&self) -> BackendInfo {
        BackendInfo { name: "biased".to_owned(), ..Reference.info() }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(ModuleLayer::new(BiasedKernel, config)))
    }
}

struct BiasedKernel;

impl Kernel for BiasedKernel {
    type Saved = <ReferenceKernel as Kernel>::Saved;

    fn forward(&self, mut call: Forward<'_>) -> Result<(Tensor, Self::Saved), LayerError> {
        let n = call.input.channels().values as f64;
        let (moves, kept) = (call.use_batch_stats, 1.0 - call.factor);
        let mut running = call.running.take();
        let before = running.as_ref().map(|running| running.var.clone());
        let inner = Forward { running: running.as_deref_mut(), ..call };
        let answer = ReferenceKernel.forward(inner)?;
        if let (true, Some(running), Some(before)) = (moves, running, before) {
            // What the batch added, divided by n/(n-1).
            let biased = (0..before.len()).map(|channel| {
                let new = running.var.value(channel);
                new - (new - kept * before.value(channel)) / n
            });
            running.var = Tensor::from_values(before.dtype(), before.shape(), biased);
        }
        Ok(answer)
    }

    fn backward(
        &self,
        saved: &Self::Saved,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        ReferenceKernel.backward(saved, grad_output, layout, wanted)
    }
}
