//! `bncheck list`.

use std::path::PathBuf;

use serde_json::json;

use crate::args::Format;
use crate::commands::print;
use crate::exit::{CliError, Outcome};
use crate::selection::Cases;

/// Prints the ids of the selected cases, or, as JSON, where each is written and what its axes are.
pub fn list(suites: &[PathBuf], filter: &[String], format: Format) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let selected = cases.select(filter)?;
    let text = match format {
        Format::Human => selected.iter().flat_map(|case| [case.id.as_str(), "\n"]).collect(),
        Format::Json => {
            let list: Vec<_> = selected
                .iter()
                .map(|case| {
                    json!({
                        "id": case.id,
                        "suite": case.suite,
                        "name": case.name,
                        "axes": case.axes.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                        "file": case.place.file,
                        "line": case.place.line,
                    })
                })
                .collect();
            format!("{:#}\n", json!(list))
        }
    };
    print(&text)?;
    Ok(Outcome::AsExpected)
}
