//! Gradients by libtorch's autograd.

use bn_api::LayerError;
use tch::Tensor;

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
    let computed = tch::with_grad(|| {
        let start = output.f_mul(grad_output)?;
        Tensor::f_run_backward(&[start], leaves, true, false)
    });
    let gradients = computed.map_err(layer_error)?;
    Ok(gradients.into_iter().map(|gradient| gradient.defined().then_some(gradient)).collect())
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
