//! The errors that a layer's state may have, channel by channel.

/// One bound a channel.
pub(crate) type PerChannel = Vec<f64>;

/// How far each number of a layer's state may be from the exact one.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub running_mean: PerChannel,
    pub running_var: PerChannel,
    pub weight: PerChannel,
    pub bias: PerChannel,
    pub grad_weight: PerChannel,
    pub grad_bias: PerChannel,
    /// Whether any gradient has accumulated.
    pub has_grads: bool,
}

impl State {
    /// A new layer: its contents are given, or constants, and exact.
    pub fn new(features: usize) -> Self {
        let exact = vec![0.0; features];
        State {
            running_mean: exact.clone(),
            running_var: exact.clone(),
            weight: exact.clone(),
            bias: exact.clone(),
            grad_weight: exact.clone(),
            grad_bias: exact,
            has_grads: false,
        }
    }

    pub fn reset_running_stats(&mut self) {
        self.running_mean.fill(0.0);
        self.running_var.fill(0.0);
    }

    pub fn zero_grad(&mut self) {
        self.grad_weight.fill(0.0);
        self.grad_bias.fill(0.0);
        self.has_grads = false;
    }
}
