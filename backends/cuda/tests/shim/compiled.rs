//! The kernels as a library of this machine.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, ffi};

use bn_api::DType;
use bn_cuda::launch::Launch;
use libloading::Library;

/// Products and sums are not contracted, and nothing is reordered: no option says that it may be.
const OPTIONS: [&str; 8] = [
    "-std=c++17",
    "-O2",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    // Two libraries in one process have nothing in common.
    "-fno-gnu-unique",
];

/// An entry that `KERNEL` of `shim.h` makes: grid and block, the structure and its size; the answer is a `Status`.
type Entry = unsafe extern "C" fn(*const u32, *const ffi::c_void, u64) -> ffi::c_int;

/// Where the kernels of one storage type are, once they are compiled.
type Place = Arc<Mutex<Option<Arc<Compiled>>>>;

/// The kernels of one storage type. Its threads stand in static memory, so one launch runs at a time.
pub struct Compiled {
    library: Mutex<Library>,
}

impl Compiled {
    /// Those of a storage type, compiled when they are first asked for.
    pub fn of(storage: DType) -> Arc<Self> {
        static COMPILED: Mutex<BTreeMap<DType, Place>> = Mutex::new(BTreeMap::new());
        // Held only to find the place, so that two types are compiled at once.
        let place = {
            let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(compiled.entry(storage).or_default())
        };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(place.get_or_insert_with(|| Arc::new(Compiled::new(storage))))
    }

    fn new(storage: DType) -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().expect("a folder for the library");
        let library = folder.path().join("kernels.so");
        let compiler = env::var_os("CXX").unwrap_or_else(|| "g++".into());
        let output = Command::new(&compiler)
            .args(OPTIONS)
            .arg(format!("-DBN_STORAGE={storage}"))
            .arg("-include")
            .arg(package.join("tests/shim/shim.h"))
            .args(["-x", "c++"])
            .arg(package.join("kernels/batch_norm.cu"))
            .arg("-o")
            .arg(&library)
            .output()
            .unwrap_or_else(|error| {
                panic!("{} does not start: {error}; is g++ installed?", compiler.display())
            });
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} does not compile the kernels:\n{said}", compiler.display());
        Compiled { library: Mutex::new(open(&library)) }
    }

    /// Runs a kernel on memory of this process.
    ///
    /// # Errors
    /// When it is none of these, is launched wrongly, or its threads do not meet.
    pub fn run(&self, launch: &Launch<'_>) -> Result<(), String> {
        let library = self.library.lock().unwrap_or_else(PoisonError::into_inner);
        let [grid, block] = [launch.grid, launch.block];
        match enter(&library, launch.kernel, &[grid, block].concat(), launch.arguments) {
            None => Err(format!("there is no kernel `{}` in what was compiled", launch.kernel)),
            Some(0) => Ok(()),
            Some(status) => Err(format!("`{}`: {}", launch.kernel, words(status, launch))),
        }
    }
}

/// What a `Status` of `shim.h` means.
fn words(status: ffi::c_int, launch: &Launch<'_>) -> String {
    match status {
        1 => format!("its arguments are not {} bytes", launch.arguments.len()),
        2 => format!("it is not compiled for blocks of {:?}", launch.block),
        3 => "not all lanes of a warp meet at a shuffle".to_owned(),
        4 => "not all threads of a block meet at a barrier".to_owned(),
        5 => "its shared memory is not found".to_owned(),
        _ => format!("it answers {status}, for which there are no words"),
    }
}

#[allow(unsafe_code)]
fn open(path: &Path) -> Library {
    // SAFETY: the library was compiled just now from the kernels and `shim.h`, and nothing in it runs when it is loaded.
    let library = unsafe { Library::new(path) };
    library.unwrap_or_else(|error| panic!("what was compiled is not loaded: {error}"))
}

#[allow(unsafe_code)]
fn enter(library: &Library, kernel: &str, shape: &[u32], arguments: &[u8]) -> Option<ffi::c_int> {
    let shape: [u32; 6] = shape.try_into().ok()?;
    // SAFETY: every name that the library shows is one of `KERNEL`'s entries.
    let entry = unsafe { library.get::<Entry>(kernel) }.ok()?;
    // SAFETY: the entry reads 6 numbers, and copies the arguments where they are as large as its structure. The pointers within
    // are those of `Shim`, which owns what they point to; the interpreter has executed the same launch before, on
    // buffers of the same sizes, and has found no access outside of them.
    Some(unsafe { entry(shape.as_ptr(), arguments.as_ptr().cast(), arguments.len() as u64) })
}
