//! The page's own reading of filters and of bits, held against the tables that the command line and exact arithmetic made.

use bn_browser::{Page, runs};
use serde_json::{Value, json};

use super::wait_until_ready;

fn table(text: &str) -> Value {
    serde_json::from_str(text).expect("the table is JSON")
}

#[test]
fn every_filter_takes_the_cases_that_the_command_line_takes() {
    let table = table(include_str!("../../../tests/filter-table.json"));
    let cases = table["cases"].as_array().expect("cases");
    let mut run = runs::empty(&["mine"]);
    for case in cases {
        let info = json!({
            "id": case["id"], "suite": case["fields"]["suite"], "name": case["fields"]["name"], "fields": case["fields"],
            "file": "some.yaml", "line": 1, "kappa": null,
        });
        run.cases.push(serde_json::from_value(info).expect("a case"));
    }
    let page = Page::new();
    page.show(&runs::page(&run), "");
    wait_until_ready(&page);
    let filters = table["filters"].as_array().expect("filters");
    assert!(filters.len() > 20);
    for filter in filters {
        let asked = &filter["terms"];
        let answer: Value = page.get(&format!(
            "bncheck.filter({asked}).then((takes) => ({{takes}}), (problem) => ({{error: problem.message}}))"
        ));
        if let Some(error) = filter["error"].as_str() {
            let said = answer["error"].as_str().unwrap_or("nothing");
            assert!(said.starts_with(error), "{asked}: {said}; expected {error}");
        } else {
            // Which cases: the page has its own order.
            let sorted = |takes: &Value| {
                let mut ids: Vec<String> =
                    serde_json::from_value(takes.clone()).unwrap_or_else(|_| panic!("{asked}: {answer}"));
                ids.sort();
                ids
            };
            assert_eq!(sorted(&answer["takes"]), sorted(&filter["takes"]), "{asked}");
        }
    }
}

#[test]
fn every_pattern_of_bits_is_read_as_the_number_that_it_is() {
    let table = table(include_str!("../../../tests/number-table.json"));
    // The script's file on its own, in a page that has nothing else.
    let page = Page::new();
    page.show("<!doctype html><title>numbers</title>", "");
    page.run(&format!(
        "(0, eval)({} + '; globalThis.numberOf = numberOf; globalThis.numberUlps = numberUlps;')",
        Value::from(include_str!("../../../src/html/assets/js/numbers.js"))
    ));
    let numbers: Vec<Value> = page.get(&format!(
        "{}.map(({{dtype, bits}}) => (({{decimal, hex}}) => ({{dtype, bits, decimal, hex}}))(numberOf(dtype, '0x' + bits)))",
        table["numbers"]
    ));
    assert_eq!(Value::from(numbers), table["numbers"]);
    let distances: Vec<Value> = page.get(&format!(
        "{}.map(({{dtype, a, b}}) => ({{dtype, a, b, ulps: numberUlps(dtype, BigInt('0x' + a), BigInt('0x' + b))?.toString() ?? null}}))",
        table["distances"]
    ));
    assert_eq!(Value::from(distances), table["distances"]);
}
