//! `bncheck bench`.

mod common;

use common::{bncheck, ended};
use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let ended = ended(bncheck(&["bench", "--format", "json"]).args(arguments));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// Every stage took some time, and every verdict is a pass.
#[track_caller]
fn is_judged(run: &Value, backends: &[&str]) {
    assert_eq!(run["backends"], serde_json::json!(backends), "{run}");
    for stage in ["generate", "oracle", "arbiter", "backends", "pipe", "judge", "write"] {
        assert!(run["stages"][stage].as_u64().is_some_and(|nanos| nanos > 0), "{stage}: {run}");
    }
    let (arithmetic, arbiter) = (run["arbiter_arithmetic"].as_u64(), run["stages"]["arbiter"].as_u64());
    assert!(arithmetic > Some(0) && arithmetic < arbiter, "{run}");
    let passed = |backend| serde_json::json!({"backend": backend, "verdicts": [["pass", run["cases"]]]});
    let all: Vec<Value> = backends.iter().map(passed).collect();
    assert_eq!(run["verdicts"], Value::from(all), "{run}");
    let names: Vec<&str> =
        run["memory"].as_array().expect("a list").iter().filter_map(|it| it["name"].as_str()).collect();
    for name in ["bncheck", "oracle"].iter().chain(backends) {
        assert!(!cfg!(target_os = "linux") || names.contains(name), "{names:?}");
    }
}

#[test]
fn it_says_how_fast_cases_are_judged_and_where_the_time_goes() {
    let bench = bench(&["--cases-only", "--cases", "60", "--batch", "1"]);
    let [small, resnet] = &bench["runs"].as_array().expect("a list")[..] else { panic!("{bench}") };
    assert_eq!(small["cases"], 60);
    is_judged(small, &["reference"]);
    assert_eq!(resnet["cases"], 12, "ResNet-50 has twelve shapes");
    is_judged(resnet, &["reference"]);
    assert_eq!(bench["shapes"].as_array().map(Vec::len), Some(0));
}

#[test]
fn it_judges_the_backends_and_networks_that_are_asked_for() {
    let small = bench(&[
        "--cases-only",
        "--cases",
        "12",
        "--network",
        "inception3",
        "--batch",
        "1",
        "--backend",
        "libtorch,candle",
    ]);
    let what: Vec<&Value> =
        small["runs"].as_array().expect("a list").iter().map(|run| &run["what"]).collect();
    assert_eq!(what.len(), 2, "{small}");
    assert!(what[1].as_str().is_some_and(|what| what.contains("inception3")), "{what:?}");
    is_judged(&small["runs"][1], &["libtorch", "candle"]);
    assert_eq!(small["runs"][0]["backends"], serde_json::json!(["libtorch", "candle"]));
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

/// Programs say how long they took themselves, so that their times are without the pipe.
#[cfg(unix)]
#[test]
fn programs_in_python_and_cpp_are_timed_without_the_pipe() {
    let plain = common::own::compiled("examples/plain_bn.cpp");
    let cpp = format!("cpp={}", plain.path.display());
    let arguments = ["--shapes-only", "--network", "resnet50", "--batch", "1"];
    let mut command = bncheck(&["bench", "--format", "json"]);
    command.args(arguments).args(["--backend-cmd", &cpp]);
    command.args(["--backend-cmd", "numpy=python3 backends/python/examples/numpy_bn.py"]);
    let ended = ended(command.env("PYTHONPATH", common::own::python_path()));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let bench: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let shapes = bench["shapes"].as_array().expect("a list");
    assert_eq!(shapes.len(), 9, "three shapes on three backends: {bench}");
    for shape in shapes {
        let times = &shape["taken"]["times"];
        assert_eq!(times["with_pipe"], false, "{shape}");
        for pass in ["forward", "backward"] {
            assert!(times[pass].as_u64().is_some_and(|nanos| nanos > 0), "{shape}");
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
