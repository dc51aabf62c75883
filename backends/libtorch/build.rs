//! Tells the programs of this package (its tests, too) where libtorch lies, as an absolute path: the
//! `$ORIGIN` paths of `.cargo/config.toml` hold only while the target directory is the checkout's own,
//! and not at all when `RUSTFLAGS` is set. Every package whose programs link libtorch has this as its
//! `build`.

use std::{env, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    if let (Some(libtorch), Some(_)) = (env::var_os("LIBTORCH"), env::var_os("CARGO_CFG_UNIX")) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", Path::new(&libtorch).join("lib").display());
    }
}
