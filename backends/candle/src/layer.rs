//! One layer of candle.

use std::sync::PoisonError;

use bn_api::{ErrorClass, Gradients, Layer, LayerConfig, LayerError, LayerState, Tensor};
use candle_core::backprop::GradStore;
use candle_core::{Device, Var};
use candle_nn::{BatchNorm, BatchNormConfig, ModuleT, Optimizer, SGD, VarBuilder, VarMap};

use crate::convert::{dtype, from_candle, to_candle};
use crate::error::{layer_error, other};

/// A `candle_nn::BatchNorm` with the variables that are trained.
pub struct CandleLayer {
    layer: BatchNorm,
    weight: Option<Var>,
    bias: Option<Var>,
    training: bool,
    graph: Option<Graph>,
    /// What has accumulated: every backward of candle gives a store of its own.
    gradients: GradStore,
}

/// The ends of the latest graph.
struct Graph {
    input: Var,
    output: candle_core::Tensor,
}

impl CandleLayer {
    /// A layer on a fresh `VarMap`, where the contents that `config` gives already lie.
    ///
    /// # Errors
    /// What candle's constructor raises.
    pub fn new(config: &LayerConfig) -> Result<Self, LayerError> {
        let vars = VarMap::new();
        let named = || vars.data().lock().unwrap_or_else(PoisonError::into_inner);
        for (name, contents) in [
            ("weight", &config.weight),
            ("bias", &config.bias),
            ("running_mean", &config.running_mean),
            ("running_var", &config.running_var),
        ] {
            if let Some(contents) = contents {
                let var = Var::from_tensor(&to_candle(contents)?).map_err(other)?;
                named().insert(name.to_owned(), var);
            }
        }
        let defaults = BatchNormConfig::default();
        let nn_config = BatchNormConfig {
            eps: config.eps,
            affine: config.affine,
            momentum: config.momentum.unwrap_or(defaults.momentum),
            ..defaults
        };
        let builder = VarBuilder::from_varmap(&vars, dtype(config.dtype), &Device::Cpu);
        let layer = candle_nn::batch_norm(config.features, nn_config, builder).map_err(|error| {
            // The one argument that it checks.
            let class = if config.eps < 0.0 { ErrorClass::EpsNotPositive } else { ErrorClass::Other };
            layer_error(error, class)
        })?;
        let var = |name| named().get(name).cloned();
        let (weight, bias) = (var("weight"), var("bias"));
        Ok(CandleLayer { layer, weight, bias, training: true, graph: None, gradients: GradStore::default() })
    }

    fn parameters(&self) -> impl Iterator<Item = &Var> {
        self.weight.iter().chain(&self.bias)
    }

    fn run(&self, input: &candle_core::Tensor) -> Result<candle_core::Tensor, LayerError> {
        self.layer.forward_t(input, self.training).map_err(|error| {
            // candle has no classes; what it stumbles over is told by the input.
            let features = self.layer.running_mean().elem_count();
            let class = match input.dims() {
                [] | [_] => ErrorClass::WrongRank,
                [_, channels, ..] if *channels != features => ErrorClass::WrongFeatures,
                _ => ErrorClass::Other,
            };
            layer_error(error, class)
        })
    }

    fn gradient(&self, var: &Var) -> Result<Option<Tensor>, LayerError> {
        self.gradients.get(var).map(from_candle).transpose()
    }
}

/// The gradients of everything before `output`, when its own is `grad_output`.
///
/// candle starts every backward from a gradient of ones, so it starts here from the sum of
/// output · `grad_output`, whose derivative is `1 · grad_output`: a product that is not rounded.
fn go_back(
    output: &candle_core::Tensor,
    grad_output: &candle_core::Tensor,
) -> candle_core::Result<GradStore> {
    output.mul(grad_output)?.sum_all()?.backward()
}

impl Layer for CandleLayer {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.training = training;
        Ok(())
    }

    fn forward(&mut self, input: &Tensor, no_grad: bool) -> Result<Tensor, LayerError> {
        self.graph = None;
        let input = to_candle(input)?;
        if no_grad {
            // candle has no such mode: the graph that leads to the parameters goes with the output.
            return from_candle(&self.run(&input)?);
        }
        let input = Var::from_tensor(&input).map_err(other)?;
        let output = self.run(&input)?;
        let answer = from_candle(&output)?;
        self.graph = Some(Graph { input, output });
        Ok(answer)
    }

    fn backward(&mut self, grad_output: &Tensor) -> Result<Gradients, LayerError> {
        let graph = self.graph.as_ref().ok_or_else(|| {
            LayerError::new(ErrorClass::NoGraph, "the latest output has no graph: none was kept")
        })?;
        let new = go_back(&graph.output, &to_candle(grad_output)?).map_err(other)?;
        self.gradients.extend(new).map_err(other)?;
        let parameter = |var: &Option<Var>| var.as_ref().map_or(Ok(None), |var| self.gradient(var));
        Ok(Gradients {
            input: self
                .gradient(&graph.input)?
                .ok_or_else(|| LayerError::other("no gradient arrived at the input"))?,
            weight: parameter(&self.weight)?,
            bias: parameter(&self.bias)?,
        })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        for var in self.weight.iter().chain(&self.bias) {
            self.gradients.remove(var);
        }
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        let mut sgd = SGD::new(self.parameters().cloned().collect(), lr).map_err(other)?;
        sgd.step(&self.gradients).map_err(other)
    }

    fn state(&self) -> Result<LayerState, LayerError> {
        // What the layer computes with, which is to be what the variables hold.
        let (weight, bias) = self.layer.weight_and_bias().unzip();
        Ok(LayerState {
            weight: weight.map(from_candle).transpose()?,
            bias: bias.map(from_candle).transpose()?,
            running_mean: Some(from_candle(self.layer.running_mean())?),
            running_var: Some(from_candle(self.layer.running_var())?),
            num_batches_tracked: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;
    use bn_api::worked_example as example;

    const HALVES: [DType; 2] = [DType::F16, DType::Bf16];

    #[test]
    fn the_gradient_that_a_backward_starts_from_is_the_given_one_to_the_bit() {
        // Infinities, the smallest numbers, the largest; a negative zero would lose its sign, as candle adds
        // each gradient to zeros.
        let given = Tensor::from_bit_patterns(DType::F16, &[6], [0x7c00, 0xfc00, 1, 0x8001, 0x7bff, 0x3555]);
        let values = [3.0, -1.0, f64::NAN, 0.0, 7.0, 1e4];
        let leaf = to_candle(&Tensor::from_values(DType::F16, &[6], values)).unwrap();
        let leaf = Var::from_tensor(&leaf).unwrap();
        let store = go_back(&leaf.reshape((6,)).unwrap(), &to_candle(&given).unwrap()).unwrap();
        assert_eq!(from_candle(store.get(&leaf).unwrap()).unwrap(), given);
    }

    #[test]
    fn a_new_layer_is_as_in_pytorch() {
        for dtype in DType::FLOATS {
            let config = LayerConfig { weight: None, bias: None, ..example::config(dtype, dtype) };
            let constant = |value| Some(Tensor::from_values(dtype, &[2], [value; 2]));
            let expected = LayerState {
                weight: constant(1.0),
                bias: constant(0.0),
                running_mean: constant(0.0),
                running_var: constant(1.0),
                num_batches_tracked: None,
            };
            assert_eq!(CandleLayer::new(&config).unwrap().state().unwrap(), expected);
        }
    }

    #[test]
    fn training_in_a_half_type_is_refused_and_moves_nothing() {
        for half in HALVES {
            let mut layer = CandleLayer::new(&example::config(half, half)).unwrap();
            let before = layer.state().unwrap();
            let error = layer.forward(&example::input(half), false).unwrap_err();
            assert_eq!(error.class, ErrorClass::DtypeMismatch);
            assert_eq!(layer.state().unwrap(), before);
        }
    }

    #[test]
    fn half_inputs_to_a_layer_in_f32_train_without_affine_and_are_refused_with_it_after_the_statistics_moved()
    {
        for half in HALVES {
            let affine = example::config(half, DType::F32);
            let plain = LayerConfig { affine: false, ..affine.clone() };
            let mut layer = CandleLayer::new(&plain).unwrap();
            let output = layer.forward(&example::input(half), false).unwrap();
            assert_eq!(output, Tensor::from_values(half, &[2, 2], [-0.5, -0.5, 0.5, 0.5]));

            let mut layer = CandleLayer::new(&affine).unwrap();
            let error = layer.forward(&example::input(half), false).unwrap_err();
            assert_eq!(error.class, ErrorClass::DtypeMismatch);
            assert_eq!(example::running(&layer), (vec![1.0, 5.5], vec![1.5, 1.5]));

            // In evaluation nothing is widened, so that neither goes.
            for config in [&plain, &affine] {
                let mut layer = CandleLayer::new(config).unwrap();
                layer.set_training(false).unwrap();
                let error = layer.forward(&example::input(half), false).unwrap_err();
                assert_eq!(error.class, ErrorClass::DtypeMismatch);
            }
        }
    }

    #[test]
    fn an_evaluation_goes_back_through_its_own_statistics_after_a_later_training_forward() {
        let mut layer = CandleLayer::new(&example::config(DType::F64, DType::F64)).unwrap();
        layer.set_training(false).unwrap();
        layer.forward(&example::input(DType::F64), false).unwrap();
        let evaluation = layer.graph.take();
        layer.set_training(true).unwrap();
        layer.forward(&example::input(DType::F64), true).unwrap();
        layer.graph = evaluation;
        let gradients = layer.backward(&example::grad_output(DType::F64)).unwrap();
        assert_eq!(gradients.input.values(), [1.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn a_backward_after_a_step_of_sgd_goes_through_the_new_weight_unnoticed() {
        let mut layer = CandleLayer::new(&example::config(DType::F32, DType::F32)).unwrap();
        layer.forward(&example::input(DType::F32), false).unwrap();
        let first = layer.backward(&example::grad_output(DType::F32)).unwrap().input.value(0);
        layer.sgd(0.5).unwrap();
        let weight = layer.state().unwrap().weight.unwrap().value(0);
        assert_eq!((first, weight), (0.375, 2.25));
        let both = layer.backward(&example::grad_output(DType::F32)).unwrap().input.value(0);
        assert_eq!(both, first + first * weight / 2.0);
    }

    #[test]
    fn what_it_refuses_has_a_class() {
        let config = example::config(DType::F32, DType::F32);
        let wide = Tensor::from_values(DType::F32, &[2, 3], [1.0; 6]);
        let flat = Tensor::from_values(DType::F32, &[3], [1.0; 3]);
        for training in [true, false] {
            let mut layer = CandleLayer::new(&config).unwrap();
            layer.set_training(training).unwrap();
            let mut class = |input| layer.forward(input, false).unwrap_err().class;
            assert_eq!(class(&wide), ErrorClass::WrongFeatures);
            assert_eq!(class(&flat), ErrorClass::WrongRank);
        }
        let negative = LayerConfig { eps: -1.0, ..config };
        assert_eq!(
            CandleLayer::new(&negative).err().map(|error| error.class),
            Some(ErrorClass::EpsNotPositive)
        );
    }
}
