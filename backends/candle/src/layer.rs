//! One layer of candle.

use bn_api::{
    Entries, ErrorClass, Input, Layer, LayerConfig, LayerError, LayerState, Layout, Loaded, Output,
    ParameterGradients, Slot, Tensor, computing,
};
use candle_core::backprop::GradStore;
use candle_core::{Device, Var};
use candle_nn::{BatchNorm, BatchNormConfig, Init, ModuleT, Optimizer, SGD, VarBuilder, VarMap};

use crate::convert::{dtype, from_candle, to_candle};
use crate::error::{layer_error, other};
use crate::view::View;
use crate::{state_dict, vars};

/// A `candle_nn::BatchNorm` with the map of its variables.
pub struct CandleLayer {
    layer: BatchNorm,
    vars: VarMap,
    training: bool,
    graph: Option<Graph>,
    /// What has accumulated: every backward of candle gives a store of its own.
    gradients: GradStore,
}

/// The ends of the latest graph.
struct Graph {
    /// Where a gradient is asked of the input: the variable that holds its elements, and how it is seen in that.
    input: Option<(Var, View)>,
    output: candle_core::Tensor,
}

impl CandleLayer {
    /// A layer on a fresh `VarMap`, where the contents that `config` gives already lie.
    ///
    /// # Errors
    /// What candle's constructor raises.
    pub fn new(config: &LayerConfig) -> Result<Self, LayerError> {
        let vars = VarMap::new();
        for slot in Slot::ALL {
            if let Some(contents) = config.contents(slot) {
                let var = Var::from_tensor(&to_candle(contents)?).map_err(other)?;
                vars::put(&vars, slot, var);
            }
        }
        let builder = VarBuilder::from_varmap(&vars, dtype(config.dtype), &Device::Cpu);
        // The layer takes what the map has under a name, whatever its type.
        let statistics = builder.to_dtype(dtype(config.statistics_dtype));
        for (slot, value) in [(Slot::RunningMean, 0.0), (Slot::RunningVar, 1.0)] {
            let made = statistics.get_with_hints(config.features, slot.name(), Init::Const(value));
            made.map_err(other)?;
        }
        let defaults = BatchNormConfig::default();
        let nn_config = BatchNormConfig {
            eps: config.eps,
            affine: config.affine,
            momentum: config.momentum.unwrap_or(defaults.momentum),
            ..defaults
        };
        let layer = candle_nn::batch_norm(config.features, nn_config, builder).map_err(|error| {
            // The one argument that it checks.
            let class = if config.eps < 0.0 { ErrorClass::EpsNotPositive } else { ErrorClass::Other };
            layer_error(error, class)
        })?;
        Ok(CandleLayer { layer, vars, training: true, graph: None, gradients: GradStore::default() })
    }

    /// The variables that are trained, in the order weight, bias.
    fn parameters(&self) -> Vec<Var> {
        [Slot::Weight, Slot::Bias].into_iter().filter_map(|slot| vars::get(&self.vars, slot)).collect()
    }

    fn run(&self, input: &candle_core::Tensor) -> Result<candle_core::Tensor, LayerError> {
        computing(|| self.layer.forward_t(input, self.training)).map_err(|error| {
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

    fn gradient(&self, slot: Slot) -> Result<Option<Tensor>, LayerError> {
        let gradient = vars::get(&self.vars, slot).and_then(|var| self.gradients.get(&var));
        gradient.map(from_candle).transpose()
    }
}

/// The gradients of everything before `output`, when its own is `grad_output`.
///
/// candle starts every backward from a gradient of ones, so it starts here from the sum of
/// output · `grad_output`, whose derivative is `1 · grad_output`: a product that is not rounded. It lies contiguously
/// wherever `grad_output` does not, as every gradient in candle does: each is added to zeros that do.
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

    fn forward(&mut self, input: &Input, no_grad: bool) -> Result<Output, LayerError> {
        self.graph = None;
        let (stored, view) = View::new(&input.tensor, input.layout)?;
        let var = (input.requires_grad && !no_grad).then(|| Var::from_tensor(&stored)).transpose();
        let var = var.map_err(other)?;
        let seen = view.of(var.as_ref().map_or(&stored, Var::as_tensor)).map_err(other)?;
        let output = self.run(&seen)?;
        let tensor = from_candle(&output)?;
        // candle has no mode without gradients: the graph that leads to the parameters goes with the output.
        let requires_grad = output.track_op() && !no_grad;
        self.graph = requires_grad.then(|| Graph { input: var.map(|var| (var, view)), output });
        Ok(Output { tensor, requires_grad })
    }

    fn backward(&mut self, grad_output: &Tensor, layout: Layout) -> Result<Option<Tensor>, LayerError> {
        let graph = self.graph.as_ref().ok_or_else(|| {
            LayerError::new(ErrorClass::NoGraph, "the latest output has no graph: none was kept")
        })?;
        let (stored, view) = View::new(grad_output, layout)?;
        let grad_output = view.of(&stored).map_err(other)?;
        let mut new = computing(|| go_back(&graph.output, &grad_output)).map_err(other)?;
        let input = graph.input.as_ref().and_then(|(var, view)| {
            let gradient = new.remove(var)?;
            Some(view.of(&gradient).map_err(other).and_then(|gradient| from_candle(&gradient)))
        });
        self.gradients.extend(new).map_err(other)?;
        input.transpose()
    }

    fn gradients(&self) -> Result<ParameterGradients, LayerError> {
        Ok(ParameterGradients { weight: self.gradient(Slot::Weight)?, bias: self.gradient(Slot::Bias)? })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        for var in self.parameters() {
            self.gradients.remove(&var);
        }
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        let mut sgd = SGD::new(self.parameters(), lr).map_err(other)?;
        sgd.step(&self.gradients).map_err(other)
    }

    fn load_state(&mut self, entries: &Entries, _version: u32) -> Result<Loaded, LayerError> {
        state_dict::load(&self.vars, entries)
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
    use bn_api::{DType, LayerKind};

    use super::*;
    use bn_api::worked_example as example;

    const HALVES: [DType; 2] = [DType::F16, DType::Bf16];

    fn layer(config: &LayerConfig) -> CandleLayer {
        CandleLayer::new(config).unwrap()
    }

    fn plain(dtype: DType) -> Input {
        Input { requires_grad: false, ..example::input(dtype) }
    }

    fn class<T: std::fmt::Debug>(result: Result<T, LayerError>) -> ErrorClass {
        result.unwrap_err().class
    }

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
            for statistics_dtype in DType::FLOATS {
                let new = LayerConfig::new(LayerKind::BatchNorm1d, 2, dtype);
                let constant = |dtype, value| Some(Tensor::full(dtype, &[2], value));
                let expected = LayerState {
                    weight: constant(dtype, 1.0),
                    bias: constant(dtype, 0.0),
                    running_mean: constant(statistics_dtype, 0.0),
                    running_var: constant(statistics_dtype, 1.0),
                    num_batches_tracked: None,
                };
                assert_eq!(layer(&LayerConfig { statistics_dtype, ..new }).state().unwrap(), expected);
            }
        }
    }

    #[test]
    fn training_in_a_half_type_is_refused_and_moves_nothing() {
        for half in HALVES {
            let mut layer = layer(&example::config(half));
            let before = layer.state().unwrap();
            let forward = layer.forward(&example::input(half), false);
            assert_eq!(class(forward), ErrorClass::DtypeMismatch);
            assert_eq!(layer.state().unwrap(), before);
        }
    }

    #[test]
    fn half_inputs_to_a_layer_in_f32_train_without_affine_and_are_refused_with_it_after_the_statistics_moved()
    {
        for half in HALVES {
            let affine = example::config(DType::F32);
            let plain = LayerConfig { affine: false, ..affine.clone() };
            let output = layer(&plain).forward(&example::input(half), false).unwrap().tensor;
            assert_eq!(output, Tensor::from_values(half, &[2, 2], [-0.5, -0.5, 0.5, 0.5]));

            let mut refused = layer(&affine);
            let forward = refused.forward(&example::input(half), false);
            assert_eq!(class(forward), ErrorClass::DtypeMismatch);
            assert_eq!(example::running(&refused), (vec![1.0, 5.5], vec![1.5, 1.5]));

            // In evaluation nothing is widened, so that neither goes.
            for config in [&plain, &affine] {
                let mut layer = layer(config);
                layer.set_training(false).unwrap();
                let forward = layer.forward(&example::input(half), false);
                assert_eq!(class(forward), ErrorClass::DtypeMismatch);
            }
        }
    }

    #[test]
    fn half_parameters_beside_statistics_in_f32_train_where_pytorch_refuses_them() {
        for half in HALVES {
            let mut layer = layer(&LayerConfig { statistics_dtype: DType::F32, ..example::config(half) });
            let output = layer.forward(&example::input(half), false).unwrap().tensor;
            assert_eq!(output, Tensor::from_values(half, &[2, 2], [0.0, -3.0, 2.0, 1.0]));
            assert_eq!(example::running(&layer), (vec![1.0, 5.5], vec![1.5, 1.5]));
            layer.set_training(false).unwrap();
            let forward = layer.forward(&example::input(half), false);
            assert_eq!(class(forward), ErrorClass::DtypeMismatch);
        }
    }

    #[test]
    fn integers_are_refused() {
        let tensor = Tensor::from_bit_patterns(DType::I64, &[2, 2], [1, 10, 3, 12]);
        let input = Input { tensor, dtype: DType::I64, ..example::input(DType::F32) };
        for training in [true, false] {
            let mut layer = layer(&example::config(DType::F32));
            layer.set_training(training).unwrap();
            assert_eq!(class(layer.forward(&input, false)), ErrorClass::DtypeMismatch);
        }
    }

    #[test]
    fn an_output_requires_a_gradient_where_the_input_or_a_parameter_does() {
        let affine = example::config(DType::F32);
        let bare = LayerConfig { affine: false, ..affine.clone() };
        for training in [true, false] {
            let requires_grad = |config: &LayerConfig, input: &Input, no_grad| {
                let mut layer = layer(config);
                layer.set_training(training).unwrap();
                layer.forward(input, no_grad).unwrap().requires_grad
            };
            let (asked, plain) = (example::input(DType::F32), plain(DType::F32));
            assert!(requires_grad(&affine, &asked, false) && requires_grad(&affine, &plain, false));
            assert!(requires_grad(&bare, &asked, false) && !requires_grad(&bare, &plain, false));
            assert!(!requires_grad(&affine, &asked, true));
        }
    }

    #[test]
    fn without_a_gradient_of_the_input_those_of_the_parameters_are_the_same() {
        let gradients = |input: &Input| {
            let mut layer = layer(&example::config(DType::F32));
            layer.forward(input, false).unwrap();
            let gradients = example::go_back(&mut layer, DType::F32).unwrap();
            (gradients.input.is_some(), gradients.weight, gradients.bias)
        };
        let (asked, weight, bias) = gradients(&example::input(DType::F32));
        assert!(asked);
        assert_eq!(gradients(&plain(DType::F32)), (false, weight, bias));
    }

    #[test]
    fn without_affine_there_are_no_parameters_and_sgd_has_nothing_to_do() {
        let mut layer = layer(&LayerConfig { affine: false, ..example::config(DType::F32) });
        layer.forward(&example::input(DType::F32), false).unwrap();
        let gradients = example::go_back(&mut layer, DType::F32).unwrap();
        assert_eq!((gradients.input.is_some(), gradients.weight, gradients.bias), (true, None, None));
        layer.sgd(0.1).unwrap();
        layer.zero_grad().unwrap();
        assert_eq!(layer.state().unwrap().weight, None);
    }

    #[test]
    fn every_layout_of_input_and_gradient_gives_what_the_contiguous_one_gives() {
        let shape = [2, 3, 2, 2];
        let tensor = |seed: i32| {
            let values = (0..24).map(|i| f64::from((seed * i * i + 3 * i) % 17) / 4.0);
            Tensor::from_values(DType::F64, &shape, values)
        };
        let config = LayerConfig {
            weight: Some(Tensor::from_values(DType::F64, &[3], [1.0, 2.0, 3.0])),
            ..LayerConfig::new(LayerKind::BatchNorm2d, 3, DType::F64)
        };
        let answer =
            |training, (layout, input): (Layout, &Tensor), (grad_layout, grad): (Layout, &Tensor)| {
                let mut layer = layer(&config);
                layer.set_training(training).unwrap();
                // No gradient is asked of an expanded input.
                let requires_grad = layout != Layout::Expanded;
                let input = Input { tensor: input.clone(), dtype: DType::F64, layout, requires_grad };
                let output = layer.forward(&input, false).unwrap().tensor;
                let gradient = layer.backward(grad, grad_layout).unwrap();
                (output, gradient, layer.gradients().unwrap(), layer.state().unwrap())
            };
        let (input, grad) = (tensor(5), tensor(7));
        let one_sample = (input.repeat_first_sample(), grad.repeat_first_sample());
        let (contiguous, expanded) = (Layout::Contiguous, Layout::Expanded);
        for training in [true, false] {
            let expected = answer(training, (contiguous, &input), (contiguous, &grad));
            for layout in [Layout::ChannelsLast, Layout::Permuted, Layout::Sliced] {
                assert_eq!(answer(training, (layout, &input), (layout, &grad)), expected, "{layout:?}");
            }
            let repeated = (&one_sample.0, &one_sample.1);
            let mut expected = answer(training, (contiguous, repeated.0), (contiguous, repeated.1));
            expected.1 = None;
            assert_eq!(answer(training, (expanded, repeated.0), (expanded, repeated.1)), expected);
        }
    }

    #[test]
    fn an_evaluation_goes_back_through_its_own_statistics_after_a_later_training_forward() {
        let mut layer = layer(&example::config(DType::F64));
        layer.set_training(false).unwrap();
        layer.forward(&example::input(DType::F64), false).unwrap();
        let evaluation = layer.graph.take();
        layer.set_training(true).unwrap();
        layer.forward(&example::input(DType::F64), true).unwrap();
        layer.graph = evaluation;
        let gradients = example::go_back(&mut layer, DType::F64).unwrap();
        assert_eq!(gradients.input.unwrap().values(), [1.0, 0.0, 0.0, 2.0]);
    }

    #[test]
    fn a_backward_after_a_step_of_sgd_goes_through_the_new_weight_unnoticed() {
        let mut layer = layer(&example::config(DType::F32));
        layer.forward(&example::input(DType::F32), false).unwrap();
        let mut first = || example::go_back(&mut layer, DType::F32).unwrap().input.unwrap().value(0);
        assert_eq!(first(), 0.375);
        layer.sgd(0.5).unwrap();
        let weight = layer.state().unwrap().weight.unwrap().value(0);
        assert_eq!(weight, 2.25);
        let second = example::go_back(&mut layer, DType::F32).unwrap().input.unwrap().value(0);
        assert_eq!(second, 0.375 * weight / 2.0);
    }

    #[test]
    fn what_it_refuses_has_a_class() {
        let config = example::config(DType::F32);
        let ones =
            |shape: &[usize]| Input { tensor: Tensor::full(DType::F32, shape, 1.0), ..plain(DType::F32) };
        for training in [true, false] {
            let mut layer = layer(&config);
            layer.set_training(training).unwrap();
            assert_eq!(class(layer.forward(&ones(&[2, 3]), false)), ErrorClass::WrongFeatures);
            assert_eq!(class(layer.forward(&ones(&[3]), false)), ErrorClass::WrongRank);
        }
        let negative = LayerConfig { eps: -1.0, ..config };
        assert_eq!(class(CandleLayer::new(&negative).map(|_| ())), ErrorClass::EpsNotPositive);
    }
}
