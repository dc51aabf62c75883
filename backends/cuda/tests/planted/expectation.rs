//! What a planted mistake's PTX file says of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bn_api::DType;
use bn_cuda::{ptx, stamp::Stamp};
use bn_ptx::Module;

use crate::lines::Place;

/// A planted mistake.
pub struct Expectation {
    /// The file's name, without `.ptx`.
    pub name: String,
    /// The kernels with the mistake.
    pub module: Arc<Module>,
    /// The kinds of fault that it may be, by their names.
    pub faults: Vec<String>,
    /// Where it may be reported.
    pub at: Vec<Place>,
    /// What to run.
    pub run: String,
    text: String,
}

impl Expectation {
    fn read(path: &Path) -> Expectation {
        let text = fs::read_to_string(path).expect("the file is there");
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        Stamp::verify(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let module = Module::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let noted = |what: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix(what)).map(str::to_owned).collect()
        };
        let (faults, at, run) = (noted("// fault: "), noted("// at: "), noted("// run: "));
        assert!(!faults.is_empty() && run.len() == 1, "{name} does not say what it leads to");
        let at = at
            .iter()
            .map(|place| Place::parse(place).unwrap_or_else(|| panic!("{name}: `{place}`")))
            .collect();
        Expectation { name, module: Arc::new(module), faults, at, run: run.concat(), text }
    }

    /// The PTX that has the kernel of this name, in a run with this mistake.
    pub fn text_of(&self, kernel: &str) -> &str {
        if self.module.kernel(kernel).is_some() {
            return &self.text;
        }
        let storage =
            kernel.split('_').find_map(|word| DType::FLOATS.iter().find(|dtype| dtype.to_string() == word));
        let (_, text) =
            storage.and_then(|storage| ptx::module(*storage)).expect("a kernel has a storage type");
        text
    }
}

/// All planted mistakes, in the order of their names.
pub fn planted() -> Vec<Expectation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planted");
    let entries = fs::read_dir(folder).expect("the folder of this test");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "ptx")).collect();
    paths.sort_unstable();
    paths.iter().map(|path| Expectation::read(path)).collect()
}
