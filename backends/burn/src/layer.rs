//! One layer of burn.

use bn_api::{
    Entries, ErrorClass, Input, Layer, LayerConfig, LayerError, LayerState, Layout, Loaded, Output,
    ParameterGradients, Setting, Slot, Tensor, guarded,
};
use burn_core::module::{Param, RunningState};
use burn_core::tensor::Tensor as BurnTensor;
use burn_core::tensor::backend::AutodiffBackend;
use burn_nn::{BatchNorm, BatchNormConfig};
use burn_optim::{GradientsAccumulator, GradientsParams, Optimizer, SgdConfig};

use crate::convert::{from_burn, to_burn};
use crate::graph::{Graph, forward};
use crate::record;

/// A `burn_nn::BatchNorm` on a backend with autodiff, and what a training loop keeps beside it.
pub struct BurnLayer<B: AutodiffBackend> {
    module: BatchNorm<B>,
    training: bool,
    graph: Option<Box<dyn Graph<B>>>,
    gradients: GradientsParams,
}

impl<B: AutodiffBackend> BurnLayer<B> {
    /// A layer as burn's constructor leaves it, in the default type of burn's device, with the contents that `config`
    /// gives, and with its tensors cast where they are of another type.
    ///
    /// # Errors
    /// What burn panics on.
    pub fn new(config: &LayerConfig) -> Result<Self, LayerError> {
        let mut burn_config = BatchNormConfig::new(config.features).with_epsilon(config.eps);
        if let Some(momentum) = config.momentum {
            burn_config = burn_config.with_momentum(momentum);
        }
        let module = guarded(|| Ok(burn_config.init(&B::Device::default())))?;
        let mut layer = BurnLayer { module, training: true, graph: None, gradients: GradientsParams::new() };
        for slot in Slot::ALL {
            let made = layer.tensor(slot)?;
            let dtype = config.dtype_of(slot);
            if let Some(contents) = config.contents(slot) {
                layer.put(slot, contents);
            } else if made.dtype() != dtype {
                layer.put(slot, &made.cast(dtype));
            }
        }
        Ok(layer)
    }

    /// What the layer computes with.
    fn tensor(&self, slot: Slot) -> Result<Tensor, LayerError> {
        from_burn(match slot {
            Slot::Weight => self.module.gamma.val(),
            Slot::Bias => self.module.beta.val(),
            Slot::RunningMean => self.module.running_mean.value_sync(),
            Slot::RunningVar => self.module.running_var.value_sync(),
        })
    }

    /// Puts a new tensor in the place of one.
    fn put(&mut self, slot: Slot, contents: &Tensor) {
        let tensor: BurnTensor<B, 1> = to_burn(contents);
        match slot {
            Slot::Weight => self.module.gamma = Param::from_tensor(tensor),
            Slot::Bias => self.module.beta = Param::from_tensor(tensor),
            Slot::RunningMean => self.module.running_mean = RunningState::new(tensor),
            Slot::RunningVar => self.module.running_var = RunningState::new(tensor),
        }
    }

    fn gradient(&self, parameter: &Param<BurnTensor<B, 1>>) -> Result<Option<Tensor>, LayerError> {
        self.gradients.get::<B::InnerBackend, 1>(parameter.id).map(from_burn).transpose()
    }
}

impl<B: AutodiffBackend> Layer for BurnLayer<B> {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.training = training;
        Ok(())
    }

    fn forward(&mut self, input: &Input, no_grad: bool) -> Result<Output, LayerError> {
        self.graph = None;
        let asked = input.requires_grad && !no_grad;
        let run = forward(&self.module, self.training, input, asked)?;
        let trained = self.module.gamma.is_require_grad() || self.module.beta.is_require_grad();
        // burn has no mode without gradients: the graph that leads to the parameters goes with the output.
        self.graph = run.graph.filter(|_| asked || (trained && !no_grad));
        Ok(Output { tensor: run.output, requires_grad: self.graph.is_some() })
    }

    fn backward(&mut self, grad_output: &Tensor, layout: Layout) -> Result<Option<Tensor>, LayerError> {
        let graph = self.graph.as_ref().ok_or_else(|| {
            LayerError::new(ErrorClass::NoGraph, "the latest output has no graph: none was kept")
        })?;
        let (new, of_input) = guarded(|| graph.go_back(grad_output, layout))?;
        let new = GradientsParams::from_grads(new, &self.module);
        let mut sum = GradientsAccumulator::new();
        sum.accumulate(&self.module, std::mem::take(&mut self.gradients));
        sum.accumulate(&self.module, new);
        self.gradients = sum.grads();
        Ok(of_input)
    }

    fn gradients(&self) -> Result<ParameterGradients, LayerError> {
        Ok(ParameterGradients {
            weight: self.gradient(&self.module.gamma)?,
            bias: self.gradient(&self.module.beta)?,
        })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        self.gradients = GradientsParams::new();
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        // A step uses the gradients up, and more steps may be taken along them.
        let mut gradients = GradientsParams::new();
        for parameter in [&self.module.gamma, &self.module.beta] {
            if let Some(gradient) = self.gradients.get::<B::InnerBackend, 1>(parameter.id) {
                gradients.register(parameter.id, gradient);
            }
        }
        let module = self.module.clone();
        self.module = guarded(|| Ok(SgdConfig::new().init().step(lr, module, gradients)))?;
        Ok(())
    }

    fn set(&mut self, setting: &Setting) -> Result<(), LayerError> {
        match setting {
            Setting::Momentum(Some(momentum)) => self.module.momentum = *momentum,
            Setting::Eps(eps) => self.module.epsilon = *eps,
            Setting::Tensor(slot, Some(contents)) => self.put(*slot, contents),
            other => return Err(LayerError::other(format!("burn's BatchNorm cannot set {other}"))),
        }
        Ok(())
    }

    fn set_requires_grad(&mut self, parameter: Slot, requires_grad: bool) -> Result<(), LayerError> {
        let change = |param: &mut Param<BurnTensor<B, 1>>| {
            *param = param.clone().set_require_grad(requires_grad);
        };
        match parameter {
            Slot::Weight => change(&mut self.module.gamma),
            Slot::Bias => change(&mut self.module.beta),
            Slot::RunningMean | Slot::RunningVar => {}
        }
        Ok(())
    }

    fn load_state(&mut self, entries: &Entries, _version: u32) -> Result<Loaded, LayerError> {
        self.module = record::load(&self.module, entries)?;
        Ok(Loaded::default())
    }

    fn state(&self) -> Result<LayerState, LayerError> {
        Ok(LayerState {
            weight: Some(self.tensor(Slot::Weight)?),
            bias: Some(self.tensor(Slot::Bias)?),
            running_mean: Some(self.tensor(Slot::RunningMean)?),
            running_var: Some(self.tensor(Slot::RunningVar)?),
            num_batches_tracked: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use bn_api::worked_example as example;
    use bn_api::{DType, LayerKind};
    use burn_autodiff::Autodiff;
    use burn_ndarray::NdArray;

    use super::*;

    type Made = BurnLayer<Autodiff<NdArray>>;

    const TYPES: [DType; 2] = [DType::F32, DType::F64];

    fn layer(config: &LayerConfig) -> Made {
        Made::new(config).unwrap()
    }

    fn example(dtype: DType) -> Made {
        layer(&example::config(dtype))
    }

    fn matrix(dtype: DType, values: [f64; 4]) -> Tensor {
        Tensor::from_values(dtype, &[2, 2], values)
    }

    fn vector(dtype: DType, values: [f64; 2]) -> Tensor {
        Tensor::from_values(dtype, &[2], values)
    }

    fn run(layer: &mut Made, dtype: DType) -> Tensor {
        layer.forward(&example::input(dtype), false).unwrap().tensor
    }

    fn ones(shape: &[usize]) -> Input {
        Input { tensor: Tensor::full(DType::F32, shape, 1.0), ..example::input(DType::F32) }
    }

    #[test]
    fn a_new_layer_is_as_in_pytorch_in_either_type() {
        for dtype in TYPES {
            let expected = LayerState {
                weight: Some(vector(dtype, [1.0, 1.0])),
                bias: Some(vector(dtype, [0.0, 0.0])),
                running_mean: Some(vector(dtype, [0.0, 0.0])),
                running_var: Some(vector(dtype, [1.0, 1.0])),
                num_batches_tracked: None,
            };
            let new = layer(&LayerConfig::new(LayerKind::BatchNorm1d, 2, dtype));
            assert_eq!(new.state().unwrap(), expected);
        }
    }

    #[test]
    fn the_worked_example_trains_but_for_the_running_variance_which_averages_the_biased_one() {
        for dtype in TYPES {
            let mut layer = example(dtype);
            assert_eq!(run(&mut layer, dtype), matrix(dtype, [0.0, -3.0, 2.0, 1.0]));
            // The batch's variance is 1; PyTorch averages the sample's, 2, and comes to 1.5.
            assert_eq!(example::running(&layer), (vec![1.0, 5.5], vec![1.0, 1.0]));
            let gradients = example::go_back(&mut layer, dtype).unwrap();
            assert_eq!(gradients.input, Some(matrix(dtype, [0.375, -0.75, -0.375, 0.75])));
            assert_eq!(gradients.weight, Some(vector(dtype, [-0.5, 0.5])));
            assert_eq!(gradients.bias, Some(vector(dtype, [1.0, 1.0])));
        }
    }

    #[test]
    fn an_evaluation_reads_the_statistics_and_has_no_gradients() {
        for dtype in TYPES {
            let mut layer = layer(&LayerConfig {
                running_mean: Some(vector(dtype, [1.0, 2.0])),
                ..example::config(dtype)
            });
            layer.set_training(false).unwrap();
            let output = layer.forward(&example::input(dtype), false).unwrap();
            assert_eq!(output.tensor, matrix(dtype, [1.0, 15.0, 3.0, 19.0]));
            assert!(!output.requires_grad);
            assert_eq!(example::go_back(&mut layer, dtype).unwrap_err().class, ErrorClass::NoGraph);
            assert_eq!(example::running(&layer), (vec![1.0, 2.0], vec![1.0, 1.0]));
        }
    }

    #[test]
    fn without_gradients_there_is_no_graph_but_the_statistics_move() {
        let mut layer = example(DType::F32);
        let output = layer.forward(&example::input(DType::F32), true).unwrap();
        assert_eq!((output.tensor, output.requires_grad), (matrix(DType::F32, [0.0, -3.0, 2.0, 1.0]), false));
        assert_eq!(example::running(&layer).0, [1.0, 5.5]);
        assert_eq!(example::go_back(&mut layer, DType::F32).unwrap_err().class, ErrorClass::NoGraph);
    }

    #[test]
    fn gradients_accumulate_over_forwards_until_they_are_zeroed_and_move_the_parameters() {
        let mut layer = example(DType::F32);
        for times in [1.0, 2.0] {
            run(&mut layer, DType::F32);
            let gradients = example::go_back(&mut layer, DType::F32).unwrap();
            assert_eq!(gradients.input, Some(matrix(DType::F32, [0.375, -0.75, -0.375, 0.75])));
            assert_eq!(gradients.weight, Some(vector(DType::F32, [-0.5 * times, 0.5 * times])));
            assert_eq!(gradients.bias, Some(vector(DType::F32, [times, times])));
        }
        // A step along them leaves them, and the next goes along them again.
        for weight in [[2.5, 3.5], [3.0, 3.0]] {
            layer.sgd(0.5).unwrap();
            assert_eq!(layer.state().unwrap().weight, Some(vector(DType::F32, weight)));
        }
        layer.zero_grad().unwrap();
        layer.sgd(1.0).unwrap();
        assert_eq!(layer.gradients().unwrap(), ParameterGradients::default());
        assert_eq!(layer.state().unwrap().weight, Some(vector(DType::F32, [3.0, 3.0])));
    }

    #[test]
    fn a_frozen_parameter_gets_no_gradient_and_one_that_is_trained_again_does() {
        let mut layer = example(DType::F32);
        layer.set_requires_grad(Slot::Weight, false).unwrap();
        run(&mut layer, DType::F32);
        let gradients = example::go_back(&mut layer, DType::F32).unwrap();
        assert_eq!((gradients.weight, gradients.bias), (None, Some(vector(DType::F32, [1.0, 1.0]))));
        layer.set_requires_grad(Slot::Weight, true).unwrap();
        run(&mut layer, DType::F32);
        let gradients = example::go_back(&mut layer, DType::F32).unwrap();
        assert_eq!(gradients.weight, Some(vector(DType::F32, [-0.5, 0.5])));
    }

    #[test]
    fn with_everything_frozen_and_no_gradient_asked_there_is_no_graph() {
        let mut layer = example(DType::F32);
        layer.set_requires_grad(Slot::Weight, false).unwrap();
        layer.set_requires_grad(Slot::Bias, false).unwrap();
        let input = Input { requires_grad: false, ..example::input(DType::F32) };
        assert!(!layer.forward(&input, false).unwrap().requires_grad);
        assert!(layer.forward(&example::input(DType::F32), false).unwrap().requires_grad);
    }

    #[test]
    fn momentum_epsilon_and_new_tensors_are_set_and_nothing_else() {
        let mut layer = example(DType::F32);
        layer.set(&Setting::Momentum(Some(1.0))).unwrap();
        layer.set(&Setting::Eps(0.0)).unwrap();
        layer.set(&Setting::Tensor(Slot::Weight, Some(vector(DType::F32, [1.0, -1.0])))).unwrap();
        layer.set(&Setting::Tensor(Slot::RunningMean, Some(vector(DType::F32, [f64::NAN, 0.0])))).unwrap();
        assert_eq!(run(&mut layer, DType::F32), matrix(DType::F32, [0.0, 0.0, 2.0, -2.0]));
        assert_eq!(example::running(&layer).0[1], 11.0);
        let refused = layer.set(&Setting::Momentum(None)).unwrap_err();
        assert_eq!(refused.message, "burn's BatchNorm cannot set momentum=None");
    }

    #[test]
    fn one_value_per_channel_is_trained_on_with_a_variance_of_zero() {
        let mut layer = example(DType::F32);
        let output = layer.forward(&ones(&[1, 2]), false).unwrap().tensor;
        assert_eq!(output.values(), [1.0, -1.0]);
        assert_eq!(example::running(&layer).1, [0.5, 0.5]);
    }

    #[test]
    fn a_panic_on_an_empty_batch_leaves_the_layer_as_it_was() {
        for shape in [&[0, 2][..], &[3, 2, 0]] {
            let mut layer = example(DType::F32);
            let refused = layer.forward(&ones(shape), false).unwrap_err();
            assert_eq!(refused.class, ErrorClass::Panic);
            assert_eq!(example::running(&layer), (vec![0.0, 0.0], vec![1.0, 1.0]));
            assert_eq!(run(&mut layer, DType::F32), matrix(DType::F32, [0.0, -3.0, 2.0, 1.0]));
            layer.set_training(false).unwrap();
            assert_eq!(layer.forward(&ones(shape), false).unwrap().tensor.shape(), shape);
        }
    }

    #[test]
    fn a_graph_is_used_up_by_its_backward_and_a_second_one_finds_nothing() {
        let mut layer = example(DType::F32);
        run(&mut layer, DType::F32);
        let first = example::go_back(&mut layer, DType::F32).unwrap();
        let second = example::go_back(&mut layer, DType::F32).unwrap();
        assert_eq!((second.input, second.weight), (None, first.weight));
    }

    #[test]
    fn types_that_do_not_go_together_are_refused_by_a_panic_after_the_statistics_moved() {
        let mut layer = layer(&LayerConfig {
            statistics_dtype: DType::F64,
            running_mean: None,
            ..example::config(DType::F32)
        });
        let refused = layer.forward(&example::input(DType::F64), false).unwrap_err();
        assert_eq!(refused.message, "Data type mismatch (lhs: F64, rhs: F32)");
        assert_eq!(example::running(&layer).0, [1.0, 5.5]);
    }

    #[test]
    fn every_layout_of_input_and_gradient_gives_what_the_contiguous_one_gives() {
        let shape = [2, 3, 2, 2];
        let tensor = |seed: i32| {
            let values = (0..24).map(|i| f64::from((seed * i * i + 3 * i) % 17) / 4.0);
            Tensor::from_values(DType::F64, &shape, values)
        };
        let weight = Some(Tensor::from_values(DType::F64, &[3], [1.0, 2.0, 3.0]));
        let config = LayerConfig { weight, ..LayerConfig::new(LayerKind::BatchNorm2d, 3, DType::F64) };
        let answer = |layout| {
            let mut layer = layer(&config);
            let input = Input { tensor: tensor(5), dtype: DType::F64, layout, requires_grad: true };
            let output = layer.forward(&input, false).unwrap().tensor;
            let gradient = layer.backward(&tensor(7), layout).unwrap();
            let all = (output, gradient, layer.gradients().unwrap(), layer.state().unwrap());
            layer.set_training(false).unwrap();
            (all, layer.forward(&input, false).unwrap().tensor)
        };
        let (contiguous, evaluated) = answer(Layout::Contiguous);
        for layout in [Layout::ChannelsLast, Layout::Permuted, Layout::Sliced] {
            let (all, output) = answer(layout);
            // Sums in another order.
            let pairs = [(&all.0, &contiguous.0), (&output, &evaluated)];
            for (found, expected) in pairs {
                let close = |(a, b): (f64, f64)| (a - b).abs() < 1e-14 * b.abs().max(1.0);
                assert!(found.values().into_iter().zip(expected.values()).all(close), "{layout:?}");
            }
            assert_eq!(all.1.unwrap().shape(), shape);
        }
    }
}
