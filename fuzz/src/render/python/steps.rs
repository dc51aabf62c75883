//! The steps, as a person would write them.

use std::fmt::Write as _;

use bn_api::{Action, Dictionary, Frozen, Input, Observable, Part, Setting, Slot, Tensor, is_within};
use bn_cases::case::Reach;

use super::ScriptError;
use super::checks::Checks;
use super::layers::Layers;
use super::tensors::{dtype, laid_out, tensor};
use super::text::{float, indented, quoted, truth};

/// The steps of a case, one after the other.
pub(super) struct Steps<'s> {
    layers: &'s Layers<'s>,
    checks: &'s Checks<'s>,
    /// The part that the latest forward ran.
    ran: String,
    /// Whether freezing is no more than a line or two: of one layer, which stays as it is until somebody else says.
    freezes_plainly: bool,
}

/// A step's lines: those that make what it takes, and those that take it.
#[derive(Default)]
struct Lines {
    before: String,
    action: String,
}

impl Lines {
    fn of(action: impl Into<String>) -> Self {
        Lines { before: String::new(), action: action.into() }
    }
}

impl<'s> Steps<'s> {
    pub(super) fn new(layers: &'s Layers<'s>, checks: &'s Checks<'s>, actions: &[Action]) -> Self {
        let is_sticky = |action: &Action| matches!(action, Action::Freeze { sticky: true, .. });
        let freezes_plainly = layers.is_single() && !actions.iter().any(is_sticky);
        Steps { layers, checks, ran: String::new(), freezes_plainly }
    }

    /// The lines of the action of this index, and those that compare what comes of it.
    ///
    /// # Errors
    /// When there is no budget for it.
    pub(super) fn step(&mut self, index: usize, actions: &[Action]) -> Result<String, ScriptError> {
        let action = &actions[index];
        let step = index + 1;
        let Lines { before, action: mut lines } = self.lines(index, actions);
        let answer = &self.checks.answers[step];
        let mut given = String::new();
        if let Some(error) = &answer.error {
            lines = format!(
                "try:\n{}except Exception as error:\n    raised(error, \"{class}\")\nelse:\n    raised(None, \"{class}\")\n",
                indented(if lines.is_empty() { "pass\n" } else { &lines }),
                class = error.class,
            );
        } else {
            given = self.given(step, action)?;
        }
        Ok(before + &lines + &given + &self.checks.state(step)?)
    }

    fn lines(&mut self, index: usize, actions: &[Action]) -> Lines {
        let step = index + 1;
        match &actions[index] {
            Action::Train { at } => Lines::of(format!("{}.train()\n", self.layers.part(at))),
            Action::Eval { at } => Lines::of(format!("{}.eval()\n", self.layers.part(at))),
            Action::Forward { at, input, no_grad } => {
                self.ran.clone_from(at);
                let fails = self.checks.answers[step].error.is_some();
                self.forward(at, input, *no_grad, fails)
            }
            Action::Backward { grad, layout } => {
                let later = actions[step..].iter().take_while(|it| !matches!(it, Action::Forward { .. }));
                let again = later.into_iter().any(|it| matches!(it, Action::Backward { .. }));
                let retain = if again { ", retain_graph=True" } else { "" };
                Lines { before: laid_out("dy", grad, *layout), action: format!("y.backward(dy{retain})\n") }
            }
            Action::Freeze { at, what, reach, sticky } => {
                let how = if *sticky { "freeze_in_train" } else { "freeze" };
                Lines::of(self.freeze(how, at, step, (*what, *reach)))
            }
            Action::Unfreeze { at, what, reach } => {
                Lines::of(self.freeze("unfreeze", at, step, (*what, *reach)))
            }
            Action::RequiresGrad { at, weight, bias } => {
                let asked = [(Slot::Weight, weight), (Slot::Bias, bias)];
                Lines::of(self.each(at, step, |layer, has| {
                    let assigned = asked.iter().filter(|(slot, _)| has(*slot)).filter_map(|(slot, value)| {
                        Some(format!("{layer}.{}.requires_grad = {}\n", slot.name(), truth((**value)?)))
                    });
                    assigned.collect()
                }))
            }
            Action::Cast { at, to, what: Part::Layer } => {
                Lines::of(format!("{}.to({})\n", self.layers.part(at), dtype(*to)))
            }
            Action::Cast { at, to, what } => Lines::of(self.each(at, step, |layer, has| {
                let slots = what.slots().iter().filter(|slot| has(**slot));
                slots.map(|slot| cast(layer, *slot, dtype(*to))).collect()
            })),
            Action::ZeroGrad { at } => Lines::of(format!("{}.zero_grad()\n", self.layers.part(at))),
            Action::Sgd { at, lr } => {
                let part = self.layers.part(at);
                let parameters = self.each(at, step, |layer, has| {
                    if has(Slot::Weight) || has(Slot::Bias) { layer.to_owned() } else { String::new() }
                });
                if parameters.is_empty() {
                    return Lines::of("# There are no parameters to take a step with.\n");
                }
                Lines::of(format!("torch.optim.SGD({part}.parameters(), lr={}).step()\n", float(*lr)))
            }
            Action::ResetRunningStats { at } => {
                Lines::of(self.each(at, step, |layer, _| format!("{layer}.reset_running_stats()\n")))
            }
            Action::Set { at, settings } => Lines::of(self.each(at, step, |layer, _| {
                settings.iter().map(|setting| assignment(layer, setting)).collect()
            })),
            Action::SaveState { at, name } => {
                let part = self.layers.part(at);
                let kept =
                    format!("{{name: tensor.clone() for name, tensor in {part}.state_dict().items()}}");
                Lines::of(format!("saved[{}] = {kept}\n", quoted(name)))
            }
            Action::LoadState { at, from, strict } => self.load(at, from, *strict),
        }
    }

    /// The lines for each layer of a part. What these are told says whether the layer has a tensor before the step.
    fn each(&self, at: &str, step: usize, lines: impl Fn(&str, &dyn Fn(Slot) -> bool) -> String) -> String {
        let before = &self.checks.answers[step - 1];
        let within = self.layers.0.iter().filter(|layer| is_within(at, &layer.path));
        let of = within.map(|layer| {
            let has = |slot: Slot| before.of(&layer.path, observable(slot)).is_some();
            lines(&self.layers.part(&layer.path), &has)
        });
        of.collect()
    }

    fn forward(&self, at: &str, input: &Input, no_grad: bool, fails: bool) -> Lines {
        let mut before = laid_out("x", &input.tensor, input.layout);
        if input.requires_grad {
            before += "x.requires_grad_()\n";
        }
        if fails {
            before += "y = None\n";
        }
        let call = format!("y = {}(x)\n", self.layers.part(at));
        let action = if no_grad { format!("with torch.no_grad():\n{}", indented(&call)) } else { call };
        Lines { before, action }
    }

    fn freeze(&self, how: &str, at: &str, step: usize, (what, reach): (Frozen, Reach)) -> String {
        let part = self.layers.part(at);
        if self.freezes_plainly {
            let freezes = how == "freeze";
            if reach == Reach::Children {
                return "# A loop over the children of a layer finds none.\n".to_owned();
            }
            return self.each(at, step, |layer, has| {
                let mode = if freezes { "eval" } else { "train" };
                let mut lines = if what.statistics() { format!("{layer}.{mode}()\n") } else { String::new() };
                for slot in [Slot::Weight, Slot::Bias].into_iter().filter(|slot| what.affine() && has(*slot))
                {
                    let _ = writeln!(lines, "{layer}.{}.requires_grad = {}", slot.name(), truth(!freezes));
                }
                lines
            });
        }
        let mut call = format!("{how}({part}");
        for (name, is) in [
            ("statistics", what.statistics()),
            ("affine", what.affine()),
            ("children_only", reach == Reach::Children),
        ] {
            if is {
                let _ = write!(call, ", {name}=True");
            }
        }
        call + ")\n"
    }

    fn load(&self, at: &str, from: &Dictionary<Tensor>, strict: bool) -> Lines {
        let Dictionary { saved, without, entries, version } = from;
        let part = self.layers.part(at);
        let saved = saved.as_ref().map(|name| format!("saved[{}]", quoted(name))).unwrap_or_default();
        let mut before = format!("state = OrderedDict({saved})\n");
        for name in without {
            let _ = writeln!(before, "state.pop({}, None)", quoted(name));
        }
        for (name, entry) in entries {
            let _ = writeln!(before, "state[{}] = {}", quoted(name), tensor(entry));
        }
        let metadata = format!("{{path: {{\"version\": {version}}} for path, _ in {part}.named_modules()}}");
        let _ = writeln!(before, "state._metadata = {metadata}");
        let strict = if strict { "" } else { ", strict=False" };
        Lines { before, action: format!("{part}.load_state_dict(state{strict})\n") }
    }

    /// The lines that compare what a step itself gives.
    fn given(&self, step: usize, action: &Action) -> Result<String, ScriptError> {
        let ran = self.layers.0.iter().filter(|layer| is_within(&self.ran, &layer.path));
        let at = |kept: &str, path: &str| {
            if self.layers.is_single() { String::new() } else { format!("{kept}[{}]", quoted(path)) }
        };
        let or = |own: String, single: &str| if own.is_empty() { single.to_owned() } else { own };
        let mut lines = String::new();
        for layer in ran {
            let path = &layer.path;
            let given = match action {
                Action::Forward { .. } => vec![(Observable::Output, or(at("outputs", path), "y"))],
                Action::Backward { .. } => {
                    let expression = self.layers.part(path);
                    let input = or(at("inputs", path), "x");
                    let mut given = vec![(Observable::GradInput, format!("{input}.grad"))];
                    for (tensor, slot) in
                        [(Observable::GradWeight, Slot::Weight), (Observable::GradBias, Slot::Bias)]
                    {
                        if self.checks.answers[step].of(path, observable(slot)).is_some() {
                            given.push((tensor, format!("{expression}.{}.grad", slot.name())));
                        }
                    }
                    given
                }
                _ => Vec::new(),
            };
            lines += &self.checks.given(step, path, &given)?;
        }
        Ok(lines)
    }
}

fn observable(slot: Slot) -> Observable {
    match slot {
        Slot::Weight => Observable::Weight,
        Slot::Bias => Observable::Bias,
        Slot::RunningMean => Observable::RunningMean,
        Slot::RunningVar => Observable::RunningVar,
    }
}

/// What `Module.to()` does with one tensor: a parameter stays who it is, and so does its gradient.
fn cast(layer: &str, slot: Slot, to: &str) -> String {
    let tensor = format!("{layer}.{}", slot.name());
    if !slot.is_parameter() {
        return format!("{tensor} = {tensor}.to({to})\n");
    }
    format!(
        "{tensor}.data = {tensor}.data.to({to})\nif {tensor}.grad is not None:\n    {tensor}.grad.data = {tensor}.grad.data.to({to})\n"
    )
}

fn assignment(layer: &str, setting: &Setting) -> String {
    let (name, value) = match setting {
        Setting::Momentum(momentum) => ("momentum", momentum.map_or_else(none, float)),
        Setting::Eps(eps) => ("eps", float(*eps)),
        Setting::TrackRunningStats(track) => ("track_running_stats", truth(*track).to_owned()),
        Setting::Tensor(slot, value) => {
            let value = value.as_ref().map_or_else(none, tensor);
            let is_parameter = slot.is_parameter() && value != none();
            (slot.name(), if is_parameter { format!("torch.nn.Parameter({value})") } else { value })
        }
        Setting::NumBatchesTracked(count) => {
            ("num_batches_tracked", count.map_or_else(none, |count| format!("torch.tensor({count})")))
        }
    };
    format!("{layer}.{name} = {value}\n")
}

fn none() -> String {
    "None".to_owned()
}
