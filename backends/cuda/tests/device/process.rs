//! Runs a test in a process of its own, which finds the driver's library that the test wants.
//!
//! cudarc loads `libcuda.so` by its name, and where a process looks for libraries is settled when it starts. So the
//! test program starts itself once more, for the one test, with a folder in front of `LD_LIBRARY_PATH` that is made for
//! it and deleted after it.

use std::any::type_name_of_val;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Set in the process that runs the test's body, to the test's name.
const INSIDE: &str = "BNCHECK_TEST_INSIDE";

/// The driver's library that a process finds.
#[derive(Clone, Copy)]
pub enum Library {
    /// The stand-in, with these settings.
    StandIn(&'static str),
    /// None, even if the machine has one.
    None,
}

/// Runs the body where cudarc finds this library, with these variables set, and gives what the process wrote. In that
/// process itself the answer is `None`: what follows the call is for the one that started it.
///
/// The body must not panic, nor may anything in it panic and be caught; and what it has on the device it gives back.
pub fn with(library: Library, variables: &[(&str, &str)], body: impl FnOnce()) -> Option<String> {
    let name = name_of(&body);
    if env::var(INSIDE).is_ok_and(|inside| inside == name) {
        body();
        return None;
    }
    let program = env::current_exe().expect("the test program is a file");
    let folder = tempfile::tempdir().expect("a folder for the library");
    let mut command = Command::new(&program);
    command.args(["--exact", &name, "--nocapture", "--test-threads", "1"]);
    command.env(INSIDE, &name).env_remove("BNCHECK_CUDA_DEVICE").env_remove("BNCHECK_STAND_IN");
    match library {
        Library::StandIn(settings) => {
            let built = program.with_file_name("libbn_cuda_stand_in.so");
            assert!(built.exists(), "{} is not built beside the tests", built.display());
            std::os::unix::fs::symlink(built, folder.path().join("libcuda.so")).expect("a link");
            command.env("BNCHECK_STAND_IN", settings);
        }
        Library::None => block(folder.path()),
    }
    let before = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = [folder.path().to_owned()].into_iter().chain(env::split_paths(&before));
    command.env("LD_LIBRARY_PATH", env::join_paths(folders).expect("folders without colons"));
    command.envs(variables.iter().copied());
    let output = command.output().expect("the test program starts");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{name} failed in its own process, {}:\n{said}", output.status);
    assert!(said.contains("1 passed"), "{name} is not the test's name:\n{said}");
    assert!(!said.contains("panicked at"), "something panicked:\n{said}");
    assert!(!said.contains("left behind"), "the device was not left as it was found:\n{said}");
    Some(said)
}

/// The name of the test whose body this is: the type of a closure is named after the function that it stands in.
fn name_of<Body>(body: &Body) -> String {
    let path = type_name_of_val(body).trim_end_matches("::{{closure}}");
    path.split_once("::").map_or(path, |(_, name)| name).to_owned()
}

/// Puts a file that is no library under every name by which cudarc looks for the driver's: the search ends there.
fn block(folder: &Path) {
    for name in ["cuda", "nvcuda"].into_iter().flat_map(cudarc::get_lib_name_candidates) {
        fs::write(folder.join(name), "this is no library").expect("a file");
    }
}
