//! HDF5, the file library, as a shared library: links to the user's own or the system's, or one built from the source
//! that cargo downloads.
//!
//! It must be shared: each notebook cell is a library of its own, and with a static HDF5 no cell could use a file that
//! another one opened.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;
use serde_json::Value;

use crate::files::{empty_folder, remove, replace};
use crate::paths::{Paths, own_directory};
use crate::process::{first_line, nice, run_logged, rustc_print, set_soname};
use crate::setup::Target;
use crate::setup::step::Step;

/// The parts of zlib that HDF5 calls; zlib's functions for files are not among them.
const ZLIB: [&str; 10] =
    ["adler32", "compress", "crc32", "deflate", "inffast", "inflate", "inftrees", "trees", "uncompr", "zutil"];
const OPTIONS: [&str; 17] = [
    "-DCMAKE_BUILD_TYPE=Release",
    // With -O3, which takes half as long again to compile, nothing is read faster.
    "-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG",
    "-DBUILD_SHARED_LIBS=ON",
    "-DBUILD_STATIC_LIBS=OFF",
    "-DBUILD_TESTING=OFF",
    "-DHDF5_BUILD_TOOLS=OFF",
    "-DHDF5_BUILD_UTILS=OFF",
    "-DHDF5_BUILD_EXAMPLES=OFF",
    "-DHDF5_BUILD_HL_LIB=OFF",
    "-DHDF5_BUILD_CPP_LIB=OFF",
    "-DHDF5_BUILD_FORTRAN=OFF",
    "-DHDF5_BUILD_JAVA=OFF",
    "-DHDF5_ENABLE_PARALLEL=OFF",
    "-DHDF5_ENABLE_SZIP_SUPPORT=OFF",
    "-DHDF5_ENABLE_ZLIB_SUPPORT=ON",
    "-DHDF5_NO_PACKAGES=ON",
    "-DCMAKE_INSTALL_LIBDIR=lib",
];

const LIBRARY: &str = if cfg!(target_os = "macos") { "libhdf5.dylib" } else { "libhdf5.so" };

/// Where HDF5 comes from.
#[derive(Debug, PartialEq)]
pub enum Source {
    /// The directory that HDF5_DIR names.
    Own(PathBuf),
    /// Directories of headers and libraries.
    System { include: PathBuf, lib: PathBuf },
    /// The source in the crate that Cargo.lock pins.
    Crate,
}

pub fn step(paths: &Paths) -> (Step<'_>, Source) {
    let source = match own_directory("HDF5_DIR", &paths.hdf5) {
        Some(directory) => Source::Own(directory),
        // What works is kept: in a terminal with conda, pkg-config finds another HDF5.
        None => present(paths).or_else(system).unwrap_or(Source::Crate),
    };
    (step_from(paths, &source), source)
}

fn step_from<'a>(paths: &'a Paths, source: &Source) -> Step<'a> {
    let lock = fs::read_to_string(paths.root.join("Cargo.lock")).unwrap_or_default();
    Step {
        paths,
        name: "hdf5",
        title: match source {
            Source::Own(_) => "HDF5: a link to the one that HDF5_DIR names".into(),
            Source::System { .. } => "HDF5: links to the system's".into(),
            Source::Crate => "HDF5, the file library, built from source that cargo downloads (a minute or two)".into(),
        },
        product: paths.hdf5.join("lib").join(LIBRARY),
        inputs: vec![
            format!("{source:?} {OPTIONS:?} {ZLIB:?}"),
            locked(&lock, "hdf5-metno-src").to_string(),
            locked(&lock, "libz-sys").to_string(),
        ],
    }
}

/// Builds HDF5 for another machine, unless it is there.
pub fn ensure_for(paths: &Paths, target: Target) -> Result<()> {
    step_from(paths, &Source::Crate).ensure(|| build(paths, target))?;
    Ok(())
}

pub fn install(paths: &Paths, source: &Source) -> Result<()> {
    match source {
        Source::Own(directory) => {
            if !is_usable(&directory.join("include")) {
                bail!(
                    "HDF5_DIR is {}, which is no serial HDF5 with deflate: unset it, or set it to the folder of one",
                    directory.display()
                );
            }
            remove(&paths.hdf5)?;
            symlink(directory, &paths.hdf5)?;
            Ok(())
        }
        Source::System { include, lib } => link_system(paths, include, lib),
        Source::Crate => build(paths, Target::Host),
    }
}

/// Where the HDF5 that set-up has installed comes from, if it is still there.
fn present(paths: &Paths) -> Option<Source> {
    let (include, library) = (paths.hdf5.join("include"), paths.hdf5.join("lib").join(LIBRARY));
    if !is_usable(&include) || !library.exists() {
        return None;
    }
    if let Ok(directory) = fs::read_link(&paths.hdf5) {
        return Some(Source::Own(directory));
    }
    match (fs::read_link(include), fs::read_link(library)) {
        (Ok(include), Ok(library)) if library.is_absolute() => {
            Some(Source::System { include, lib: library.parent()?.to_path_buf() })
        }
        _ => Some(Source::Crate),
    }
}

/// The system's HDF5, if pkg-config finds one that the crate accepts: serial, shared, with deflate.
fn system() -> Option<Source> {
    let ask = |query: &str| first_line(Command::new("pkg-config").args([query, "hdf5"]));
    let include = PathBuf::from(ask("--variable=includedir")?);
    let lib = PathBuf::from(ask("--variable=libdir")?);
    // Debian keeps its serial HDF5 apart, and names only that directory in the flags.
    let flag = |query: &str, prefix: &str| {
        Some(PathBuf::from(ask(query)?.split_whitespace().find_map(|f| f.strip_prefix(prefix))?))
    };
    let include = flag("--cflags-only-I", "-I").unwrap_or(include);
    let lib = flag("--libs-only-L", "-L").unwrap_or(lib);
    (is_usable(&include) && lib.join(LIBRARY).exists()).then_some(Source::System { include, lib })
}

/// Whether the headers belong to a serial HDF5 with deflate, of a version that hdf5-metno-sys 0.12.5 knows.
fn is_usable(include: &Path) -> bool {
    let read = |name| fs::read_to_string(include.join(name)).ok();
    let Some(header) = read("H5pubconf.h").or_else(|| read("H5pubconf-64.h")) else { return false };
    let value = |name: &str| {
        header.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["#define", found, value, ..] if found == name => Some(value.trim_matches('"')),
            _ => None,
        })
    };
    let has = |name: &str| value(name).is_some_and(|value| value != "0");
    is_known(value("H5_VERSION").unwrap_or_default()) && has("H5_HAVE_FILTER_DEFLATE") && !has("H5_HAVE_PARALLEL")
}

fn is_known(version: &str) -> bool {
    let numbers: Vec<u32> = version.split(['.', '-', '_']).map_while(|part| part.parse().ok()).collect();
    match numbers[..] {
        [2, 0 | 2, micro, ..] => micro == 0,
        [2, 1, micro, ..] => micro <= 1,
        [1, 10, micro, ..] => micro <= 10,
        [1, 12, micro, ..] => micro <= 2,
        [1, 14, micro, ..] => micro <= 6,
        _ => false,
    }
}

fn link_system(paths: &Paths, include: &Path, lib: &Path) -> Result<()> {
    let part = paths.home.join("hdf5.part");
    remove(&part)?;
    fs::create_dir_all(part.join("lib"))?;
    symlink(include, part.join("include"))?;
    // Not the whole directory: it comes first on the search path, and would put all of the system's libraries there.
    for entry in fs::read_dir(lib)?.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("libhdf5") && !name.to_string_lossy().ends_with(".a") {
            symlink(entry.path(), part.join("lib").join(name))?;
        }
    }
    replace(&paths.hdf5, &part)
}

fn build(paths: &Paths, target: Target) -> Result<()> {
    let (hdf5, zlib) = sources(paths)?;
    let work = paths.home.join("hdf5-build");
    let part = paths.home.join("hdf5.part");
    empty_folder(&work)?;
    remove(&part)?;
    build_zlib(paths, target, &zlib, &work)?;

    let define = |name: &str, value: &Path| format!("-D{name}={}", value.display());
    let rpath = if cfg!(target_os = "macos") { "@loader_path" } else { "$ORIGIN" };
    let mut configure = nice(paths.python_program("cmake"));
    configure.arg("-S").arg(&hdf5).arg("-B").arg(work.join("build")).args(["-G", "Ninja"]).args(OPTIONS);
    if target == Target::Arm64 {
        configure.args(["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"]);
        configure.arg(format!("-DCMAKE_C_COMPILER={}", target.compiler()));
    }
    configure.arg(define("CMAKE_MAKE_PROGRAM", &paths.python_program("ninja")));
    configure.arg(define("CMAKE_INSTALL_PREFIX", &part)).arg(define("CMAKE_INSTALL_RPATH", Path::new(rpath)));
    configure.arg(define("ZLIB_INCLUDE_DIR", &zlib)).arg(define("ZLIB_LIBRARY", &work.join("libz.a")));
    run_logged(paths, "hdf5-configure", &mut configure, None)?;
    let mut ninja = nice(paths.python_program("ninja"));
    run_logged(paths, "hdf5-build", ninja.arg("-C").arg(work.join("build")).arg("install"), None)?;
    if !is_usable(&part.join("include")) {
        bail!("the HDF5 that was built lacks deflate or has an unexpected version; see .hhnet/log/hdf5-configure.log");
    }
    replace(&paths.hdf5, &part)?;
    set_sonames(paths)?;
    remove(&work)
}

/// Has programs find a library that was built here without a search path.
pub fn set_sonames(paths: &Paths) -> Result<()> {
    match present(paths) {
        Some(Source::Crate) => set_soname(paths, &paths.hdf5.join("lib").join(LIBRARY)),
        _ => Ok(()),
    }
}

/// Compiles zlib to `libz.a`. It becomes part of libhdf5, so that compressed data can be read whatever the system has
/// installed.
fn build_zlib(paths: &Paths, target: Target, sources: &Path, work: &Path) -> Result<()> {
    let mut archive = Command::new(target.archiver());
    archive.arg("rcs").arg(work.join("libz.a"));
    for name in ZLIB {
        let object = work.join(format!("{name}.o"));
        let mut compiler = Command::new(target.compiler());
        compiler.args(["-O2", "-fPIC", "-fvisibility=hidden", "-c"]).arg(sources.join(format!("{name}.c")));
        run_logged(paths, "zlib", compiler.arg("-o").arg(&object), None)?;
        archive.arg(object);
    }
    run_logged(paths, "zlib", &mut archive, None)
}

/// The directories of HDF5's and zlib's source. Cargo downloads the crates and checks them against Cargo.lock.
fn sources(paths: &Paths) -> Result<(PathBuf, PathBuf)> {
    let host = rustc_print(paths, "host-tuple")?;
    let output = Command::new("cargo")
        .args(["metadata", "--locked", "--all-features", "--format-version", "1", "--filter-platform", &host])
        .current_dir(&paths.root)
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    let directory = |crate_name: &str, below: &str| {
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let manifest = packages
            .filter(|package| package["name"] == crate_name)
            .find_map(|package| package["manifest_path"].as_str());
        let directory = Path::new(manifest.unwrap_or_default()).parent().map(|path| path.join(below));
        directory.filter(|path| path.is_dir()).with_context(|| format!("the crate {crate_name} has no `{below}`"))
    };
    Ok((directory("hdf5-metno-src", "ext/hdf5")?, directory("libz-sys", "src/zlib")?))
}

/// A package's entry in Cargo.lock.
fn locked<'a>(lock: &'a str, name: &str) -> &'a str {
    lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_serial_hdf5_with_deflate_of_a_known_version_is_usable() {
        let directory = tempfile::tempdir().unwrap();
        let with = |text: &str| {
            fs::write(directory.path().join("H5pubconf.h"), text).unwrap();
            is_usable(directory.path())
        };
        let good = "#define H5_HAVE_FILTER_DEFLATE 1\n/* #undef H5_HAVE_PARALLEL */\n#define H5_VERSION \"1.14.6\"\n";
        assert!(with(good));
        assert!(!with(&good.replace("1.14.6", "1.16.0")));
        assert!(!with(&good.replace("/* #undef H5_HAVE_PARALLEL */", "#define H5_HAVE_PARALLEL 1")));
        assert!(!with(&good.replace("#define H5_HAVE_FILTER_DEFLATE 1", "")));
        assert!(!is_usable(&directory.path().join("nowhere")));
    }

    #[test]
    fn what_is_installed_is_known_again() {
        let directory = tempfile::tempdir().unwrap();
        let system = directory.path().join("system");
        let paths = Paths::of(directory.path().join("checkout"));
        let header = "#define H5_HAVE_FILTER_DEFLATE 1\n#define H5_VERSION \"1.14.6\"\n";
        for folder in [&system, &paths.home.join("built")] {
            fs::create_dir_all(folder.join("include")).unwrap();
            fs::create_dir_all(folder.join("lib")).unwrap();
            fs::write(folder.join("include/H5pubconf.h"), header).unwrap();
            fs::write(folder.join("lib").join(LIBRARY), "").unwrap();
        }
        assert_eq!(present(&paths), None);
        link_system(&paths, &system.join("include"), &system.join("lib")).unwrap();
        let expected = Source::System { include: system.join("include"), lib: system.join("lib") };
        assert_eq!(present(&paths), Some(expected));
        install(&paths, &Source::Own(system.clone())).unwrap();
        assert_eq!(present(&paths), Some(Source::Own(system.clone())));
        replace(&paths.hdf5, &paths.home.join("built")).unwrap();
        assert_eq!(present(&paths), Some(Source::Crate));
        link_system(&paths, &system.join("include"), &system.join("lib")).unwrap();
        remove(&system).unwrap();
        assert_eq!(present(&paths), None);
    }

    #[test]
    fn versions_that_the_crate_knows() {
        for version in ["2.2.0", "2.1.1", "1.10.8", "1.14.4-3"] {
            assert!(is_known(version), "{version}");
        }
        for version in ["2.3.0", "2.0.1", "1.14.7", "1.8.4", ""] {
            assert!(!is_known(version), "{version}");
        }
    }
}
