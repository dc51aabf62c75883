//! The CUDA C++ of a unit: a file and what it includes, from one folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::stamp::{Source, sha256};
use thiserror::Error;

use crate::units::KERNELS;

/// A file of CUDA C++.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name within [`KERNELS`], by which it is included.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// Its path in the repository.
    pub fn path(&self) -> String {
        format!("{KERNELS}/{}", self.name)
    }
}

/// Why the sources of a unit cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error("{} cannot be read: {cause}{}", path.display(), included(.by.as_deref()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The file and line that include it.
        by: Option<String>,
        /// What the system says.
        cause: io::Error,
    },
    /// A header of elsewhere.
    #[error(
        "{by} includes <{name}>: the kernels use no header but those of {KERNELS}, so that their PTX depends on nothing \
         else"
    )]
    Foreign {
        /// The file and line that include it.
        by: String,
        /// Its name.
        name: String,
    },
}

fn included(by: Option<&str>) -> String {
    by.map(|by| format!("; {by} includes it")).unwrap_or_default()
}

/// Reads a file and all that it includes, each once, in the order in which they are reached.
///
/// # Errors
/// When one cannot be read, or is of another folder.
pub fn read(root: &Path, name: &str) -> Result<Vec<File>, SourceError> {
    let mut files = Vec::new();
    visit(&root.join(KERNELS), name, None, &mut files)?;
    Ok(files)
}

fn visit(folder: &Path, name: &str, by: Option<String>, files: &mut Vec<File>) -> Result<(), SourceError> {
    if files.iter().any(|file| file.name == name) {
        return Ok(());
    }
    let path = folder.join(name);
    let text = fs::read_to_string(&path).map_err(|cause| SourceError::Unreadable { path, by, cause })?;
    let file = File { name: name.to_owned(), text };
    let path = file.path();
    let text = file.text.clone();
    files.push(file);
    for (line, text) in text.lines().enumerate() {
        let by = format!("{path}:{}", line + 1);
        match include(text) {
            Some(Include::Ours(name)) => visit(folder, name, Some(by), files)?,
            Some(Include::Foreign(name)) => return Err(SourceError::Foreign { by, name: name.to_owned() }),
            None => {}
        }
    }
    Ok(())
}

enum Include<'a> {
    Ours(&'a str),
    Foreign(&'a str),
}

/// What a line includes, if it includes something.
fn include(line: &str) -> Option<Include<'_>> {
    let what = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("include")?.trim_start();
    let within = |open, close| what.strip_prefix(open)?.split(close).next();
    within('"', '"').map(Include::Ours).or_else(|| within('<', '>').map(Include::Foreign))
}

/// What the head of a PTX file says of its sources.
pub fn hashes(files: &[File]) -> Vec<Source> {
    files.iter().map(|file| Source { path: file.path(), sha256: sha256(file.text.as_bytes()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join(KERNELS)).expect("a folder");
        for (name, text) in files {
            fs::write(root.path().join(KERNELS).join(name), text).expect("a file");
        }
        root
    }

    #[test]
    fn each_file_is_read_once_in_the_order_of_inclusion() {
        let root = tree(&[
            ("a.cu", "#include \"b.cuh\"\n  # include \"c.cuh\"\n// #include \"no.cuh\"\n"),
            ("b.cuh", "#pragma once\n#include \"d.cuh\"\n"),
            ("c.cuh", "#include \"d.cuh\"\n"),
            ("d.cuh", "int d;\n"),
        ]);
        let files = read(root.path(), "a.cu").expect("all are there");
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.cu", "b.cuh", "d.cuh", "c.cuh"]);
        let hashes = hashes(&files);
        assert_eq!(hashes[2].path, "backends/cuda/kernels/d.cuh");
        assert_eq!(hashes[2].sha256, sha256(b"int d;\n"));
    }

    #[test]
    fn a_missing_header_is_named_with_who_includes_it() {
        let root = tree(&[("a.cu", "\n#include \"gone.cuh\"\n")]);
        let message = read(root.path(), "a.cu").expect_err("it is missing").to_string();
        assert!(message.contains("gone.cuh cannot be read"), "{message}");
        assert!(message.ends_with("backends/cuda/kernels/a.cu:2 includes it"), "{message}");
    }

    #[test]
    fn a_header_of_elsewhere_is_refused() {
        let root = tree(&[("a.cu", "#include <cuda_fp16.h>\n")]);
        let message = read(root.path(), "a.cu").expect_err("it is CUDA's").to_string();
        assert!(message.starts_with("backends/cuda/kernels/a.cu:1 includes <cuda_fp16.h>"), "{message}");
    }
}
