//! Where the tools are: what `backends/cuda/toolkit/setup` installs.

use std::env;
use std::path::PathBuf;

use thiserror::Error;

/// The version of the toolkit, which is part of the place's name.
pub const VERSION: &str = "13.0.88";

/// A directory with the tools in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolkit {
    /// Where it is.
    pub directory: PathBuf,
}

/// There are no tools.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum NoToolkit {
    /// Something is missing.
    #[error("{} is missing. Install it: backends/cuda/toolkit/setup (`just ptx` does so as well)", .0.display())]
    Missing(PathBuf),
    /// The place is not known.
    #[error(
        "neither HOME nor XDG_CACHE_HOME is set, so the CUDA toolkit is nowhere; name its directory with --toolkit"
    )]
    NoHome,
}

impl Toolkit {
    /// The tools in a directory, or in the place where the set-up script puts them.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(directory: Option<PathBuf>) -> Result<Self, NoToolkit> {
        let directory = match directory {
            Some(directory) => directory,
            None => usual_place(|name| env::var_os(name).map(PathBuf::from)).ok_or(NoToolkit::NoHome)?,
        };
        let toolkit = Self { directory };
        let files = [toolkit.nvrtc_builtins(), toolkit.nvrtc(), toolkit.ptxas(), toolkit.nvdisasm()];
        match files.into_iter().find(|file| !file.is_file()) {
            Some(missing) => Err(NoToolkit::Missing(missing)),
            None => Ok(toolkit),
        }
    }

    /// The compiler's library.
    pub fn nvrtc(&self) -> PathBuf {
        self.directory.join("lib/libnvrtc.so.13")
    }

    /// What the compiler's library loads.
    pub fn nvrtc_builtins(&self) -> PathBuf {
        self.directory.join("lib/libnvrtc-builtins.so.13.0")
    }

    /// The assembler.
    pub fn ptxas(&self) -> PathBuf {
        self.directory.join("bin/ptxas")
    }

    /// The disassembler.
    pub fn nvdisasm(&self) -> PathBuf {
        self.directory.join("bin/nvdisasm")
    }
}

/// Where the set-up script installs to, which it says in the same way.
fn usual_place(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let cache = match variable("XDG_CACHE_HOME") {
        // The XDG specification has relative paths ignored.
        Some(cache) if cache.is_absolute() => cache,
        _ => variable("HOME").filter(|home| !home.as_os_str().is_empty())?.join(".cache"),
    };
    Some(cache.join(format!("bncheck/cuda-{VERSION}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_place_is_that_of_the_set_up_script() {
        let place = |cache: Option<&str>, home: Option<&str>| {
            usual_place(|name| if name == "HOME" { home } else { cache }.map(PathBuf::from))
        };
        let at = |path| Some(PathBuf::from(path));
        assert_eq!(place(None, Some("/home/me")), at("/home/me/.cache/bncheck/cuda-13.0.88"));
        assert_eq!(place(Some("/big"), Some("/home/me")), at("/big/bncheck/cuda-13.0.88"));
        assert_eq!(place(Some("big"), Some("/home/me")), at("/home/me/.cache/bncheck/cuda-13.0.88"));
        assert_eq!(place(None, None), None);
        assert_eq!(place(None, Some("")), None);
    }

    #[test]
    fn the_set_up_script_installs_the_same_version() {
        let script = include_str!("../setup");
        assert!(script.contains(&format!("\nreadonly version={VERSION}\n")));
        let wheels = include_str!("../wheels.txt");
        assert!(wheels.contains(&format!("\nnvidia-cuda-nvrtc=={VERSION} ")));
        assert!(wheels.contains(&format!("\nnvidia-cuda-nvcc=={VERSION} ")));
    }

    #[test]
    fn a_missing_tool_is_named_with_what_installs_it() {
        let empty = tempfile::tempdir().expect("a temporary directory");
        let error = Toolkit::find(Some(empty.path().to_owned())).expect_err("there is nothing");
        let message = error.to_string();
        assert!(message.contains("libnvrtc-builtins.so.13.0 is missing"), "{message}");
        assert!(message.contains("backends/cuda/toolkit/setup"), "{message}");
    }
}
