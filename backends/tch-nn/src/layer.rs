//! One layer of tch.

use std::sync::Mutex;

use bn_api::{
    DType, ErrorClass, Gradients, Layer, LayerConfig, LayerError, LayerKind, LayerState, Tensor, guarded,
};
use bn_libtorch::{autograd, convert, error};
use tch::nn::{self, ModuleT, OptimizerConfig};

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
        let mut store = nn::VarStore::new(tch::Device::Cpu);
        let layer = construct(&store, config);
        // The store's default type would reach the parameters alone: tch makes the statistics in f32
        // whatever it is.
        match config.dtype {
            DType::F16 => store.half(),
            DType::Bf16 => store.bfloat16(),
            DType::F64 => store.double(),
            DType::F32 | DType::I64 => {}
        }
        for (tensor, contents) in [
            (layer.ws.as_ref(), &config.weight),
            (layer.bs.as_ref(), &config.bias),
            (Some(&layer.running_mean), &config.running_mean),
            (Some(&layer.running_var), &config.running_var),
        ] {
            if let (Some(tensor), Some(contents)) = (tensor, contents) {
                let contents = convert::to_torch(contents)?;
                let _no_grad = tch::no_grad_guard();
                tensor.shallow_clone().f_copy_(&contents).map_err(error::layer_error)?;
            }
        }
        Ok(TchLayer { store, layer, training: true, graph: None })
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

/// What `.grad` holds; `None` where there is none.
fn grad(tensor: &tch::Tensor) -> Result<Option<Tensor>, LayerError> {
    let grad = tensor.f_grad().map_err(error::layer_error)?;
    grad.defined().then(|| convert::from_torch(&grad)).transpose()
}

impl Layer for TchLayer {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.training = training;
        Ok(())
    }

    fn forward(&mut self, input: &Tensor, no_grad: bool) -> Result<Tensor, LayerError> {
        self.graph = None;
        let input = if no_grad { convert::to_torch(input)? } else { convert::to_leaf(input)? };
        // A guard and not tch::no_grad, which leaves gradients off for good when what it runs panics.
        let _no_grad = no_grad.then(tch::no_grad_guard);
        let output = guarded(|| Ok(self.layer.forward_t(&input, self.training))).map_err(shortened)?;
        let answer = convert::from_torch(&output)?;
        self.graph = (!no_grad).then_some(Graph { input, output });
        Ok(answer)
    }

    fn backward(&mut self, grad_output: &Tensor) -> Result<Gradients, LayerError> {
        let graph = self.graph.as_ref().ok_or_else(|| {
            LayerError::new(
                ErrorClass::NoGraph,
                "the latest output has no graph: it was made without gradients",
            )
        })?;
        let leaves: Vec<&tch::Tensor> = std::iter::once(&graph.input).chain(self.parameters()).collect();
        let found = autograd::gradients(&graph.output, &convert::to_torch(grad_output)?, &leaves)?;
        for (leaf, gradient) in leaves.into_iter().zip(found) {
            if let Some(gradient) = gradient {
                autograd::accumulate(leaf, &gradient)?;
            }
        }
        let parameter = |tensor: &Option<tch::Tensor>| tensor.as_ref().map_or(Ok(None), grad);
        Ok(Gradients {
            input: grad(&graph.input)?
                .ok_or_else(|| LayerError::other("no gradient arrived at the input"))?,
            weight: parameter(&self.layer.ws)?,
            bias: parameter(&self.layer.bs)?,
        })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        self.optimizer(0.0)?.zero_grad();
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        self.optimizer(lr)?.step();
        Ok(())
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
    use bn_api::worked_example as example;

    fn plain(dtype: DType) -> LayerConfig {
        LayerConfig { weight: None, bias: None, ..example::config(dtype, dtype) }
    }

    #[test]
    fn the_weight_starts_uniform_and_the_same_each_time_and_all_else_as_in_pytorch() {
        for dtype in DType::FLOATS {
            let state = TchLayer::new(&plain(dtype)).unwrap().state().unwrap();
            let weight = state.weight.clone().unwrap();
            assert_eq!(weight.dtype(), dtype);
            assert!(weight.values().iter().all(|value| (0.0..1.0).contains(value)), "{weight:?}");
            assert_eq!(state.bias.as_ref().unwrap().values(), [0.0, 0.0]);
            assert_eq!(state.running_mean.as_ref().unwrap().values(), [0.0, 0.0]);
            assert_eq!(state.running_var.as_ref().unwrap(), &Tensor::from_values(dtype, &[2], [1.0, 1.0]));
            assert_eq!(TchLayer::new(&plain(dtype)).unwrap().state().unwrap(), state);
        }
    }

    #[test]
    fn without_affine_there_are_no_parameters_and_sgd_has_nothing_to_do() {
        let config = LayerConfig { affine: false, ..plain(DType::F32) };
        let mut layer = TchLayer::new(&config).unwrap();
        layer.forward(&example::input(DType::F32), false).unwrap();
        let gradients = layer.backward(&example::grad_output(DType::F32)).unwrap();
        assert_eq!((gradients.weight, gradients.bias), (None, None));
        layer.sgd(0.1).unwrap();
        layer.zero_grad().unwrap();
        assert_eq!(layer.state().unwrap().weight, None);
    }

    #[test]
    fn a_panic_is_an_error_in_few_words_and_leaves_gradients_on() {
        let mut layer = TchLayer::new(&plain(DType::F32)).unwrap();
        let cube = Tensor::from_values(DType::F32, &[2, 2, 1, 1], [1.0; 4]);
        let error = layer.forward(&cube, true).unwrap_err();
        assert_eq!(error.class, ErrorClass::Panic);
        assert!(error.message.starts_with("as nd=1, expected an input tensor with 2 or 3 dims"), "{error}");
        let wide = Tensor::from_values(DType::F32, &[2, 3], [1.0; 6]);
        let error = layer.forward(&wide, true).unwrap_err();
        let words = "panicked on libtorch's error: running_mean should contain 3 elements not 2";
        assert_eq!(error, LayerError::new(ErrorClass::Panic, words));
        layer.forward(&example::input(DType::F32), false).unwrap();
        assert!(layer.backward(&example::grad_output(DType::F32)).is_ok());
    }

    #[test]
    fn an_evaluation_goes_back_through_the_statistics_that_a_later_training_forward_left() {
        // libtorch reads them again at that time, and moves them without a word to autograd. A layer keeps
        // the graph of its latest forward only, so this one is put aside and back.
        let mut layer = TchLayer::new(&example::config(DType::F64, DType::F64)).unwrap();
        layer.set_training(false).unwrap();
        layer.forward(&example::input(DType::F64), false).unwrap();
        let evaluation = layer.graph.take();
        layer.set_training(true).unwrap();
        layer.forward(&example::input(DType::F64), true).unwrap();
        layer.graph = evaluation;
        let gradients = layer.backward(&example::grad_output(DType::F64)).unwrap();
        // w dy / sqrt(1.5 + 3), not w dy / sqrt(1 + 3).
        assert!((gradients.input.value(0) - 2.0 / 4.5f64.sqrt()).abs() < 1e-12, "{gradients:?}");
    }

    #[test]
    fn a_backward_after_a_step_of_sgd_goes_through_the_new_weight_unnoticed() {
        // libtorch's C++ optimizer moves `p.data()`, past the version check that stops PyTorch's users here.
        let mut layer = TchLayer::new(&example::config(DType::F32, DType::F32)).unwrap();
        layer.forward(&example::input(DType::F32), false).unwrap();
        let first = layer.backward(&example::grad_output(DType::F32)).unwrap().input.value(0);
        layer.sgd(0.5).unwrap();
        let weight = layer.state().unwrap().weight.unwrap().value(0);
        assert_eq!((first, weight), (0.375, 2.25));
        let both = layer.backward(&example::grad_output(DType::F32)).unwrap().input.value(0);
        assert_eq!(both, first + first * weight / 2.0);
    }
}
