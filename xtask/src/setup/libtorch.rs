//! libtorch, the tensor library: a link to the user's own, or the CPU part of the wheels in Python's package index.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;

use crate::files::{empty_folder, remove, replace};
use crate::paths::{Paths, own_directory};
use crate::process::{run_logged, set_soname};
use crate::setup::step::Step;
use crate::setup::{Target, python};

/// The version that the crate tch is made for.
pub const VERSION: &str = "2.13.0";
/// The library that holds everything.
const LIBRARY: &str = if cfg!(target_os = "macos") { "libtorch_cpu.dylib" } else { "libtorch_cpu.so" };
const WHEELS: &str = include_str!("../../python/libtorch.txt");
const UNPACK: &str = include_str!("../../python/unpack_libtorch.py");

pub fn step(paths: &Paths) -> (Step<'_>, Option<PathBuf>) {
    // A link that works is kept, also where the variable is not set.
    let link = || fs::read_link(&paths.libtorch).ok().filter(|target| target.exists());
    let own = own_directory("LIBTORCH", &paths.libtorch).or_else(link);
    (step_from(paths, own.as_deref()), own)
}

fn step_from<'a>(paths: &'a Paths, own: Option<&Path>) -> Step<'a> {
    Step {
        paths,
        name: "libtorch",
        title: match own {
            Some(_) => "libtorch: a link to the one that LIBTORCH names".into(),
            None => format!("libtorch {VERSION}, the tensor library, from its Python wheel (download up to 540 MB)"),
        },
        product: paths.libtorch.join("lib").join(LIBRARY),
        inputs: vec![
            WHEELS.to_string(),
            UNPACK.to_string(),
            own.map(|path| path.display().to_string()).unwrap_or_default(),
        ],
    }
}

/// Downloads libtorch for another machine, unless it is there.
pub fn ensure_for(paths: &Paths, target: Target) -> Result<()> {
    step_from(paths, None).ensure(|| download(paths, target))?;
    Ok(())
}

pub fn install(paths: &Paths, own: Option<&Path>) -> Result<()> {
    match own {
        Some(directory) => link(paths, directory),
        None => download(paths, Target::Host),
    }
}

fn link(paths: &Paths, directory: &Path) -> Result<()> {
    if !directory.join("include").is_dir() || !directory.join("lib").is_dir() {
        bail!(
            "LIBTORCH is {}, which has no `include` and `lib`: unset it, or set it to the folder of a libtorch",
            directory.display()
        );
    }
    if let Ok(found) = fs::read_to_string(directory.join("build-version"))
        && !found.trim().starts_with(VERSION)
    {
        bail!("LIBTORCH names libtorch {}, but {VERSION} is needed: unset it, or set it to that version", found.trim());
    }
    remove(&paths.libtorch)?;
    symlink(directory, &paths.libtorch)?;
    Ok(())
}

fn download(paths: &Paths, target: Target) -> Result<()> {
    let wheels = paths.home.join("libtorch-wheels.part");
    let part = paths.home.join("libtorch.part");
    // Those of an earlier try are kept, which pip checks again; those of another list are not.
    let list = wheels.join("list");
    if fs::read_to_string(&list).ok().as_deref() != Some(WHEELS) {
        empty_folder(&wheels)?;
        fs::write(&list, WHEELS)?;
    }
    remove(&part)?;
    fs::create_dir_all(part.join("lib"))?;
    download_wheels(paths, target, &wheels)?;

    let mut unpack = Command::new(paths.python_program("python"));
    unpack.arg(paths.script("unpack_libtorch.py")).args([&wheels, &part]).arg(VERSION);
    run_logged(paths, "libtorch-unpack", &mut unpack, Some(&part))?;
    if cfg!(target_os = "linux") {
        complete_linux(paths, target, &part.join("lib"))?;
    }
    replace(&paths.libtorch, &part)?;
    set_sonames(paths)?;
    remove(&wheels)
}

/// Has programs find libraries of ours without a search path (Linux).
pub fn set_sonames(paths: &Paths) -> Result<()> {
    if cfg!(target_os = "linux") && paths.libtorch.exists() && !paths.libtorch.is_symlink() {
        for name in ["libtorch_cpu.so", "libc10.so"] {
            set_soname(paths, &paths.libtorch.join("lib").join(name))?;
        }
    }
    Ok(())
}

fn download_wheels(paths: &Paths, target: Target, wheels: &Path) -> Result<()> {
    let temporary = paths.home.join("tmp");
    fs::create_dir_all(&temporary)?;
    let mut pip = python::pip(&paths.python_program("python"), "download");
    pip.args(["--no-deps", "--no-cache-dir"]);
    pip.args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]);
    for platform in platforms(target) {
        pip.args(["--platform", platform]);
    }
    pip.arg("--dest").arg(wheels).arg("-r").arg(paths.script("libtorch.txt")).env("TMPDIR", &temporary);
    run_logged(paths, "libtorch-download", &mut pip, Some(&temporary)).context(python::NO_INDEX)?;
    remove(&temporary)
}

/// Adds an empty `libtorch.so` (the linker wants it, but libtorch_cpu holds everything) and the name by which a linker
/// looks for libgomp.
fn complete_linux(paths: &Paths, target: Target, libraries: &Path) -> Result<()> {
    let mut compiler = Command::new(target.compiler());
    compiler.args(["-shared", "-Wl,-soname,libtorch.so", "-x", "c", "/dev/null", "-o"]);
    run_logged(paths, "libtorch-empty", compiler.arg(libraries.join("libtorch.so")), None)?;
    if libraries.join("libgomp.so.1").exists() {
        symlink("libgomp.so.1", libraries.join("libgomp.so"))?;
    }
    Ok(())
}

fn platforms(target: Target) -> &'static [&'static str] {
    match (std::env::consts::OS, std::env::consts::ARCH, target) {
        ("macos", ..) => &["macosx_14_0_arm64"],
        (_, "aarch64", _) | (.., Target::Arm64) => {
            &["manylinux_2_28_aarch64", "manylinux_2_25_aarch64", "manylinux2014_aarch64"]
        }
        _ => &["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_libtorch_of_another_version_is_refused_and_a_missing_one_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (paths, own) = (Paths::of(directory.path().join("checkout")), directory.path().join("own"));
        let problem = || link(&paths, &own).unwrap_err().to_string();
        fs::create_dir_all(&paths.home).unwrap();
        assert!(problem().contains("no `include` and `lib`"));
        for folder in ["include", "lib"] {
            fs::create_dir_all(own.join(folder)).unwrap();
        }
        fs::write(own.join("build-version"), "2.9.1+cpu\n").unwrap();
        let words = ["2.9.1+cpu", VERSION, "LIBTORCH"];
        assert!(words.iter().all(|word| problem().contains(word)) && !paths.libtorch.exists(), "{}", problem());
        fs::write(own.join("build-version"), format!("{VERSION}+cu130\n")).unwrap();
        fs::write(own.join("lib").join(LIBRARY), "").unwrap();
        step(&paths).0.ensure(|| link(&paths, &own)).unwrap();
        assert!(step(&paths).0.is_done());
        fs::remove_file(own.join("lib").join(LIBRARY)).unwrap();
        assert!(!step(&paths).0.is_done());
    }
}
