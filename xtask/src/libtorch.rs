//! libtorch: the user's own by a link, or a CPU libtorch made out of the wheels that Python's package index holds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::places::{Places, own_directory};
use crate::process::{name_by_path, run_logged};
use crate::stamp::{Step, put_in_place, remove};

/// What the crate tch is made for.
pub const VERSION: &str = "2.13.0";
const WHEELS: &str = include_str!("../python/libtorch.txt");
const UNPACK: &str = include_str!("../python/unpack_libtorch.py");

pub fn step(places: &Places) -> (Step<'_>, Option<PathBuf>) {
    let own = own_directory("LIBTORCH", &places.libtorch());
    let step = Step {
        places,
        name: "libtorch",
        title: match own {
            Some(_) => "libtorch: a link to the one that LIBTORCH names",
            None => "libtorch 2.13.0, the tensor library, from its Python wheel (download up to 540 MB)",
        },
        product: places.libtorch().join("lib"),
        inputs: vec![
            WHEELS.to_string(),
            UNPACK.to_string(),
            // The libraries' own names hold it.
            places.root.display().to_string(),
            own.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        ],
    };
    (step, own)
}

pub fn install(places: &Places, own: Option<&Path>) -> Result<()> {
    match own {
        Some(directory) => link(places, directory),
        None => download(places),
    }
}

fn link(places: &Places, directory: &Path) -> Result<()> {
    if !directory.join("include").is_dir() || !directory.join("lib").is_dir() {
        bail!(
            "LIBTORCH is {}, which has no `include` and `lib`: unset it, or let it name a libtorch",
            directory.display()
        );
    }
    if let Ok(found) = fs::read_to_string(directory.join("build-version"))
        && !found.trim().starts_with(VERSION)
    {
        bail!("LIBTORCH names libtorch {}, {VERSION} is needed: unset it, or let it name that version", found.trim());
    }
    remove(&places.libtorch())?;
    symlink(directory, places.libtorch())?;
    Ok(())
}

fn download(places: &Places) -> Result<()> {
    let wheels = places.home.join("libtorch-wheels.part");
    let part = places.home.join("libtorch.part");
    remove(&wheels)?;
    remove(&part)?;
    fs::create_dir_all(part.join("lib"))?;

    let temporary = places.home.join("tmp");
    fs::create_dir_all(&temporary)?;
    let list = places.home.join("libtorch.txt");
    fs::write(&list, WHEELS)?;
    let python = places.python_program("python");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir", "--only-binary", ":all:"]);
    pip.args(["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]);
    for platform in platforms() {
        pip.args(["--platform", platform]);
    }
    pip.arg("--dest").arg(&wheels).arg("-r").arg(&list).env("TMPDIR", &temporary);
    run_logged(places, "libtorch-download", &mut pip, Some(&temporary))?;

    let script = places.home.join("unpack_libtorch.py");
    fs::write(&script, UNPACK)?;
    let mut unpack = Command::new(&python);
    unpack.arg(&script).args([&wheels, &part]).arg(VERSION);
    run_logged(places, "libtorch-unpack", &mut unpack, Some(&part))?;
    if cfg!(target_os = "linux") {
        complete_linux(places, &part.join("lib"))?;
    }
    put_in_place(&part, &places.libtorch())?;
    for left in [&wheels, &temporary, &list, &script] {
        remove(left)?;
    }
    Ok(())
}

/// An empty `libtorch.so` (the build asks for it, everything is in libtorch_cpu), the name by which a linker looks for libgomp, and
/// libraries that are found without a search path.
fn complete_linux(places: &Places, libraries: &Path) -> Result<()> {
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-Wl,-soname,libtorch.so", "-x", "c", "/dev/null", "-o"])
        .arg(libraries.join("libtorch.so"));
    run_logged(places, "libtorch-empty", &mut compiler, None)?;
    if libraries.join("libgomp.so.1").exists() {
        symlink("libgomp.so.1", libraries.join("libgomp.so")).context("cannot link libgomp.so")?;
    }
    for name in ["libtorch_cpu.so", "libc10.so"] {
        name_by_path(places, &libraries.join(name), &places.libtorch().join("lib").join(name))?;
    }
    Ok(())
}

fn platforms() -> &'static [&'static str] {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", _) => &["macosx_14_0_arm64"],
        (_, "aarch64") => &["manylinux_2_28_aarch64", "manylinux_2_25_aarch64", "manylinux2014_aarch64"],
        _ => &["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux2014_x86_64"],
    }
}
