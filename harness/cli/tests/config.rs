//! Backends that a `bncheck.toml` names.
#![cfg(unix)]

mod common;

use common::{Ended, Run, bncheck, ended, folder_with, program, root};
use serde_json::Value;
use tempfile::TempDir;

/// Three cases, in this order.
const MEANS: &[&str] = &["exact/means", "dtype=f32", "--jobs", "1"];

/// A folder with this `bncheck.toml`, in which `{bncheck}` is the program and `{root}` the checkout.
fn toml(text: &str) -> TempDir {
    let text = text.replace("{bncheck}", program().to_str().expect("UTF-8"));
    folder_with("bncheck.toml", text.replace("{root}", root().to_str().expect("UTF-8")))
}

fn path_of(folder: &TempDir) -> String {
    folder.path().join("bncheck.toml").to_str().expect("UTF-8").to_owned()
}

/// Runs cases with what such a file names.
fn run(folder: &TempDir, arguments: &[&str]) -> Run {
    Run::with(&[arguments, &["--config", &path_of(folder)]].concat())
}

/// The verdicts of a backend with their reasons.
fn verdicts(run: &Run, backend: &str) -> Vec<(String, String)> {
    let text = |result: &Value, field: &str| result[field].as_str().unwrap_or_default().to_owned();
    let results = run.results();
    let of_it = results["results"].as_array().expect("results").iter().filter(|it| it["backend"] == backend);
    of_it.map(|result| (text(result, "verdict"), text(result, "reason"))).collect()
}

fn columns(run: &Run) -> Vec<String> {
    let results = run.results();
    let columns = results["run"]["backends"].as_array().expect("columns").iter();
    columns.map(|column| column["name"].as_str().expect("a name").to_owned()).collect()
}

/// Standard error as one line.
fn said(ended: &Ended) -> String {
    ended.stderr.replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is wrong with such a file.
#[track_caller]
fn refused(code: i32, text: &str, arguments: &[&str]) -> String {
    let run = run(&toml(text), &[MEANS, arguments].concat());
    assert_eq!(run.ended.code, Some(code), "{:#?}", run.ended);
    said(&run.ended)
}

const TWO: &str = "[backends.zeta]\ncommand = \"{bncheck} worker reference\"\n\n\
                   [backends.alpha]\ncommand = [\"{bncheck}\", \"worker\", \"candle\"]\nonly_when_named = true\n";

#[test]
fn they_join_every_run_but_those_that_are_left_out_unless_named() {
    let folder = toml(TWO);
    let all = run(&folder, MEANS);
    assert_eq!(all.ended.code, Some(0), "{:#?}", all.ended);
    assert_eq!(columns(&all).last().map(String::as_str), Some("zeta"));
    assert!(columns(&all).contains(&"reference".to_owned()) && !columns(&all).contains(&"alpha".to_owned()));
    assert!(verdicts(&all, "zeta").iter().all(|(verdict, _)| verdict == "pass"));
    let named = run(&folder, &[MEANS, &["--backend", "alpha,reference,zeta"]].concat());
    assert_eq!(columns(&named), ["reference", "zeta", "alpha"], "bncheck's own first, then as in the file");
    let command = format!("mine={} worker reference", program().display());
    let alone = run(&folder, &[MEANS, &["--backend-cmd", &command]].concat());
    assert_eq!(columns(&alone), ["mine"]);
}

#[test]
fn the_file_is_found_in_this_folder_or_above_it_and_its_commands_run_beside_it() {
    let folder = toml(
        "[backends.script]\ncommand = \"sh ./own.sh reference\"\nenv = { BNCHECK = \"{bncheck}\" }\n\
         deviations = \"declared.yaml\"\n",
    );
    std::fs::write(folder.path().join("own.sh"), "exec \"$BNCHECK\" worker \"$1\"\n").expect("written");
    std::fs::write(folder.path().join("declared.yaml"), "deviations: []\n").expect("written");
    let below = folder.path().join("below");
    std::fs::create_dir(&below).expect("a folder");
    let suites = root().join("cases/suites");
    for place in [folder.path(), &below] {
        let mut replay = bncheck(&["replay", "exact/means[fill=zero,dtype=f32]", "--backend", "script"]);
        replay.current_dir(place).arg("--suites").arg(&suites).env("LIBTORCH", common::libtorch());
        let ended = ended(&mut replay);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert!(ended.stdout.contains("pass  script  exact/means[fill=zero,dtype=f32]"), "{}", ended.stdout);
    }
}

#[test]
fn what_it_declares_to_do_differently_is_known_and_has_to_occur() {
    let candle = |deviations: &str| {
        toml(&format!(
            "[backends.mine]\ncommand = \"{{bncheck}} worker candle\"\nonly_when_named = true\n{deviations}"
        ))
    };
    let cases = ["errors/eps-not-positive", "--backend", "mine"];
    let undeclared = run(&candle(""), &cases);
    let declared = run(&candle("deviations = \"{root}/backends/candle/deviations.yaml\"\n"), &cases);
    let count = |run: &Run, which: &str| verdicts(run, "mine").iter().filter(|(it, _)| it == which).count();
    assert!(count(&undeclared, "fail") > 0, "{:#?}", undeclared.ended);
    assert_eq!(count(&declared, "known"), count(&undeclared, "fail"));
    assert_eq!((undeclared.ended.code, declared.ended.code), (Some(1), Some(0)));
    // One that does not deviate is told so.
    let file = toml(
        "[backends.mine]\ncommand = \"{bncheck} worker reference\"\n\
         deviations = \"{root}/backends/candle/deviations.yaml\"\n",
    );
    let fixed = run(&file, &cases);
    assert!(count(&fixed, "fixed") > 0 && fixed.ended.code == Some(1), "{:#?}", fixed.ended);
}

#[test]
fn deviations_that_speak_of_other_cases_than_these_cover_none_of_them() {
    let folder =
        toml("[backends.mine]\ncommand = \"{bncheck} worker reference\"\ndeviations = \"mine.yaml\"\n");
    let entry = "deviations:\n- name: other\n  cases: ['fill=zero']\n  affects: [output]\n  reason: r\n  \
                 link: https://example.org\n  smallest: x\n";
    std::fs::write(folder.path().join("mine.yaml"), entry).expect("written");
    let suite = root().join("cases/suites/eps.yaml");
    let suite = suite.to_str().expect("UTF-8");
    let run = run(&folder, &["dtype=f32", "--backend", "mine", "--suites", suite]);
    assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
}

#[test]
fn a_limit_of_its_own_holds_unless_the_command_line_says_another() {
    let folder = toml(
        "[backends.slow]\ncommand = [\"sh\", \"-c\", \"cat '{root}/docs/protocol/hello.bin'; sleep 60\"]\n\
         timeout = 0.5\n",
    );
    let case = ["exact/means[fill=zero,dtype=f32]", "--backend", "slow"];
    let own = run(&folder, &case);
    assert_eq!(verdicts(&own, "slow")[0].0, "timeout", "{:#?}", own.ended);
    assert!(
        verdicts(&own, "slow")[0].1.starts_with("no answer within 0.5 s"),
        "{:?}",
        verdicts(&own, "slow")
    );
    let other = run(&folder, &[&case[..], &["--timeout", "0.25"]].concat());
    assert!(
        verdicts(&other, "slow")[0].1.starts_with("no answer within 0.25 s"),
        "{:?}",
        verdicts(&other, "slow")
    );
}

#[test]
fn one_that_is_absent_is_unsupported_with_its_reason_and_missing_where_it_was_named() {
    let file = "[backends.onnx]\ncommand = \"cat {root}/docs/protocol/absent.bin\"\n";
    let why = "onnxruntime is not installed: pip install onnxruntime";
    let beside = run(&toml(file), MEANS);
    assert_eq!(beside.ended.code, Some(0), "{:#?}", beside.ended);
    assert_eq!(verdicts(&beside, "onnx"), vec![("unsupported".to_owned(), why.to_owned()); 3]);
    let text = refused(5, file, &["--backend", "onnx"]);
    assert!(text.contains(&format!("the backend `onnx` is not to be had: {why}")), "{text}");
    let command = format!("cat {}/docs/protocol/absent.bin", root().display());
    let given = Run::with(&[MEANS, &["--backend-cmd", &command]].concat());
    assert_eq!(given.ended.code, Some(5), "{:#?}", given.ended);
    assert!(
        said(&given.ended).contains(&format!("`onnxruntime` is not to be had: {why}")),
        "{:#?}",
        given.ended
    );
}

#[test]
fn doctor_and_completions_and_suggestions_know_them() {
    let folder =
        toml(&format!("{TWO}\n[backends.onnx]\ncommand = \"cat {{root}}/docs/protocol/absent.bin\"\n"));
    let doctor = ended(&mut bncheck(&["doctor", "--config", &path_of(&folder)]));
    let line = |start: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = doctor.stdout.lines().map(words).find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no `{start}` in {}", doctor.stdout))
    };
    assert!(line("ok configuration").ends_with("bncheck.toml"));
    assert!(line("ok backend alpha").contains("candle-nn"));
    assert!(line("absent backend onnx").contains("pip install onnxruntime"));
    let mut completions = bncheck(&["completions", "bash"]);
    let completions = ended(completions.current_dir(folder.path()));
    assert!(completions.stdout.contains("cuda-ptx-acc64 zeta alpha onnx"), "{completions:#?}");
    let text = refused(2, TWO, &["--backend", "zita"]);
    assert!(text.contains("did you mean `zeta`?") && text.contains("zeta, alpha"), "{text}");
}

#[test]
fn the_line_that_shows_a_failure_again_names_the_file_along() {
    let folder = toml("[backends.mine]\ncommand = \"{bncheck} worker candle\"\n");
    let run = run(&folder, &["errors/eps-not-positive", "--backend", "mine"]);
    let line = run.ended.stdout.lines().find(|line| line.contains(" replay ")).expect("a line to copy");
    assert!(line.contains("--backend mine --config "), "{line}");
    assert!(line.contains(&path_of(&folder)), "{line}");
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_path_and_line() {
    for (text, at, words) in [
        ("[backends.a]\nprogram = \"x\"\n", "2:1", "unknown field `program`"),
        ("[backends.a]\ncommand = 5\n", "2:11", "a string, which is split into words as by a shell"),
        ("[backends.candle]\ncommand = \"x\"\n", "1:11", "`candle` is a backend of bncheck's own"),
        ("[backends.a]\ncommand = \"x\"\nmemory = \"much\"\n", "3:10", "an amount of memory is written like"),
        ("[backends.a\n", "1:", "unclosed table"),
        (
            "[backends.a]\ncommand = \"{bncheck} worker reference\"\ndeviations = \"nowhere.yaml\"\n",
            "3:14",
            "nowhere.yaml: No such file or directory",
        ),
    ] {
        let text = refused(2, text, &[]);
        assert!(text.contains(words), "no `{words}` in {text}");
        assert!(text.contains(&format!("bncheck.toml:{at}")), "no `{at}` in {text}");
    }
    let run = Run::with(&[MEANS, &["--config", "/nowhere/bncheck.toml"]].concat());
    assert_eq!(run.ended.code, Some(2), "{:#?}", run.ended);
    assert!(said(&run.ended).contains("cannot read /nowhere/bncheck.toml: No such file"), "{:#?}", run.ended);
}

#[test]
fn a_file_of_deviations_that_is_wrong_is_refused_with_its_path_and_line() {
    let folder = toml("[backends.a]\ncommand = \"{bncheck} worker reference\"\ndeviations = \"a.yaml\"\n");
    std::fs::write(folder.path().join("a.yaml"), "deviations:\n- title: x\n").expect("written");
    let run = run(&folder, MEANS);
    assert_eq!(run.ended.code, Some(2), "{:#?}", run.ended);
    assert!(said(&run.ended).contains("a.yaml:2:3"), "{}", said(&run.ended));
}

#[test]
fn one_that_cannot_be_started_ends_the_run_before_it_begins() {
    let text = refused(5, "[backends.lost]\ncommand = \"/nowhere/bn\"\n", &[]);
    assert!(text.contains("`lost` of"), "{text}");
    assert!(text.contains("bncheck.toml:1` is not to be had as a backend: cannot start"), "{text}");
    assert!(text.contains("nowhere/bn: No such file or directory"), "{text}");
    let unused = "[backends.lost]\ncommand = \"/nowhere/bn\"\nonly_when_named = true\n";
    assert_eq!(run(&toml(unused), MEANS).ended.code, Some(0));
}
