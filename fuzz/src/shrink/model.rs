//! Smaller models: one layer instead, fewer parts, less nesting.

use bn_cases::case::is_within;
use bn_cases::format::{CaseSpec, ModelNode, Step};

/// Models with less in them.
pub fn smaller(spec: &CaseSpec) -> Vec<CaseSpec> {
    let Some(model) = &spec.model else { return Vec::new() };
    let mut places = Vec::new();
    walk(model, &mut Vec::new(), "", &mut places);
    let mut smaller = Vec::new();
    for (place, path) in &places {
        smaller.extend(only(spec, place, path));
    }
    for (place, path) in &places {
        smaller.extend(without(spec, place, path));
    }
    for (place, path) in &places {
        smaller.extend(opened(spec, place, path));
        smaller.extend(as_all(spec, place));
    }
    smaller
}

/// The places of all parts, and their paths.
fn walk(nodes: &[ModelNode], above: &mut Vec<usize>, path: &str, places: &mut Vec<(Vec<usize>, String)>) {
    for (number, node) in nodes.iter().enumerate() {
        let path = if path.is_empty() { node.name.clone() } else { format!("{path}.{}", node.name) };
        above.push(number);
        places.push((above.clone(), path.clone()));
        walk(node.children.as_deref().unwrap_or_default(), above, &path, places);
        above.pop();
    }
}

/// The list that a part stands in, and its number there.
fn parents<'a>(model: &'a mut Vec<ModelNode>, place: &[usize]) -> Option<(&'a mut Vec<ModelNode>, usize)> {
    match place {
        [] => None,
        [number] => Some((model, *number)),
        [number, rest @ ..] => parents(model.get_mut(*number)?.children.as_mut()?, rest),
    }
}

/// One of the layers, and no model.
fn only(spec: &CaseSpec, place: &[usize], path: &str) -> Option<CaseSpec> {
    let mut spec = spec.clone();
    let mut model = spec.model.take()?;
    let (nodes, number) = parents(&mut model, place)?;
    let node = nodes.get(number).filter(|node| node.children.is_none())?;
    if let Some(layer) = &node.layer {
        spec.layer = layer.clone();
    }
    rename(&mut spec, &|known| is_within(known, path).then(String::new), path, "");
    Some(spec)
}

/// Without a part.
fn without(spec: &CaseSpec, place: &[usize], path: &str) -> Option<CaseSpec> {
    let mut spec = spec.clone();
    let (nodes, number) = parents(spec.model.as_mut()?, place)?;
    if nodes.len() < 2 {
        return None;
    }
    nodes.remove(number);
    rename(&mut spec, &|known| (!is_within(path, known)).then(|| known.to_owned()), "", "");
    Some(spec)
}

/// What a part holds in its place.
fn opened(spec: &CaseSpec, place: &[usize], path: &str) -> Option<CaseSpec> {
    let mut spec = spec.clone();
    let (nodes, number) = parents(spec.model.as_mut()?, place)?;
    let children = nodes.get_mut(number)?.children.take()?;
    nodes.splice(number..=number, children);
    let above = path.rsplit_once('.').map_or("", |(above, _)| above);
    let new = |known: &str| {
        if known == path {
            return Some(above.to_owned());
        }
        Some(known.strip_prefix(path).and_then(|rest| rest.strip_prefix('.')).map_or_else(
            || known.to_owned(),
            |rest| if above.is_empty() { rest.to_owned() } else { format!("{above}.{rest}") },
        ))
    };
    rename(&mut spec, &new, path, above);
    Some(spec)
}

/// A layer that is like all others.
fn as_all(spec: &CaseSpec, place: &[usize]) -> Option<CaseSpec> {
    let mut spec = spec.clone();
    let (nodes, number) = parents(spec.model.as_mut()?, place)?;
    nodes.get_mut(number)?.layer.take()?;
    Some(spec)
}

/// Gives the parts that steps speak to their new paths; one that is gone, or has the empty one, becomes the whole model. Names of
/// entries begin with `to` where they began with `from`.
fn rename(spec: &mut CaseSpec, new: &dyn Fn(&str) -> Option<String>, from: &str, to: &str) {
    let of_part = |at: &mut Option<String>| {
        *at = at.take().and_then(|at| new(&at)).filter(|at| !at.is_empty());
    };
    let of_entry = |name: &str| {
        let rest = name.strip_prefix(from).and_then(|rest| rest.strip_prefix('.'));
        match rest.filter(|_| !from.is_empty()) {
            Some(rest) if to.is_empty() => rest.to_owned(),
            Some(rest) => format!("{to}.{rest}"),
            None => name.to_owned(),
        }
    };
    for known in &mut spec.expect {
        of_part(&mut known.layer);
    }
    for step in spec.steps.iter_mut().flatten() {
        if let Some(at) = step.at_mut() {
            of_part(at);
        }
        if let Step::LoadState(load) = step {
            let entries = std::mem::take(&mut load.entries).into_iter();
            load.entries = entries.map(|(name, fill)| (of_entry(&name), fill)).collect();
            for name in &mut load.without {
                *name = of_entry(name);
            }
        }
    }
}
