//! Makes steps fit the case that they are in, and each other.

use bn_cases::case::{Frozen, Layer, Layout, Part, Setting, Slot, is_within};
use bn_cases::format::{Expectation, Fill, InputSpec, SetSpec, Step};
use bn_cases::{DType, ErrorClass};

use super::super::data::FillPlan;
use super::super::model::Model;
use super::super::shape::ShapePlan;
use super::super::types::InputType;
use super::plan::{InputPlan, StepPlan, What, Wrong};
use super::states::{LoadPlan, Saved, names};

/// The case that steps must fit.
pub struct Around<'a> {
    pub dtype: DType,
    pub shape: &'a [usize],
    pub model: &'a Model,
    pub input: &'a InputPlan,
    pub grad: Option<&'a FillPlan>,
}

/// What comes of a plan.
pub struct Fitted {
    /// The case's input.
    pub input: InputSpec,
    /// The case's gradient.
    pub grad: Option<Fill>,
    pub steps: Vec<Step>,
    /// The errors without which the case could not be read.
    pub expect: Vec<Expectation>,
    /// Whether the layers must say their class and features, which no input can be trusted with.
    pub says_features: bool,
}

/// The steps for a case.
pub fn fit(plan: Vec<StepPlan>, case: Around<'_>) -> Fitted {
    let mut fitter = Fitter::new(case);
    for step in plan {
        fitter.step(step);
    }
    if fitter.latest.is_none() {
        fitter.forward_of_all();
    }
    let Fitter { input, grad, steps, expect, says_features, .. } = fitter;
    Fitted { input, grad, steps, expect, says_features }
}

struct Fitter<'a> {
    case: Around<'a>,
    input: InputSpec,
    grad: Option<Fill>,
    steps: Vec<Step>,
    expect: Vec<Expectation>,
    says_features: bool,
    /// The latest input.
    latest: Option<Latest>,
    saved: Vec<Saved>,
    /// The types of the layers' tensors, as they are after casts.
    dtypes: Vec<[DType; 4]>,
}

struct Latest {
    shape: Vec<usize>,
    dtype: DType,
    /// Whether anything was cast since.
    cast: bool,
}

impl<'a> Fitter<'a> {
    fn new(case: Around<'a>) -> Self {
        let dtype = match case.input.dtype {
            InputType::Own(dtype) => Some(dtype),
            InputType::Case | InputType::Layers => None,
        };
        let input = InputSpec {
            shape: Some(case.shape.to_vec()),
            fill: case.input.fill.as_ref().and_then(|fill| fill.fit(dtype.unwrap_or(case.dtype), case.shape)),
            dtype,
            layout: case.input.layout.map(|layout| fit_layout(layout, case.shape)),
            // No gradient can be asked of integers.
            requires_grad: case.input.requires_grad.filter(|asked| !(*asked && dtype == Some(DType::I64))),
        };
        let of_grad = dtype.filter(|dtype| dtype.is_float()).unwrap_or(case.dtype);
        let grad = case.grad.and_then(|grad| grad.fit(of_grad, case.shape));
        let dtypes =
            case.model.layers.iter().map(|layer| Slot::ALL.map(|slot| layer.dtype_of(slot))).collect();
        Fitter {
            case,
            input,
            grad,
            steps: Vec::new(),
            expect: Vec::new(),
            says_features: false,
            latest: None,
            saved: Vec::new(),
            dtypes,
        }
    }

    /// The layers that a path speaks to, with their numbers.
    fn targets(&self, at: Option<&str>) -> Vec<(usize, &'a Layer)> {
        let layers = self.case.model.layers.iter().enumerate();
        layers.filter(|(_, layer)| is_within(at.unwrap_or_default(), &layer.path)).collect()
    }

    fn step(&mut self, plan: StepPlan) {
        let parts = &self.case.model.parts;
        let part = plan.at.filter(|_| !parts.is_empty()).map(|number| &parts[number % parts.len()]);
        let at = part.cloned();
        let step = match plan.what {
            What::Train => Step::Train { at },
            What::Eval => Step::Eval { at },
            What::ZeroGrad => Step::ZeroGrad { at },
            What::Sgd(lr) => Step::Sgd { at, lr },
            What::ResetRunningStats => Step::ResetRunningStats { at },
            What::Unfreeze { what, reach } => Step::Unfreeze { at, what, reach },
            What::Freeze { what, reach, sticky } => {
                let has_parameters =
                    self.targets(at.as_deref()).iter().any(|(_, layer)| layer.has(Slot::Weight));
                let what = if has_parameters || what == Frozen::Both { what } else { Frozen::Statistics };
                Step::Freeze { at, what, reach, sticky }
            }
            What::RequiresGrad { weight, bias } => {
                let weight = if (weight, bias) == (None, None) { Some(false) } else { weight };
                Step::RequiresGrad { at, weight, bias }
            }
            What::Set(settings) => self.set(at, &settings),
            What::SaveState { name } => self.save(at, name),
            What::LoadState(plan) => self.load(at, &plan),
            What::Cast { to, what } => return self.cast(at, to, what),
            What::Backward { grad, layout } => return self.backward(grad.as_ref(), layout),
            What::Forward { no_grad, shape, input, wrong } => {
                return self.forward(at, no_grad, shape.as_ref(), &input, wrong);
            }
        };
        self.steps.push(step);
    }

    fn forward_of_all(&mut self) {
        let like_the_case =
            InputPlan { fill: None, dtype: InputType::Case, layout: None, requires_grad: None };
        self.forward(None, false, None, &like_the_case, None);
    }

    /// A forward. Its input says for itself where it is not what the case says, and where that does not fit.
    fn forward(
        &mut self,
        at: Option<String>,
        no_grad: bool,
        shape: Option<&ShapePlan>,
        plan: &InputPlan,
        wrong: Option<Wrong>,
    ) {
        let case = &self.case;
        let mut here = shape.map_or_else(|| case.shape.to_vec(), |shape| shape.fit_like(case.shape));
        if let Some(wrong) = wrong {
            here = wrong.shape(&here);
            let class = match wrong {
                Wrong::Features => ErrorClass::WrongFeatures,
                Wrong::Rank => ErrorClass::WrongRank,
            };
            self.says_features = true;
            self.expect.push(error(self.steps.len() + 1, class));
        }
        let of_case = self.input.dtype.unwrap_or(case.dtype);
        let dtype = match plan.dtype {
            InputType::Case => of_case,
            InputType::Own(dtype) => dtype,
            InputType::Layers => self.first_dtype(at.as_deref()),
        };
        let fill = plan.fill.as_ref().or(case.input.fill.as_ref()).and_then(|fill| fill.fit(dtype, &here));
        let default_fill = plan.fill.as_ref().map(|_| Fill::Normal { mean: 0.5, std: 2.0 });
        let layout = fit_layout(plan.layout.or(self.input.layout).unwrap_or_default(), &here);
        let asked = plan.requires_grad.or(self.input.requires_grad);
        let integers_asked = asked == Some(true) && !dtype.is_float();
        let own = InputSpec {
            shape: Some(here.clone()).filter(|here| here != case.shape),
            fill: fill.or(default_fill).filter(|fill| Some(fill) != self.input.fill.as_ref()),
            dtype: Some(dtype).filter(|dtype| *dtype != of_case),
            layout: Some(layout).filter(|layout| *layout != self.input.layout.unwrap_or_default()),
            requires_grad: if integers_asked { Some(false) } else { plan.requires_grad },
        };
        self.latest = Some(Latest { shape: here, dtype, cast: false });
        let input = Some(own).filter(|own| *own != InputSpec::default());
        self.steps.push(Step::Forward { at, no_grad, input });
    }

    /// The type of the first tensor that the layers at a path have.
    fn first_dtype(&self, at: Option<&str>) -> DType {
        let first = self.targets(at).into_iter().find_map(|(number, layer)| {
            let slot = Slot::ALL.iter().position(|slot| layer.has(*slot))?;
            Some(self.dtypes[number][slot])
        });
        first.unwrap_or(self.case.dtype)
    }

    /// A backward; a forward where there is none to go back through, or where the layers were cast since.
    fn backward(&mut self, plan: Option<&FillPlan>, layout: Layout) {
        let Some(Latest { shape, dtype, .. }) = self.latest.as_ref().filter(|latest| !latest.cast) else {
            return self.forward_of_all();
        };
        let dtype = if dtype.is_float() { *dtype } else { self.case.dtype };
        let grad = plan.or(self.case.grad).and_then(|grad| grad.fit(dtype, shape));
        let layout = fit_layout(layout, shape);
        self.steps
            .push(Step::Backward { grad: grad.filter(|grad| Some(grad) != self.grad.as_ref()), layout });
    }

    /// A conversion of what there is; none where there is nothing.
    fn cast(&mut self, at: Option<String>, to: DType, what: Part) {
        let has = |layers: &[(usize, &Layer)], what: Part| {
            layers.iter().any(|(_, layer)| what.slots().iter().any(|slot| layer.has(*slot)))
        };
        let here = self.targets(at.as_deref());
        let what = if has(&here, what) { what } else { Part::Layer };
        if !has(&here, what) {
            return;
        }
        for (number, _) in here {
            for slot in what.slots() {
                self.dtypes[number][*slot as usize] = to;
            }
        }
        if let Some(latest) = &mut self.latest {
            latest.cast = true;
        }
        self.steps.push(Step::Cast { at, to, what });
    }

    /// Assignments. A tensor for several layers fits only where they have the same type; else it is for the first.
    fn set(&mut self, at: Option<String>, settings: &[Setting<FillPlan>]) -> Step {
        let mut targets = self.targets(at.as_deref());
        let alike =
            |slot: Slot| targets.iter().all(|(_, layer)| layer.dtype_of(slot) == targets[0].1.dtype_of(slot));
        let all_alike = settings.iter().all(|setting| match setting {
            Setting::Tensor(slot, Some(_)) => alike(*slot),
            _ => true,
        });
        let mut set = SetSpec { at, ..SetSpec::default() };
        if !all_alike {
            targets.truncate(1);
            set.at = Some(targets[0].1.path.clone());
        }
        for setting in settings {
            match setting {
                Setting::Momentum(momentum) => set.momentum = Some(*momentum),
                Setting::Eps(eps) => set.eps = Some(*eps),
                Setting::TrackRunningStats(track) => set.track_running_stats = Some(*track),
                Setting::NumBatchesTracked(count) => set.num_batches_tracked = Some(*count),
                Setting::Tensor(slot, new) => {
                    let layer = targets[0].1;
                    let dtype = layer.dtype_of(*slot);
                    let tensor = new.as_ref().and_then(|new| new.fit(dtype, &[layer.features]));
                    for (number, _) in &targets {
                        self.dtypes[*number][*slot as usize] = dtype;
                    }
                    *set.tensor_mut(*slot) = Some(tensor);
                }
            }
        }
        Step::Set(Box::new(set))
    }

    fn save(&mut self, at: Option<String>, name: &str) -> Step {
        let layers: Vec<&Layer> = self.targets(at.as_deref()).into_iter().map(|(_, layer)| layer).collect();
        let entries = names(at.as_deref().unwrap_or_default(), &layers);
        self.saved.retain(|(known, _)| known != name);
        self.saved.push((name.to_owned(), entries));
        Step::SaveState { at, name: name.to_owned() }
    }

    /// A dictionary is loaded; where there is none yet, one is saved.
    fn load(&mut self, at: Option<String>, plan: &LoadPlan) -> Step {
        let layers: Vec<&Layer> = self.targets(at.as_deref()).into_iter().map(|(_, layer)| layer).collect();
        let Some((load, misshapen)) = plan.fit(at.as_deref(), &layers, self.case.dtype, &self.saved) else {
            return self.save(at, "first");
        };
        if misshapen {
            self.expect.push(error(self.steps.len() + 1, ErrorClass::EntryShape));
        }
        Step::LoadState(Box::new(load))
    }
}

impl Wrong {
    /// A shape that layers which take this one do not take.
    fn shape(self, right: &[usize]) -> Vec<usize> {
        let mut shape = right.to_vec();
        match self {
            Wrong::Features if shape[1] > 1 => shape[1] -= 1,
            Wrong::Features => {
                shape.fill(1);
                shape[..2].fill(2);
            }
            Wrong::Rank => {
                shape.truncate(2);
                if right.len() <= 3 {
                    shape.extend([1, 1]);
                }
            }
        }
        shape
    }
}

/// A layout that tensors of this shape can have.
fn fit_layout(layout: Layout, shape: &[usize]) -> Layout {
    if layout == Layout::ChannelsLast && !matches!(shape.len(), 4 | 5) { Layout::Permuted } else { layout }
}

fn error(step: usize, class: ErrorClass) -> Expectation {
    Expectation {
        step,
        layer: None,
        tensor: None,
        values: None,
        within: 0.0,
        error: Some(class),
        source: None,
    }
}
