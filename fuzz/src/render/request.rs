//! A request as a case, every tensor by its bits.

use std::collections::BTreeMap;

use bn_api::{Action, ErrorClass, LayerConfig, Request, Setting, Tensor};
use bn_cases::DType;
use bn_cases::case::{Case, Slot};
use bn_cases::format::{
    CaseSpec, Expectation, Fill, InputSpec, LayerSpec, LoadSpec, ModelNode, SetSpec, Step, Tier,
};
use bn_cases::yaml::Literal;

use super::{read_back, suite};

/// The suite that such a case is in.
const SUITE: &str = "request";

/// The case that asks what a request asks. `errors` are those that its steps raise, the new layer first, as far as they are
/// known.
///
/// # Errors
/// When there is no such case: the format refuses inputs that no layer takes, unless the case says which error is due.
pub fn of_request(request: &Request, errors: &[Option<ErrorClass>]) -> Result<Case, String> {
    let mut case = read_back("request.yaml", &suite_of_request(SUITE, request, errors))?;
    case.id.clone_from(&request.case);
    Ok(case)
}

/// The same as the text of a suite of this name.
pub fn suite_of_request(name: &str, request: &Request, errors: &[Option<ErrorClass>]) -> String {
    let expect = |(step, error): (usize, &Option<ErrorClass>)| {
        let error = Some((*error)?);
        Some(Expectation { step, layer: None, tensor: None, values: None, within: 0.0, error, source: None })
    };
    let expect = errors.iter().take(request.actions.len() + 1).enumerate().filter_map(expect).collect();
    suite(name, &CaseSpec { expect, ..spec(request) })
}

/// What a request asks, as it is written.
pub fn spec(request: &Request) -> CaseSpec {
    let (layer, model) = match &request.layers[..] {
        [only] if only.path.is_empty() => (of_layer(only), None),
        layers => {
            let mut nodes = Vec::new();
            for layer in layers {
                put(&mut nodes, &layer.path, of_layer(layer));
            }
            (LayerSpec::default(), Some(nodes))
        }
    };
    let shape = request.actions.iter().find_map(|action| match action {
        Action::Forward { input, .. } => Some(input.tensor.shape().to_vec()),
        _ => None,
    });
    let shape = shape.or_else(|| request.layers.first().map(some_shape));
    CaseSpec {
        about: None,
        tier: Tier::default(),
        layer,
        model,
        dtype: dtype(request),
        input: InputSpec { shape, ..InputSpec::default() },
        grad: None,
        mode: None,
        steps: Some(request.actions.iter().map(step).collect()),
        seed: 0,
        expect: Vec::new(),
    }
}

/// A shape that a layer takes, for a case has one even where there is no forward.
fn some_shape(layer: &LayerConfig) -> Vec<usize> {
    const LARGEST: usize = 5;
    let mut shape = vec![2, layer.features];
    while shape.len() < LARGEST && !layer.kind.takes(shape.len()) {
        shape.push(1);
    }
    shape
}

/// The type of the case: that of the gradient of an output without a type of its own, of integers; else of the layers.
fn dtype(request: &Request) -> DType {
    let mut of_integers = false;
    for action in &request.actions {
        match action {
            Action::Forward { input, .. } => of_integers = !input.tensor.dtype().is_float(),
            Action::Backward { grad, .. } if of_integers => return grad.dtype(),
            _ => {}
        }
    }
    request.layers.first().map_or(DType::F32, |layer| layer.dtype)
}

fn of_layer(layer: &LayerConfig) -> LayerSpec {
    let fill = |slot: Slot| layer.contents(slot).map(fill);
    LayerSpec {
        kind: Some(layer.kind),
        features: Some(layer.features),
        eps: layer.eps,
        momentum: layer.momentum,
        affine: layer.affine,
        track_running_stats: layer.track_running_stats,
        dtype: Some(layer.dtype),
        statistics_dtype: Some(layer.statistics_dtype),
        weight: fill(Slot::Weight),
        bias: fill(Slot::Bias),
        running_mean: fill(Slot::RunningMean),
        running_var: fill(Slot::RunningVar),
        num_batches_tracked: layer.num_batches_tracked,
    }
}

/// Puts the layer at a path into a model.
fn put(nodes: &mut Vec<ModelNode>, path: &str, layer: LayerSpec) {
    let Some((holder, rest)) = path.split_once('.') else {
        nodes.push(ModelNode { name: path.to_owned(), layer: Some(layer), children: None });
        return;
    };
    let place = nodes.iter().position(|node| node.name == holder).unwrap_or_else(|| {
        nodes.push(ModelNode { name: holder.to_owned(), layer: None, children: Some(Vec::new()) });
        nodes.len() - 1
    });
    put(nodes[place].children.get_or_insert_default(), rest, layer);
}

fn fill(tensor: &Tensor) -> Fill {
    let bits = |index: usize| {
        let bits = tensor.bits(index);
        // Integers have no patterns of bits in the format.
        Literal(if tensor.dtype().is_float() { format!("{bits:#x}") } else { (bits as i64).to_string() })
    };
    let elements = (0..tensor.len()).map(bits).collect();
    if tensor.dtype().is_float() { Fill::Bits(elements) } else { Fill::Values(elements) }
}

fn step(action: &Action) -> Step {
    let part = |at: &String| Some(at.clone()).filter(|at| !at.is_empty());
    match action {
        Action::Train { at } => Step::Train { at: part(at) },
        Action::Eval { at } => Step::Eval { at: part(at) },
        Action::ZeroGrad { at } => Step::ZeroGrad { at: part(at) },
        Action::Sgd { at, lr } => Step::Sgd { at: part(at), lr: *lr },
        Action::ResetRunningStats { at } => Step::ResetRunningStats { at: part(at) },
        Action::SaveState { at, name } => Step::SaveState { at: part(at), name: name.clone() },
        Action::Cast { at, to, what } => Step::Cast { at: part(at), to: *to, what: *what },
        Action::Freeze { at, what, reach, sticky } => {
            Step::Freeze { at: part(at), what: *what, reach: *reach, sticky: *sticky }
        }
        Action::Unfreeze { at, what, reach } => Step::Unfreeze { at: part(at), what: *what, reach: *reach },
        Action::RequiresGrad { at, weight, bias } => {
            Step::RequiresGrad { at: part(at), weight: *weight, bias: *bias }
        }
        Action::Forward { at, input, no_grad } => {
            let own = InputSpec {
                shape: Some(input.tensor.shape().to_vec()),
                fill: Some(fill(&input.tensor)),
                dtype: Some(input.tensor.dtype()),
                layout: Some(input.layout),
                requires_grad: Some(input.requires_grad),
            };
            Step::Forward { at: part(at), no_grad: *no_grad, input: Some(own) }
        }
        Action::Backward { grad, layout } => Step::Backward { grad: Some(fill(grad)), layout: *layout },
        Action::Set { at, settings } => Step::Set(Box::new(set(part(at), settings))),
        Action::LoadState { at, from, strict } => Step::LoadState(Box::new(LoadSpec {
            at: part(at),
            from: from.saved.clone(),
            entries: from
                .entries
                .iter()
                .map(|(name, tensor)| (name.clone(), fill(tensor)))
                .collect::<BTreeMap<_, _>>(),
            without: from.without.clone(),
            version: from.version,
            strict: *strict,
        })),
    }
}

fn set(at: Option<String>, settings: &[Setting]) -> SetSpec {
    let mut set = SetSpec { at, ..SetSpec::default() };
    for setting in settings {
        match setting {
            Setting::Momentum(momentum) => set.momentum = Some(*momentum),
            Setting::Eps(eps) => set.eps = Some(*eps),
            Setting::TrackRunningStats(track) => set.track_running_stats = Some(*track),
            Setting::NumBatchesTracked(count) => set.num_batches_tracked = Some(*count),
            Setting::Tensor(slot, tensor) => *set.tensor_mut(*slot) = Some(tensor.as_ref().map(fill)),
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn a_request_reads_back_as_the_same_question() {
        let (mut same, mut refused) = (0, Vec::new());
        for number in 0..400 {
            let request = Request::from_case(&random::case(3, number));
            match of_request(&request, &[]) {
                Ok(case) => {
                    assert!(Request::from_case(&case) == request, "{}", request.case);
                    same += 1;
                }
                Err(why) => refused.push(why),
            }
        }
        assert!(same > 350, "{same}, {:?}", refused.first());
    }
}
