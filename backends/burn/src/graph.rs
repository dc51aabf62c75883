//! One forward of burn's layer, for inputs of every rank, and the way back.

use bn_api::{ErrorClass, Input, LayerError, Layout, Tensor, computing, guarded};
use burn_core::module::AutodiffModule;
use burn_core::tensor::Tensor as BurnTensor;
use burn_core::tensor::backend::AutodiffBackend;
use burn_nn::BatchNorm;

use crate::convert::from_burn;
use crate::view::View;

/// The graph of a forward in training mode. The rank of burn's tensors is part of their type, and is hidden here.
pub trait Graph<B: AutodiffBackend> {
    /// Everything's gradients, and that of the input where one was asked of it, given that of the output.
    ///
    /// # Errors
    /// When the gradient cannot be read. What burn refuses is a panic.
    fn go_back(
        &self,
        grad_output: &Tensor,
        layout: Layout,
    ) -> Result<(B::Gradients, Option<Tensor>), LayerError>;
}

/// The ends of the graph of a forward.
struct Ends<B: AutodiffBackend, const D: usize> {
    /// Where a gradient is asked of the input: the leaf that holds its elements, and how it is seen in that.
    input: Option<(BurnTensor<B, D>, View<D>)>,
    output: BurnTensor<B, D>,
}

impl<B: AutodiffBackend, const D: usize> Graph<B> for Ends<B, D> {
    /// burn starts every backward from a gradient of ones, so it starts here from the sum of output · `grad_output`,
    /// whose derivative is `1 · grad_output`: a product that is not rounded.
    fn go_back(
        &self,
        grad_output: &Tensor,
        layout: Layout,
    ) -> Result<(B::Gradients, Option<Tensor>), LayerError> {
        let (stored, view) = View::new::<B>(grad_output, layout)?;
        let grad_output = view.of(stored);
        let mut gradients = computing(|| self.output.clone().mul(grad_output).sum().backward());
        let of_input = self.input.as_ref().and_then(|(leaf, view)| {
            let gradient = leaf.grad_remove(&mut gradients)?;
            Some(from_burn(view.of(gradient)))
        });
        Ok((gradients, of_input.transpose()?))
    }
}

/// What a forward gives.
pub struct Run<B: AutodiffBackend> {
    /// The output.
    pub output: Tensor,
    /// Its graph, in training mode alone.
    pub graph: Option<Box<dyn Graph<B>>>,
}

/// Runs the layer. In training mode that is the module itself, whose device is one with autodiff; in evaluation it is
/// what `valid()` makes of it, on the device below, where nothing has a gradient.
///
/// # Errors
/// What burn panics on, with a class where the input tells it.
pub fn forward<B: AutodiffBackend>(
    module: &BatchNorm<B>,
    training: bool,
    input: &Input,
    requires_grad: bool,
) -> Result<Run<B>, LayerError> {
    let shape = input.tensor.shape();
    let run = match shape.len() {
        1 => forward_ranked::<B, 1>,
        2 => forward_ranked::<B, 2>,
        3 => forward_ranked::<B, 3>,
        4 => forward_ranked::<B, 4>,
        5 => forward_ranked::<B, 5>,
        6 => forward_ranked::<B, 6>,
        rank => {
            return Err(LayerError::new(ErrorClass::WrongRank, format!("no tensor of rank {rank} is made")));
        }
    };
    guarded(|| run(module, training, input, requires_grad)).map_err(|mut error| {
        // A panic is how burn refuses, and has no class; what it stumbles over is told by the input.
        let features = module.gamma.shape().num_elements();
        error.message = in_one_line(&error.message);
        error.class = match shape {
            [] | [_] => ErrorClass::WrongRank,
            [_, channels, ..] if *channels != features => ErrorClass::WrongFeatures,
            _ => error.class,
        };
        error
    })
}

/// burn's words without the lines and numbers that it sets them in.
pub fn in_one_line(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("==="));
    lines.collect::<Vec<_>>().join(" ")
}

fn forward_ranked<B: AutodiffBackend, const D: usize>(
    module: &BatchNorm<B>,
    training: bool,
    input: &Input,
    requires_grad: bool,
) -> Result<Run<B>, LayerError> {
    if !training {
        let (stored, view) = View::<D>::new(&input.tensor, input.layout)?;
        let (module, seen) = (module.valid(), view.of(stored));
        let output = from_burn(computing(|| module.forward(seen)))?;
        return Ok(Run { output, graph: None });
    }
    let (stored, view) = View::<D>::new::<B>(&input.tensor, input.layout)?;
    let leaf = if requires_grad { stored.require_grad() } else { stored };
    let seen = view.of(leaf.clone());
    let output = computing(|| module.forward(seen));
    let ends = Ends { input: requires_grad.then_some((leaf, view)), output: output.clone() };
    Ok(Run { output: from_burn(output)?, graph: Some(Box::new(ends)) })
}

#[cfg(test)]
mod tests {
    use bn_api::DType;
    use bn_api::worked_example as example;
    use burn_autodiff::Autodiff;
    use burn_ndarray::{NdArray, NdArrayDevice};
    use burn_nn::BatchNormConfig;

    use super::*;

    type Train = Autodiff<NdArray>;

    fn run(shape: &[usize], training: bool) -> Result<Tensor, LayerError> {
        let module = BatchNormConfig::new(3).init::<Train>(&NdArrayDevice::default());
        let input = Input { tensor: Tensor::full(DType::F32, shape, 1.0), ..example::input(DType::F32) };
        forward(&module, training, &input, false).map(|run| run.output)
    }

    #[test]
    fn there_is_one_layer_for_every_rank_from_two() {
        for shape in [&[4, 3][..], &[4, 3, 2], &[4, 3, 2, 2], &[4, 3, 2, 1, 2], &[4, 3, 2, 1, 2, 1]] {
            for training in [true, false] {
                assert_eq!(run(shape, training).unwrap().shape(), shape);
            }
        }
    }

    #[test]
    fn what_is_refused_has_a_class_where_the_input_tells_it() {
        for training in [true, false] {
            for (shape, class) in [
                (&[3][..], ErrorClass::WrongRank),
                (&[2, 3, 1, 1, 1, 1, 1], ErrorClass::WrongRank),
                (&[4, 2], ErrorClass::WrongFeatures),
            ] {
                assert_eq!(run(shape, training).unwrap_err().class, class, "{shape:?}");
            }
        }
    }

    #[test]
    fn the_gradient_that_a_backward_starts_from_is_the_given_one_to_the_bit() {
        // Infinities, the smallest numbers, the largest.
        let bits = [0x7f80_0000u64, 0xff80_0000, 1, 0x8000_0001, 0x7f7f_ffff, 0x3eaa_aaab];
        let given = Tensor::from_bit_patterns(DType::F32, &[6], bits);
        let values = [3.0, -1.0, f64::NAN, 0.0, 7.0, 1e4];
        let tensor = Tensor::from_values(DType::F32, &[6], values);
        let (stored, view) = View::<1>::new::<Train>(&tensor, Layout::Contiguous).unwrap();
        let leaf = stored.require_grad();
        let ends = Ends { input: Some((leaf.clone(), view)), output: leaf };
        assert_eq!(ends.go_back(&given, Layout::Contiguous).unwrap().1.unwrap(), given);
    }

    #[test]
    fn burns_words_are_said_in_one_line() {
        let error = run(&[4, 2], false).unwrap_err();
        assert!(error.message.starts_with("Operation: '"), "{error}");
        assert!(!error.message.contains('\n'), "{error}");
    }
}
