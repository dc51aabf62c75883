//! `bncheck list`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bn_harness::results::Part;
use serde_json::json;

use crate::args::{Format, Tier};
use crate::commands::print;
use crate::exit::{CliError, Outcome};
use crate::partition;
use crate::selection::Cases;

/// Prints the ids of the selected cases, or, as JSON, where each is written and what its axes are.
pub fn list(
    suites: &[PathBuf],
    filter: &[String],
    tier: Option<Tier>,
    part: Option<Part>,
    format: Format,
) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let selected = cases.select(filter, Some(tier.unwrap_or(Tier::Full).into()))?;
    let count = selected.len();
    let selected = partition::choose(selected, part);
    if let (Some(part), true) = (part, selected.is_empty()) {
        eprintln!("{}", partition::nothing_in(part, count));
    }
    let text = match format {
        Format::Human => selected.iter().flat_map(|case| [case.id.as_str(), "\n"]).collect(),
        Format::Json => {
            let list: Vec<_> = selected
                .iter()
                .map(|case| {
                    json!({
                        "id": case.id,
                        "suite": *case.suite,
                        "name": *case.name,
                        "tier": case.tier.name(),
                        "axes": case.axes().collect::<BTreeMap<_, _>>(),
                        "file": *case.place.file,
                        "line": case.place.line,
                    })
                })
                .collect();
            format!("{:#}\n", json!(list))
        }
    };
    print(&text)?;
    // The program ends here, and its memory with it: to take the suites apart would take a tenth of the time again.
    std::mem::forget(cases);
    Ok(Outcome::AsExpected)
}
