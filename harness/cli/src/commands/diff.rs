//! `bncheck diff`: what has changed from one run to another.

use std::collections::{BTreeSet, HashSet};

use bn_cases::Filter;
use bn_harness::changes::Changes;
use bn_harness::results::{CaseInfo, RunResults, SCHEMA_VERSION};
use bn_reports::changes::{self, LISTED, Shown};
use bn_reports::write::write_page;
use bn_reports::{github, read};
use serde_json::json;

use crate::args::{DiffArgs, DiffFormat};
use crate::baseline;
use crate::commands::{invocation, print};
use crate::exit::{CliError, Outcome};
use crate::output;

/// Compares two runs and prints what has changed.
pub fn diff(args: &DiffArgs) -> Result<Outcome, CliError> {
    let mut base = baseline::read(&args.base)?;
    let mut new = read::read(&args.new)?.results;
    if let Some(why) = new.run.incomplete {
        return Err(CliError::Incomplete { path: read::locate(&args.new), why, is_baseline: false });
    }
    choose(&mut base.results, &mut new, &args.filter)?;
    base.compare(&mut new, args.factor);
    let Some(changes) = &new.changes else { return Ok(Outcome::Mismatch) };
    let page = args.html.as_deref().map(|path| write_page(&new, path)).transpose()?;
    let shown = Shown { limit: (!args.all).then_some(LISTED), all: "--all lists them".to_owned() };
    let invocation = invocation(&[]);
    print(&match args.format {
        DiffFormat::Human => changes::text(changes, &shown, &invocation),
        DiffFormat::Json => as_json(changes),
        DiffFormat::Github => annotations(&new, changes) + &changes::text(changes, &shown, &invocation),
    })?;
    if let Some(page) = &page {
        output::say(page);
    }
    Ok(if changes.is_no_worse() { Outcome::AsExpected } else { Outcome::Mismatch })
}

fn as_json(changes: &Changes) -> String {
    format!("{:#}\n", json!({"schema_version": SCHEMA_VERSION, "changes": changes}))
}

/// An annotation for each cause of what is newly failing, or one where nothing was compared.
fn annotations(new: &RunResults, changes: &Changes) -> String {
    if changes.is_no_worse() { String::new() } else { github::annotations(&changes::newly_failing(new)) }
}

/// Leaves the cases that a filter takes, in both runs.
fn choose(base: &mut RunResults, new: &mut RunResults, terms: &[String]) -> Result<(), CliError> {
    if terms.is_empty() {
        return Ok(());
    }
    let taken: HashSet<String> = {
        let all = || base.cases.iter().chain(&new.cases);
        let takes: Box<dyn Fn(&CaseInfo) -> bool> = match terms {
            // An id with its brackets is not a pattern: taken literally it is exactly one case.
            [term] if all().any(|case| case.id == *term) => Box::new(|case| case.id == *term),
            _ => {
                let fields: BTreeSet<&str> =
                    all().flat_map(|case| case.fields.keys()).map(String::as_str).collect();
                let filter = Filter::parse_knowing(terms.iter().map(String::as_str), &fields)?;
                Box::new(move |case| filter.matches_fields(&case.id, &|path| case.fields.get(path).cloned()))
            }
        };
        all().filter(|case| takes(case)).map(|case| case.id.clone()).collect()
    };
    if taken.is_empty() {
        let quoted: Vec<String> = terms.iter().map(|term| format!("`{term}`")).collect();
        return Err(CliError::NothingSelectedOf { terms: quoted.join(" ") });
    }
    for run in [base, new] {
        run.cases.retain(|case| taken.contains(&case.id));
        run.results.retain(|result| taken.contains(&result.case));
    }
    Ok(())
}
