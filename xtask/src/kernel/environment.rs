//! Environment variables that kernels do not take over: those that tell cargo, compilers and build scripts how to build.
//! conda, `module load` and shell profiles set them. Cargo would compile what `prepared` holds again, for more than a
//! minute. evcxr's command `:build_env` sets one for a notebook.

use std::env;
use std::process::Command;

/// What cargo compares, or compilers read.
const NAMES: [&str; 10] = [
    "AR",
    "CC",
    "COMPILER_PATH",
    "CPATH",
    "CRATE_CC_NO_DEFAULTS",
    "CXX",
    "GCC_EXEC_PREFIX",
    "LIBRARY_PATH",
    "SOURCE_DATE_EPOCH",
    "TORCH_CUDA_VERSION",
];
/// The same, followed by anything: the target for which it holds, for example.
const BEGINNINGS: [&str; 12] = [
    "AR_",
    "BZIP2_",
    "CC_",
    "CXXSTDLIB",
    "CXX_",
    "HOST_",
    "LIBTORCH_",
    "PKG_CONFIG",
    "RUSTC",
    "RUSTDOC",
    "TARGET_",
    "ZSTD_SYS_",
];
/// Compilers' options for every language, archivers' and linkers'; the directories of headers.
const PARTS: [&str; 2] = ["FLAGS", "_INCLUDE_PATH"];
/// Cargo's own, apart from where it finds packages.
const CARGO: &str = "CARGO_";
const PACKAGES: [&str; 4] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];

/// Has a command, and the cargo that it starts, build as with no variables or settings of the user's own.
pub fn without_build_settings(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os().filter(|(name, _)| shapes_builds(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    // So that a user's settings of cargo do not count. `env` starts rustc and nothing else; were they empty, cargo would ask
    // rustc five times at each call what it remembers otherwise.
    command.env("RUSTC_WRAPPER", "env").env("RUSTC_WORKSPACE_WRAPPER", "env")
}

/// Whether a variable changes what cargo builds.
pub fn shapes_builds(name: &str) -> bool {
    let begins = |beginning: &&str| name.starts_with(*beginning);
    NAMES.contains(&name)
        || BEGINNINGS.iter().any(begins)
        || PARTS.iter().any(|part| name.contains(part))
        || name.starts_with(CARGO) && !PACKAGES.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::shapes_builds;

    #[test]
    fn what_builds_depend_on_is_told_from_the_rest() {
        let shaping = "ARFLAGS AR_x86_64_unknown_linux_gnu CC CFLAGS CFLAGS_x86_64-unknown-linux-gnu CXX CXXFLAGS CPATH \
                       C_INCLUDE_PATH CPLUS_INCLUDE_PATH HOST_CFLAGS LDFLAGS LIBRARY_PATH LIBTORCH_USE_PYTORCH \
                       PKG_CONFIG_PATH PKG_CONFIG_x86_64_unknown_linux_gnu RUSTFLAGS CARGO_ENCODED_RUSTFLAGS \
                       CARGO_BUILD_TARGET CARGO_PROFILE_DEV_OPT_LEVEL CARGO_INCREMENTAL RUSTC_WRAPPER";
        for name in shaping.split_whitespace() {
            assert!(shapes_builds(name), "{name}");
        }
        let others = "PATH HOME LD_LIBRARY_PATH LIBTORCH HDF5_DIR HDF5_PLUGIN_PATH CARGO_HOME CARGO_HTTP_PROXY RUSTUP_HOME \
                      RUST_SRC_PATH CUDA_VISIBLE_DEVICES CONDA_PREFIX ACCOUNT";
        for name in others.split_whitespace() {
            assert!(!shapes_builds(name), "{name}");
        }
    }
}
