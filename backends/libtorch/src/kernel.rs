//! `at::batch_norm` as a kernel.

use bn_api::{Forward, Gradients, Kernel, LayerError, Layout, RunningStats, Tensor, Wanted, computing};

use crate::error::layer_error;
use crate::{autograd, convert};

/// libtorch's `at::batch_norm` with its own autograd behind it.
///
/// It is the entry that checks its arguments; the `native_*` ones beneath it can end the process.
#[derive(Debug, Clone, Copy, Default)]
pub struct BatchNormKernel;

/// The graph of one forward: its leaves, used by no other, and the output.
#[derive(Debug)]
pub struct Graph {
    input: tch::Tensor,
    weight: Option<tch::Tensor>,
    bias: Option<tch::Tensor>,
    output: tch::Tensor,
}

impl Kernel for BatchNormKernel {
    type Saved = Graph;

    fn forward(&self, call: Forward<'_>) -> Result<(Tensor, Graph), LayerError> {
        let input = convert::to_leaf_as(call.input, call.layout)?;
        let weight = call.weight.map(convert::to_leaf).transpose()?;
        let bias = call.bias.map(convert::to_leaf).transpose()?;
        // Copies of this forward's own: libtorch moves them in place, and an evaluation's backward reads
        // them again, which must not find what a later forward made of them.
        let running = call.running.as_deref().map(to_torch).transpose()?;
        let (mean, var) = running.as_ref().map(|(mean, var)| (mean, var)).unzip();
        let batch_norm = || {
            input.f_batch_norm(
                weight.as_ref(),
                bias.as_ref(),
                mean,
                var,
                call.use_batch_stats,
                call.factor,
                call.eps,
                false, // cudnn_enabled, which libtorch ignores
            )
        };
        let computed = computing(|| tch::with_grad(batch_norm));
        if call.use_batch_stats
            && let (Some(stats), Some((mean, var))) = (call.running, &running)
        {
            *stats = RunningStats { mean: convert::from_torch(mean)?, var: convert::from_torch(var)? };
        }
        let output = computed.map_err(layer_error)?;
        Ok((convert::from_torch(&output)?, Graph { input, weight, bias, output }))
    }

    fn backward(
        &self,
        graph: &Graph,
        grad_output: &Tensor,
        layout: Layout,
        wanted: Wanted,
    ) -> Result<Gradients, LayerError> {
        let input = wanted.input.then_some(&graph.input);
        let weight = graph.weight.as_ref().filter(|_| wanted.weight);
        let bias = graph.bias.as_ref().filter(|_| wanted.bias);
        let leaves: Vec<&tch::Tensor> = input.into_iter().chain(weight).chain(bias).collect();
        let mut found = autograd::gradients_as(&graph.output, grad_output, layout, &leaves)?.into_iter();
        let mut next = |leaf: Option<&tch::Tensor>| match leaf {
            Some(_) => found.next().flatten().map(|gradient| convert::from_torch(&gradient)).transpose(),
            None => Ok(None),
        };
        Ok(Gradients { input: next(input)?, weight: next(weight)?, bias: next(bias)? })
    }
}

fn to_torch(running: &RunningStats) -> Result<(tch::Tensor, tch::Tensor), LayerError> {
    Ok((convert::to_torch(&running.mean)?, convert::to_torch(&running.var)?))
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;

    fn f64s(shape: &[usize], values: &[f64]) -> Tensor {
        Tensor::from_values(DType::F64, shape, values.iter().copied())
    }

    fn call<'a>(
        input: &'a Tensor,
        running: Option<&'a mut RunningStats>,
        use_batch_stats: bool,
    ) -> Forward<'a> {
        Forward {
            input,
            layout: Layout::Contiguous,
            weight: None,
            bias: None,
            running,
            use_batch_stats,
            factor: 0.5,
            eps: 3.0,
        }
    }

    fn back(graph: &Graph, grad_output: &Tensor) -> Result<Gradients, LayerError> {
        BatchNormKernel.backward(graph, grad_output, Layout::Contiguous, Wanted::ALL)
    }

    #[test]
    fn an_evaluation_goes_back_through_its_own_statistics_after_a_later_training_forward() {
        let input = f64s(&[2, 1], &[1.0, 3.0]);
        let mut running = RunningStats { mean: f64s(&[1], &[0.0]), var: f64s(&[1], &[1.0]) };
        let (_, evaluation) = BatchNormKernel.forward(call(&input, Some(&mut running), false)).unwrap();
        assert_eq!(running.var, f64s(&[1], &[1.0]));
        BatchNormKernel.forward(call(&input, Some(&mut running), true)).unwrap();
        assert_eq!(running, RunningStats { mean: f64s(&[1], &[1.0]), var: f64s(&[1], &[1.5]) });
        // dy / sqrt(1 + 3), and not dy / sqrt(1.5 + 3).
        let gradients = back(&evaluation, &f64s(&[2, 1], &[1.0, 4.0])).unwrap();
        assert_eq!(gradients.input, Some(f64s(&[2, 1], &[0.5, 2.0])));
    }

    #[test]
    fn a_graph_is_kept_even_where_the_caller_has_switched_gradients_off() {
        let input = f64s(&[2, 1], &[1.0, 3.0]);
        let _off = tch::no_grad_guard();
        let (_, graph) = BatchNormKernel.forward(call(&input, None, true)).unwrap();
        assert!(back(&graph, &input).is_ok());
    }

    #[test]
    fn without_parameters_and_statistics_there_are_no_gradients_for_them() {
        let input = f64s(&[2, 1], &[1.0, 3.0]);
        let (output, graph) = BatchNormKernel.forward(call(&input, None, true)).unwrap();
        assert_eq!(output, f64s(&[2, 1], &[-0.5, 0.5]));
        let gradients = back(&graph, &f64s(&[2, 1], &[1.0, 1.0])).unwrap();
        assert_eq!(gradients, Gradients { input: Some(f64s(&[2, 1], &[0.0, 0.0])), ..Gradients::default() });
    }

    #[test]
    fn a_batch_without_samples_moves_nothing() {
        let input = f64s(&[0, 1], &[]);
        let mut running = RunningStats::new(DType::F64, 1);
        let (output, graph) = BatchNormKernel.forward(call(&input, Some(&mut running), true)).unwrap();
        assert_eq!((output, running), (f64s(&[0, 1], &[]), RunningStats::new(DType::F64, 1)));
        assert_eq!(back(&graph, &input).unwrap().input, Some(input));
    }

    #[test]
    fn every_layout_of_input_and_gradient_gives_what_the_contiguous_one_gives() {
        // Small integers in evaluation, whose sums are exact in any order.
        let tensor = |factor: i32| {
            let values = (0..12).map(|i| f64::from(factor * i % 11));
            Tensor::from_values(DType::F64, &[2, 3, 1, 2], values).repeat_first_sample()
        };
        let (x, dy) = (tensor(5), tensor(7));
        let answer = |layout| {
            let mut running = RunningStats::new(DType::F64, 3);
            let call = Forward { layout, ..call(&x, Some(&mut running), false) };
            let (output, graph) = BatchNormKernel.forward(call).unwrap();
            (output, BatchNormKernel.backward(&graph, &dy, layout, Wanted::ALL).unwrap())
        };
        let expected = answer(Layout::Contiguous);
        for layout in [Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded] {
            assert_eq!(answer(layout), expected, "{layout:?}");
        }
    }

    #[test]
    fn only_the_gradients_that_are_wanted_are_given() {
        let (input, weight) = (f64s(&[2, 1], &[1.0, 3.0]), f64s(&[1], &[2.0]));
        let call = Forward { weight: Some(&weight), bias: Some(&weight), ..call(&input, None, true) };
        let (_, graph) = BatchNormKernel.forward(call).unwrap();
        let given = |wanted| {
            let gradients = BatchNormKernel.backward(&graph, &input, Layout::Contiguous, wanted).unwrap();
            [gradients.input, gradients.weight, gradients.bias].map(|gradient| gradient.is_some())
        };
        assert_eq!(given(Wanted::ALL), [true; 3]);
        assert_eq!(given(Wanted { weight: false, ..Wanted::ALL }), [true, false, true]);
        assert_eq!(given(Wanted { input: false, weight: true, bias: false }), [false, true, false]);
    }
}
