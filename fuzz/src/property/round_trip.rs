//! Ways there and back that change nothing.

use bn_api::{Action, DType, Dictionary, Observable, Part, Request, Slot, StepAnswer, TensorName};

use super::ask::{End, said};
use super::compare::{Allowed, Relation, compare, step_name};
use super::{Asked, Broken, Held, Property};

/// The name that a state is saved under, which no case uses.
const NAME: &str = "bncheck.round-trip";

/// Before every forward the whole state is saved and loaded: it has the same bits afterwards, and everything else is
/// what it was.
pub struct SavedAndLoaded;

impl Property for SavedAndLoaded {
    fn name(&self) -> &'static str {
        "saved-and-loaded"
    }

    fn about(&self) -> &'static str {
        "a state that is saved and loaded is the same, and so is all that follows"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let at = String::new;
        let there_and_back = |_: &StepAnswer| {
            let from = Dictionary {
                saved: Some(NAME.to_owned()),
                without: Vec::new(),
                entries: Vec::new(),
                version: 2,
            };
            vec![
                Action::SaveState { at: at(), name: NAME.to_owned() },
                Action::LoadState { at: at(), from, strict: true },
            ]
        };
        said(round_trip(asked, &there_and_back))
    }
}

/// Before every forward each tensor of the layers is cast to the next wider type and back.
pub struct CastAndBack;

impl Property for CastAndBack {
    fn name(&self) -> &'static str {
        "cast-and-back"
    }

    fn about(&self) -> &'static str {
        "a layer that is cast to a wider type and back is the same, and so is all that follows"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let paths: Vec<String> = asked.request.layers.iter().map(|layer| layer.path.clone()).collect();
        let there_and_back =
            |before: &StepAnswer| paths.iter().flat_map(|path| casts(path, before)).collect();
        said(round_trip(asked, &there_and_back))
    }
}

/// Casts of a layer's tensors there and back: of all at once, where all have one type.
fn casts(path: &str, before: &StepAnswer) -> Vec<Action> {
    let types: Vec<(Part, DType)> = [
        (Part::Weight, Observable::Weight),
        (Part::Bias, Observable::Bias),
        (Part::RunningMean, Observable::RunningMean),
        (Part::RunningVar, Observable::RunningVar),
    ]
    .into_iter()
    .filter_map(|(part, tensor)| Some((part, before.of(path, tensor)?.dtype())))
    .collect();
    let parts = match &types[..] {
        [] => Vec::new(),
        [(_, first), rest @ ..] if rest.iter().all(|(_, dtype)| dtype == first) => {
            vec![(Part::Layer, *first)]
        }
        _ => types,
    };
    let cast = |to, what| Action::Cast { at: path.to_owned(), to, what };
    let wider = parts.into_iter().filter_map(|(part, dtype)| Some((part, dtype, wider(dtype)?)));
    wider.flat_map(|(part, dtype, wide)| [cast(wide, part), cast(dtype, part)]).collect()
}

fn wider(dtype: DType) -> Option<DType> {
    match dtype {
        DType::F16 | DType::Bf16 => Some(DType::F32),
        DType::F32 => Some(DType::F64),
        DType::F64 | DType::I64 => None,
    }
}

fn round_trip(
    asked: &mut Asked<'_>,
    there_and_back: &dyn Fn(&StepAnswer) -> Vec<Action>,
) -> Result<usize, End> {
    let request = asked.request;
    let mut actions = Vec::with_capacity(request.actions.len() + 4);
    let mut steps = vec![0];
    let mut trips = Vec::new();
    for (step, action) in request.actions.iter().enumerate() {
        // No graph is left behind: a forward begins a new one.
        if matches!(action, Action::Forward { .. }) {
            let before = actions.len();
            actions.extend(asked.answers.get(step).map(there_and_back).unwrap_or_default());
            if actions.len() > before {
                trips.push((before, actions.len()));
            }
        }
        actions.push(action.clone());
        steps.push(actions.len());
    }
    if trips.is_empty() {
        return Err(End::NotHere("there is no wider type than that of the layers"));
    }
    let changed = Request { case: request.case.clone(), layers: request.layers.clone(), actions };
    let answers = asked.ask(&changed)?;
    for (before, after) in trips {
        kept(&changed, &answers, before, after).map_err(|broken| broken.by(&changed))?;
    }
    // The state being the same, the exact answers are those of the original.
    compare(asked, &changed, &answers, Allowed::AsMuch, &Longer(steps))
}

/// Whether the state after a step has the bits that it had before.
fn kept(request: &Request, answers: &[StepAnswer], before: usize, after: usize) -> Result<(), Broken> {
    if let Some(step) = (before + 1..=after).find(|step| answers[*step].error.is_some()) {
        let error = answers[step].error.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(Broken::at(step, None, format!("{}: {error}", step_name(request, step))));
    }
    for layer in &request.layers {
        let slots = Slot::ALL.map(|slot| match slot {
            Slot::Weight => Observable::Weight,
            Slot::Bias => Observable::Bias,
            Slot::RunningMean => Observable::RunningMean,
            Slot::RunningVar => Observable::RunningVar,
        });
        for tensor in slots.into_iter().chain([Observable::NumBatchesTracked]) {
            let [old, new] = [before, after].map(|step| answers[step].of(&layer.path, tensor));
            let same = match (old, new) {
                (Some(old), Some(new)) => {
                    let is_nan = |index| old.value(index).is_nan() && new.value(index).is_nan();
                    let same = |index| old.bits(index) == new.bits(index) || is_nan(index);
                    old.dtype() == new.dtype() && old.shape() == new.shape() && (0..old.len()).all(same)
                }
                (old, new) => old.is_none() && new.is_none(),
            };
            if !same {
                let name = TensorName::new(&layer.path, tensor);
                let what = format!("{}: {name} is not what it was", step_name(request, after));
                return Err(Broken::at(after, Some(name), what));
            }
        }
    }
    Ok(())
}

/// The same steps, and others between.
struct Longer(Vec<usize>);

impl Relation for Longer {
    fn step(&self, step: usize) -> usize {
        self.0[step]
    }
}

#[cfg(test)]
mod tests {
    use bn_api::Tensor;

    use super::*;

    #[test]
    fn tensors_of_one_type_are_cast_at_once_and_others_one_by_one() {
        let answer = |mean: DType| StepAnswer {
            error: None,
            tensors: vec![
                (TensorName::new("a", Observable::Weight), Tensor::full(DType::F16, &[1], 1.0)),
                (TensorName::new("a", Observable::RunningMean), Tensor::full(mean, &[1], 1.0)),
            ],
        };
        let cast = |to, what| Action::Cast { at: "a".to_owned(), to, what };
        assert_eq!(
            casts("a", &answer(DType::F16)),
            [cast(DType::F32, Part::Layer), cast(DType::F16, Part::Layer)]
        );
        assert_eq!(
            casts("a", &answer(DType::F64)),
            [cast(DType::F32, Part::Weight), cast(DType::F16, Part::Weight)]
        );
        assert_eq!(casts("b", &answer(DType::F16)), []);
    }
}
