//! Smaller shapes, and fewer dimensions.

use bn_cases::case::{LayerKind, Layout};
use bn_cases::format::{CaseSpec, Fill, InputSpec, LayerSpec, Place, Step};

use super::fills::{Of, Slot, each, each_layer};

/// The case's inputs with a dimension less, or a dimension smaller.
pub fn smaller(spec: &CaseSpec) -> Vec<CaseSpec> {
    let Some(shape) = &spec.input.shape else { return Vec::new() };
    let mut smaller = Vec::new();
    for rank in 2..shape.len() {
        smaller.push(of_rank(spec, rank));
    }
    for (dimension, &size) in shape.iter().enumerate() {
        let mut sizes = vec![1, 2, 3, size / 4, size / 2, size * 3 / 4, size.saturating_sub(1)];
        sizes.retain(|smaller| *smaller > 0 && *smaller < size);
        sizes.sort_unstable();
        sizes.dedup();
        smaller.extend(sizes.into_iter().map(|smaller| resized(spec, dimension, smaller)));
    }
    // Inputs with a shape of their own.
    for (number, step) in spec.steps.iter().flatten().enumerate() {
        let Step::Forward { input: Some(InputSpec { shape: Some(own), .. }), .. } = step else { continue };
        for (dimension, &size) in own.iter().enumerate().filter(|(dimension, _)| *dimension != 1) {
            for size in [1, 2, size / 2, size.saturating_sub(1)] {
                if size > 0 && size < own[dimension] {
                    smaller.push(own_resized(spec, number, dimension, size));
                }
            }
        }
    }
    smaller
}

/// A dimension of the case's input smaller, and of those inputs that are as large there.
fn resized(spec: &CaseSpec, dimension: usize, size: usize) -> CaseSpec {
    let mut spec = spec.clone();
    let Some(old) = spec.input.shape.clone() else { return spec };
    let change = |shape: &[usize]| {
        let mut new = shape.to_vec();
        if let Some(here) = new.get_mut(dimension).filter(|here| **here == old[dimension]) {
            *here = size;
        }
        new
    };
    reshape(&mut spec, &change);
    if dimension == 1 {
        let of_channels = |layer: &mut LayerSpec| {
            if layer.features == Some(old[1]) {
                layer.features = Some(size);
            }
        };
        each_layer(&mut spec, &of_channels);
        each(&mut spec, &mut |slot, of| {
            if of == Of::Channels {
                fit(slot, &[old[1]], &[size]);
            }
        });
    }
    spec
}

/// A dimension of the own input of step number `step` smaller.
fn own_resized(spec: &CaseSpec, step: usize, dimension: usize, size: usize) -> CaseSpec {
    let mut spec = spec.clone();
    if let Some(Step::Forward { input: Some(input), .. }) =
        spec.steps.as_mut().and_then(|steps| steps.get_mut(step))
        && let Some(shape) = &mut input.shape
    {
        let old = shape.clone();
        shape[dimension] = size;
        fit(Slot::Maybe(&mut input.fill), &old, shape);
    }
    spec
}

/// All inputs of this rank: what lies at the beginning of the dimensions beyond.
fn of_rank(spec: &CaseSpec, rank: usize) -> CaseSpec {
    let mut spec = spec.clone();
    let first = |shape: &[usize]| {
        let mut new = shape.to_vec();
        new.iter_mut().skip(rank).for_each(|size| *size = 1);
        new
    };
    reshape(&mut spec, &first);
    let cut = |input: &mut InputSpec| {
        if let Some(shape) = &mut input.shape {
            shape.truncate(rank);
        }
        if input.layout == Some(Layout::ChannelsLast) && !matches!(rank, 4 | 5) {
            input.layout = Some(Layout::Permuted);
        }
    };
    cut(&mut spec.input);
    for step in spec.steps.iter_mut().flatten() {
        match step {
            Step::Forward { input: Some(input), .. } => cut(input),
            Step::Backward { layout, .. } if *layout == Layout::ChannelsLast && !matches!(rank, 4 | 5) => {
                *layout = Layout::Permuted;
            }
            _ => {}
        }
    }
    each(&mut spec, &mut |slot, of| {
        if of != Of::Channels {
            let cut = |at: &mut Vec<Place>| at.iter_mut().for_each(|place| place.index.truncate(rank));
            match slot {
                Slot::Maybe(Some(Fill::Special { at, .. })) | Slot::Must(Fill::Special { at, .. }) => cut(at),
                Slot::Maybe(_) | Slot::Must(_) => {}
            }
        }
    });
    each_layer(&mut spec, &|layer| layer.kind = layer.kind.and(LayerKind::for_rank(rank)));
    spec
}

/// Gives the case's input and those of its steps another shape, and has their fills and those of their gradients fit.
fn reshape(spec: &mut CaseSpec, new: &dyn Fn(&[usize]) -> Vec<usize>) {
    let Some(of_case) = spec.input.shape.clone() else { return };
    let to = new(&of_case);
    fit(Slot::Maybe(&mut spec.input.fill), &of_case, &to);
    fit(Slot::Maybe(&mut spec.grad), &of_case, &to);
    let mut latest = of_case.clone();
    for step in spec.steps.iter_mut().flatten() {
        match step {
            Step::Forward { input, .. } => {
                latest.clone_from(&of_case);
                let Some(input) = input else { continue };
                if let Some(shape) = &mut input.shape {
                    latest.clone_from(shape);
                    *shape = new(&latest);
                }
                fit(Slot::Maybe(&mut input.fill), &latest, &new(&latest));
                // What the case says need not be said again.
                input.shape = input.shape.take().filter(|shape| *shape != to);
            }
            Step::Backward { grad, .. } => fit(Slot::Maybe(grad), &latest, &new(&latest)),
            _ => {}
        }
    }
    spec.input.shape = Some(to);
}

/// Has the fill of a tensor fit one that is smaller: of what has a place, what is left.
fn fit(slot: Slot<'_>, old: &[usize], new: &[usize]) {
    match slot {
        Slot::Maybe(None) => {}
        Slot::Maybe(Some(fill)) | Slot::Must(fill) => of_fill(fill, old, new),
    }
}

fn of_fill(fill: &mut Fill, old: &[usize], new: &[usize]) {
    match fill {
        Fill::Values(values) => left(values, old, new),
        Fill::Bits(bits) => left(bits, old, new),
        Fill::Special { base, at } => {
            of_fill(base, old, new);
            at.retain(|place| place.index.iter().zip(new).all(|(index, size)| index < size));
            if at.is_empty() {
                *fill = (**base).clone();
            }
        }
        Fill::Channels { mean, std } => {
            let channels = *if new.len() == 1 { new.first() } else { new.get(1) }.unwrap_or(&1);
            mean.truncate(channels.max(1));
            std.truncate(channels.max(1));
        }
        _ => {}
    }
}

/// The elements that are still there.
fn left<T: Clone>(elements: &mut Vec<T>, old: &[usize], new: &[usize]) {
    if elements.len() != old.iter().product::<usize>() || old.len() != new.len() {
        return;
    }
    let count = new.iter().product();
    let place = |mut number: usize| {
        let (mut place, mut stride) = (0, 1);
        for (old, new) in old.iter().zip(new).rev() {
            place += number % new * stride;
            number /= new;
            stride *= old;
        }
        place
    };
    *elements = (0..count).filter_map(|number| elements.get(place(number)).cloned()).collect();
}

#[cfg(test)]
mod tests {
    use bn_cases::yaml::Literal;

    use super::*;

    #[test]
    fn elements_keep_their_places_in_a_smaller_tensor() {
        let mut elements: Vec<usize> = (0..12).collect();
        left(&mut elements, &[2, 3, 2], &[2, 2, 1]);
        assert_eq!(elements, [0, 2, 6, 8]);
    }

    #[test]
    fn what_is_special_goes_with_its_place() {
        let nan = || Literal("nan".to_owned());
        let place = |index: &[usize]| Place { index: index.to_vec(), value: nan() };
        let base = Box::new(Fill::Constant(1.0));
        let mut fill = Fill::Special { base, at: vec![place(&[0, 0]), place(&[1, 0])] };
        of_fill(&mut fill, &[2, 2], &[1, 2]);
        assert!(matches!(&fill, Fill::Special { at, .. } if at.len() == 1));
        of_fill(&mut fill, &[1, 2], &[0, 2]);
        assert_eq!(fill, Fill::Constant(1.0));
    }
}
