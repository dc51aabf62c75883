//! Every exit code of the table in the README, by what leads to it; codes 3 and 6 have files of their own,
//! `bad_files.rs` and `diff.rs`.
#![cfg(feature = "libtorch")]

mod common;
use common::{Ended, Run, bncheck, command, ended, folder_with, libtorch, program, worker};

#[track_caller]
fn ends_with(code: i32, arguments: &[&str]) -> Ended {
    let ended = ended(&mut bncheck(arguments));
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:#?}");
    ended
}

/// Diagnostics are wrapped at the width of a terminal.
fn unwrapped(text: &str) -> String {
    text.replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

mod all_as_expected {
    use super::*;

    #[test]
    fn a_run_in_which_everything_passes() {
        let run = Run::with(&["exact/means", "dtype=f32", "--backend", "reference"]);
        assert_eq!(run.ended.code, Some(0), "{:#?}", run.ended);
        assert!(run.ended.stdout.ends_with("\nall as expected\n"), "{}", run.ended.stdout);
    }

    #[test]
    fn a_list() {
        let listed = ends_with(0, &["list", "exact/means", "dtype=f32"]).stdout;
        assert_eq!(
            listed.lines().collect::<Vec<_>>(),
            [
                "exact/means[fill=zero,dtype=f32]",
                "exact/means[fill=small,dtype=f32]",
                "exact/means[fill=large,dtype=f32]"
            ]
        );
    }

    #[test]
    fn an_explanation() {
        let text = ends_with(0, &["explain", "errors/one-value-then-more[momentum=0.1,dtype=f32]"]).stdout;
        for part in [
            "cases/suites/errors.yaml:",
            "BatchNorm1d(",
            "1. ",
            "candle is known to deviate: trains-on-one-value",
            "replay 'errors/one-value-then-more[momentum=0.1,dtype=f32]'",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }

    #[test]
    fn a_replay() {
        let text = ends_with(0, &["replay", "exact/means[fill=zero,dtype=f32]"]).stdout;
        for backend in ["reference", "libtorch", "tch-nn", "candle", "cuda-ptx"] {
            let heading = format!("pass  {backend}  exact/means[fill=zero,dtype=f32]\n");
            assert!(text.contains(&heading), "no `{heading}` in\n{text}");
        }
    }

    #[test]
    fn the_schema() {
        let schema: serde_json::Value =
            serde_json::from_str(&ends_with(0, &["schema"]).stdout).expect("the schema is JSON");
        assert!(schema["$schema"].is_string() && schema["properties"]["cases"].is_object());
    }

    #[test]
    fn completions() {
        for (shell, part) in
            [("bash", "complete -F _bncheck"), ("zsh", "#compdef bncheck"), ("fish", "complete -c bncheck")]
        {
            assert!(ends_with(0, &["completions", shell]).stdout.contains(part), "{shell}");
        }
    }

    #[test]
    fn a_doctor_who_finds_nothing_missing() {
        let text = ends_with(0, &["doctor"]).stdout;
        for part in ["libtorch 2.11.0 (tch 0.24.0) in float64", "backend candle", "backend tch-nn"] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert!(!text.contains("missing"), "{text}");
        let json = ends_with(0, &["doctor", "--format", "json"]).stdout;
        assert!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON")["findings"].is_array());
    }

    #[test]
    fn help_and_version() {
        assert!(ends_with(0, &["--help"]).stdout.contains("Exit codes: 0 all as expected"));
        assert!(ends_with(0, &["run", "--help"]).stdout.contains("FIELD=V[,V]"));
        assert!(ends_with(0, &["--version"]).stdout.starts_with("bncheck "));
    }
}

mod usage {
    use super::*;

    #[test]
    fn an_unknown_flag() {
        assert!(ends_with(2, &["run", "--backends", "candle"]).stderr.contains("'--backend'"));
    }

    #[test]
    fn no_command() {
        assert!(ends_with(2, &[]).stderr.contains("Usage: bncheck"));
    }

    #[test]
    fn an_unknown_backend() {
        let text = unwrapped(&ends_with(2, &["run", "--backend", "reference,candel"]).stderr);
        assert!(text.contains("there is no backend `candel`"), "{text}");
        assert!(text.contains("did you mean `candle`? the backends are: reference, libtorch,"), "{text}");
    }

    #[test]
    fn an_unknown_field_in_a_filter() {
        let text = unwrapped(&ends_with(2, &["list", "dtpye=f32"]).stderr);
        assert!(text.contains("unknown field `dtpye` in the filter `dtpye=f32`"), "{text}");
        assert!(text.contains("did you mean `dtype`?") && text.contains("FIELD!=VALUE"), "{text}");
    }

    #[test]
    fn an_unknown_case() {
        for command in ["replay", "explain"] {
            let text = unwrapped(&ends_with(2, &[command, "exact/means[fill=zero,dtype=f23]"]).stderr);
            assert!(text.contains("there is no case `exact/means[fill=zero,dtype=f23]`"), "{text}");
            assert!(text.contains("did you mean `exact/means[fill=zero,dtype=f"), "{text}");
            assert!(text.contains("`bncheck list` prints all ids"), "{text}");
        }
    }

    #[test]
    fn no_jobs_at_all() {
        assert!(ends_with(2, &["run", "--jobs", "0"]).stderr.contains("0 is not in 1..=256"));
    }

    #[test]
    fn an_unknown_shell() {
        assert!(ends_with(2, &["completions", "basic"]).stderr.contains("[possible values: bash"));
    }

    #[test]
    fn an_output_folder_that_is_a_file() {
        let folder = folder_with("file", "in the way");
        let output = folder.path().join("file/results");
        let output = output.to_str().expect("UTF-8");
        let ended = ends_with(2, &["run", "exact/means", "--backend", "reference", "--output", output]);
        let text = unwrapped(&ended.stderr);
        assert!(text.contains("cannot write"), "{text}");
        assert!(text.contains("Not a directory") || text.contains("File exists"), "{text}");
    }
}

mod nothing_selected {
    use super::*;

    #[test]
    fn by_a_filter() {
        for command in ["list", "run"] {
            let text = unwrapped(&ends_with(4, &[command, "no-such-case", "dtype=f32"]).stderr);
            assert!(text.contains("no case is selected by `no-such-case` `dtype=f32`"), "{text}");
        }
    }

    #[test]
    fn in_a_folder_without_suites() {
        let folder = folder_with("notes.txt", "not a suite");
        let path = folder.path().to_str().expect("UTF-8");
        assert!(unwrapped(&ends_with(4, &["list", "--suites", path]).stderr).contains("there are no suites"));
    }

    #[test]
    fn outside_of_a_checkout() {
        let folder = tempfile::tempdir().expect("a folder");
        let ended = ended(bncheck(&["list"]).current_dir(folder.path()));
        assert_eq!(ended.code, Some(4), "{ended:#?}");
        assert!(unwrapped(&ended.stderr).contains("run bncheck inside a checkout of it"), "{ended:#?}");
    }
}

mod something_missing {
    use super::*;

    #[test]
    fn libtorch() {
        let empty = tempfile::tempdir().expect("a folder");
        let asked = ["run", "exact/means", "--oracle", "libtorch"];
        let ended = ended(bncheck(&asked).env("LIBTORCH", empty.path()));
        assert_eq!(ended.code, Some(5), "{ended:#?}");
        let text = unwrapped(&ended.stderr);
        assert!(text.contains("libtorch 2.11.0 is not installed here: LIBTORCH is"), "{text}");
        assert!(text.contains("`just setup` installs it"), "{text}");
    }

    #[test]
    fn libtorch_that_a_backend_was_named_for() {
        let empty = tempfile::tempdir().expect("a folder");
        let mut command = bncheck(&["run", "exact/means", "--backend", "tch-nn"]);
        assert_eq!(ended(command.env("LIBTORCH", empty.path())).code, Some(5), "the backend needs it");
    }

    #[test]
    fn what_needs_no_libtorch_works_without() {
        let empty = tempfile::tempdir().expect("a folder");
        for arguments in [
            &["list"][..],
            &["replay", "exact/means[fill=zero,dtype=f32]"],
            &["schema"],
            &["explain", "exact/means[fill=zero,dtype=f32]"],
        ] {
            let ended = ended(bncheck(arguments).env("LIBTORCH", empty.path()));
            assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
        }
    }

    #[test]
    fn the_doctor_says_so_and_names_the_fix() {
        let empty = tempfile::tempdir().expect("a folder");
        let ended = ended(bncheck(&["doctor"]).env("LIBTORCH", empty.path()));
        assert_eq!(ended.code, Some(5), "{ended:#?}");
        let lines: Vec<&str> = ended.stdout.lines().map(str::trim).collect();
        for what in ["libtorch", "oracle", "backend libtorch", "backend tch-nn"] {
            let place = lines
                .iter()
                .position(|line| {
                    line.strip_prefix("missing").is_some_and(|line| line.trim().starts_with(what))
                })
                .unwrap_or_else(|| panic!("`{what}` is not missing in\n{}", ended.stdout));
            assert_eq!(lines[place + 1], "fix: just setup");
        }
        assert!(lines.iter().any(|line| line.starts_with("ok       backend candle")), "{}", ended.stdout);
    }

    #[test]
    fn a_gpu_that_a_backend_was_named_for() {
        // Where there is a GPU, the driver is told to show none.
        let without_gpu = |arguments: &[&str]| ended(bncheck(arguments).env("CUDA_VISIBLE_DEVICES", ""));
        let named = without_gpu(&["run", "exact/means", "--backend", "cuda"]);
        assert_eq!(named.code, Some(5), "{named:#?}");
        assert!(named.stderr.contains("the backend `cuda` is not to be had"), "{}", named.stderr);
        assert!(named.stderr.contains("`cuda-ptx` runs the same kernel without a GPU"), "{}", named.stderr);
        let replay = without_gpu(&["replay", "exact/means[fill=zero,dtype=f32]"]);
        assert_eq!(replay.code, Some(0), "{replay:#?}");
        let unsupported = "unsupported  cuda  exact/means[fill=zero,dtype=f32]";
        assert!(replay.stdout.contains(unsupported), "no `{unsupported}` in\n{}", replay.stdout);
    }

    #[test]
    fn the_worker() {
        let folder = tempfile::tempdir().expect("a folder");
        let alone = folder.path().join("bncheck");
        std::fs::copy(program(), &alone).expect("copied");
        let mut run = command(&alone);
        run.args(["run", "exact/means", "--backend", "reference"]).env("LIBTORCH", super::libtorch());
        let run = ended(&mut run);
        assert_eq!(run.code, Some(5), "{run:#?}");
        let text = unwrapped(&run.stderr);
        assert!(text.contains("bncheck-torch is missing"), "{text}");
        assert!(text.contains("`cargo build --workspace --bins` builds it beside bncheck"), "{text}");
        let doctor = ended(command(&alone).arg("doctor").env("LIBTORCH", super::libtorch()));
        assert_eq!(doctor.code, Some(5), "{doctor:#?}");
        assert!(doctor.stdout.contains("fix: cargo build --workspace --bins"), "{}", doctor.stdout);
    }
}

#[test]
fn a_bug_of_bncheck_ends_with_70_and_asks_for_a_report() {
    let ended = ended(bncheck(&["list"]).env("BNCHECK_TEST_PANIC", "1"));
    assert_eq!(ended.code, Some(70), "{ended:#?}");
    assert!(ended.stderr.contains("This is a bug in bncheck. Please report it"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

/// Workers that are not what they should be, in the place of the real one.
#[cfg(unix)]
mod a_worker_that_breaks {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Runs a case on `tch-nn` with this script as the worker; `$REAL` is the real one.
    fn run_with_worker(script: &str) -> Ended {
        let folder = tempfile::tempdir().expect("a folder");
        let (alone, fake) = (folder.path().join("bncheck"), folder.path().join("bncheck-torch"));
        std::fs::copy(program(), &alone).expect("copied");
        std::fs::write(&fake, format!("#!/bin/sh\nREAL='{}'\n{script}\n", worker().display()))
            .expect("written");
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let mut run = command(&alone);
        run.args(["run", "exact/means[fill=zero,dtype=f32]", "--backend", "tch-nn", "--output"])
            .arg(folder.path().join("out"))
            .env("LIBTORCH", libtorch());
        ended(&mut run)
    }

    #[test]
    fn before_it_greets_is_missing() {
        let ended = run_with_worker("echo no such instruction >&2; exit 3");
        assert_eq!(ended.code, Some(5), "{ended:#?}");
        let text = unwrapped(&ended.stderr);
        assert!(text.contains("the worker ended with exit code 3; it last said: no such"), "{text}");
        assert!(text.contains("`bncheck doctor` says what is missing"), "{text}");
    }

    #[test]
    fn for_want_of_a_library_is_libtorch_missing() {
        let ended = run_with_worker(
            "echo 'bncheck-torch: error while loading shared libraries: libtorch_cpu.so: no such file' >&2\nexit 127",
        );
        assert_eq!(ended.code, Some(5), "{ended:#?}");
        assert!(unwrapped(&ended.stderr).contains("`just setup` installs it"), "{}", ended.stderr);
    }

    #[test]
    fn in_a_case_is_a_crash_of_that_backend_alone() {
        // The real worker greets and ends with its input; then the script dies.
        let ended = run_with_worker(
            "if [ \"$1\" = tch-nn ]; then \"$REAL\" tch-nn < /dev/null; echo the last words >&2; kill -SEGV $$; fi\n\
             exec \"$REAL\" \"$1\"",
        );
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let text = &ended.stdout;
        assert!(text.contains("crash  tch-nn  exact/means[fill=zero,dtype=f32]\n"), "{text}");
        assert!(text.contains("ended by signal 11 (SIGSEGV); it last said: the last words\n"), "{text}");
        assert!(text.contains("  replay: "), "{text}");
    }

    #[test]
    fn as_the_oracle_leaves_the_case_in_doubt() {
        let ended = run_with_worker(
            "if [ \"$1\" = libtorch ]; then \"$REAL\" libtorch < /dev/null; kill -SEGV $$; fi\n\
             exec \"$REAL\" \"$1\"",
        );
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.stdout.contains("suspect  tch-nn"), "{}", ended.stdout);
        assert!(ended.stdout.contains("the oracle gave no answer: the worker was ended by signal 11"));
    }
}
