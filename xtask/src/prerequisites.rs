//! What must be there before set-up starts. All that is missing is named at once, with the command that installs it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::places::{Places, which};
use crate::process::{first_line, size_of};

/// evcxr 0.22 needs it.
const RUST: (u32, u32) = (1, 95);
/// The pinned Python packages need it.
const PYTHON: (u32, u32) = (3, 10);
/// The wheels of libtorch need it (Linux).
const GLIBC: (u32, u32) = (2, 28);
/// What the folder takes while set-up runs, with the wheels and evcxr's build; afterwards it is about half.
const DISK_GB: f64 = 6.0;

/// What was found.
pub struct Found {
    /// A Python interpreter that can make virtual environments.
    pub python: PathBuf,
    /// The compiler's full version, on which prepared cells depend.
    pub rustc: String,
}

/// Looks for everything.
pub fn check(places: &Places) -> Result<Found> {
    let mut missing = Vec::new();
    if let Err(reason) = platform() {
        bail!("{reason}");
    }
    let rustc = check_rust(&mut missing);
    if which("cargo").is_none() {
        missing.push("cargo is not on the search path: install Rust with rustup".to_string());
    }
    check_compiler("C", &["cc", "gcc", "clang"], &mut missing);
    check_compiler("C++", &["c++", "g++", "clang++"], &mut missing);
    let python = check_python(&mut missing);
    check_disk(places, &mut missing);
    match (missing.is_empty(), rustc, python) {
        (true, Some(rustc), Some(python)) => Ok(Found { python, rustc }),
        _ => bail!("set-up needs what is not there yet:\n  - {}", missing.join("\n  - ")),
    }
}

fn platform() -> Result<(), String> {
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    match (system, processor) {
        ("linux", "x86_64" | "aarch64") | ("macos", "aarch64") => {}
        ("windows", _) => {
            return Err(
                "on Windows, use WSL2: install a Linux distribution in it and run this command there".to_string()
            );
        }
        _ => {
            return Err(format!("there is no libtorch for {system} on {processor}; Linux and macOS on arm64 have one"));
        }
    }
    if system == "linux" {
        let found = first_line(Command::new("getconf").arg("GNU_LIBC_VERSION"));
        match found.as_deref().and_then(version) {
            Some(version) if version >= GLIBC => {}
            Some((major, minor)) => {
                return Err(format!(
                    "the C library is glibc {major}.{minor}, libtorch needs {}.{}: use a newer distribution",
                    GLIBC.0, GLIBC.1
                ));
            }
            None => {
                return Err(
                    "the C library is not glibc, for which libtorch is built: use another distribution".to_string()
                );
            }
        }
    }
    Ok(())
}

fn check_rust(missing: &mut Vec<String>) -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match text.as_deref().and_then(version) {
        Some(version) if version >= RUST => return text,
        Some((major, minor)) => missing
            .push(format!("rustc is {major}.{minor}, {}.{} or newer is needed: rustup update stable", RUST.0, RUST.1)),
        None => missing.push("rustc does not run: install Rust with rustup".to_string()),
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

fn check_python(missing: &mut Vec<String>) -> Option<PathBuf> {
    let names = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10"];
    let mut best: Option<(u32, u32)> = None;
    let mut without_venv = None;
    // The interpreter behind a virtual environment counts, not the environment that happens to be active: it may be our own.
    let query = "import os, sys; print('%d.%d' % sys.version_info[:2], os.path.realpath(sys._base_executable))";
    for python in names.into_iter().filter_map(which) {
        let Some(answer) = first_line(Command::new(&python).args(["-c", query])) else { continue };
        let Some((found, python)) = answer.split_once(' ') else { continue };
        let (Some(found), python) = (version(found), PathBuf::from(python)) else { continue };
        best = best.max(Some(found));
        if found < PYTHON || found.0 != 3 || found.1 > 14 {
            continue;
        }
        if first_line(Command::new(&python).args(["-c", "import venv, ensurepip; print()"])).is_some() {
            return Some(python);
        }
        without_venv = Some(found);
    }
    let command = install(["python3 python3-venv", "python3", "python", "brew install python@3.13"]);
    missing.push(match (without_venv, best) {
        (Some((major, minor)), _) => {
            let package =
                install([&format!("python{major}.{minor}-venv"), "python3", "python", "brew install python@3.13"]);
            format!("Python {major}.{minor} lacks the modules venv and ensurepip: {package}")
        }
        (None, Some((major, minor))) => {
            format!("Python is {major}.{minor}, one from {}.{} to 3.14 is needed: {command}", PYTHON.0, PYTHON.1)
        }
        (None, None) => format!("no Python 3: {command}"),
    });
    None
}

fn check_disk(places: &Places, missing: &mut Vec<String>) {
    let output = Command::new("df").arg("-Pk").arg(&places.root).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let Some(free_kb) =
        text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)).and_then(|kb| kb.parse::<f64>().ok())
    else {
        return;
    };
    let free = free_kb / 1e6;
    let needed = DISK_GB - size_of(&places.home) as f64 / 1e9;
    if free < needed {
        missing.push(format!(
            "{free:.1} GB are free below {}, set-up needs {needed:.1} GB more: make room or move the checkout",
            places.root.display()
        ));
    }
}

/// The command that installs a package, for apt, dnf and pacman (package names) or macOS (whole command).
fn install([apt, dnf, pacman, macos]: [&str; 4]) -> String {
    if cfg!(target_os = "macos") {
        return macos.to_string();
    }
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let names = |words: &[&str]| {
        let lines = system.lines().filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="));
        let ids: Vec<String> = lines.map(|line| line.to_lowercase()).collect();
        words.iter().any(|word| ids.iter().any(|id| id.contains(word)))
    };
    if names(&["fedora", "rhel"]) {
        format!("sudo dnf install {dnf}")
    } else if names(&["arch"]) {
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
    use super::version;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        assert_eq!(version("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(version("glibc 2.36"), Some((2, 36)));
        assert_eq!(version("3.9"), Some((3, 9)));
        assert_eq!(version("no number"), None);
    }
}
