//! The reference backend against its own formulas in float64, on generated cases.

use std::path::{Path, PathBuf};

use bn_api::{
    Backend, BackendInfo, Forward, Gradients, InProcess, Kernel, Layer, LayerConfig, LayerError, Layout,
    ModuleLayer, Tensor, Wanted,
};
use bn_cases::format::CaseSpec;
use bn_fuzz::property::{Violation, answers_within_budget, is_within_budget, reference_is_within_budget};
use bn_fuzz::strategy;
use bn_reference::{Reference, ReferenceKernel};
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
fn a_biased_running_variance_is_found_and_shrinks() {
    let (spec, violation) = hunt(|spec| is_within_budget(Mistaken(BiasedVariance), spec))
        .expect("a seeded mistake is found among the cases");
    let steps = spec.steps.as_ref().map_or(0, Vec::len);
    assert!(steps <= 2, "{steps} steps are left:\n{violation}");
    let place = violation.place.as_ref().expect("the violation is at a step");
    let tensor = place.tensor.as_ref().expect("the violation is in a tensor");
    assert_eq!(tensor.tensor.tensor, bn_api::Observable::RunningVar, "{violation}");
}

#[test]
fn an_error_of_another_kind_is_found_where_one_is_due() {
    let kinds: [fn(LayerError) -> LayerError; 2] =
        [|error| LayerError::other(error.message), |error| panic!("{error}")];
    for kind in kinds {
        let (_, violation) = hunt(|spec| is_within_budget(Mistaken(OtherErrors(kind)), spec))
            .expect("a seeded mistake is found among the cases");
        let place = violation.place.as_ref().expect("the violation is at a step");
        assert_eq!(place.tensor, None, "{violation}");
    }
}

/// A kernel with a mistake, as a backend.
struct Mistaken<K>(K);

impl<K: Kernel + Copy + 'static> Backend for Mistaken<K> {
    fn info(&self) -> BackendInfo {
        BackendInfo { name: "mistaken".to_owned(), ..Reference.info() }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(ModuleLayer::new(self.0, config)))
    }
}

/// The reference, but the running variance averages the biased variance: without n/(n-1).
#[derive(Clone, Copy)]
struct BiasedVariance;

impl Kernel for BiasedVariance {
    type Saved = <ReferenceKernel as Kernel>::Saved;

    fn forward(&self, mut call: Forward<'_>) -> Result<(Tensor, Self::Saved), LayerError> {
        let n = call.input.channels().values as f64;
        let (moves, kept) = (call.use_batch_stats && n > 0.0, 1.0 - call.factor);
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

/// The reference, but what its kernel raises is something else.
#[derive(Clone, Copy)]
struct OtherErrors(fn(LayerError) -> LayerError);

impl Kernel for OtherErrors {
    type Saved = <ReferenceKernel as Kernel>::Saved;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Self::Saved), LayerError> {
        ReferenceKernel.forward(call).map_err(self.0)
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
