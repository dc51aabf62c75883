//! Writes a case as a program for PyTorch alone, which shows the expected answer beside PyTorch's and says whether it is
//! within the budget: for somebody who has PyTorch and not bncheck.
//!
//! The program takes the steps as a person would write them, in the way of `harness/audit/record.py`, which says what each
//! of them is in PyTorch. What compares stands before them, in `parts/`.

mod checks;
mod layers;
mod steps;
mod tensors;
mod text;

use std::fmt::Write as _;

use bn_api::{Action, InProcess, Request, TensorName};
use bn_cases::Case;
use bn_cases::format::{LayerSpec, ModelNode};
use bn_harness::oracle::Expected;
use bn_harness::runner::step_names;
use bn_reference::Arbiter;
use thiserror::Error;

use checks::Checks;
use layers::Layers;
use steps::Steps;
use text::{comment, prose, quoted};

/// The PyTorch that the answers are those of.
const TORCH: &str = "2.11";

const COMPARE: &str = include_str!("parts/compare.py");
const BITS: &str = include_str!("parts/bits.py");
const KEEP: &str = include_str!("parts/keep.py");
const FREEZE: &str = include_str!("parts/freeze.py");

/// Why there is no program for a case.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// Nobody says what the answer is.
    #[error("there is no expected answer to {case}: {why}")]
    NoAnswer {
        /// The case's id.
        case: String,
        /// Why.
        why: String,
    },
    /// Nobody says how far an answer may be off.
    #[error("there is no budget for {tensor} after step {step}")]
    NoBudget {
        /// The tensor.
        tensor: TensorName,
        /// The step, from 1; 0 is the layer as constructed.
        step: usize,
    },
}

/// The program of a case. `command` is what was typed for it.
///
/// Its numbers are the arbiter's, and its budgets those of a sound answer: what `bncheck run --oracle arbiter` judges by.
///
/// # Errors
/// When the case has no answer, or part of one has no budget.
pub fn script(case: &Case, command: &str) -> Result<String, ScriptError> {
    let request = Request::from_case(case);
    let no_answer = |why| ScriptError::NoAnswer { case: case.id.clone(), why };
    let expected = Expected::of_arbiter(&mut InProcess::new(Arbiter), &request).map_err(no_answer)?;
    let layers = Layers(&request.layers);
    let checks = Checks { layers: &layers, answers: &expected.steps, budget: expected.budget() };
    let mut steps = Steps::new(&layers, &checks, &request.actions);
    let mut body = format!("step(\"0. new layer\")\n{}", layers.made());
    if !layers.is_single() {
        body = format!("step(\"0. new layers\")\n{}\n{KEEP}\n", layers.made());
    }
    if request.actions.iter().any(|action| matches!(action, Action::SaveState { .. })) {
        body += "saved = {}\n";
    }
    body += &checks.state(0)?;
    for (index, (action, name)) in request.actions.iter().zip(&step_names(case)[1..]).enumerate() {
        let at = if action.at().is_empty() { String::new() } else { format!(" {}", action.at()) };
        let _ = write!(body, "\nstep({})\n", quoted(&format!("{}. {name}{at}", index + 1)));
        body += &steps.step(index, &request.actions)?;
    }
    body += "\nfinish()\n";
    Ok(head(case, command) + &imports(&body) + &parts(&body) + &body)
}

/// What the case is, in comments.
fn head(case: &Case, command: &str) -> String {
    let mut head = format!("# A case of bncheck for PyTorch {TORCH} alone:\n#\n{}", comment(&case.id));
    for about in [&case.suite_about, &case.about].into_iter().flatten() {
        let _ = write!(head, "#\n{}", prose(about.trim()));
    }
    let mut spec = case.spec();
    // It stands above.
    spec.about = None;
    without_fills_of_nothing(&mut spec.layer);
    spec.model.iter_mut().flatten().for_each(of_layers_below);
    let written = super::named(&case.suite, &case.name, &spec);
    let _ = write!(head, "#\n# As a suite of bncheck's:\n#\n{}", comment(written.trim()));
    head += "#\n# It takes the case's steps, prints what PyTorch answers after each, and says whether that is as exact as a\n\
             # sound implementation is about the answer in double-double arithmetic. It exits with 0 if it is, and with 1\n\
             # if not. Made with:\n#\n";
    head + &comment(command)
}

/// What a matrix or the defaults of a suite fill, where the layer has no such tensor, is refused of a case by itself.
fn without_fills_of_nothing(layer: &mut LayerSpec) {
    if !layer.affine {
        (layer.weight, layer.bias) = (None, None);
    }
    if !layer.track_running_stats {
        (layer.running_mean, layer.running_var, layer.num_batches_tracked) = (None, None, None);
    }
}

fn of_layers_below(part: &mut ModelNode) {
    part.layer.iter_mut().for_each(without_fills_of_nothing);
    part.children.iter_mut().flatten().for_each(of_layers_below);
}

/// What the program imports: PyTorch, and what of Python's own it needs.
fn imports(body: &str) -> String {
    let mut imports = String::from("\n");
    if body.contains("bits(") {
        imports += "import base64\nimport zlib\n";
    }
    if body.contains("OrderedDict(") {
        imports += "from collections import OrderedDict\n";
    }
    if imports.len() > 1 {
        imports += "\n";
    }
    imports += "import torch\n";
    let numbers: Vec<&str> = ["inf", "nan"].into_iter().filter(|number| body.contains(number)).collect();
    if !numbers.is_empty() {
        let _ = writeln!(imports, "from torch import {}", numbers.join(", "));
    }
    imports
}

/// What it needs of the parts that all programs share.
fn parts(body: &str) -> String {
    let mut parts = format!("\n# What compares. The case begins below, with its layers.\n\n{COMPARE}");
    for (part, is_needed) in [
        (BITS, body.contains("bits(")),
        (FREEZE, body.contains("freeze(") || body.contains("freeze_in_train(")),
    ] {
        if is_needed {
            let _ = write!(parts, "\n\n{part}");
        }
    }
    let _ = write!(
        parts,
        "\n\n# The case.\n\nprint(\"PyTorch\", torch.__version__, \"beside what {TORCH} answers\")\n\n"
    );
    parts
}
