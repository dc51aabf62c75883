//! Results are read and written: what comes of whole files, of what is left of others, and of what holds no results.

use std::path::{Path, PathBuf};

use bn_harness::results::RunResults;
use bn_reports::json;
use bn_reports::read::{ReadError, Reading, read};
use bn_reports::write::{Previous, write};
use serde_json::{Value, json};
use tempfile::TempDir;

const CASES: usize = 4;

/// A run of four cases on two backends, all of which pass.
fn a_run() -> RunResults {
    let cases: Vec<Value> = (0..CASES)
        .map(|number| json!({"id": format!("s/{number}"), "suite": "s", "file": "s.yaml", "line": 3, "kappa": 0.1}))
        .collect();
    let columns = ["candle", "tch-nn"].map(|name| json!({"name": name, "version": "1", "about": "it"}));
    let results: Vec<Value> = (0..CASES)
        .flat_map(|number| ["candle", "tch-nn"].map(|backend| (number, backend)))
        .map(|(number, backend)| {
            json!({"case": format!("s/{number}"), "backend": backend, "verdict": "pass", "budget_used": 0.1, "micros": 3})
        })
        .collect();
    let run = json!({
        "schema_version": 1,
        "run": {
            "bncheck": "0.1.0", "oracle": "libtorch", "backends": columns, "jobs": 2, "seed": null, "flags": ["run"],
            "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2},
            "started_unix_ms": 1, "duration_ms": 2
        },
        "suites": [{"name": "s", "file": "s.yaml", "written": []}],
        "cases": cases, "results": results, "deviation_errors": ["one"]
    });
    serde_json::from_value(run).expect("results")
}

/// A file with this content.
fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("results.json");
    std::fs::write(&path, content).expect("written");
    (folder, path)
}

#[track_caller]
fn reading(content: impl AsRef<[u8]>) -> Reading {
    let (_folder, path) = file(content);
    read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// Why nothing can be read of it, and what to do, without its path.
#[track_caller]
fn refused(content: impl AsRef<[u8]>) -> String {
    let (_folder, path) = file(content);
    let error = read(&path).expect_err("it holds no results");
    let name = path.display().to_string();
    format!("{error}\nhelp: {}", error.help()).replace(&name, "FILE")
}

/// The text, up to and with the first occurrence of a part.
fn up_to<'a>(text: &'a str, part: &str) -> &'a str {
    &text[..text.find(part).expect("it is there") + part.len()]
}

#[test]
fn what_is_written_is_read_from_the_file_or_its_folder() {
    let (folder, path) = file(json::to_string(&a_run()));
    let whole = Reading { results: a_run(), is_damaged: false };
    assert_eq!(read(&path).expect("it is read"), whole);
    assert_eq!(read(folder.path()).expect("it is read"), whole);
}

#[test]
fn another_layout_of_the_same_json_is_read_as_well() {
    let pretty = serde_json::to_string_pretty(&a_run()).expect("JSON");
    assert_eq!(reading(pretty).results, a_run());
}

mod what_is_cut_off {
    use super::*;

    #[test]
    fn at_any_byte_is_never_taken_for_whole_and_never_invented() {
        let (text, whole) = (json::to_string(&a_run()), a_run());
        let (folder, path) = file("");
        for length in 1..text.len() - 2 {
            std::fs::write(&path, &text.as_bytes()[..length]).expect("written");
            match read(folder.path()) {
                Ok(Reading { results, is_damaged }) => {
                    assert!(is_damaged && !results.as_expected(), "{length} bytes");
                    assert!(results.run.incomplete.is_some(), "{length} bytes");
                    assert!(whole.results.starts_with(&results.results), "{length} bytes");
                    assert!(whole.cases.starts_with(&results.cases), "{length} bytes");
                }
                Err(ReadError::CutOff { .. }) => {
                    assert!(length < text.find("\"suites\"").expect("it is there"));
                }
                Err(error) => panic!("{length} bytes: {error}"),
            }
        }
    }

    #[test]
    fn among_the_results_says_how_many_are_there() {
        let text = json::to_string(&a_run());
        let Reading { results, .. } = reading(up_to(&text, "{\"case\":\"s/1\",\"backend\":\"tch-nn\""));
        assert_eq!((results.cases.len(), results.results.len()), (4, 3));
        assert_eq!(
            results.run.incomplete.as_deref(),
            Some("the file is cut off, or still being written: 3 results of 4 cases × 2 backends are there")
        );
    }

    #[test]
    fn before_the_results_says_so() {
        let text = json::to_string(&a_run());
        let Reading { results, .. } = reading(up_to(&text, "\"id\":\"s/1\""));
        assert_eq!((results.cases.len(), results.results.len()), (1, 0));
        let why = "the file is cut off, or still being written: no result is in it yet";
        assert_eq!(results.run.incomplete.as_deref(), Some(why));
    }

    #[test]
    fn after_the_results_says_so() {
        let text = json::to_string(&a_run());
        let Reading { results, .. } = reading(up_to(&text, "\"deviation_errors\": ["));
        assert_eq!(results.results, a_run().results);
        let why = "the file is cut off after the results: what comes after them is missing";
        assert_eq!(results.run.incomplete.as_deref(), Some(why));
    }

    #[test]
    fn before_anything_is_said_is_refused() {
        let text = json::to_string(&a_run());
        insta::assert_snapshot!(refused(up_to(&text, "\"oracle\"")));
    }
}

#[test]
fn a_line_that_is_damaged_is_left_out_and_counted() {
    let text = json::to_string(&a_run());
    let hole = text.replace("{\"case\":\"s/1\",\"backend\":\"candle\"", "\0\0\0\0\0\0\0\0\0");
    let Reading { results, is_damaged } = reading(hole);
    assert!(is_damaged);
    assert_eq!(results.results.len(), 7);
    assert_eq!(
        results.run.incomplete.as_deref(),
        Some(
            "the file is damaged: 7 results of 4 cases × 2 backends could be read; 1 line in the middle cannot be read"
        )
    );
}

#[test]
fn what_was_incomplete_before_stays_so() {
    let mut run = a_run();
    run.run.incomplete = Some("part 2 of 2 is missing".to_owned());
    let text = json::to_string(&run);
    assert_eq!(reading(&text).results, run);
    let why = reading(up_to(&text, "\"results\": [")).results.run.incomplete.expect("it is not whole");
    assert!(why.starts_with("part 2 of 2 is missing; the file is cut off"), "{why}");
}

mod what_holds_no_results {
    use super::*;

    #[test]
    fn another_version_whole_or_not() {
        let other = json::to_string(&a_run()).replace("\"schema_version\": 1", "\"schema_version\": 2");
        insta::assert_snapshot!(refused(&other));
        let cut_off = refused(&other[..other.len() / 2]);
        assert!(
            cut_off.starts_with("FILE holds results of schema version 2; this bncheck reads version 1\n")
        );
    }

    #[test]
    fn a_later_version_that_has_nothing_in_common_but_its_number() {
        let said = refused(r#"{"schema_version": "2026-11", "run": 7}"#);
        assert!(said.starts_with("FILE holds results of schema version \"2026-11\"; this"), "{said}");
    }

    #[test]
    fn nothing_at_all() {
        insta::assert_snapshot!(refused(" \n"));
    }

    #[test]
    fn no_file() {
        let error = read(Path::new("no/such/folder")).expect_err("it is not there");
        insta::assert_snapshot!(format!("{error}\nhelp: {}", error.help()));
    }

    #[test]
    fn something_that_is_not_json() {
        insta::assert_snapshot!(refused("# Results\n\nall as expected\n"));
    }

    #[test]
    fn json_of_something_else() {
        for (content, why) in [
            ("[1, 2]", "invalid type"),
            ("{}", "it has no `schema_version`"),
            ("{\"schema_version\": 1}", "missing field `run`"),
            ("7", "invalid type"),
            ("null", "invalid type"),
        ] {
            let said = refused(content);
            assert!(
                said.starts_with("FILE is not a results file: ") && said.contains(why),
                "{content}: {said}"
            );
        }
    }

    #[test]
    fn bytes() {
        assert!(refused([0xff, 0xfe, 0x00, 0x1b]).starts_with("FILE is not a results file: it is not JSON"));
        let deep = "[".repeat(1 << 20);
        assert!(refused(deep).starts_with("FILE is not a results file: "));
    }

    #[test]
    fn what_it_says_cannot_do_harm() {
        let hostile = json::to_string(&a_run())
            .replacen("\"pass\"", "\"\\u001b[2J\\u202e\\n::error::\"", 1)
            .replace("\"budget_used\":0.1", &format!("\"{}\":0.1", "x".repeat(1 << 20)));
        let said = refused(hostile);
        assert!(said.starts_with("FILE is not a results file: unknown variant"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']) && said.len() < 1000, "{said}");
        let version = refused(format!("{{\"schema_version\": \"\\u001b[2J{}\"}}", "9".repeat(1 << 20)));
        assert!(!version.contains('\u{1b}') && version.len() < 1000, "{version}");
    }
}

mod what_is_written {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    fn stem(name: &str) -> &str {
        name.split_once('.').map_or(name, |(stem, _)| stem)
    }

    #[test]
    fn is_beside_what_was_there_and_all_that_is_old_is_of_one_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().join("deep/er");
        let first = write(&a_run(), &output, Previous::Kept).expect("written");
        let written = names(&output);
        assert_eq!(first.files.len(), written.len());
        assert!(written.contains(&"junit.xml".to_owned()) && written.contains(&"summary.md".to_owned()));

        let mut second = a_run();
        second.run.duration_ms = 99;
        write(&second, &output, Previous::Kept).expect("written");
        assert_eq!(names(&output).len(), 2 * written.len());
        for name in &written {
            let old = name.replacen('.', ".old.", 1);
            assert!(names(&output).contains(&old), "{old}");
        }
        assert_eq!(read(&output).expect("it is read").results, second);
        assert_eq!(read(&output.join("results.old.json")).expect("it is read").results, a_run());

        // Someone took the summary away: the summary of the run before last is not that of the last.
        std::fs::remove_file(output.join("summary.md")).expect("removed");
        write(&a_run(), &output, Previous::Kept).expect("written");
        assert!(names(&output).contains(&"summary.md".to_owned()));
        assert!(!names(&output).contains(&"summary.old.md".to_owned()));
    }

    #[test]
    fn again_of_the_same_run_leaves_the_one_before_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut before = a_run();
        before.run.duration_ms = 99;
        write(&before, folder.path(), Previous::Kept).expect("written");
        write(&a_run(), folder.path(), Previous::Kept).expect("written");
        write(&a_run(), folder.path(), Previous::Replaced).expect("written");
        assert_eq!(read(&folder.path().join("results.old.json")).expect("it is read").results, before);
    }

    #[test]
    fn of_a_damaged_file_is_not_put_in_its_place() {
        let text = json::to_string(&a_run());
        let (folder, path) = file(up_to(&text, "\"results\": ["));
        let damaged = std::fs::read(&path).expect("it is there");
        let results = read(&path).expect("something is left").results;
        let written = write(&results, folder.path(), Previous::Damaged).expect("written");
        assert_eq!(std::fs::read(&path).expect("it is there"), damaged);
        assert!(written.files.iter().all(|(what, _)| *what != "results"));
        assert!(names(folder.path()).iter().any(|name| stem(name) == "junit"));
    }

    #[test]
    fn in_a_place_where_nothing_can_be_leaves_nothing_behind() {
        let (folder, path) = file("in the way");
        let error = write(&a_run(), &path, Previous::Kept).expect_err("a file is no folder").to_string();
        assert!(error.starts_with("cannot write ") && error.contains("results.json"), "{error}");
        // A folder that has the name of one of the files.
        std::fs::create_dir(folder.path().join("junit.xml.partial")).expect("a folder");
        let error = write(&a_run(), folder.path(), Previous::Kept).expect_err("it is in the way").to_string();
        assert!(error.contains("junit.xml"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "in the way");
        assert_eq!(names(folder.path()), ["junit.xml.partial", "results.json"]);
    }
}
