//! `bncheck export`: cases with their tensors, for programs, or one as a script for PyTorch alone.

use std::borrow::Cow;
use std::path::PathBuf;

use bn_api::{LayerConfig, Request, Tensor};
use bn_cases::Case;
use bn_cases::format::Tier;
use bn_fuzz::random::{self, Random};
use bn_fuzz::render::python;
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

/// Prints the one selected case as a script for PyTorch alone.
pub fn script(suites: &[PathBuf], filter: &[String]) -> Result<Outcome, CliError> {
    // A case that is made by chance needs no suites, unless some are named, which may have a case of that id.
    if let ([id], []) = (filter, suites)
        && let Some((seed, number)) = Random::parse(id)
    {
        return print_script(&random::case(seed, number), suites);
    }
    let cases = Cases::load(suites)?;
    let not_one = |selected: &[&Case]| {
        let example = selected.first().or(cases.all().first()).map(|case| case.id.clone());
        CliError::NotOneCase { selected: selected.len(), example: example.unwrap_or_default() }
    };
    let case = match cases.select(filter, Some(Tier::Full)) {
        Ok(selected) => match selected.as_slice() {
            [case] => Cow::Borrowed(*case),
            selected => return Err(not_one(selected)),
        },
        // What takes none may be an id all the same: of a case made by chance, or mistyped.
        Err(CliError::NothingSelected { .. }) => match filter {
            [id] if id.contains('/') => cases.by_id(id)?,
            _ => return Err(not_one(&[])),
        },
        Err(error) => return Err(error),
    };
    print_script(&case, suites)
}

fn print_script(case: &Case, suites: &[PathBuf]) -> Result<Outcome, CliError> {
    let named = suites.iter().map(|path| path.display().to_string());
    let named = std::iter::once("--suites".to_owned()).chain(named).filter(|_| !suites.is_empty());
    let words = ["bncheck", "export", "--python", &case.id].map(str::to_owned).into_iter().chain(named);
    let words = words.map(|word| shlex::try_quote(&word).map_or_else(|_| word.clone(), Into::into));
    let command = words.collect::<Vec<String>>().join(" ");
    print(&python::script(case, &command)?)?;
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
