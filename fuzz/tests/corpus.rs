//! The committed inputs of the fuzz targets go through them, without libFuzzer.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bn_fuzz::targets::{TARGETS, Target};
use bn_ptx::Module;

/// The largest input that is committed, and the largest corpus, in bytes.
const LARGEST: u64 = 4096;
const ALL: u64 = 200_000;

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The inputs of a folder in the order of their names. What cannot be read is said and left out.
fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(error) => panic!("the corpus {} cannot be read: {error}", folder.display()),
    };
    files.sort();
    let mut inputs = Vec::new();
    for file in files {
        match std::fs::read(&file) {
            Ok(bytes) => inputs.push((file, bytes)),
            // Past the test's own capture, so that it shows where nothing fails.
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{} is left out: {error}", file.display());
            }
        }
    }
    inputs
}

/// Runs a target on all its inputs; a panic names the input.
fn replay(target: &Target) {
    let inputs = inputs(&folder(target));
    assert!(!inputs.is_empty(), "the corpus {} has no input", folder(target).display());
    for (file, bytes) in inputs {
        let run = target.run;
        let outcome = std::panic::catch_unwind(move || run(&bytes));
        assert!(outcome.is_ok(), "the target {} fails on {}", target.name, file.display());
    }
}

fn named(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("there is a target of this name")
}

#[test]
fn case_files_are_read_or_refused() {
    replay(named("suite"));
}

#[test]
fn frames_are_messages_or_errors() {
    replay(named("frames"));
}

#[test]
fn kernels_end_or_have_a_fault() {
    replay(named("ptx"));
}

#[test]
fn numbers_have_a_verdict() {
    replay(named("budgets"));
}

#[test]
fn sound_answers_to_whole_cases_pass() {
    replay(named("whole-case"));
}

#[test]
fn every_folder_is_of_a_target_and_small() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut all = 0;
    for entry in std::fs::read_dir(&corpus).expect("there is a corpus").filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(TARGETS.iter().any(|target| target.name == name), "`{name}` is of no target");
        for (file, bytes) in inputs(&entry.path()) {
            let size = bytes.len() as u64;
            assert!(size < LARGEST, "{} has {size} bytes; an input has fewer than {LARGEST}", file.display());
            all += size;
        }
    }
    assert!(all <= ALL, "the corpus has {all} bytes, and may have {ALL}");
}

#[test]
fn every_target_has_a_program() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("targets");
    let manifest = std::fs::read_to_string(targets.join("Cargo.toml")).expect("the programs have a manifest");
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len(), "a program a target");
    for target in TARGETS {
        let Target { name, .. } = target;
        let file = format!("src/{}.rs", name.replace('-', "_"));
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"{file}\"")), "no program `{name}`");
        let program = std::fs::read_to_string(targets.join(&file)).expect("a program has a file");
        let function = name.replace('-', "_");
        assert!(program.contains(&format!("targets::{function}::{function}(data)")), "{file} runs `{name}`");
    }
}

#[test]
fn an_input_that_cannot_be_read_is_left_out() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus-with-a-folder");
    std::fs::create_dir_all(folder.join("no-file")).expect("a folder");
    std::fs::write(folder.join("input"), b"x").expect("a file");
    let read: Vec<Vec<u8>> = inputs(&folder).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(read, [b"x"]);
}

#[test]
fn most_kernels_of_the_corpus_are_executed() {
    let texts = inputs(&folder(named("ptx")));
    let parsed =
        texts.iter().filter(|(_, text)| Module::parse(&String::from_utf8_lossy(text)).is_ok()).count();
    assert!(parsed * 10 >= texts.len() * 9, "{parsed} of {} texts are PTX", texts.len());
}

#[test]
fn most_case_files_of_the_corpus_are_read() {
    let texts = inputs(&folder(named("suite")));
    let read = |text: &[u8]| bn_cases::load_str("corpus.yaml", &String::from_utf8_lossy(text)).is_ok();
    let read = texts.iter().filter(|(_, text)| read(text)).count();
    assert!(read * 3 >= texts.len() * 2, "{read} of {} files are read", texts.len());
}
