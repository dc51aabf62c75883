//! No case of the suites is there for nothing: in a run of all of them every one is compared by some backend.

mod common;

use std::collections::BTreeMap;

use common::{bncheck, ended};
use serde_json::Value;

#[test]
fn every_case_of_the_suites_is_compared_by_some_backend() {
    let folder = tempfile::tempdir().unwrap();
    let ended = ended(bncheck(&["run", "--tier", "full", "--output"]).arg(folder.path()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    let mut compared: BTreeMap<&str, bool> = BTreeMap::new();
    for result in results["results"].as_array().unwrap() {
        // What was not compared is `unsupported` or `vacuous`.
        let judged = matches!(result["verdict"].as_str(), Some("pass" | "known"));
        *compared.entry(result["case"].as_str().unwrap()).or_default() |= judged;
    }
    let never: Vec<&str> = compared.iter().filter(|(_, judged)| !**judged).map(|(case, _)| *case).collect();
    assert!(never.is_empty(), "never compared by any backend: {never:#?}");
    assert!(compared.len() >= 2000, "{} cases", compared.len());
}

#[test]
fn without_a_filter_the_quick_tier_is_run_and_a_filter_takes_from_all() {
    let ids = |arguments: &[&str]| {
        let ended = ended(&mut bncheck(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (all, quick) = (ids(&["list"]), ids(&["list", "--tier", "quick"]));
    assert!(quick.len() < all.len() && quick.iter().all(|id| all.contains(id)));
    let only_full = all.iter().find(|id| !quick.contains(id)).unwrap();
    assert_eq!(ids(&["list", only_full]), [only_full.as_str()]);
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let ended = ended(bncheck(arguments).arg("--output").arg(folder.path()));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let last = ended.stdout.lines().find(|line| line.contains(" cases × ") || line.contains(" case × "));
        last.and_then(|line| line.split(' ').next()).unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(run(&["run", "--backend", "reference"]), quick.len());
    assert_eq!(run(&["run", "--backend", "reference", only_full]), 1);
    let refused = ended(&mut bncheck(&["run", "--tier", "quick", only_full]));
    assert_eq!(refused.code, Some(4), "{refused:?}");
}
