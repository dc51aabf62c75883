//! From the fields of an expanded case to a [`Case`]: everything that can be known to be wrong before a
//! backend runs is found here.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

mod dictionary;
mod published;
mod script;

use crate::DType;
use crate::case::{Action, Layer, LayerKind, Layout, Published, Slot};
use crate::data::{Role, check};
use crate::expand::is_name;
use crate::format::{CaseSpec, Fill, LayerSpec, Mode, ModelNode, Step};
use crate::observed::ErrorClass;
use crate::problem::{Problem, Source, Span, is_enough};
use crate::yaml::Node;

/// The most memory that the tensors of one case may take as f64, in bytes.
pub const MAX_CASE_BYTES: usize = 1 << 30;

/// The most layers of a case.
pub const MAX_LAYERS: usize = 1000;

/// The most steps of a case, each counted once for each layer.
pub const MAX_STEPS: usize = 100_000;

/// What a case resolves to.
pub(crate) struct Resolved {
    pub layers: Vec<Layer>,
    pub script: Vec<Action>,
    pub published: Vec<Published>,
}

/// Resolves and checks a case; `None` when `problems` got something. `fields` is the case merged, without its name,
/// and `written` what stands in the case itself.
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

impl<'a> Resolver<'a> {
    fn problem(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let span = self.fields.span_of(path);
        self.problem_at(span, message, help);
    }

    fn problem_at(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.failed = true;
        if is_enough(self.problems) {
            return;
        }
        let mut problem = Problem::at(self.source, span, message);
        let help = help.into();
        if !help.is_empty() {
            problem = problem.with_help(help);
        }
        self.problems.push(problem);
    }

    fn resolve(&mut self) -> Option<Resolved> {
        let steps = self.steps()?;
        let layers = self.layers(&steps)?;
        let script = self.script(&steps, &layers);
        let published = self.published(&script, &layers);
        if !self.failed {
            self.state(&layers, steps.len())?;
        }
        Some(Resolved { layers, script, published })
    }

    /// The steps as written or from the short form, with the path of each.
    fn steps(&mut self) -> Option<Vec<(String, Cow<'a, Step>)>> {
        let forward = Step::Forward { at: None, no_grad: false, input: None };
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
                let span = self.written.span_of("name");
                self.problem_at(span, "the case says neither `mode` nor `steps`", help);
                None
            }
            (Some(mode), None) => {
                let switch = match mode {
                    Mode::Train => Step::Train { at: None },
                    Mode::Eval => Step::Eval { at: None },
                };
                let steps = [switch, forward, Step::Backward { grad: None, layout: Layout::Contiguous }];
                Some(steps.map(|step| ("mode".to_owned(), Cow::Owned(step))).into())
            }
            (None, Some(steps)) if steps.is_empty() => {
                self.problem("steps", "the case has no steps", "`steps: [train, forward, backward]`");
                None
            }
            (None, Some(steps)) => {
                let numbered = steps.iter().enumerate();
                Some(
                    numbered.map(|(number, step)| (format!("steps.{number}"), Cow::Borrowed(step))).collect(),
                )
            }
        }
    }

    /// The layers of the case: the one, or those of the model in order.
    fn layers(&mut self, steps: &[(String, Cow<'_, Step>)]) -> Option<Vec<Layer>> {
        let first = First::of(steps);
        let shape =
            first.as_ref().and_then(|first| first.shape.clone()).or_else(|| self.spec.input.shape.clone());
        let Some(shape) = shape else {
            let input = self.fields.get("input").map(|_| self.fields.span_of("input"));
            let span = input.unwrap_or_else(|| self.written.span_of("name"));
            self.problem_at(span, "the case gives no `input.shape`", "`input: {shape: [8, 4, 5, 5]}`");
            return None;
        };
        let mut written = Vec::new();
        match &self.spec.model {
            None => written.push((String::new(), "layer".to_owned(), &self.spec.layer)),
            Some(nodes) => self.leaves("", "model", nodes, &mut written),
        }
        if self.failed {
            return None;
        }
        let (count, made) = (written.len(), written.len().saturating_mul(steps.len()));
        if count > MAX_LAYERS || made > MAX_STEPS {
            let place = if count > MAX_LAYERS { "model" } else { "steps" };
            let message = format!("the case has {count} layers and {} steps", steps.len());
            let help =
                format!("a case may have {MAX_LAYERS} layers, and {MAX_STEPS} steps over their number");
            self.problem(place, message, help);
            return None;
        }
        let excused = first.is_some_and(|first| self.expects_refusal(first.number));
        let mut layers = Vec::new();
        for (path, fields, spec) in written {
            layers.push(self.layer(path, &fields, spec, &shape, excused)?);
        }
        Some(layers)
    }

    /// Counts the memory of the layers' state, of which each step's answer has a copy.
    fn state(&mut self, layers: &[Layer], steps: usize) -> Option<()> {
        let features = layers.iter().fold(0usize, |sum, layer| sum.saturating_add(layer.features));
        let bytes = features.saturating_mul(Slot::ALL.len() * DType::F64.size()).saturating_mul(steps + 1);
        if bytes > MAX_CASE_BYTES {
            let message =
                format!("layers of {features} features take {} MiB after {steps} steps", bytes >> 20);
            let limit = MAX_CASE_BYTES >> 20;
            let help = format!("the state of a case may take {limit} MiB as f64, counted once for each step");
            self.problem(
                if self.written.get("layer").is_some() { "layer" } else { "input.shape" },
                message,
                help,
            );
            return None;
        }
        Some(())
    }

    /// The layers below some parts of a model: their paths, where each is written, and their fields.
    fn leaves(
        &mut self,
        path: &str,
        fields: &str,
        nodes: &'a [ModelNode],
        found: &mut Vec<(String, String, &'a LayerSpec)>,
    ) {
        if nodes.is_empty() {
            self.problem(fields, "there is no layer in here", "`[{name: first}, {name: second}]`");
        }
        let mut names = HashSet::new();
        for (number, node) in nodes.iter().enumerate() {
            let here = format!("{fields}.{number}");
            let name = &node.name;
            if !is_name(name) || name.contains('.') {
                let help = "names in a model are made of letters, digits, `_`, `-` and `+`";
                self.problem(&format!("{here}.name"), format!("`{name}` cannot be a name in a model"), help);
            }
            if !names.insert(name) {
                let message = format!("two parts beside each other are called `{name}`");
                self.problem(&format!("{here}.name"), message, "paths must be unique");
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match (&node.layer, &node.children) {
                (Some(_), Some(_)) => {
                    self.problem(
                        &here,
                        format!("`{path}` has `layer` and `children`"),
                        "a part is a layer or holds some",
                    );
                }
                (None, Some(children)) => self.leaves(&path, &format!("{here}.children"), children, found),
                (Some(layer), None) => found.push((path, format!("{here}.layer"), layer)),
                (None, None) => found.push((path, "layer".to_owned(), &self.spec.layer)),
            }
        }
    }

    fn layer(
        &mut self,
        path: String,
        fields: &str,
        written: &LayerSpec,
        shape: &[usize],
        excused: bool,
    ) -> Option<Layer> {
        let Some(kind) = written.kind.or_else(|| LayerKind::for_rank(shape.len())) else {
            let help = "rank 2 or 3 is BatchNorm1d, 4 BatchNorm2d, 5 BatchNorm3d; to see the error, name a `layer.kind`";
            let message = format!("no batch norm takes an input of rank {}", shape.len());
            self.problem("input.shape", message, help);
            return None;
        };
        let features = match (written.features, shape.get(1)) {
            (Some(features), _) if excused => features,
            (Some(features), Some(&channels)) if features != channels => {
                let message = format!(
                    "`features` is {features}, but the input's shape {shape:?} has {channels} channels"
                );
                let help = "leave `features` out: it is the shape's second number";
                self.problem(&format!("{fields}.features"), message, help);
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
        self.numbers(fields, written);
        let dtype = written.dtype.unwrap_or(self.spec.dtype);
        let statistics_dtype = written.statistics_dtype.unwrap_or(dtype);
        let layer = Layer { path, spec: written.clone(), kind, features, dtype, statistics_dtype };
        self.contents(fields, &layer);
        Some(layer)
    }

    fn numbers(&mut self, fields: &str, layer: &LayerSpec) {
        if !layer.eps.is_finite() {
            self.problem(&format!("{fields}.eps"), "`eps` must be finite", "");
        }
        if layer.momentum.is_some_and(|momentum| !momentum.is_finite()) {
            self.problem(&format!("{fields}.momentum"), "`momentum` must be finite or null", "");
        }
        if layer.num_batches_tracked.is_some_and(|count| count < 0) {
            self.problem(&format!("{fields}.num_batches_tracked"), "a counter is not negative", "");
        }
    }

    /// The initial contents of parameters and buffers.
    fn contents(&mut self, fields: &str, layer: &Layer) {
        for slot in Slot::ALL {
            let Some(fill) = layer.fill(slot) else { continue };
            let (name, path) = (slot.name(), format!("{fields}.{}", slot.name()));
            if layer.has(slot) {
                self.fill(&path, fill, Role::of(slot), layer.dtype_of(slot), &[layer.features]);
            } else if self.written.at(&path).is_some() {
                // Contents that a suite gives by default do not hurt a case whose layer has no place for them.
                let switch = if slot.is_parameter() { "affine: false" } else { "track_running_stats: false" };
                self.problem(&path, format!("a layer with `{switch}` has no {name}"), "take it out");
            }
        }
        let path = format!("{fields}.num_batches_tracked");
        let counter = self.written.at(&path);
        if counter.is_some() && layer.spec.num_batches_tracked.is_some() && !layer.spec.track_running_stats {
            let message = "a layer with `track_running_stats: false` has no counter";
            self.problem(&path, message, "take it out");
        }
    }

    fn fill(&mut self, path: &str, fill: &Fill, role: Role, dtype: DType, shape: &[usize]) {
        if let Err((inner, error)) = check(fill, role, dtype, shape) {
            let place = if inner.is_empty() { path.to_owned() } else { format!("{path}.{inner}") };
            let help = error.help().unwrap_or_default();
            self.problem(&place, error.to_string(), help);
        }
    }

    /// Whether the case expects that a step refuses its input's shape, which may then be wrong.
    fn expects_refusal(&self, number: usize) -> bool {
        self.expects(number, ErrorClass::WrongRank) || self.expects(number, ErrorClass::WrongFeatures)
    }

    /// Whether the case expects this error of a step.
    fn expects(&self, number: usize, class: ErrorClass) -> bool {
        self.spec.expect.iter().any(|known| known.step == number && known.error == Some(class))
    }

    /// The paths that a step can speak to.
    fn paths(&self, layers: &[Layer]) -> String {
        if self.spec.model.is_none() {
            return "the case has one layer and no `model`: leave the path out".to_owned();
        }
        let paths: Vec<&str> = layers.iter().map(|layer| layer.path.as_str()).collect();
        format!("the layers: {}", paths.join(", "))
    }
}

/// The first forward of a case.
struct First {
    /// Its number, from 1.
    number: usize,
    /// The shape of an input of its own.
    shape: Option<Vec<usize>>,
}

impl First {
    fn of(steps: &[(String, Cow<'_, Step>)]) -> Option<Self> {
        steps.iter().enumerate().find_map(|(index, (_, step))| match &**step {
            Step::Forward { input, .. } => {
                let shape = input.as_ref().and_then(|input| input.shape.clone());
                Some(First { number: index + 1, shape })
            }
            _ => None,
        })
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
