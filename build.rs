//! Tells the linker where the two shared libraries are, so that programs and tests of this package find them without a
//! library path in the environment.

fn main() {
    for variable in ["LIBTORCH", "HDF5_DIR"] {
        println!("cargo:rerun-if-env-changed={variable}");
        if let Ok(directory) = std::env::var(variable) {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{directory}/lib");
        }
    }
}
