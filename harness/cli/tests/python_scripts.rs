//! `export --python`: one case as a script for PyTorch alone.

mod common;

use common::{Ended, bncheck, command, ended, folder_with, program};

fn exported(arguments: &[&str]) -> Ended {
    ended(bncheck(&["export", "--python"]).args(arguments))
}

const ID: &str = "errors/no-graph-to-go-back[steps=train]";

#[test]
fn a_script_names_its_case_and_how_it_was_made() {
    let ended = exported(&[ID]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let script = &ended.stdout;
    assert!(
        script.starts_with("# A case of bncheck for PyTorch 2.11 alone:\n#\n#   errors/no-graph"),
        "{script}"
    );
    assert!(script.contains(&format!("\n#   bncheck export --python '{ID}'\n")), "{script}");
    assert!(script.contains("raised(error, \"no_graph\")\n") && script.ends_with("\nfinish()\n"), "{script}");
    let imports: Vec<&str> = script.lines().filter(|line| line.starts_with("import ")).collect();
    assert_eq!(imports, ["import torch"]);
    assert_eq!(exported(&[ID]).stdout, *script);
}

#[test]
fn a_case_made_by_chance_needs_no_checkout() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut elsewhere = command(program());
    let ended = ended(elsewhere.args(["export", "--python", "random/s7/12"]).current_dir(folder.path()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("\n#   bncheck export --python random/s7/12\n"), "{}", ended.stdout);
    assert_eq!(ended.stdout, exported(&["random/s7/12"]).stdout);
}

#[test]
fn a_case_of_a_file_is_made_again_with_the_file() {
    let folder = folder_with(
        "my suite.yaml",
        "suite: mine\ncases:\n  - {name: one, input: {shape: [3, 2]}, mode: train}\n",
    );
    let path = folder.path().join("my suite.yaml");
    let path = path.to_str().expect("a path in UTF-8");
    for arguments in [&["mine/one", "--suites", path][..], &["--suites", path]] {
        let ended = exported(arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let command = format!("\n#   bncheck export --python mine/one --suites '{path}'\n");
        assert!(ended.stdout.contains(&command), "{}", ended.stdout);
    }
}

#[test]
fn several_cases_are_no_script_nor_is_none() {
    for filter in [&["errors/*"][..], &[], &["random/s7/12", "random/s7/13"], &["layer.momentum=77"]] {
        let ended = exported(filter);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        for words in ["a script is of one case, and", "are selected", "bncheck list", "random/s7/12"] {
            assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_mistyped_id_is_guessed() {
    let ended = exported(&["errors/no-graph-to-go-bakc[steps=train]"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("there is no case") && ended.stderr.contains(ID), "{}", ended.stderr);
    let ended = exported(&["random/s7/+12"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn without_it_the_cases_are_lines_of_json() {
    let ended = ended(&mut bncheck(&["export", ID]));
    assert!(ended.stdout.starts_with("{\"case\":\"errors/no-graph"), "{}", ended.stdout);
}
