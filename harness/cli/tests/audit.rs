//! bncheck's semantics against PyTorch itself, recorded: `harness/audit/recording.jsonl.gz` holds what
//! `torch.nn.BatchNorm{1,2,3}d` of PyTorch 2.11.0 answered to the smaller cases of the suites.
#![cfg(feature = "libtorch")]

mod common;

use common::{bncheck, ended};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../audit/recording.jsonl.gz");

#[test]
fn every_recorded_case_agrees_with_pytorch() {
    let ended = ended(&mut bncheck(&["audit", RECORDING]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let agreed: usize = ended.stdout.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(agreed >= 1400, "{}", ended.stdout);
}

#[test]
fn with_other_kernels_the_recorded_cases_agree_within_the_budgets() {
    let ended = ended(bncheck(&["audit", RECORDING]).env("ATEN_CPU_CAPABILITY", "default"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("within the budgets"), "{}", ended.stdout);
}

#[test]
fn the_recording_is_small_enough_to_keep() {
    assert!(std::fs::metadata(RECORDING).unwrap().len() <= 3 << 20);
}

#[test]
fn a_recording_that_says_something_else_disagrees() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.jsonl");
    let header = r#"{"recording":2,"torch":"2.11.0","python":"3","machine":"x","capability":"x","made":"x","command":"x"}"#;
    let id = "errors/no-graph-to-go-back[steps=train]";
    // Fewer steps than the case has are compared as far as they go; here a new layer without anything in it.
    let step = r#"{"error":null,"tensors":{}}"#;
    let case = format!(r#"{{"case":"{id}","float64":[{step}],"own":[{step}]}}"#);
    std::fs::write(&path, format!("{header}\n{case}\n")).unwrap();
    let ended = ended(bncheck(&["audit"]).arg(&path));
    let text = &ended.stdout;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(text.contains("PyTorch has no running_mean") && text.contains("1 do not"), "{text}");
}

#[test]
fn a_recording_of_another_form_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.jsonl");
    let header = r#"{"recording":1,"torch":"2.11.0","python":"3","machine":"x","capability":"x","made":"x","command":"x"}"#;
    std::fs::write(&path, format!("{header}\n")).unwrap();
    let ended = ended(bncheck(&["audit"]).arg(&path));
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("form 1") && ended.stderr.contains("just record-oracle"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_recording_that_cannot_be_read_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.jsonl");
    std::fs::write(&path, "not json\n").unwrap();
    let ended = ended(bncheck(&["audit"]).arg(&path));
    assert_eq!(ended.code, Some(2));
    let message = ended.stderr;
    assert!(message.contains("recording.jsonl") && message.contains("line 1"), "{message}");
}
