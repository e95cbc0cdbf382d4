//! What must be there before set-up starts. Names everything that is missing at once, with the command that installs
//! it.

use std::env;
use std::iter;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::files::free_bytes;
use crate::kernel::cells;
use crate::paths::{Paths, which};
use crate::process::first_line;
use crate::setup::evcxr;

/// evcxr 0.22 needs it.
const RUST: (u32, u32) = (1, 95);
/// The pinned Python packages need it.
const PYTHON: (u32, u32) = (3, 10);
/// Not all of the pinned packages have wheels for newer ones.
const NEWEST_PYTHON: (u32, u32) = (3, 14);
/// The wheels of libtorch need it (Linux).
const GLIBC: (u32, u32) = (2, 28);
/// The wheel of libtorch for macOS needs it.
const MACOS: (u32, u32) = (14, 0);
/// What the steps take while they run, with wheels and builds that are removed at their end.
const EVCXR_GB: f64 = 2.8;
const LIBTORCH_GB: f64 = 1.4;
const PYTHON_GB: f64 = 0.4;
const CELLS_GB: f64 = 1.4;

/// What was found.
pub struct Found {
    /// A Python interpreter that can make virtual environments.
    pub python: PathBuf,
    /// The compiler's full version, on which prepared cells depend.
    pub rustc: String,
}

/// Looks for everything.
pub fn check(paths: &Paths) -> Result<Found> {
    let free = free_bytes(&paths.root).ok();
    check_machine(paths, (env::consts::OS, env::consts::ARCH), free)
}

/// Looks for everything on a machine with this system and processor, and so many bytes of free disk space.
fn check_machine(paths: &Paths, platform: (&str, &str), free: Option<u64>) -> Result<Found> {
    let mut missing: Vec<String> = check_platform(platform).into_iter().collect();
    let rustc = check_rust(&mut missing);
    if which("cargo").is_none() {
        missing.push("cargo is not on the search path: install Rust with rustup (https://rustup.rs)".to_string());
    }
    check_compiler("C", &["cc", "gcc", "clang"], &mut missing);
    check_compiler("C++", &["c++", "g++", "clang++"], &mut missing);
    let python = check_python(paths, &mut missing);
    missing.extend(check_disk(paths, free));
    match (missing.is_empty(), rustc, python) {
        (true, Some(rustc), Some(python)) => Ok(Found { python, rustc }),
        _ => bail!("something that set-up needs is missing:\n  - {}", missing.join("\n  - ")),
    }
}

fn check_platform((system, processor): (&str, &str)) -> Vec<String> {
    let has_libtorch = matches!((system, processor), ("linux", "x86_64" | "aarch64") | ("macos", "aarch64"));
    let platform = match system {
        _ if has_libtorch => None,
        "windows" => Some("on Windows, use WSL2: install a Linux distribution in it and run this command there".into()),
        _ => Some(format!(
            "there is no libtorch for {system} on {processor}: use Linux on x86-64 or ARM64, or macOS on Apple silicon"
        )),
    };
    let library = match system {
        "linux" => check_glibc(),
        "macos" => check_macos(),
        _ => None,
    };
    platform.into_iter().chain(library).collect()
}

fn check_glibc() -> Option<String> {
    let found = first_line(Command::new("getconf").arg("GNU_LIBC_VERSION"));
    let (least_major, least_minor) = GLIBC;
    match found.as_deref().and_then(version) {
        None => Some("the C library is not glibc, which libtorch needs: use another distribution".to_string()),
        Some((major, minor)) if (major, minor) < GLIBC => Some(format!(
            "the C library is glibc {major}.{minor}, but libtorch needs {least_major}.{least_minor}: \
             use a newer distribution"
        )),
        Some(_) => None,
    }
}

fn check_macos() -> Option<String> {
    let found = first_line(Command::new("sw_vers").arg("-productVersion"));
    let (major, minor) = found.as_deref().and_then(version).filter(|found| *found < MACOS)?;
    Some(format!("this is macOS {major}.{minor}, but libtorch needs {}: update the system", MACOS.0))
}

fn check_rust(missing: &mut Vec<String>) -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match text.as_deref().and_then(version) {
        Some(version) if version >= RUST => return text,
        Some((major, minor)) => missing.push(format!(
            "rustc is {major}.{minor}, but {}.{} or newer is needed: rustup update stable",
            RUST.0, RUST.1
        )),
        None => missing.push("rustc does not run: install Rust with rustup (https://rustup.rs)".to_string()),
    }
    None
}

fn check_compiler(language: &str, names: &[&str], missing: &mut Vec<String>) {
    // On macOS the commands exist without the compiler behind them, hence the call.
    let works = |name: &&str| first_line(Command::new(name).arg("--version")).is_some();
    if !names.iter().any(works) {
        let command = install(["g++", "gcc-c++", "gcc", "xcode-select --install"]);
        missing.push(format!("no {language} compiler ({}): {command}", names.join(", ")));
    }
}

fn check_python(paths: &Paths, missing: &mut Vec<String>) -> Option<PathBuf> {
    let names = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];
    // First the one of the present environment, whatever is on the search path today.
    let present = paths.python_program("python");
    let programs = || iter::once(present.clone()).chain(names.into_iter().filter_map(which));
    let interpreters = || programs().filter_map(Interpreter::query);
    let is_suitable = |python: &Interpreter| (PYTHON..=NEWEST_PYTHON).contains(&python.version);
    if let Some(python) = interpreters().find(|python| is_suitable(python) && python.has_venv) {
        return Some(python.path);
    }
    let message = if let Some(Interpreter { version: (major, minor), .. }) = interpreters().find(is_suitable) {
        let debian = format!("python{major}.{minor}-venv");
        let command = install([&debian, "python3", "python", "brew install python@3.13"]);
        format!("Python {major}.{minor} lacks the modules venv and ensurepip: {command}")
    } else {
        let command = install(["python3 python3-venv", "python3", "python", "brew install python@3.13"]);
        let (least, newest) = (PYTHON.1, NEWEST_PYTHON.1);
        match interpreters().map(|python| python.version).max() {
            Some((major, minor)) => {
                format!("Python is {major}.{minor}, but 3.{least} to 3.{newest} is needed: {command}")
            }
            None => format!("Python 3 is missing: {command}"),
        }
    };
    missing.push(message);
    None
}

struct Interpreter {
    /// The interpreter behind a virtual environment: the active environment may be the one that set-up makes anew.
    path: PathBuf,
    version: (u32, u32),
    /// Whether it can make virtual environments.
    has_venv: bool,
}

impl Interpreter {
    fn query(program: PathBuf) -> Option<Self> {
        let ask = |code: &str| first_line(Command::new(&program).args(["-c", code]));
        let answer =
            ask("import os, sys; print('%d.%d' % sys.version_info[:2], os.path.realpath(sys._base_executable))")?;
        let (found, path) = answer.split_once(' ')?;
        let has_venv = ask("import venv, ensurepip; print()").is_some();
        Some(Self { path: path.into(), version: version(found)?, has_venv })
    }
}

fn check_disk(paths: &Paths, free: Option<u64>) -> Option<String> {
    let free = free? as f64 / 1e9;
    let needed = disk_gb(paths);
    let problem = format!(
        "{free:.1} GB of disk space are free in {}, but set-up needs {needed:.1} GB: make room or move the checkout",
        paths.root.display()
    );
    (free < needed).then_some(problem)
}

/// What the steps need whose product is not there yet, GB.
fn disk_gb(paths: &Paths) -> f64 {
    let cells = cells::prepared(paths);
    let evcxr_gb = if evcxr::installed().is_some() { 0.1 } else { EVCXR_GB };
    let products =
        [(&paths.evcxr, evcxr_gb), (&paths.libtorch, LIBTORCH_GB), (&paths.python, PYTHON_GB), (&cells, CELLS_GB)];
    products.iter().filter(|(product, _)| !product.exists()).map(|(_, gigabytes)| gigabytes).sum()
}

/// The command that installs a package, for apt, dnf and pacman (package names) or macOS (whole command).
fn install([apt, dnf, pacman, macos]: [&str; 4]) -> String {
    if cfg!(target_os = "macos") {
        return macos.to_string();
    }
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default().to_lowercase();
    let ids: String = system.lines().filter(|line| line.starts_with("id=") || line.starts_with("id_like=")).collect();
    if ids.contains("fedora") || ids.contains("rhel") {
        format!("sudo dnf install {dnf}")
    } else if ids.contains("arch") {
        format!("sudo pacman -S {pacman}")
    } else {
        format!("sudo apt install {apt}")
    }
}

/// The first `MAJOR.MINOR` in a text.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_set_up_needs_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::of(directory.path().into());
        assert_eq!(disk_gb(&paths), if evcxr::installed().is_some() { 3.3 } else { 6.0 });
        for product in [&paths.evcxr, &paths.libtorch, &paths.python] {
            fs::create_dir_all(product).unwrap();
        }
        assert_eq!(disk_gb(&paths), CELLS_GB);
        fs::create_dir_all(cells::prepared(&paths)).unwrap();
        assert_eq!(disk_gb(&paths), 0.0);
    }

    /// Has a child of the test find only old programs, and no compiler.
    #[test]
    fn all_that_is_missing_is_listed_at_once() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::of(directory.path().join("checkout"));
        if env::var_os("HHNET_TEST_OLD").is_some() {
            let error = check_machine(&paths, ("linux", "riscv64"), Some(100_000_000)).err().unwrap();
            println!("{error}");
            return;
        }
        for (name, answer) in [("rustc", "rustc 1.80.0"), ("getconf", "glibc 2.17"), ("python3", "3.8 /python3")] {
            let program = directory.path().join(name);
            fs::write(&program, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
            fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        }
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "setup::prerequisites::tests::all_that_is_missing_is_listed_at_once", "--nocapture"]);
        let output = child.env("HHNET_TEST_OLD", "1").env("PATH", directory.path()).output().unwrap();
        let list = String::from_utf8(output.stdout).unwrap();
        for words in [
            "no libtorch for linux on riscv64",
            "glibc 2.17, but libtorch needs 2.28",
            "rustc is 1.80",
            "cargo is not on the search path",
            "no C compiler",
            "no C++ compiler",
            "Python is 3.8",
            "0.1 GB of disk space are free",
        ] {
            assert!(list.contains(words), "'{words}' is not in {list}");
        }
    }

    #[test]
    fn versions_are_read_from_what_programs_print() {
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(version("glibc 2.36"), Some((2, 36)));
        assert_eq!(version("3.9"), Some((3, 9)));
        assert_eq!(version("no number"), None);
    }
}
