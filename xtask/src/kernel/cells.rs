//! The directories in which kernels build cells.
//!
//! evcxr builds a notebook's cells as a cargo package. In a new directory it would compile every dependency again, for
//! minutes; two kernels in one directory would overwrite each other's source. So set-up builds one directory,
//! `prepared` (`setup::cells`). Each kernel gets a copy of its own that lives as long as the kernel.
//!
//! evcxr's package is a member of a small workspace, beside a package that makes a shared library of the crate:
//!
//! ```text
//! prepared/Cargo.toml, Cargo.lock    the workspace, which says where the crate is, so that
//!                                    `:dep hhnet = { workspace = true }` loads it in any folder; the lock file starts as
//!                                    a copy of the checkout's
//! prepared/.cargo/config.toml        how all is compiled; it has precedence over settings of the user's own
//! prepared/dylib/                    makes the shared library, under the crate's name; as the crate is an optional
//!                                    dependency here, nothing is built unless a cell or set-up asks for it
//! prepared/cells/                    evcxr's package, with its target directory
//! prepared/answers/                  what cargo says to evcxr's own first cell (`cargo.rs`)
//! ```
//!
//! So a cell's library holds nothing but the cell: it is small, and linked quickly.
//!
//! A kernel starts with a package without dependencies. Without the other package, cargo would drop all versions from the
//! lock file, and choose them again, over the network, once the notebook's first cell names the crate.

use std::collections::BTreeSet;
use std::fs::FileTimes;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use fs_err::os::unix::fs::symlink;
use fs_err::{self as fs, File};
use walkdir::WalkDir;

use crate::files::remove;
use crate::paths::Paths;

/// evcxr's package in a kernel's directory.
pub const CELLS: &str = "cells";
/// Beside it: what cargo answers to evcxr's own first cell.
pub const ANSWERS: &str = "answers";
/// The variable that tells the launcher to work in a directory, without a copy.
pub const PREPARED: &str = "HHNET_PREPARED_CELLS";
pub const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["cells", "dylib"]

[workspace.dependencies]
hhnet = { package = "hhnet-dylib", path = "dylib", features = ["hhnet"] }
"#;
/// Cells are not optimised: most do nothing but call the crate, and optimising them would double the time that they
/// take. The crate is optimised fully, its dependencies as little as does no harm; none has the checks of arithmetic that
/// cells have.
///
/// rust-analyzer's calls of cargo share the target directory, in which cargo remembers what rustc has answered.
pub const SETTINGS: &str = r#"[build]
incremental = true
target-dir = "cells/target"

[profile.dev]
opt-level = 0
debug = false
strip = "debuginfo"
rpath = true
codegen-units = 16
incremental = true

[profile.dev.package."*"]
opt-level = 1
debug-assertions = false
overflow-checks = false

[profile.dev.package.hhnet]
opt-level = 3
debug-assertions = false
overflow-checks = false

[target.x86_64-unknown-linux-gnu]
linker = "cc"

[target.aarch64-unknown-linux-gnu]
linker = "cc"

[target.aarch64-apple-darwin]
linker = "cc"
"#;
/// The checkout's settings of cargo. Its profiles of single packages hold for cells, too: in an installation for others,
/// kernels are outside the checkout.
const CHECKOUT_SETTINGS: &str = include_str!("../../../.cargo/config.toml");
/// Its name is not the crate's: a lock file tells packages in folders by their names.
pub const DYLIB: &str = r#"[package]
name = "hhnet-dylib"
edition = "2024"

[lib]
name = "hhnet"
crate-type = ["dylib"]

[dependencies.hhnet]
optional = true
"#;
pub const DYLIB_SOURCE: &str = "#[cfg(feature = \"hhnet\")]\npub use hhnet::*;\n";
/// Stands in for evcxr's package, until evcxr writes its own.
const STANDS_IN: &str = "[package]\nname = \"ctx\"\nedition = \"2024\"\n";
/// Endings of files that compilers and archivers replace, but never write to.
const REPLACED: [&str; 5] = ["a", "dylib", "rlib", "rmeta", "so"];

/// How all is compiled in a kernel's directory, wherever that is.
fn settings() -> Result<String> {
    const PACKAGES: &str = "[profile.dev.package]";
    let place = CHECKOUT_SETTINGS.find(PACKAGES).context("the checkout's .cargo/config.toml lacks its packages")?;
    Ok(SETTINGS.to_string() + "\n" + &CHECKOUT_SETTINGS[place..])
}

/// Writes the workspace around evcxr's package.
pub fn write_workspace(paths: &Paths, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory.join(".cargo"))?;
    fs::write(directory.join(".cargo/config.toml"), settings()?)?;
    fs::write(directory.join("Cargo.toml"), WORKSPACE)?;
    // The versions of the checkout's own lock file: cells use what the tests have tested.
    fs::copy(paths.root.join("Cargo.lock"), directory.join("Cargo.lock"))?;
    let dylib = format!("{DYLIB}path = {:?}\n", paths.root.display().to_string());
    for (package, manifest, source) in [("dylib", dylib.as_str(), DYLIB_SOURCE), (CELLS, STANDS_IN, "")] {
        let package = directory.join(package);
        fs::create_dir_all(package.join("src"))?;
        fs::write(package.join("Cargo.toml"), manifest)?;
        fs::write(package.join("src/lib.rs"), source)?;
    }
    Ok(())
}

/// A kernel's directory. When the kernel has ended, the next kernel or set-up that starts removes it.
pub struct KernelDirectory {
    path: PathBuf,
    /// Held as long as the kernel lives: a directory whose lock is free belongs to nobody.
    pub lock: File,
}

impl KernelDirectory {
    pub fn new(paths: &Paths) -> Result<Self> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let kernels = paths.kernels()?;
        let path = kernels.join(format!("kernel-{}-{time}", std::process::id()));
        // Nobody may take a lock file that is not locked yet for an abandoned one.
        let all = lock_all(&kernels)?;
        let lock = File::create(path.with_extension("lock"))?;
        lock.lock()?;
        all.unlock()?;
        // Shared: copies do not disturb each other, but `prepared` must stay.
        all.lock_shared()?;
        let directory = Self { path, lock };
        if prepared(paths).exists() {
            let purpose = if paths.is_shared() { Purpose::KernelOfAnother } else { Purpose::Kernel };
            copy(&prepared(paths), &directory.path, purpose)
                .with_context(|| format!("cannot copy the prepared cells to {}", directory.path.display()))?;
        } else {
            write_workspace(paths, &directory.path)?;
        }
        Ok(directory)
    }

    /// Where evcxr works.
    pub fn cells(&self) -> PathBuf {
        self.path.join(CELLS)
    }

    /// Where evcxr reads how to listen.
    pub fn connection_file(&self) -> PathBuf {
        self.path.join("connection.json")
    }
}

/// The directory of which each kernel gets a copy.
pub fn prepared(paths: &Paths) -> PathBuf {
    paths.cells.join("prepared")
}

/// The lock that guards the directories of all kernels, held.
pub fn lock_all(kernels: &Path) -> Result<File> {
    fs::create_dir_all(kernels)?;
    let path = kernels.join("lock");
    // Both ways: on NFS a shared lock needs a file that can be read, an exclusive one a file that can be written to.
    let all = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    all.lock().with_context(|| {
        format!(
            "cannot lock {}: if its file system has no locks, as some network file systems, move the checkout to \
             another one, or let XDG_CACHE_HOME name a folder there if the installation is a shared one",
            path.display()
        )
    })?;
    Ok(all)
}

/// Removes the directories of kernels that have ended.
pub fn remove_ended(paths: &Paths) -> Result<()> {
    let kernels = paths.kernels()?;
    let _lock = lock_all(&kernels)?;
    for directory in kernel_directories(&kernels).into_iter().filter(|directory| has_ended(directory)) {
        // What cannot be removed yet stays for the next kernel that starts.
        let _ = remove(&directory);
        let _ = remove(&directory.with_extension("lock"));
    }
    Ok(())
}

/// The directories of all kernels, also where only the directory or only its lock is left.
pub fn kernel_directories(kernels: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(kernels).into_iter().flatten().flatten();
    let of_kernels = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("kernel-"));
    of_kernels.map(|entry| entry.path().with_extension("")).collect()
}

/// Whether the kernel to which a directory belongs has ended: nobody holds its lock.
pub fn has_ended(directory: &Path) -> bool {
    match File::options().write(true).open(directory.with_extension("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// What a copy of `prepared` is for.
#[derive(Clone, Copy, PartialEq)]
pub enum Purpose {
    /// Cargo rewrites some of it and profits from the compiler's incremental data. A kernel may be at work with the
    /// original's products, so the copy shares nothing.
    Rebuild,
    /// Libraries and programs are hard links: 500 MB, which nothing writes to. Cargo writes to other files, if it has to
    /// compile something, so they are copied. Left out is what it does not read, most of the small files, and
    /// incremental data, as copying them would take longer than they save.
    Kernel,
    /// The same with symbolic links: a system may refuse hard links of another user's files.
    KernelOfAnother,
}

impl Purpose {
    /// Makes a link instead of a copy. Returns whether it did.
    fn link(self, source: &Path, target: &Path) -> bool {
        match self {
            Self::Rebuild => false,
            Self::Kernel => fs::hard_link(source, target).is_ok(),
            Self::KernelOfAnother => symlink(source, target).is_ok(),
        }
    }
}

/// Copies a directory and keeps all times, by which cargo knows what is up to date.
pub fn copy(from: &Path, to: &Path, purpose: Purpose) -> Result<()> {
    let entries = WalkDir::new(from).into_iter();
    for entry in entries.filter_entry(|entry| purpose == Purpose::Rebuild || !is_unread(entry.path())) {
        let entry = entry?;
        let (source, path) = (entry.path(), entry.path().strip_prefix(from)?);
        let target = to.join(path);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if entry.file_type().is_symlink() {
            symlink(fs::read_link(source)?, &target)?;
        } else if !(is_only_replaced(path) && purpose.link(source, &target)) {
            fs::copy(source, &target)?;
            let time = entry.metadata()?.modified()?;
            let times = FileTimes::new().set_modified(time).set_accessed(time);
            File::options().write(true).open(&target)?.set_times(times)?;
        }
    }
    Ok(())
}

/// Whether a kernel's cargo reads nothing of a file or a folder as long as what was compiled is up to date.
fn is_unread(path: &Path) -> bool {
    const ENDINGS: [&str; 4] = ["d", "json", "o", "timestamp"];
    // What cargo remembers of rustc.
    let is_read = path.ends_with(".rustc_info.json");
    let has_ending = path.extension().is_some_and(|end| ENDINGS.iter().any(|unread| end == *unread));
    ["incremental", "stderr"].iter().any(|name| path.ends_with(name)) || has_ending && !is_read
}

/// Whether a file is a library or a build script's program, which is only ever replaced by a new file. Libraries of cells
/// are not among them: a linker writes one for each cell.
fn is_only_replaced(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if ["libctx", "libcode_"].iter().any(|cell| name.starts_with(cell)) {
        return false;
    }
    let is_library = path.extension().is_some_and(|end| REPLACED.iter().any(|replaced| end == *replaced));
    is_library || name.starts_with("build_script_build-") || name == "build-script-build"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    /// Files, and whether copies share them.
    const FILES: [(&str, bool); 11] = [
        ("target/debug/deps/libtch.rlib", true),
        ("target/debug/build/tch-1/build-script-build", true),
        ("target/debug/build/tch-1/out/libtch.a", true),
        ("target/debug/build/tch-1/out/flags", false),
        ("target/debug/deps/libunicode.rlib", true),
        ("target/debug/deps/libctx.so", false),
        ("target/debug/libcode_1.so", false),
        ("target/debug/.fingerprint/tch-1/lib-tch", false),
        ("target/.rustc_info.json", false),
        ("target/debug/.cargo-lock", false),
        ("Cargo.toml", false),
    ];

    /// Files that copies lack.
    const UNREAD: [&str; 6] = [
        "target/debug/.fingerprint/tch-1/invoked.timestamp",
        "target/debug/.fingerprint/tch-1/lib-tch.json",
        "target/debug/build/tch-1/stderr",
        "target/debug/deps/tch.d",
        "target/debug/deps/tch.o",
        "target/debug/incremental/tch-1/data.bin",
    ];

    fn paths(directory: &Path) -> Paths {
        let paths = Paths::of(directory.to_path_buf());
        for file in FILES.iter().map(|(file, _)| file).chain(&UNREAD).map(|file| prepared(&paths).join(file)) {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        paths
    }

    #[test]
    fn copies_share_only_what_nothing_writes_to() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        let own = KernelDirectory::new(&paths).unwrap();
        let same = |name: &str| {
            let (a, b) = (prepared(&paths).join(name).metadata().unwrap(), own.path.join(name).metadata().unwrap());
            assert_eq!(a.modified().unwrap(), b.modified().unwrap(), "{name}");
            a.ino() == b.ino()
        };
        for (file, shared) in FILES {
            assert_eq!(same(file), shared, "{file}");
        }
        for file in UNREAD {
            assert!(!own.path.join(file).exists(), "{file}");
        }
    }

    #[test]
    fn the_lock_of_all_kernels_can_be_shared_and_exclusive_on_nfs() {
        let directory = tempfile::tempdir().unwrap();
        let all = lock_all(directory.path()).unwrap();
        assert!((&all).write(b" ").is_ok() && (&all).read(&mut [0]).is_ok());
    }

    #[test]
    fn a_directory_lives_as_long_as_the_process_that_holds_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let paths = paths(directory.path());
        let dead = paths.cells.join("kernel-1-1");
        fs::create_dir_all(&dead).unwrap();
        fs::write(dead.with_extension("lock"), "").unwrap();
        let first = KernelDirectory::new(&paths).unwrap();
        let second = KernelDirectory::new(&paths).unwrap();
        remove_ended(&paths).unwrap();
        assert!(first.path.exists() && second.path.exists() && !dead.exists());

        // As the launcher does: another process gets the lock, and this one gives it up.
        let lock = first.lock.try_clone().unwrap();
        let mut kernel = Command::new("sleep").arg("600").stdin(lock.into_file()).spawn().unwrap();
        let path = first.path.clone();
        drop(first);
        remove_ended(&paths).unwrap();
        assert!(path.exists());
        kernel.kill().unwrap();
        kernel.wait().unwrap();
        // A program that another test starts just now has the lock, too, for a moment.
        let is_removed = (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            remove_ended(&paths).unwrap();
            !path.exists() && !path.with_extension("lock").exists()
        });
        assert!(is_removed);
        assert!(second.path.exists() && prepared(&paths).exists());
    }
}
