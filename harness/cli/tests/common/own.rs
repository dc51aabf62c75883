//! Programs of the user's own: what those in Python need, and those in C++ compiled.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::root;

/// What `PYTHONPATH` has to be, by the script that finds or installs numpy; with the examples beside.
pub fn python_path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let setup = Command::new(root().join("backends/python/setup")).output().expect("it can be started");
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
        let path = String::from_utf8(setup.stdout).expect("UTF-8");
        format!("{}:{}", path.trim(), root().join("backends/python/examples").display())
    })
}

/// A program of `backends/cpp`, compiled.
pub struct Compiled {
    _folder: TempDir,
    /// Where it is.
    pub path: PathBuf,
}

/// Compiles a program of `backends/cpp`.
#[track_caller]
pub fn compiled(source: &str) -> Compiled {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("program");
    let mut compiler = Command::new(std::env::var_os("CXX").unwrap_or_else(|| "c++".into()));
    compiler.args(["-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&path);
    succeeds(compiler.arg(root().join("backends/cpp").join(source)));
    Compiled { path, _folder: folder }
}

/// Runs a command, which has to succeed.
#[track_caller]
pub fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
