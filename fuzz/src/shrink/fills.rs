//! The fills of a case, each in its place.

use bn_cases::format::{CaseSpec, Fill, LayerSpec, ModelNode, Step};

/// Where a fill stands.
pub enum Slot<'a> {
    /// Where there need not be one.
    Maybe(&'a mut Option<Fill>),
    /// Where there must be one.
    Must(&'a mut Fill),
}

/// What a fill is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// An input.
    Input,
    /// The gradient of an output.
    Gradient,
    /// A tensor of shape (C): a parameter, a running statistic, an entry of a state dictionary.
    Channels,
}

/// Visits all places where a fill is or may be, always in the same order.
pub fn each(spec: &mut CaseSpec, act: &mut dyn FnMut(Slot<'_>, Of)) {
    act(Slot::Maybe(&mut spec.input.fill), Of::Input);
    act(Slot::Maybe(&mut spec.grad), Of::Gradient);
    of_layer(&mut spec.layer, act);
    for node in spec.model.iter_mut().flatten() {
        of_node(node, act);
    }
    for step in spec.steps.iter_mut().flatten() {
        match step {
            Step::Forward { input: Some(input), .. } => act(Slot::Maybe(&mut input.fill), Of::Input),
            Step::Backward { grad, .. } => act(Slot::Maybe(grad), Of::Gradient),
            Step::Set(set) => {
                let tensors = [&mut set.weight, &mut set.bias, &mut set.running_mean, &mut set.running_var];
                for fill in tensors.into_iter().flatten().flatten() {
                    act(Slot::Must(fill), Of::Channels);
                }
            }
            Step::LoadState(load) => {
                for fill in load.entries.values_mut() {
                    act(Slot::Must(fill), Of::Channels);
                }
            }
            _ => {}
        }
    }
}

fn of_layer(layer: &mut LayerSpec, act: &mut dyn FnMut(Slot<'_>, Of)) {
    let tensors = [&mut layer.weight, &mut layer.bias, &mut layer.running_mean, &mut layer.running_var];
    for fill in tensors {
        act(Slot::Maybe(fill), Of::Channels);
    }
}

fn of_node(node: &mut ModelNode, act: &mut dyn FnMut(Slot<'_>, Of)) {
    if let Some(layer) = &mut node.layer {
        of_layer(layer, act);
    }
    for child in node.children.iter_mut().flatten() {
        of_node(child, act);
    }
}

/// Changes the case's layer and those of its model.
pub fn each_layer(spec: &mut CaseSpec, change: &dyn Fn(&mut LayerSpec)) {
    fn of_node(node: &mut ModelNode, change: &dyn Fn(&mut LayerSpec)) {
        if let Some(layer) = &mut node.layer {
            change(layer);
        }
        for child in node.children.iter_mut().flatten() {
            of_node(child, change);
        }
    }
    change(&mut spec.layer);
    for node in spec.model.iter_mut().flatten() {
        of_node(node, change);
    }
}
