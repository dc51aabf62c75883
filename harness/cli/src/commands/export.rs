//! `bncheck export`: cases with their tensors, for programs.

use std::path::PathBuf;

use bn_api::{LayerConfig, Request, Tensor};
use bn_cases::format::Tier;
use bn_harness::audit::RecordedTensor;
use serde_json::{Value, json};

use crate::commands::print;
use crate::exit::{CliError, Outcome};
use crate::selection::Cases;

/// Prints the selected cases as JSON, one a line: the layers, and the steps with their tensors as bits.
pub fn export(suites: &[PathBuf], filter: &[String]) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    for case in cases.select(filter, Some(Tier::Full))? {
        print(&format!("{}\n", request(&Request::from_case(case))))?;
    }
    Ok(Outcome::AsExpected)
}

fn request(request: &Request) -> Value {
    let recorded = |tensor: &Tensor| RecordedTensor::from(tensor);
    let steps: Vec<_> =
        request.actions.iter().map(|action| action.map(&mut |tensor| recorded(tensor))).collect();
    json!({
        "case": request.case,
        "layers": request.layers.iter().map(layer).collect::<Vec<_>>(),
        "steps": steps,
    })
}

fn layer(layer: &LayerConfig) -> Value {
    let contents = |tensor: &Option<Tensor>| tensor.as_ref().map(RecordedTensor::from);
    json!({
        "path": layer.path,
        "kind": layer.kind,
        "features": layer.features,
        "eps": layer.eps,
        "momentum": layer.momentum,
        "affine": layer.affine,
        "track_running_stats": layer.track_running_stats,
        "dtype": layer.dtype,
        "statistics_dtype": layer.statistics_dtype,
        "weight": contents(&layer.weight),
        "bias": contents(&layer.bias),
        "running_mean": contents(&layer.running_mean),
        "running_var": contents(&layer.running_var),
        "num_batches_tracked": layer.num_batches_tracked,
    })
}
