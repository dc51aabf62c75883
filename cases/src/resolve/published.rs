//! What a case file says of its own answer.

use crate::case::{Action, Input, Layer, Published, PublishedAnswer, is_within};
use crate::format::Expectation;
use crate::number;
use crate::observed::{Observable, TensorName};
use crate::yaml::Literal;

use super::{Resolver, numbered};

impl Resolver<'_> {
    pub(super) fn published(&mut self, script: &[Action], layers: &[Layer]) -> Vec<Published> {
        let spec = self.spec;
        let mut published = Vec::new();
        for (number, expectation) in spec.expect.iter().enumerate() {
            let path = format!("expect.{number}");
            if expectation.step > script.len() {
                let message = format!("the case has {} steps, no step {}", script.len(), expectation.step);
                self.problem(&format!("{path}.step"), message, numbered(script));
                continue;
            }
            if let Some(what) = self.published_answer(&path, expectation, script, layers) {
                published.push(Published {
                    step: expectation.step,
                    what,
                    source: expectation.source.clone(),
                });
            }
        }
        published
    }

    fn published_answer(
        &mut self,
        path: &str,
        expectation: &Expectation,
        script: &[Action],
        layers: &[Layer],
    ) -> Option<PublishedAnswer> {
        let (tensor, literals) = match (expectation.tensor, &expectation.values, expectation.error) {
            (None, None, Some(class)) => return Some(PublishedAnswer::Error(class)),
            (Some(tensor), Some(values), None) => (tensor, values),
            _ => {
                let help =
                    "`{step: 2, tensor: output, values: […]}`, or `{step: 2, error: one_value_per_channel}`";
                self.problem(path, "an expectation gives `tensor` and `values`, or `error`", help);
                return None;
            }
        };
        let name = self.tensor_name(path, tensor, expectation, script, layers)?;
        let action = expectation.step.checked_sub(1).and_then(|index| script.get(index));
        let needed = match (tensor, action) {
            (Observable::Output, Some(Action::Forward { input, .. })) => input.tensor.shape.iter().product(),
            (Observable::GradInput, Some(Action::Backward { grad, .. })) => grad.shape.iter().product(),
            (Observable::Output | Observable::GradInput, _) => {
                let step = expectation.step;
                self.problem(
                    &format!("{path}.step"),
                    format!("step {step} gives no {tensor}"),
                    numbered(script),
                );
                return None;
            }
            (Observable::NumBatchesTracked, _) => 1,
            _ => layers.iter().find(|layer| layer.path == name.layer)?.features,
        };
        if literals.len() != needed {
            let message = format!("{tensor} has {needed} elements, `values` has {}", literals.len());
            self.problem(
                &format!("{path}.values"),
                message,
                "one value for each, the last dimension fastest",
            );
            return None;
        }
        if !(expectation.within.is_finite() && expectation.within >= 0.0) {
            self.problem(&format!("{path}.within"), "`within` must be finite and not negative", "");
        }
        let mut values = Vec::with_capacity(literals.len());
        for (index, Literal(text)) in literals.iter().enumerate() {
            match number::parse_f64(text) {
                Ok(value) => values.push(value),
                Err(error) => {
                    self.problem(&format!("{path}.values.{index}"), error.to_string(), error.help());
                    return None;
                }
            }
        }
        Some(PublishedAnswer::Tensor { tensor: name, values, within: expectation.within })
    }
}

impl Resolver<'_> {
    /// Of which layer a tensor is. Of a model's output and the gradient of its input that need not be said.
    fn tensor_name(
        &mut self,
        path: &str,
        tensor: Observable,
        expectation: &Expectation,
        script: &[Action],
        layers: &[Layer],
    ) -> Option<TensorName> {
        if let Some(layer) = &expectation.layer {
            if layers.iter().any(|known| known.path == *layer) {
                return Some(TensorName::new(layer, tensor));
            }
            let help = self.paths(layers);
            self.problem(&format!("{path}.layer"), format!("there is no layer `{layer}`"), help);
            return None;
        }
        let latest =
            script[..expectation.step.min(script.len())].iter().rev().find_map(|action| match action {
                Action::Forward { at, input: Input { .. }, .. } => Some(at.as_str()),
                _ => None,
            });
        let mut run = layers.iter().filter(|layer| is_within(latest.unwrap_or(""), &layer.path));
        let layer = match (layers, tensor) {
            ([only], _) => Some(only),
            (_, Observable::Output) => run.next_back(),
            (_, Observable::GradInput) => run.next(),
            _ => None,
        };
        if layer.is_none() {
            let help = self.paths(layers);
            self.problem(path, format!("of which layer is this {tensor}? give its `layer`"), help);
        }
        Some(TensorName::new(&layer?.path, tensor))
    }
}
