//! The same tensors lying in memory in another way.

use bn_api::{Input, Layout, Tensor};

use super::ask::said;
use super::compare::{Relation, anew_alike};
use super::rewrite::{Rewrite, rewritten};
use super::{Asked, Broken, Held, Property};

/// Every input and every gradient lies in memory in another way; no number changes.
pub struct OtherLayouts;

impl Property for OtherLayouts {
    fn name(&self) -> &'static str {
        "other-layouts"
    }

    fn about(&self) -> &'static str {
        "where the elements of inputs and gradients lie in memory changes no number"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let changed = rewritten(asked.request, &Lying);
        said(anew_alike(asked, &changed, &Lying))
    }
}

struct Lying;

/// Another layout than this one, which tensors of this shape can have whatever their elements.
fn other(layout: Layout, step: usize, shape: &[usize]) -> Layout {
    if layout != Layout::Contiguous {
        return Layout::Contiguous;
    }
    match (step % 3, shape.len()) {
        (0, 4 | 5) => Layout::ChannelsLast,
        (1, _) => Layout::Sliced,
        _ => Layout::Permuted,
    }
}

impl Rewrite for Lying {
    fn input(&self, step: usize, input: &Input) -> Input {
        Input { layout: other(input.layout, step, input.tensor.shape()), ..input.clone() }
    }

    fn grad(&self, step: usize, grad: &Tensor, layout: Layout) -> (Tensor, Layout) {
        (grad.clone(), other(layout, step, grad.shape()))
    }
}

impl Relation for Lying {}
