//! Tells the linker where the shared libraries are, so that programs and tests of this package find them without a
//! library path in the environment.

use std::env;

fn main() {
    rpath("HDF5_DIR");
    if env::var_os("CARGO_FEATURE_MODEL").is_some() {
        rpath("LIBTORCH");
    }
}

/// Adds the libraries below the directory that a variable names.
fn rpath(variable: &str) {
    println!("cargo:rerun-if-env-changed={variable}");
    if let Ok(directory) = env::var(variable) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{directory}/lib");
    }
}
