//! An installation from which all users of a machine start kernels, for a class on JupyterHub: a copy of this checkout with
//! all that set-up has installed, the compiler, and the sources of all crates. Other users only read it; what their
//! kernels build is in their own cache. It is never changed, since kernels may be at work with it: a newer one is another
//! folder.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use walkdir::WalkDir;

use crate::files::remove;
use crate::paths::{Paths, check_path};
use crate::process::{run, run_logged, rustc_print};
use crate::setup;

/// Set-up's results that work in another place, once they are told it.
const INSTALLED: [&str; 6] = ["place", "python", "libtorch", "hdf5", "evcxr", "stamps"];
/// What of the checkout is not copied.
const LEFT_OUT: [&str; 4] = [".git", ".hhnet", "lab", "target"];

/// `cargo xtask setup --shared FOLDER`.
pub fn install(folder: &str) -> Result<()> {
    let paths = setup::run()?;
    let folder = absolute(folder)?;
    check_path(&folder)?;
    let shared = Paths::of(folder.clone());
    let unfinished = shared.home.join("unfinished");
    let is_empty = fs::read_dir(&folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty && !unfinished.exists() {
        bail!(
            "{} is not empty: give a new folder, also to replace an installation, which is never changed",
            folder.display()
        );
    }
    fs::create_dir_all(&shared.home).with_context(|| format!("cannot write to {}", folder.display()))?;
    fs::write(&unfinished, "")?;

    println!("* a copy of the checkout and of what is installed in it");
    for entry in fs::read_dir(&paths.root)?.flatten() {
        if !LEFT_OUT.iter().any(|name| entry.file_name() == *name) && !folder.starts_with(entry.path()) {
            copy(&paths, &entry.path(), &folder)?;
        }
    }
    for name in INSTALLED {
        copy(&paths, &paths.home.join(name), &shared.home)?;
    }
    println!("* the compiler");
    let rust = shared.home.join("rust");
    let sysroot = PathBuf::from(rustc_print(&paths, "sysroot")?);
    fs::create_dir_all(&rust)?;
    for name in ["bin", "lib"] {
        copy(&paths, &sysroot.join(name), &rust)?;
    }
    println!("* the sources of all crates");
    vendor(&paths, &shared)?;
    set_up(&shared, &rust)?;

    // Others read everything, whatever the umask was.
    run(Command::new("chmod").args(["-R", "a+rX,go-w"]).arg(&folder))?;
    for warning in unreadable(&folder) {
        println!("  WARNING: {warning}");
    }
    remove(&unfinished)?;
    println!(
        "{} is ready: `jupyter kernelspec install --sys-prefix {}` tells the Jupyter that this command belongs to",
        folder.display(),
        shared.kernelspec().display()
    );
    Ok(())
}

/// Copies a file or a folder into another folder, in place of one that is there.
fn copy(paths: &Paths, from: &Path, into: &Path) -> Result<()> {
    let name = from.file_name().unwrap_or_default();
    remove(&into.join(name))?;
    run_logged(paths, "shared-copy", Command::new("cp").arg("-a").args([from, into]), Some(&into.join(name)))
}

/// Puts the sources of all crates into a folder that cargo uses instead of the registry: kernels compile nothing of
/// them, but cargo reads them, and compares where they are.
fn vendor(paths: &Paths, shared: &Paths) -> Result<()> {
    let sources = shared.shared_cargo.join("vendor");
    let mut cargo = Command::new("cargo");
    cargo.args(["vendor", "--locked", "--manifest-path"]).arg(paths.root.join("Cargo.toml")).arg(&sources);
    run_logged(paths, "shared-crates", cargo.current_dir(&paths.root), Some(&sources))?;
    let settings = format!(
        "[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = \"{}\"\n",
        sources.display()
    );
    Ok(fs::write(shared.shared_cargo.join("config.toml"), settings)?)
}

/// Runs set-up there, as in a checkout that was moved, with the compiler and the crates that others can read.
fn set_up(shared: &Paths, rust: &Path) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([rust.join("bin")].into_iter().chain(env::split_paths(&path)))?;
    let mut set_up = Command::new(env::current_exe()?);
    set_up.arg("setup").current_dir(&shared.root).env("PATH", path).env("CARGO_HOME", &shared.shared_cargo);
    set_up.env("CARGO_MANIFEST_DIR", shared.root.join("xtask"));
    set_up.env("LIBTORCH", &shared.libtorch).env("HDF5_DIR", &shared.hdf5);
    // cargo, which runs this program, puts the libraries of its own compiler there.
    for variable in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"] {
        set_up.env_remove(variable);
    }
    // Not for a kernel of the user who installs it.
    let cache = shared.home.join("cache");
    set_up.env("XDG_CACHE_HOME", &cache);
    run(&mut set_up)?;
    remove(&cache)
}

/// The folder above a path that keeps other users from it, if there is one.
pub fn closed_folder(path: &Path) -> Option<PathBuf> {
    let mode = |path: &Path| path.metadata().map_or(0, |metadata| metadata.permissions().mode());
    path.ancestors().skip(1).find(|above| mode(above) & 0o1 == 0).map(Path::to_path_buf)
}

/// What other users cannot read: folders above the installation, and what links in it lead to.
fn unreadable(folder: &Path) -> Vec<String> {
    let links = WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.path_is_symlink());
    let targets = links.filter_map(|entry| Some((entry.path().to_path_buf(), entry.path().canonicalize().ok()?)));
    let outside = targets.filter(|(_, target)| !target.starts_with(folder));
    let mut warnings: Vec<String> = outside
        .filter_map(|(link, target)| {
            let closed = closed_folder(&target)?;
            Some(format!("{} is a link into {}, which others cannot read", link.display(), closed.display()))
        })
        .collect();
    warnings.extend(closed_folder(folder).map(|above| format!("others cannot read {}", above.display())));
    warnings
}
