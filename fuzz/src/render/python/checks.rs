//! What is expected after each step: of what it gives, and of all that stays.

use std::fmt::Write as _;

use bn_api::{DType, Observable, StepAnswer, Tensor, TensorName};
use bn_harness::budget::{CaseBudget, TensorBudget};

use super::ScriptError;
use super::layers::Layers;
use super::tensors::{dtype, numbers};
use super::text::{quoted, tuple};

/// What a layer holds between the steps, as the script names it.
pub(super) const STATE: [Observable; 5] = [
    Observable::RunningMean,
    Observable::RunningVar,
    Observable::NumBatchesTracked,
    Observable::Weight,
    Observable::Bias,
];

/// The answers to a case, and how far each element may be from them.
pub(super) struct Checks<'c> {
    pub(super) layers: &'c Layers<'c>,
    pub(super) answers: &'c [StepAnswer],
    pub(super) budget: &'c CaseBudget,
}

impl Checks<'_> {
    /// The lines that compare what a step gives, of a layer: as which expression each tensor is at hand.
    pub(super) fn given(
        &self,
        step: usize,
        layer: &str,
        given: &[(Observable, String)],
    ) -> Result<String, ScriptError> {
        let mut lines = String::new();
        for (tensor, expression) in given {
            lines += &self.tensor(step, &TensorName::new(layer, *tensor), expression)?;
        }
        Ok(lines)
    }

    /// The lines that compare everything that the layers hold after a step.
    pub(super) fn state(&self, step: usize) -> Result<String, ScriptError> {
        let mut lines = String::new();
        let mut others = false;
        for layer in self.layers.0 {
            let expression = self.layers.part(&layer.path);
            for tensor in STATE {
                let name = TensorName::new(&layer.path, tensor);
                if step > 0 && self.is_as_before(step, &name) {
                    others = true;
                } else {
                    lines += &self.tensor(step, &name, &format!("{expression}.{tensor}"))?;
                }
            }
        }
        if others {
            lines += "unchanged()\n";
        }
        Ok(lines)
    }

    /// Whether a tensor is expected to be what it was, to the bit.
    fn is_as_before(&self, step: usize, name: &TensorName) -> bool {
        let at = |step: usize| (self.answers[step].tensor(name), self.budget.of(step, name));
        let ((before, budget_before), (after, budget)) = (at(step - 1), at(step));
        before == after
            && (before.is_none() || budget.zip(budget_before).is_some_and(|(a, b)| is_same_budget(a, b)))
    }

    fn tensor(&self, step: usize, name: &TensorName, expression: &str) -> Result<String, ScriptError> {
        let words = quoted(&name.to_string());
        let Some(exact) = self.answers[step].tensor(name) else {
            return Ok(format!("expect_none({words}, {expression})\n"));
        };
        let none = || ScriptError::NoBudget { tensor: name.clone(), step };
        let budget = self.budget.of(step, name).filter(|budget| budget.elements.len() == exact.len());
        Ok(expectation(&words, expression, exact, budget.ok_or_else(none)?))
    }
}

fn is_same_budget(one: &TensorBudget, other: &TensorBudget) -> bool {
    let bits = |budget: &TensorBudget| budget.elements.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    one.dtype == other.dtype && bits(one) == bits(other)
}

fn expectation(words: &str, expression: &str, exact: &Tensor, budget: &TensorBudget) -> String {
    let (of, shape) = (dtype(budget.dtype), exact.shape());
    let values = match (exact.dtype(), shape) {
        // The counter.
        (DType::I64, []) => exact.bits(0).cast_signed().to_string(),
        _ => numbers(&exact.values(), shape),
    };
    let mut arguments = vec![values];
    if budget.elements.iter().any(|within| *within != 0.0) {
        arguments.push(format!("within={}", numbers(&budget.elements, shape)));
    }
    let head = format!("expect({words}, {expression}, {of}, {}", tuple(shape));
    let line = format!("{head}, {})\n", arguments.join(", "));
    if line.len() <= 100 && !line.trim_end().contains('\n') {
        return line;
    }
    let mut lines = format!("{head},\n");
    for argument in arguments {
        for line in argument.lines() {
            let _ = writeln!(lines, "    {line}");
        }
        lines.truncate(lines.trim_end_matches('\n').len());
        lines += ",\n";
    }
    lines + ")\n"
}
