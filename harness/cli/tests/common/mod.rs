//! How the tests call the real program.
#![allow(dead_code, reason = "each test takes what it needs")]

pub mod own;

use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The checkout.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the checkout is there")
}

/// The program.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bncheck"))
}

/// The worker beside it.
#[cfg(feature = "libtorch")]
pub fn worker() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bncheck-torch"))
}

/// libtorch, where Cargo says that it is.
pub fn libtorch() -> PathBuf {
    std::env::var_os("LIBTORCH").map_or_else(|| root().join(".libtorch"), PathBuf::from)
}

/// A program, called in the checkout as from a plain shell and not as by `cargo run`.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).timeout(Duration::from_secs(300));
    for name in
        ["CARGO", "CARGO_PKG_NAME", "CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR", "RUST_BACKTRACE", "COLUMNS"]
    {
        command.env_remove(name);
    }
    command
}

/// `bncheck` with these arguments, called in the checkout.
pub fn bncheck(arguments: &[&str]) -> Command {
    let mut command = command(program());
    command.args(arguments);
    command
}

/// How a call went.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

/// Calls it.
pub fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the program can be started");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `bncheck run` with its results in a folder of their own.
pub struct Run {
    /// How it ended.
    pub ended: Ended,
    /// The folder.
    pub folder: TempDir,
}

impl Run {
    /// Runs with these arguments.
    pub fn with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = bncheck(&["run"]);
        command.args(arguments).arg("--output").arg(folder.path());
        Run { ended: ended(&mut command), folder }
    }

    /// What `results.json` holds.
    #[track_caller]
    pub fn results(&self) -> Value {
        let path = self.folder.path().join("results.json");
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).expect("results.json is JSON"),
            Err(error) => panic!("{}: {error}; {:?}", path.display(), self.ended),
        }
    }
}

/// A folder with a file in it.
pub fn folder_with(name: &str, text: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(name), text).expect("written");
    folder
}

/// What may differ from run to run, taken out.
pub fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in
                ["micros", "started_unix_ms", "duration_ms", "stages", "memory", "jobs", "flags", "parts"]
            {
                fields.remove(name);
            }
            fields.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}
