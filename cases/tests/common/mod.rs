//! The suites of this repository, for the tests that look at all of them.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};

use bn_cases::Suite;

/// The folder with the suites.
pub fn suites_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suites")
}

/// All suite files, in the order of their paths.
pub fn suite_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![suites_folder()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the suites' folder can be read") {
            let path = entry.expect("the suites' folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 10, "{} suite files in {}", files.len(), suites_folder().display());
    files
}

/// A file's text.
pub fn text_of(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// All suites, in the order of their files.
pub fn suites() -> Vec<Suite> {
    bn_cases::load(&[suites_folder()]).unwrap_or_else(|problems| panic!("{}", drawn(&problems)))
}

/// A diagnostic as a terminal without colours shows it.
pub fn drawn(problem: &dyn miette::Diagnostic) -> String {
    let mut text = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut text, problem)
        .expect("writing to a string");
    text
}
