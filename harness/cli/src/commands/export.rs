//! `bncheck export`: cases with their tensors, for programs.

use std::path::PathBuf;

use bn_api::{Action, Request, Setting, Tensor};
use bn_harness::audit::RecordedTensor;
use serde_json::{Value, json};

use crate::commands::print;
use crate::exit::{CliError, Outcome};
use crate::selection::Cases;

/// Prints the selected cases as JSON, one a line: the layer, and the steps with their tensors as bits.
pub fn export(suites: &[PathBuf], filter: &[String]) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    for case in cases.select(filter)? {
        print(&format!("{}\n", request(&Request::from_case(case))))?;
    }
    Ok(Outcome::AsExpected)
}

fn request(request: &Request) -> Value {
    let layer = &request.layer;
    let contents = |tensor: &Option<Tensor>| tensor.as_ref().map(RecordedTensor::from);
    json!({
        "case": request.case,
        "layer": {
            "kind": layer.kind,
            "features": layer.features,
            "eps": layer.eps,
            "momentum": layer.momentum,
            "affine": layer.affine,
            "track_running_stats": layer.track_running_stats,
            "input_dtype": layer.input_dtype,
            "dtype": layer.dtype,
            "weight": contents(&layer.weight),
            "bias": contents(&layer.bias),
            "running_mean": contents(&layer.running_mean),
            "running_var": contents(&layer.running_var),
            "num_batches_tracked": layer.num_batches_tracked,
        },
        "steps": request.actions.iter().map(step).collect::<Vec<_>>(),
    })
}

fn step(action: &Action) -> Value {
    match action {
        Action::Train => json!({ "do": "train" }),
        Action::Eval => json!({ "do": "eval" }),
        Action::ZeroGrad => json!({ "do": "zero_grad" }),
        Action::ResetRunningStats => json!({ "do": "reset_running_stats" }),
        Action::Set(settings) => {
            let attributes: serde_json::Map<String, Value> = settings.iter().map(attribute).collect();
            json!({ "do": "set", "attributes": attributes })
        }
        Action::Sgd { lr } => json!({ "do": "sgd", "lr": lr }),
        Action::Forward { input, no_grad } => {
            json!({ "do": "forward", "input": RecordedTensor::from(input), "no_grad": no_grad })
        }
        Action::Backward { grad_output } => {
            json!({ "do": "backward", "grad_output": RecordedTensor::from(grad_output) })
        }
    }
}

/// An attribute by its name in PyTorch, and its new value.
fn attribute(setting: &Setting) -> (String, Value) {
    let (name, value) = match *setting {
        Setting::Momentum(momentum) => ("momentum", json!(momentum)),
        Setting::Eps(eps) => ("eps", json!(eps)),
        Setting::TrackRunningStats(track) => ("track_running_stats", json!(track)),
    };
    (name.to_owned(), value)
}
