//! From the fields of an expanded case to a [`Case`]: everything that can be known to be wrong before a
//! backend runs is found here.

use std::fmt::Write as _;

use crate::case::{Action, Generated, Layer, LayerKind, Published, PublishedAnswer, Setting};
use crate::data::{Role, check};
use crate::format::{CaseSpec, Expectation, Fill, InputSpec, Mode, Step};
use crate::observed::{ErrorClass, Observable};
use crate::problem::{Problem, Source, Span};
use crate::yaml::{Literal, Node};
use crate::{DType, number};

/// The most memory that the tensors of one case may take as f64, in bytes.
pub const MAX_CASE_BYTES: usize = 1 << 30;

/// What a case resolves to.
pub(crate) struct Resolved {
    pub layer: Layer,
    pub script: Vec<Action>,
    pub published: Vec<Published>,
}

/// Resolves and checks a case; `None` when `problems` got something. `fields` is the case merged, `written` what
/// stands in the case itself.
pub(crate) fn resolve(
    source: &Source,
    fields: &Node,
    written: &Node,
    spec: &CaseSpec,
    problems: &mut Vec<Problem>,
) -> Option<Resolved> {
    let mut resolver = Resolver { source, fields, written, spec, problems, bytes: 0, failed: false };
    let resolved = resolver.resolve();
    if resolver.failed { None } else { resolved }
}

struct Resolver<'a> {
    source: &'a Source,
    fields: &'a Node,
    written: &'a Node,
    spec: &'a CaseSpec,
    problems: &'a mut Vec<Problem>,
    bytes: usize,
    failed: bool,
}

impl Resolver<'_> {
    fn problem(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let span = self.fields.span_of(path);
        self.problem_at(span, message, help);
    }

    fn problem_at(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.failed = true;
        let mut problem = Problem::at(self.source, span, message);
        let help = help.into();
        if !help.is_empty() {
            problem = problem.with_help(help);
        }
        self.problems.push(problem);
    }

    fn resolve(&mut self) -> Option<Resolved> {
        let steps = self.steps()?;
        let layer = self.layer(&steps)?;
        let script = self.script(&steps, &layer);
        let published = self.published(&script, &layer);
        Some(Resolved { layer, script, published })
    }

    /// The steps as written or from the short form, with the path of each.
    fn steps(&mut self) -> Option<Vec<(String, Step)>> {
        let forward = Step::Forward { no_grad: false, input: None };
        match (&self.spec.mode, &self.spec.steps) {
            (Some(_), Some(_)) => {
                self.problem(
                    "steps",
                    "a case has `mode` or `steps`, not both",
                    "put the mode among the steps",
                );
                None
            }
            (None, None) => {
                let help = "`mode: train`, or `steps: [train, forward, backward]`";
                self.problem("name", "the case says neither `mode` nor `steps`", help);
                None
            }
            (Some(mode), None) => {
                let switch = match mode {
                    Mode::Train => Step::Train,
                    Mode::Eval => Step::Eval,
                };
                let steps = [switch, forward, Step::Backward { grad: None }];
                Some(steps.map(|step| ("mode".to_owned(), step)).into())
            }
            (None, Some(steps)) if steps.is_empty() => {
                self.problem("steps", "the case has no steps", "`steps: [train, forward, backward]`");
                None
            }
            (None, Some(steps)) => {
                let number = |(number, step): (usize, &Step)| (format!("steps.{number}"), step.clone());
                Some(steps.iter().enumerate().map(number).collect())
            }
        }
    }

    fn layer(&mut self, steps: &[(String, Step)]) -> Option<Layer> {
        let written = &self.spec.layer;
        let input_of = |step: &Step| match step {
            Step::Forward { input: Some(input), .. } => input.shape.clone(),
            _ => None,
        };
        let numbered = steps.iter().enumerate().map(|(index, (_, step))| (index + 1, step));
        let first = numbered.into_iter().find(|(_, step)| matches!(step, Step::Forward { .. }));
        let shape = first.and_then(|(_, step)| input_of(step)).or_else(|| self.spec.input.shape.clone());
        let Some(shape) = shape else {
            let place = if self.fields.get("input").is_some() { "input" } else { "name" };
            self.problem(place, "the case gives no `input.shape`", "`input: {shape: [8, 4, 5, 5]}`");
            return None;
        };
        let Some(kind) = written.kind.or_else(|| LayerKind::for_rank(shape.len())) else {
            let help = "rank 2 or 3 is BatchNorm1d, 4 BatchNorm2d, 5 BatchNorm3d; to see the error, name a `layer.kind`";
            let message = format!("no batch norm takes an input of rank {}", shape.len());
            self.problem("input.shape", message, help);
            return None;
        };
        let excused = first.is_some_and(|(number, _)| self.expects_refusal(number));
        let features = match (written.features, shape.get(1)) {
            (Some(features), _) if excused => features,
            (Some(features), Some(&channels)) if features != channels => {
                let message = format!(
                    "`features` is {features}, but the input's shape {shape:?} has {channels} channels"
                );
                let help = "leave `features` out: it is the shape's second number";
                self.problem("layer.features", message, help);
                // One mistake is not to be reported again for every input.
                channels
            }
            (Some(features), _) => features,
            (None, Some(&channels)) => channels,
            (None, None) => {
                self.problem("input.shape", "a shape of this rank has no channels", "give `layer.features`");
                return None;
            }
        };
        self.numbers();
        let dtype = written.dtype.unwrap_or(self.spec.dtype);
        let mixed = self.spec.dtype.is_half() && dtype == DType::F32;
        if dtype != self.spec.dtype && !mixed {
            let message = format!("parameters of {dtype} do not go with an input of {}", self.spec.dtype);
            self.problem(
                "layer.dtype",
                message,
                "PyTorch mixes f16 or bf16 inputs with f32 parameters, and nothing else",
            );
        }
        self.contents(features, dtype);
        Some(Layer { kind, features, dtype })
    }

    fn numbers(&mut self) {
        let layer = &self.spec.layer;
        if !layer.eps.is_finite() {
            self.problem("layer.eps", "`eps` must be finite", "");
        }
        if layer.momentum.is_some_and(|momentum| !momentum.is_finite()) {
            self.problem("layer.momentum", "`momentum` must be finite or null", "");
        }
        if layer.num_batches_tracked.is_some_and(|count| count < 0) {
            self.problem("layer.num_batches_tracked", "a counter is not negative", "");
        }
    }

    /// The initial contents of parameters and buffers.
    fn contents(&mut self, features: usize, dtype: DType) {
        let layer = &self.spec.layer;
        let fills = [
            ("layer.weight", Role::Weight, &layer.weight, layer.affine),
            ("layer.bias", Role::Bias, &layer.bias, layer.affine),
            ("layer.running_mean", Role::RunningMean, &layer.running_mean, layer.track_running_stats),
            ("layer.running_var", Role::RunningVar, &layer.running_var, layer.track_running_stats),
        ];
        for (path, role, fill, exists) in fills {
            let Some(fill) = fill else { continue };
            if exists {
                self.fill(path, fill, role, dtype, &[features]);
            } else if self.written.at(path).is_some() {
                // Contents that a suite gives by default do not hurt a case whose layer has no place for them.
                let switch =
                    if path.contains("running") { "track_running_stats: false" } else { "affine: false" };
                self.problem(path, format!("a layer with `{switch}` has no {}", &path[6..]), "take it out");
            }
        }
        let counter = self.written.at("layer.num_batches_tracked");
        if counter.is_some() && layer.num_batches_tracked.is_some() && !layer.track_running_stats {
            let message = "a layer with `track_running_stats: false` has no counter";
            self.problem("layer.num_batches_tracked", message, "take it out");
        }
    }

    fn fill(&mut self, path: &str, fill: &Fill, role: Role, dtype: DType, shape: &[usize]) {
        if let Err((inner, error)) = check(fill, role, dtype, shape) {
            let place = if inner.is_empty() { path.to_owned() } else { format!("{path}.{inner}") };
            let help = error.help().unwrap_or_default();
            self.problem(&place, error.to_string(), help);
        }
    }

    fn script(&mut self, steps: &[(String, Step)], layer: &Layer) -> Vec<Action> {
        let (mut forwards, mut backwards) = (0, 0);
        let mut latest: Option<Vec<usize>> = None;
        let mut refused = false;
        let mut script = Vec::new();
        for (index, (path, step)) in steps.iter().enumerate() {
            script.push(match step {
                Step::Train => Action::Train,
                Step::Eval => Action::Eval,
                Step::ZeroGrad => Action::ZeroGrad,
                Step::ResetRunningStats => Action::ResetRunningStats,
                Step::Set { momentum, eps, track_running_stats } => {
                    let settings: Vec<Setting> = [
                        momentum.map(Setting::Momentum),
                        eps.map(Setting::Eps),
                        track_running_stats.map(Setting::TrackRunningStats),
                    ]
                    .into_iter()
                    .flatten()
                    .collect();
                    self.settings(path, &settings);
                    Action::Set(settings)
                }
                Step::Sgd { lr } => {
                    if !lr.is_finite() {
                        self.problem(&format!("{path}.sgd.lr"), "`lr` must be finite", "");
                    }
                    Action::Sgd { lr: *lr }
                }
                Step::Forward { no_grad, input } => {
                    let Some(input) = self.input(path, input.as_ref(), layer, index + 1, forwards) else {
                        refused = true;
                        continue;
                    };
                    forwards += 1;
                    latest = Some(input.shape.clone());
                    Action::Forward { input, no_grad: *no_grad }
                }
                Step::Backward { grad } => {
                    let Some(shape) = latest.clone() else {
                        if !refused {
                            self.problem(path, "a backward before any forward", "put a `forward` before it");
                        }
                        continue;
                    };
                    let grad = self.grad(path, grad.as_ref(), shape, backwards);
                    backwards += 1;
                    Action::Backward { grad }
                }
            });
        }
        script
    }

    fn settings(&mut self, path: &str, settings: &[Setting]) {
        if settings.is_empty() {
            self.problem(path, "`set` sets nothing", "`{set: {momentum: 0.5}}`");
        }
        for setting in settings {
            let finite = match setting {
                Setting::Momentum(momentum) => momentum.is_none_or(f64::is_finite),
                Setting::Eps(eps) => eps.is_finite(),
                Setting::TrackRunningStats(_) => true,
            };
            if !finite {
                self.problem(&format!("{path}.set"), format!("`{setting}` is not finite"), "");
            }
        }
    }

    fn input(
        &mut self,
        path: &str,
        own: Option<&InputSpec>,
        layer: &Layer,
        number: usize,
        occurrence: u32,
    ) -> Option<Generated> {
        let case = &self.spec.input;
        let own_path = format!("{path}.forward.input");
        let (shape, shape_path) = match own.and_then(|own| own.shape.as_ref()) {
            Some(shape) => (shape, format!("{own_path}.shape")),
            None => (case.shape.as_ref()?, "input.shape".to_owned()),
        };
        let (fill, fill_path) = match (own.and_then(|own| own.fill.as_ref()), &case.fill) {
            (Some(fill), _) => (fill.clone(), format!("{own_path}.fill")),
            (None, Some(fill)) => (fill.clone(), "input.fill".to_owned()),
            (None, None) => (Fill::Normal { mean: 0.5, std: 2.0 }, "input".to_owned()),
        };
        let excused = self.expects_refusal(number);
        if !excused && !layer.kind.takes(shape.len()) {
            let message = format!("a {:?} takes no input of rank {}", layer.kind, shape.len());
            self.problem(&shape_path, message, "all inputs of a case have the rank of the first, or 2 and 3");
            return None;
        }
        if !excused && shape[1] != layer.features {
            let message =
                format!("the layer has {} features, this input {} channels", layer.features, shape[1]);
            self.problem(&shape_path, message, "the second number of a shape is the number of channels");
            return None;
        }
        self.size(&shape_path, shape)?;
        self.fill(&fill_path, &fill, Role::Input, self.spec.dtype, shape);
        Some(Generated { fill, role: Role::Input, occurrence, dtype: self.spec.dtype, shape: shape.clone() })
    }

    /// Whether the case expects that a step refuses its input's shape, which may then be wrong.
    fn expects_refusal(&self, number: usize) -> bool {
        let refusal = |class| matches!(class, ErrorClass::WrongRank | ErrorClass::WrongFeatures);
        self.spec.expect.iter().any(|known| known.step == number && known.error.is_some_and(refusal))
    }

    /// Counts the case's memory: input, output and both gradients of each forward.
    fn size(&mut self, path: &str, shape: &[usize]) -> Option<()> {
        let bytes = shape
            .iter()
            .try_fold(4 * DType::F64.size(), |bytes, &size| bytes.checked_mul(size))
            .and_then(|bytes| self.bytes.checked_add(bytes));
        match bytes {
            Some(bytes) if bytes <= MAX_CASE_BYTES => {
                self.bytes = bytes;
                Some(())
            }
            _ => {
                let size = bytes.map_or("more bytes than can be counted".to_owned(), |bytes| {
                    format!("{} MiB", bytes >> 20)
                });
                let message = format!("with the shape {shape:?} the case's tensors take {size} as f64");
                let limit = MAX_CASE_BYTES >> 20;
                let help =
                    format!("a case may take {limit} MiB: input, output and both gradients of every forward");
                self.problem(path, message, help);
                None
            }
        }
    }

    fn grad(&mut self, path: &str, own: Option<&Fill>, shape: Vec<usize>, occurrence: u32) -> Generated {
        let (fill, fill_path) = match (own, &self.spec.grad) {
            (Some(fill), _) => (fill.clone(), format!("{path}.backward.grad")),
            (None, Some(fill)) => (fill.clone(), "grad".to_owned()),
            (None, None) => (Fill::Correlated { mean: 0.5, strength: 1.0, noise: 1.0 }, path.to_owned()),
        };
        self.fill(&fill_path, &fill, Role::Grad, self.spec.dtype, &shape);
        Generated { fill, role: Role::Grad, occurrence, dtype: self.spec.dtype, shape }
    }

    fn published(&mut self, script: &[Action], layer: &Layer) -> Vec<Published> {
        let spec = self.spec;
        let mut published = Vec::new();
        for (number, expectation) in spec.expect.iter().enumerate() {
            let path = format!("expect.{number}");
            if expectation.step > script.len() {
                let message = format!("the case has {} steps, no step {}", script.len(), expectation.step);
                self.problem(&format!("{path}.step"), message, numbered(script));
                continue;
            }
            if let Some(what) = self.published_answer(&path, expectation, script, layer) {
                published.push(Published {
                    step: expectation.step,
                    what,
                    source: expectation.source.clone(),
                });
            }
        }
        published
    }

    fn published_answer(
        &mut self,
        path: &str,
        expectation: &Expectation,
        script: &[Action],
        layer: &Layer,
    ) -> Option<PublishedAnswer> {
        let (tensor, literals) = match (expectation.tensor, &expectation.values, expectation.error) {
            (None, None, Some(class)) => return Some(PublishedAnswer::Error(class)),
            (Some(tensor), Some(values), None) => (tensor, values),
            _ => {
                let help =
                    "`{step: 2, tensor: output, values: […]}`, or `{step: 2, error: one_value_per_channel}`";
                self.problem(path, "an expectation gives `tensor` and `values`, or `error`", help);
                return None;
            }
        };
        let action = expectation.step.checked_sub(1).and_then(|index| script.get(index));
        let needed = match (tensor, action) {
            (Observable::Output, Some(Action::Forward { input, .. })) => input.shape.iter().product(),
            (Observable::GradInput, Some(Action::Backward { grad })) => grad.shape.iter().product(),
            (Observable::Output | Observable::GradInput, _) => {
                let step = expectation.step;
                self.problem(
                    &format!("{path}.step"),
                    format!("step {step} gives no {tensor}"),
                    numbered(script),
                );
                return None;
            }
            (Observable::NumBatchesTracked, _) => 1,
            _ => layer.features,
        };
        if literals.len() != needed {
            let message = format!("{tensor} has {needed} elements, `values` has {}", literals.len());
            self.problem(
                &format!("{path}.values"),
                message,
                "one value for each, the last dimension fastest",
            );
            return None;
        }
        if !(expectation.within.is_finite() && expectation.within >= 0.0) {
            self.problem(&format!("{path}.within"), "`within` must be finite and not negative", "");
        }
        let mut values = Vec::with_capacity(literals.len());
        for (index, Literal(text)) in literals.iter().enumerate() {
            match number::parse_f64(text) {
                Ok(value) => values.push(value),
                Err(error) => {
                    self.problem(&format!("{path}.values.{index}"), error.to_string(), error.help());
                    return None;
                }
            }
        }
        Some(PublishedAnswer::Tensor { tensor, values, within: expectation.within })
    }
}

/// The steps of a case with their numbers.
fn numbered(script: &[Action]) -> String {
    let mut help = "the steps: 0 new layer".to_owned();
    for (index, action) in script.iter().enumerate() {
        let _ = write!(help, ", {} {}", index + 1, action.name());
    }
    help
}
