//! The PTX of our own kernels is understood to its last line.

use bn_ptx::Module;

#[test]
fn the_committed_kernels_are_understood() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../cuda/ptx");
    let mut kernels = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of the PTX") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "ptx") {
            let text = std::fs::read_to_string(&path).expect("a text");
            let module = Module::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            kernels += module.kernels().count();
        }
    }
    assert!(kernels > 0, "there are no kernels");
}
