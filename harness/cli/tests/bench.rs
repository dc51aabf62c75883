//! `bncheck bench`.

mod common;

use common::{bncheck, ended};
use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let ended = ended(bncheck(&["bench", "--format", "json"]).args(arguments));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

#[test]
fn it_says_how_fast_small_cases_are_judged_and_where_the_time_goes() {
    let bench = bench(&["--cases-only", "--cases", "60"]);
    let run = &bench["runs"][0];
    assert_eq!(run["cases"], 60);
    assert_eq!(run["backends"][0], "reference");
    for stage in ["generate", "oracle", "arbiter", "backends", "pipe", "judge", "write"] {
        assert!(run["stages"][stage].as_u64().is_some_and(|nanos| nanos > 0), "{stage}: {run}");
    }
    let names: Vec<&str> =
        run["memory"].as_array().expect("a list").iter().filter_map(|it| it["name"].as_str()).collect();
    for name in ["bncheck", "oracle", "reference"] {
        assert!(!cfg!(target_os = "linux") || names.contains(&name), "{names:?}");
    }
    assert_eq!(bench["shapes"].as_array().map(Vec::len), Some(0));
}

#[test]
fn it_times_backends_on_the_shapes_of_networks_beside_libtorch() {
    let bench =
        bench(&["--shapes-only", "--network", "densenet121", "--batch", "1", "--backend", "candle,libtorch"]);
    let shapes = bench["shapes"].as_array().expect("a list");
    assert_eq!(shapes.len(), 6, "three shapes on two backends: {bench}");
    for pair in shapes.chunks(2) {
        assert_eq!((&pair[0]["backend"], &pair[1]["backend"]), (&"libtorch".into(), &"candle".into()));
        let [libtorch, candle] = [&pair[0]["taken"]["times"], &pair[1]["taken"]["times"]];
        assert_eq!(libtorch["of_libtorch"], 1.0);
        assert!(candle["of_libtorch"].as_f64().is_some_and(|ratio| ratio > 0.0), "{candle}");
        for times in [libtorch, candle] {
            assert_eq!(times["with_pipe"], false);
            assert!(times["forward"].as_u64().is_some_and(|nanos| nanos > 0), "{times}");
            assert!(times["backward"].as_u64().is_some_and(|nanos| nanos > 0), "{times}");
        }
    }
}

#[test]
fn what_it_does_not_know_is_refused_with_what_there_is() {
    for (arguments, why) in [
        (["--network", "vgg16"], "the networks are resnet50, densenet121, inception3"),
        (["--batch", "65"], "65 is not in 1..=64"),
        (["--backend", "nosuch"], "there is no backend `nosuch`"),
    ] {
        let ended = ended(bncheck(&["bench", "--shapes-only"]).args(arguments));
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}
