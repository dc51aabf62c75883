//! The page's filter is the command line's: `filter-table.json` says what each takes of the cases of
//! `filter-suite.yaml`. It is held against the command line's here, and against the page's where a browser runs it.

use std::collections::BTreeMap;

use bn_cases::{Case, Filter};
use serde::{Deserialize, Serialize};

const SUITE: &str = include_str!("filter-suite.yaml");
const TABLE: &str = include_str!("filter-table.json");

/// What the page is asked as well.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Table {
    /// The cases, as results hold them.
    cases: Vec<Row>,
    filters: Vec<Entry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    id: String,
    fields: BTreeMap<String, String>,
}

/// A filter: the ids it takes, or why it is none.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    terms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    takes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    error: Option<String>,
}

#[test]
fn the_table_says_what_the_command_lines_filter_does() {
    let suite = bn_cases::load_str("filter-suite.yaml", SUITE).expect("the suite is read");
    let cases: Vec<&Case> = suite.cases.iter().collect();
    let table: Table = serde_json::from_str(TABLE).expect("the table is read");
    let rows: Vec<Row> =
        cases.iter().map(|case| Row { id: case.id.clone(), fields: case.all_fields() }).collect();
    let answer = |terms: &[String]| match Filter::parse(terms.iter().map(String::as_str), &cases) {
        Ok(filter) => {
            let takes =
                cases.iter().filter(|case| filter.matches(case)).map(|case| case.id.clone()).collect();
            Entry { terms: terms.to_vec(), takes: Some(takes), error: None }
        }
        Err(error) => Entry { terms: terms.to_vec(), takes: None, error: Some(error.to_string()) },
    };
    let found =
        Table { cases: rows, filters: table.filters.iter().map(|entry| answer(&entry.terms)).collect() };
    if std::env::var_os("BNCHECK_WRITE_TABLE").is_some() {
        let text = serde_json::to_string_pretty(&found).expect("it is JSON") + "\n";
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/filter-table.json"), text)
            .expect("it is written");
        return;
    }
    for (found, expected) in found.filters.iter().zip(&table.filters) {
        assert_eq!(found, expected);
    }
    assert_eq!(
        found.cases, table.cases,
        "cases of the table: run with BNCHECK_WRITE_TABLE=1 and look at what changes"
    );
}

#[test]
fn the_table_has_answers_of_every_kind() {
    let table: Table = serde_json::from_str(TABLE).expect("the table is read");
    let takes = |entry: &&Entry| entry.takes.as_ref().map_or(usize::MAX, Vec::len);
    let some = |range: std::ops::Range<usize>| {
        table.filters.iter().filter(|entry| range.contains(&takes(entry))).count()
    };
    assert!(some(0..1) > 3 && some(1..table.cases.len()) > 20);
    assert!(table.filters.iter().filter(|entry| entry.error.is_some()).count() > 8);
}
