//! Gradients by libtorch's autograd.

use bn_api::{LayerError, Layout, computing, is_both};
use tch::Tensor;

use crate::convert::to_torch;
use crate::error::layer_error;

/// The gradients of `leaves`, in their order, when `output` has the gradient `grad_output` (of its shape):
/// those of this call alone, nothing is added to a `.grad`. The graph stays, for another call. `None` where
/// no gradient arrives.
///
/// tch starts every backward from a gradient of ones, so it starts here from `output · grad_output`, whose
/// derivative is `1 · grad_output`: a product that is not rounded.
///
/// # Errors
/// What libtorch raises, and when the shapes differ.
pub fn gradients(
    output: &Tensor,
    grad_output: &Tensor,
    leaves: &[&Tensor],
) -> Result<Vec<Option<Tensor>>, LayerError> {
    if output.size() != grad_output.size() {
        let shapes = (output.size(), grad_output.size());
        return Err(LayerError::other(format!(
            "an output of shape {:?} with a gradient of {:?}",
            shapes.0, shapes.1
        )));
    }
    let go_back = || {
        // The product lies as its first factor does, and so does what goes back from it.
        let start = output.f_contiguous()?.f_mul(grad_output)?;
        Tensor::f_run_backward(&[start], leaves, true, false)
    };
    let computed = computing(|| tch::with_grad(go_back));
    Ok(defined(computed.map_err(layer_error)?))
}

/// The same for a gradient that is to arrive at `output` lying in memory as `layout` says, which the kernels of a
/// backward go by.
///
/// A product with the gradient would make it contiguous. So the start is behind a step whose own backward is a view:
/// that of a permutation permutes, that of a sum expands, that of a concatenation takes a window.
///
/// # Errors
/// What libtorch raises, and when the shapes differ.
pub fn gradients_as(
    output: &Tensor,
    grad_output: &bn_api::Tensor,
    layout: Layout,
    leaves: &[&Tensor],
) -> Result<Vec<Option<Tensor>>, LayerError> {
    let given = to_torch(grad_output)?;
    let is_contiguous =
        layout == Layout::Contiguous || (layout == Layout::ChannelsLast && is_both(grad_output.shape()));
    if is_contiguous || output.size() != given.size() {
        return gradients(output, &given, leaves);
    }
    let computed = tch::with_grad(|| {
        let start = match layout {
            Layout::ChannelsLast => {
                let order: Vec<i64> = [0].into_iter().chain(2..output.dim() as i64).chain([1]).collect();
                output.f_permute(&order)?.f_contiguous()?.f_mul(&given.f_permute(&order)?.f_contiguous()?)?
            }
            Layout::Permuted => {
                let order: Vec<i64> = (0..output.dim() as i64).rev().collect();
                output.f_permute(&order)?.f_contiguous()?.f_mul(&given.f_permute(&order)?.f_contiguous()?)?
            }
            Layout::Sliced => {
                let (mut around, mut larger) = (output.shallow_clone(), given);
                for dimension in 0..output.dim() as i64 {
                    let framed = |tensor: &Tensor, edge: f64| {
                        let mut size = tensor.size();
                        size[dimension as usize] = 1;
                        let edge = Tensor::f_full(&size, edge, (tensor.kind(), tensor.device()))?;
                        Tensor::f_cat(&[&edge, tensor, &edge], dimension)
                    };
                    (around, larger) = (framed(&around, 0.0)?, framed(&larger, f64::NAN)?);
                }
                around.f_contiguous()?.f_mul(&larger)?
            }
            Layout::Expanded if given.size().first() != Some(&0) => output
                .f_sum_dim_intlist(0, true, output.kind())?
                .f_contiguous()?
                .f_mul(&given.f_narrow(0, 0, 1)?)?,
            Layout::Contiguous | Layout::Expanded => output.f_contiguous()?.f_mul(&given)?,
        };
        Tensor::f_run_backward(&[start], leaves, true, false)
    });
    Ok(defined(computed.map_err(layer_error)?))
}

fn defined(gradients: Vec<Tensor>) -> Vec<Option<Tensor>> {
    gradients.into_iter().map(|gradient| gradient.defined().then_some(gradient)).collect()
}

/// Adds `gradient` to `leaf.grad()`, as libtorch does it.
///
/// tch's own `backward`, which accumulates, lets go of the graph, so that a second one through it would
/// fail; `run_backward` keeps it but does not accumulate. This does what lies between: a backward from
/// `sum(leaf · gradient)`, whose gradient for `leaf` is `gradient` to the bit.
///
/// # Errors
/// What libtorch raises.
pub fn accumulate(leaf: &Tensor, gradient: &Tensor) -> Result<(), LayerError> {
    let added = tch::with_grad(|| leaf.f_mul(gradient)?.f_sum(None)?.f_backward());
    added.map_err(layer_error)
}

#[cfg(test)]
mod tests {
    use bn_api::{DType, Tensor};

    use super::*;
    use crate::convert::{from_torch, to_leaf, to_torch};

    /// Infinities, the smallest numbers, the largest; no negative zero, which loses its sign when added to
    /// zero.
    const BITS: [u64; 6] = [0x7c00, 0xfc00, 0x0001, 0x8001, 0x7bff, 0x3555];

    #[test]
    fn the_gradient_that_a_backward_starts_from_is_the_given_one_to_the_bit() {
        let given = Tensor::from_bit_patterns(DType::F16, &[6], BITS);
        let leaf =
            to_leaf(&Tensor::from_values(DType::F16, &[6], [3.0, -1.0, f64::NAN, 0.0, 7.0, 1e4])).unwrap();
        let output = leaf.f_view([6]).unwrap();
        for _ in 0..2 {
            let found = gradients(&output, &to_torch(&given).unwrap(), &[&leaf]).unwrap();
            assert_eq!(from_torch(found[0].as_ref().unwrap()).unwrap(), given);
        }
        assert!(!leaf.grad().defined());
    }

    #[test]
    fn a_gradient_arrives_in_its_layout_and_to_the_bit() {
        let values = (0..24).map(|value| f64::from(value) - 7.5);
        let given = Tensor::from_values(DType::F32, &[2, 3, 2, 2], values).repeat_first_sample();
        let leaf = to_leaf(&given).unwrap();
        let layouts = [Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded];
        let strides = [[12, 1, 6, 3], [1, 2, 6, 12], [80, 16, 4, 1], [0, 4, 2, 1]];
        for (layout, strides) in layouts.into_iter().zip(strides) {
            // A view of the same shape hands on what it gets.
            let output = leaf.f_expand([2, 3, 2, 2], false).unwrap();
            let found = gradients_as(&output, &given, layout, &[&leaf]).unwrap();
            let found = found[0].as_ref().unwrap();
            assert_eq!(
                (from_torch(found).unwrap(), found.stride()),
                (given.clone(), strides.to_vec()),
                "{layout:?}"
            );
        }
    }

    #[test]
    fn what_accumulates_is_the_gradient_to_the_bit_and_then_the_sum() {
        let given = Tensor::from_bit_patterns(DType::F16, &[6], BITS);
        let leaf =
            to_leaf(&Tensor::from_values(DType::F16, &[6], [3.0, -1.0, f64::NAN, 0.0, 7.0, 1e4])).unwrap();
        accumulate(&leaf, &to_torch(&given).unwrap()).unwrap();
        assert_eq!(from_torch(&leaf.grad()).unwrap(), given);
        accumulate(&leaf, &to_torch(&given).unwrap()).unwrap();
        let doubled = Tensor::from_values(DType::F16, &[6], given.values().iter().map(|value| 2.0 * value));
        assert_eq!(from_torch(&leaf.grad()).unwrap(), doubled);
    }

    #[test]
    fn a_gradient_of_another_shape_is_refused_not_broadcast() {
        let leaf = to_leaf(&Tensor::from_values(DType::F32, &[2, 1], [1.0, 2.0])).unwrap();
        let one = to_torch(&Tensor::from_values(DType::F32, &[1], [1.0])).unwrap();
        assert!(gradients(&leaf.f_view([2, 1]).unwrap(), &one, &[&leaf]).is_err());
    }
}
