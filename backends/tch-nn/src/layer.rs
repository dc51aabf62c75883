//! One layer of tch.

use std::sync::Mutex;

use bn_api::{
    DType, Entries, ErrorClass, Input, Layer, LayerConfig, LayerError, LayerKind, LayerState, Layout, Loaded,
    Output, ParameterGradients, Slot, Tensor, computing, guarded,
};
use bn_libtorch::{autograd, convert, error};
use tch::nn::{self, ModuleT, OptimizerConfig};

use crate::state_dict;

/// The seed of libtorch's generator, which the initial weight comes from.
const SEED: i64 = 0;

/// That generator is the whole process's: between the seed and the weight nobody else may draw.
static GENERATOR: Mutex<()> = Mutex::new(());

/// A `tch::nn::BatchNorm` and the store of its variables.
pub struct TchLayer {
    store: nn::VarStore,
    layer: nn::BatchNorm,
    training: bool,
    graph: Option<Graph>,
}

/// The ends of the latest graph; the parameters are the layer's own.
struct Graph {
    input: tch::Tensor,
    output: tch::Tensor,
}

impl TchLayer {
    /// A layer as tch's constructor leaves it, in f32, then cast as a user casts it, then with the contents
    /// that `config` gives.
    ///
    /// # Errors
    /// What libtorch raises.
    ///
    /// # Panics
    /// What tch panics on.
    pub fn new(config: &LayerConfig) -> Result<Self, LayerError> {
        let store = nn::VarStore::new(tch::Device::Cpu);
        let layer = construct(&store, config);
        let layer = TchLayer { store, layer, training: true, graph: None };
        for slot in Slot::ALL {
            // The store's default type would reach the parameters alone: tch makes the statistics in f32
            // whatever it is.
            layer.convert(slot, config.dtype_of(slot));
            if let (Some(mut tensor), Some(contents)) = (layer.tensor(slot), config.contents(slot)) {
                let contents = convert::to_torch(contents)?;
                let _no_grad = tch::no_grad_guard();
                tensor.f_copy_(&contents).map_err(error::layer_error)?;
            }
        }
        Ok(layer)
    }

    /// One of the layer's tensors, not a copy of it.
    fn tensor(&self, slot: Slot) -> Option<tch::Tensor> {
        let tensor = match slot {
            Slot::Weight => self.layer.ws.as_ref(),
            Slot::Bias => self.layer.bs.as_ref(),
            Slot::RunningMean => Some(&self.layer.running_mean),
            Slot::RunningVar => Some(&self.layer.running_var),
        };
        tensor.map(tch::Tensor::shallow_clone)
    }

    /// Casts one variable, as `VarStore::half()` and its like cast them all.
    fn convert(&self, slot: Slot, to: DType) {
        // A part of a store is what begins with its name.
        let mut variable = self.store.root().sub(slot.name());
        match to {
            DType::F16 => variable.half(),
            DType::Bf16 => variable.bfloat16(),
            DType::F32 => variable.float(),
            DType::F64 => variable.double(),
            DType::I64 => variable.set_kind(convert::kind(to)),
        }
    }

    /// The variables that are trained, in the order weight, bias.
    fn parameters(&self) -> impl Iterator<Item = &tch::Tensor> {
        self.layer.ws.iter().chain(&self.layer.bs)
    }

    /// tch's optimizer over the store, as a training loop makes it: no momentum, no weight decay.
    fn optimizer(&self, lr: f64) -> Result<nn::Optimizer, LayerError> {
        nn::Sgd::default().build(&self.store, lr).map_err(error::layer_error)
    }
}

fn construct(store: &nn::VarStore, config: &LayerConfig) -> nn::BatchNorm {
    let defaults = nn::BatchNormConfig::default();
    let nn_config = nn::BatchNormConfig {
        eps: config.eps,
        momentum: config.momentum.unwrap_or(defaults.momentum),
        affine: config.affine,
        ..defaults
    };
    let make = match config.kind {
        LayerKind::BatchNorm1d => nn::batch_norm1d::<nn::Path<'_>>,
        LayerKind::BatchNorm2d => nn::batch_norm2d::<nn::Path<'_>>,
        LayerKind::BatchNorm3d => nn::batch_norm3d::<nn::Path<'_>>,
    };
    let _mine = GENERATOR.lock();
    tch::manual_seed(SEED);
    make(store.root(), config.features as i64, nn_config)
}

/// An error whose message, that of a panic on libtorch's exception, is the exception's own and has no C++
/// backtrace.
pub fn shortened(mut error: LayerError) -> LayerError {
    let message = error::without_backtrace(&error.message);
    let exception = message.strip_prefix("called `Result::unwrap()` on an `Err` value: Torch(\"");
    error.message =
        exception.map_or(message.clone(), |words| format!("panicked on libtorch's error: {words}"));
    error
}

/// The error of a backward, with the class of one that autograd's version counters stop.
fn graph_error(mut error: LayerError) -> LayerError {
    if error.message.contains("has been modified by an inplace operation") {
        error.class = ErrorClass::GraphChanged;
    }
    error
}

/// What `.grad` holds; `None` where there is none.
fn grad(tensor: Option<&tch::Tensor>) -> Result<Option<Tensor>, LayerError> {
    let Some(tensor) = tensor else { return Ok(None) };
    let grad = tensor.f_grad().map_err(error::layer_error)?;
    grad.defined().then(|| convert::from_torch(&grad)).transpose()
}

impl Layer for TchLayer {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.training = training;
        Ok(())
    }

    fn forward(&mut self, input: &Input, no_grad: bool) -> Result<Output, LayerError> {
        self.graph = None;
        let make = if input.requires_grad && !no_grad { convert::to_leaf_as } else { convert::to_torch_as };
        let input = make(&input.tensor, input.layout)?;
        // A guard and not tch::no_grad, which leaves gradients off for good when what it runs panics.
        let _no_grad = no_grad.then(tch::no_grad_guard);
        let output =
            guarded(|| Ok(computing(|| self.layer.forward_t(&input, self.training)))).map_err(shortened)?;
        let tensor = convert::from_torch(&output)?;
        let requires_grad = output.requires_grad();
        self.graph = requires_grad.then_some(Graph { input, output });
        Ok(Output { tensor, requires_grad })
    }

    fn backward(&mut self, grad_output: &Tensor, layout: Layout) -> Result<Option<Tensor>, LayerError> {
        let graph = self.graph.as_ref().ok_or_else(|| {
            LayerError::new(
                ErrorClass::NoGraph,
                "the latest output has no graph: it was made without gradients",
            )
        })?;
        let input = graph.input.requires_grad().then_some(&graph.input);
        let parameters: Vec<_> = self.parameters().filter(|parameter| parameter.requires_grad()).collect();
        let leaves: Vec<_> = input.into_iter().chain(parameters.iter().copied()).collect();
        if leaves.is_empty() {
            // Asked for the gradients of nothing, libtorch would give those of everything.
            return Ok(None);
        }
        let found = autograd::gradients_as(&graph.output, grad_output, layout, &leaves);
        let mut found = found.map_err(graph_error)?;
        let of_parameters = found.split_off(leaves.len() - parameters.len());
        for (parameter, gradient) in parameters.into_iter().zip(of_parameters) {
            if let Some(gradient) = gradient {
                autograd::accumulate(parameter, &gradient)?;
            }
        }
        found.into_iter().flatten().next().map(|gradient| convert::from_torch(&gradient)).transpose()
    }

    fn gradients(&self) -> Result<ParameterGradients, LayerError> {
        Ok(ParameterGradients { weight: grad(self.layer.ws.as_ref())?, bias: grad(self.layer.bs.as_ref())? })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        self.optimizer(0.0)?.zero_grad();
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        self.optimizer(lr)?.step();
        Ok(())
    }

    fn set_requires_grad(&mut self, parameter: Slot, requires_grad: bool) -> Result<(), LayerError> {
        if let Some(tensor) = self.tensor(parameter) {
            let _ = tensor.set_requires_grad(requires_grad);
        }
        Ok(())
    }

    fn cast(&mut self, tensors: &[Slot], to: DType) -> Result<(), LayerError> {
        guarded(|| {
            for slot in tensors {
                self.convert(*slot, to);
            }
            Ok(())
        })
        .map_err(shortened)
    }

    fn load_state(&mut self, entries: &Entries, _version: u32) -> Result<Loaded, LayerError> {
        state_dict::load(|slot| self.tensor(slot), entries)
    }

    fn state(&self) -> Result<LayerState, LayerError> {
        let parameter = |tensor: &Option<tch::Tensor>| tensor.as_ref().map(convert::from_torch).transpose();
        Ok(LayerState {
            weight: parameter(&self.layer.ws)?,
            bias: parameter(&self.layer.bs)?,
            running_mean: Some(convert::from_torch(&self.layer.running_mean)?),
            running_var: Some(convert::from_torch(&self.layer.running_var)?),
            num_batches_tracked: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bn_api::Gradients;
    use bn_api::worked_example as example;
    use tch::Kind;

    fn layer(config: &LayerConfig) -> TchLayer {
        TchLayer::new(config).unwrap()
    }

    fn plain(dtype: DType) -> LayerConfig {
        LayerConfig { weight: None, bias: None, ..example::config(dtype) }
    }

    fn ones(shape: &[usize]) -> Input {
        Input { tensor: Tensor::full(DType::F32, shape, 1.0), ..example::input(DType::F32) }
    }

    fn go_back(layer: &mut TchLayer) -> Gradients {
        example::go_back(layer, DType::F32).unwrap()
    }

    #[test]
    fn the_weight_starts_uniform_and_the_same_each_time_and_all_else_as_in_pytorch() {
        for dtype in DType::FLOATS {
            for statistics_dtype in DType::FLOATS {
                let config = LayerConfig { statistics_dtype, ..plain(dtype) };
                let state = layer(&config).state().unwrap();
                let weight = state.weight.clone().unwrap();
                assert_eq!(weight.dtype(), dtype);
                assert!(weight.values().iter().all(|value| (0.0..1.0).contains(value)), "{weight:?}");
                assert_eq!(state.bias.as_ref().unwrap(), &Tensor::full(dtype, &[2], 0.0));
                let statistics = |value| Some(Tensor::full(statistics_dtype, &[2], value));
                assert_eq!((&state.running_mean, &state.running_var), (&statistics(0.0), &statistics(1.0)));
                assert_eq!(layer(&config).state().unwrap(), state);
            }
        }
    }

    #[test]
    fn without_affine_there_are_no_parameters_and_sgd_has_nothing_to_do() {
        let mut layer = layer(&LayerConfig { affine: false, ..plain(DType::F32) });
        layer.forward(&example::input(DType::F32), false).unwrap();
        let gradients = go_back(&mut layer);
        assert_eq!((gradients.weight, gradients.bias), (None, None));
        layer.set_requires_grad(Slot::Weight, false).unwrap();
        layer.sgd(0.1).unwrap();
        layer.zero_grad().unwrap();
        assert_eq!(layer.state().unwrap().weight, None);
    }

    #[test]
    fn a_panic_is_an_error_in_few_words_and_leaves_gradients_on() {
        let mut layer = layer(&plain(DType::F32));
        let error = layer.forward(&ones(&[2, 2, 1, 1]), true).unwrap_err();
        assert_eq!(error.class, ErrorClass::Panic);
        assert!(error.message.starts_with("as nd=1, expected an input tensor with 2 or 3 dims"), "{error}");
        let error = layer.forward(&ones(&[2, 3]), true).unwrap_err();
        let words = "panicked on libtorch's error: running_mean should contain 3 elements not 2";
        assert_eq!(error, LayerError::new(ErrorClass::Panic, words));
        layer.forward(&example::input(DType::F32), false).unwrap();
        assert!(example::go_back(&mut layer, DType::F32).is_ok());
    }

    #[test]
    fn an_evaluation_goes_back_through_the_statistics_that_a_later_training_forward_left() {
        // libtorch reads them again at that time, and moves them without a word to autograd. A layer keeps
        // the graph of its latest forward only, so this one is put aside and back.
        let mut layer = layer(&example::config(DType::F64));
        layer.set_training(false).unwrap();
        layer.forward(&example::input(DType::F64), false).unwrap();
        let evaluation = layer.graph.take();
        layer.set_training(true).unwrap();
        layer.forward(&example::input(DType::F64), true).unwrap();
        layer.graph = evaluation;
        let gradient = example::go_back(&mut layer, DType::F64).unwrap().input.unwrap();
        // w dy / sqrt(1.5 + 3), not w dy / sqrt(1 + 3).
        assert!((gradient.value(0) - 2.0 / 4.5f64.sqrt()).abs() < 1e-12, "{gradient:?}");
    }

    #[test]
    fn a_backward_after_a_step_of_sgd_goes_through_the_new_weight_unnoticed() {
        // libtorch's C++ optimizer moves `p.data()`, past the version check that stops PyTorch's users here.
        let mut layer = layer(&example::config(DType::F32));
        layer.forward(&example::input(DType::F32), false).unwrap();
        assert_eq!(go_back(&mut layer).input.unwrap().value(0), 0.375);
        layer.sgd(0.5).unwrap();
        let weight = layer.state().unwrap().weight.unwrap().value(0);
        assert_eq!(weight, 2.25);
        assert_eq!(go_back(&mut layer).input.unwrap().value(0), 0.375 * weight / 2.0);
    }

    #[test]
    fn a_frozen_parameter_gets_no_gradient_and_the_others_get_theirs() {
        let mut layer = layer(&example::config(DType::F32));
        layer.set_requires_grad(Slot::Weight, false).unwrap();
        layer.forward(&example::input(DType::F32), false).unwrap();
        let Gradients { input, weight, bias } = go_back(&mut layer);
        assert_eq!((input.unwrap().value(0), weight, bias.unwrap().value(0)), (0.375, None, 1.0));
        layer.sgd(1.0).unwrap();
        let state = layer.state().unwrap();
        assert_eq!((state.weight.unwrap().value(0), state.bias.unwrap().value(0)), (2.0, 0.0));
    }

    #[test]
    fn a_gradient_needs_the_parameter_trained_at_the_forward_and_at_the_backward() {
        let mut layer = layer(&example::config(DType::F32));
        layer.forward(&example::input(DType::F32), false).unwrap();
        layer.set_requires_grad(Slot::Weight, false).unwrap();
        assert_eq!(go_back(&mut layer).weight, None);
        layer.forward(&example::input(DType::F32), false).unwrap();
        layer.set_requires_grad(Slot::Weight, true).unwrap();
        assert_eq!(go_back(&mut layer).weight, None);
        layer.forward(&example::input(DType::F32), false).unwrap();
        assert!(go_back(&mut layer).weight.is_some());
    }

    #[test]
    fn where_nothing_is_asked_for_any_more_a_backward_gives_nothing() {
        let mut layer = layer(&example::config(DType::F32));
        let input = Input { requires_grad: false, ..example::input(DType::F32) };
        assert!(layer.forward(&input, false).unwrap().requires_grad);
        for slot in [Slot::Weight, Slot::Bias] {
            layer.set_requires_grad(slot, false).unwrap();
        }
        assert_eq!(go_back(&mut layer), Gradients::default());
        assert!(!layer.forward(&input, false).unwrap().requires_grad);
        assert_eq!(example::go_back(&mut layer, DType::F32).unwrap_err().class, ErrorClass::NoGraph);
        assert!(layer.forward(&example::input(DType::F32), false).unwrap().requires_grad);
        assert!(!layer.forward(&example::input(DType::F32), true).unwrap().requires_grad);
    }

    #[test]
    fn integers_are_refused() {
        let tensor = Tensor::from_bit_patterns(DType::I64, &[2, 2], [1, 10, 3, 12]);
        let input = Input { tensor, dtype: DType::I64, ..example::input(DType::F32) };
        for training in [true, false] {
            let mut layer = layer(&example::config(DType::F32));
            layer.set_training(training).unwrap();
            let error = layer.forward(&input, false).unwrap_err();
            assert_eq!(error.class, ErrorClass::Panic);
            assert!(error.message.contains("not implemented for 'Long'"), "{error}");
        }
    }

    #[test]
    fn a_layer_of_two_types_is_refused_when_it_computes() {
        let mut layer = layer(&LayerConfig { statistics_dtype: DType::F32, ..example::config(DType::F16) });
        let error = layer.forward(&example::input(DType::F16), false).unwrap_err();
        assert_eq!(error.message, "panicked on libtorch's error: expected scalar type Half but found Float");
    }

    #[test]
    fn every_layout_of_input_and_gradient_gives_what_the_contiguous_one_gives() {
        // Small integers, whose sums are exact in any order.
        let shape = [2, 3, 2, 2];
        let tensor = |seed: i32| {
            let values = (0..24).map(|i| f64::from((seed * i * i + 3 * i) % 17));
            Tensor::from_values(DType::F64, &shape, values).repeat_first_sample()
        };
        let config =
            LayerConfig { running_mean: Some(Tensor::full(DType::F64, &[3], 1.0)), ..plain(DType::F64) };
        let config = LayerConfig { kind: LayerKind::BatchNorm2d, features: 3, ..config };
        let answer = |layout| {
            let mut layer = layer(&config);
            layer.set_training(false).unwrap();
            let input = Input { tensor: tensor(5), dtype: DType::F64, layout, requires_grad: true };
            let output = layer.forward(&input, false).unwrap().tensor;
            let gradient = layer.backward(&tensor(7), layout).unwrap();
            (output, gradient, layer.gradients().unwrap())
        };
        let expected = answer(Layout::Contiguous);
        for layout in [Layout::ChannelsLast, Layout::Permuted, Layout::Sliced, Layout::Expanded] {
            assert_eq!(answer(layout), expected, "{layout:?}");
        }
    }

    #[test]
    fn a_cast_reaches_the_tensors_it_names_and_no_gradient() {
        let mut layer = layer(&example::config(DType::F32));
        layer.forward(&example::input(DType::F32), false).unwrap();
        go_back(&mut layer);
        layer.cast(&[Slot::Bias, Slot::RunningMean], DType::F16).unwrap();
        let types = |layer: &TchLayer| Slot::ALL.map(|slot| layer.tensor(slot).unwrap().kind());
        assert_eq!(types(&layer), [Kind::Float, Kind::Half, Kind::Half, Kind::Float]);
        layer.cast(&Slot::ALL, DType::F64).unwrap();
        assert_eq!(types(&layer), [Kind::Double; 4]);
        // PyTorch casts the gradients with the parameters.
        assert_eq!(layer.gradients().unwrap().weight.unwrap().dtype(), DType::F32);
        layer.sgd(0.5).unwrap();
        let expected = Tensor::from_values(DType::F64, &[2], [2.25, 3.75]);
        assert_eq!(layer.state().unwrap().weight, Some(expected));
        layer.forward(&example::input(DType::F64), false).unwrap();
        let gradients = example::go_back(&mut layer, DType::F64).unwrap();
        assert_eq!(gradients.bias, Some(Tensor::from_values(DType::F32, &[2], [2.0, 2.0])));
    }
}
