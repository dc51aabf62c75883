//! The files of a run: `results.json` and what is made from it, beside those of the run before.

use std::io;
use std::path::{Path, PathBuf};

use bn_harness::results::RunResults;

use crate::html::{self, Page};
use crate::json::{self, WriteError};
use crate::junit::{self, JunitError};
use crate::markdown;

/// What becomes of files that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// They are of another run and are kept: `results.json` becomes `results.old.json`.
    Kept,
    /// They are of the same run and are replaced.
    Replaced,
    /// They are of the same run, whose `results.json` is damaged and is left as it is; the others are replaced.
    Damaged,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What each file is, in a word, and where.
    pub files: Vec<(&'static str, PathBuf)>,
    /// What was left out of the page for its size: a sentence each.
    pub dropped: Vec<String>,
}

/// A file, before it is written.
struct File {
    what: &'static str,
    stem: &'static str,
    ending: &'static str,
    text: String,
}

impl File {
    fn name(&self) -> String {
        format!("{}.{}", self.stem, self.ending)
    }

    fn old_name(&self) -> String {
        format!("{}.old.{}", self.stem, self.ending)
    }

    fn partial_name(&self) -> String {
        format!("{}.partial", self.name())
    }
}

/// Writes the results and everything that is made from them into a folder, which is made when it is missing. Every file
/// appears whole or not at all: a run that is stopped in the middle leaves none that is half-written.
///
/// # Errors
/// When the folder or a file cannot be written. What was there before is then still there.
pub fn write(results: &RunResults, folder: &Path, previous: Previous) -> Result<Written, WriteError> {
    let failed = |name: String, error: io::Error| WriteError { path: folder.join(name), error };
    let rendered = render(results);
    let (mut files, dropped) =
        rendered.map_err(|error| failed("junit.xml".to_owned(), io::Error::other(error)))?;
    if previous == Previous::Damaged {
        files.retain(|file| file.what != "results");
    }
    std::fs::create_dir_all(folder).map_err(|error| failed(files[0].name(), error))?;
    for file in &files {
        std::fs::write(folder.join(file.partial_name()), &file.text).map_err(|error| {
            for file in &files {
                let _ = std::fs::remove_file(folder.join(file.partial_name()));
            }
            failed(file.name(), error)
        })?;
    }
    for file in &files {
        let put = || -> io::Result<()> {
            if previous == Previous::Kept {
                keep_old(folder, file)?;
            }
            std::fs::rename(folder.join(file.partial_name()), folder.join(file.name()))
        };
        put().map_err(|error| failed(file.name(), error))?;
    }
    let written = files.iter().map(|file| (file.what, folder.join(file.name()))).collect();
    Ok(Written { files: written, dropped })
}

/// Writes the page alone, to a file whose folder is made when it is missing.
///
/// # Errors
/// When it cannot be written.
pub fn write_page(results: &RunResults, path: &Path) -> Result<Written, WriteError> {
    let Page { html, dropped } = html::page(results);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = folder
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&partial, html))
        .and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| WriteError { path: path.to_owned(), error })?;
    Ok(Written { files: vec![("report", path.to_owned())], dropped })
}

/// Gives a file of the run before its old name. What a still older run left under that name goes in any case, so that
/// all old files are of one run.
fn keep_old(folder: &Path, file: &File) -> io::Result<()> {
    let (path, old) = (folder.join(file.name()), folder.join(file.old_name()));
    let moved = if path.exists() { std::fs::rename(path, old) } else { std::fs::remove_file(old) };
    match moved {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn render(results: &RunResults) -> Result<(Vec<File>, Vec<String>), JunitError> {
    let file = |what, stem, ending, text| File { what, stem, ending, text };
    let Page { html, dropped } = html::page(results);
    let files = vec![
        file("results", "results", "json", json::to_string(results)),
        file("report", "report", "html", html),
        file("junit", "junit", "xml", junit::to_string(results)?),
        file("summary", "summary", "md", markdown::summary(results)),
    ];
    Ok((files, dropped))
}
