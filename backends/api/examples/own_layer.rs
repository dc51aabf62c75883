//! A batch norm with its own state, in f32, as a program that bncheck asks over its protocol:
//!
//! ```sh
//! cargo build --package bn-api --example own_layer
//! bncheck run --backend-cmd target/debug/examples/own_layer
//! ```
//!
//! docs/adding-a-backend-in-rust.md has one without state of its own, which the module's rules of `bn_api` come around. Here
//! all of them are the layer's: what it does not have it declares, with the reason.

use bn_api::{
    Action, Backend, BackendInfo, Channels, DType, ErrorClass, InProcess, Input, Lacks, Layer, LayerConfig,
    LayerError, LayerState, Layout, Output, ParameterGradients, Request, Tensor, wire,
};

/// What a backend is: who it is, what it lacks, and how a layer is made.
struct OwnLayers;

impl Backend for OwnLayers {
    fn info(&self) -> BackendInfo {
        BackendInfo {
            name: "own-layer".to_owned(),
            version: concat!("own-layer ", env!("CARGO_PKG_VERSION")).to_owned(),
            about: "A layer with its own state, in f32".to_owned(),
            unobservable: Vec::new(),
        }
    }

    fn lacks(&self) -> Lacks {
        Lacks {
            untracked: Some("it always tracks"),
            settings: Some("eps and momentum are the constructor's"),
            new_tensors: Some("its tensors are its own"),
            requires_grad: Some("everything is trained"),
            cast: Some("it is of f32 for good"),
            mixed_layer: Some("it is of f32 for good"),
            state_dict: Some("its state cannot be saved"),
            integers: Some("it takes f32"),
            layouts: Some("it takes what lies contiguously"),
            ..Lacks::default()
        }
    }

    /// What has no name among the features that may be lacking is said in words of one's own.
    fn unsupported(&self, request: &Request) -> Option<String> {
        let takes = |input: &Input| input.dtype == DType::F32 && !input.tensor.is_empty();
        let asks_for_others =
            request.layers.iter().any(|layer| layer.dtype != DType::F32 || layer.features == 0)
                || request
                    .actions
                    .iter()
                    .any(|action| matches!(action, Action::Forward { input, .. } if !takes(input)));
        self.lacks()
            .reason(request)
            .or_else(|| asks_for_others.then(|| "it takes f32, and at least one".to_owned()))
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(OwnLayer::new(config)))
    }
}

/// A weight or a bias.
struct Parameter {
    value: Vec<f32>,
    grad: Option<Vec<f32>>,
}

/// The layer.
struct OwnLayer {
    config: LayerConfig,
    training: bool,
    weight: Option<Parameter>,
    bias: Option<Parameter>,
    running_mean: Vec<f32>,
    running_var: Vec<f32>,
    batches: i64,
    graph: Option<Graph>,
}

/// What a forward leaves for its backward.
struct Graph {
    xhat: Vec<f64>,
    inverse_std: Vec<f64>,
    use_batch_stats: bool,
    input_requires_grad: bool,
    /// Whether something that it refers to was written to since.
    changed: bool,
}

fn tensor(values: &[f32]) -> Tensor {
    Tensor::from_values(DType::F32, &[values.len()], values.iter().map(|&value| f64::from(value)))
}

/// The sum of a number for each element of a channel, for every channel.
fn sums(channels: &Channels, term: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..channels.count).map(|c| channels.indices(c).map(&term).sum()).collect()
}

/// Adds to what has accumulated.
fn accumulate(parameter: &mut Option<Parameter>, new: &[f64]) {
    let Some(Parameter { value, grad }) = parameter else { return };
    let grad = grad.get_or_insert_with(|| vec![0.0; value.len()]);
    for (old, new) in grad.iter_mut().zip(new) {
        *old = (f64::from(*old) + f64::from(*new as f32)) as f32;
    }
}

impl OwnLayer {
    fn new(config: &LayerConfig) -> Self {
        let filled = |given: &Option<Tensor>, value: f32| match given {
            Some(tensor) => tensor.values().iter().map(|&value| value as f32).collect(),
            None => vec![value; config.features],
        };
        let parameter =
            |given, value| config.affine.then(|| Parameter { value: filled(given, value), grad: None });
        OwnLayer {
            training: true,
            weight: parameter(&config.weight, 1.0),
            bias: parameter(&config.bias, 0.0),
            running_mean: filled(&config.running_mean, 0.0),
            running_var: filled(&config.running_var, 1.0),
            batches: config.num_batches_tracked.unwrap_or(0),
            graph: None,
            config: config.clone(),
        }
    }

    /// What PyTorch refuses of an input, in its order.
    fn check(&self, input: &Tensor) -> Result<(), LayerError> {
        let refused = |class, message: String| Err(LayerError::new(class, message));
        let shape = input.shape();
        if self.training && input.channels().values == 1 {
            let message = format!("one value for each channel, in a batch of shape {shape:?}");
            return refused(ErrorClass::OneValuePerChannel, message);
        }
        if self.config.eps <= 0.0 {
            return refused(ErrorClass::EpsNotPositive, format!("eps is {}", self.config.eps));
        }
        if shape[1] != self.config.features {
            let message = format!("{} channels for a layer of {}", shape[1], self.config.features);
            return refused(ErrorClass::WrongFeatures, message);
        }
        Ok(())
    }

    /// Notes that something was written to that the graph refers to.
    fn touch(&mut self) {
        if let Some(graph) = &mut self.graph {
            graph.changed = true;
        }
    }
}

impl Layer for OwnLayer {
    fn set_training(&mut self, training: bool) -> Result<(), LayerError> {
        self.training = training;
        Ok(())
    }

    fn forward(&mut self, input: &Input, no_grad: bool) -> Result<Output, LayerError> {
        self.graph = None;
        let x = &input.tensor;
        if !self.config.kind.takes(x.shape().len()) {
            return Err(LayerError::new(ErrorClass::WrongRank, format!("an input of shape {:?}", x.shape())));
        }
        if self.training {
            // Also of what is refused below.
            self.batches = self.batches.wrapping_add(1);
        }
        self.check(x)?;
        let channels = x.channels();
        let n = channels.values as f64;
        let (mean, var) = if self.training {
            let mean: Vec<f64> = sums(&channels, |i| x.value(i)).iter().map(|sum| sum / n).collect();
            let squares = sums(&channels, |i| (x.value(i) - mean[channels.channel_of(i)]).powi(2));
            (mean, squares.iter().map(|sum| sum / n).collect())
        } else {
            let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
            (wide(&self.running_mean), wide(&self.running_var))
        };
        if self.training {
            let factor = self.config.momentum.unwrap_or(1.0 / self.batches as f64);
            let moved = |old: f32, new: f64| ((1.0 - factor) * f64::from(old) + factor * new) as f32;
            for c in 0..channels.count {
                self.running_mean[c] = moved(self.running_mean[c], mean[c]);
                self.running_var[c] = moved(self.running_var[c], var[c] * n / (n - 1.0));
            }
        }
        let inverse_std: Vec<f64> = var.iter().map(|var| 1.0 / (var + self.config.eps).sqrt()).collect();
        let normalised = |i: usize| {
            let c = channels.channel_of(i);
            (x.value(i) - mean[c]) * inverse_std[c]
        };
        let xhat: Vec<f64> = (0..x.len()).map(normalised).collect();
        let of = |parameter: &Option<Parameter>, c: usize, without: f64| {
            parameter.as_ref().map_or(without, |parameter| f64::from(parameter.value[c]))
        };
        let output = xhat.iter().enumerate().map(|(i, xhat)| {
            let c = channels.channel_of(i);
            of(&self.weight, c, 1.0) * xhat + of(&self.bias, c, 0.0)
        });
        let tensor = Tensor::from_values(DType::F32, x.shape(), output);
        let requires_grad = !no_grad && (input.requires_grad || self.config.affine);
        self.graph = requires_grad.then_some(Graph {
            xhat,
            inverse_std,
            use_batch_stats: self.training,
            input_requires_grad: input.requires_grad,
            changed: false,
        });
        Ok(Output { tensor, requires_grad })
    }

    fn backward(&mut self, dy: &Tensor, _: Layout) -> Result<Option<Tensor>, LayerError> {
        let graph =
            self.graph.as_ref().ok_or_else(|| LayerError::new(ErrorClass::NoGraph, "there is no graph"))?;
        if graph.changed {
            return Err(LayerError::new(ErrorClass::GraphChanged, "what the graph refers to was written to"));
        }
        let channels = dy.channels();
        let n = channels.values as f64;
        let grad_weight = sums(&channels, |i| dy.value(i) * graph.xhat[i]);
        let grad_bias = sums(&channels, |i| dy.value(i));
        let grad_input = (0..dy.len()).map(|i| {
            let c = channels.channel_of(i);
            let weight = self.weight.as_ref().map_or(1.0, |weight| f64::from(weight.value[c]));
            let through_statistics = (grad_bias[c] + graph.xhat[i] * grad_weight[c]) / n;
            let through_statistics = if graph.use_batch_stats { through_statistics } else { 0.0 };
            weight * graph.inverse_std[c] * (dy.value(i) - through_statistics)
        });
        let input = Tensor::from_values(DType::F32, dy.shape(), grad_input);
        let wanted = graph.input_requires_grad;
        accumulate(&mut self.weight, &grad_weight);
        accumulate(&mut self.bias, &grad_bias);
        Ok(wanted.then_some(input))
    }

    fn gradients(&self) -> Result<ParameterGradients, LayerError> {
        let grad = |parameter: &Option<Parameter>| parameter.as_ref()?.grad.as_deref().map(tensor);
        Ok(ParameterGradients { weight: grad(&self.weight), bias: grad(&self.bias) })
    }

    fn zero_grad(&mut self) -> Result<(), LayerError> {
        for parameter in [&mut self.weight, &mut self.bias].into_iter().flatten() {
            parameter.grad = None;
        }
        Ok(())
    }

    fn sgd(&mut self, lr: f64) -> Result<(), LayerError> {
        if self.weight.as_ref().is_some_and(|weight| weight.grad.is_some()) {
            self.touch();
        }
        for parameter in [&mut self.weight, &mut self.bias].into_iter().flatten() {
            let Parameter { value, grad: Some(grad) } = parameter else { continue };
            for (value, grad) in value.iter_mut().zip(grad) {
                *value = (-(lr as f32)).mul_add(*grad, *value);
            }
        }
        Ok(())
    }

    fn reset_running_stats(&mut self) -> Result<(), LayerError> {
        self.running_mean.fill(0.0);
        self.running_var.fill(1.0);
        self.batches = 0;
        self.touch();
        Ok(())
    }

    fn state(&self) -> Result<LayerState, LayerError> {
        let value =
            |parameter: &Option<Parameter>| parameter.as_ref().map(|parameter| tensor(&parameter.value));
        Ok(LayerState {
            weight: value(&self.weight),
            bias: value(&self.bias),
            running_mean: Some(tensor(&self.running_mean)),
            running_var: Some(tensor(&self.running_var)),
            num_batches_tracked: Some(self.batches),
        })
    }
}

fn main() -> Result<(), wire::WireError> {
    wire::serve(&mut InProcess::new(OwnLayers))
}
