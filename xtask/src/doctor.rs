//! `cargo xtask doctor`: what is installed, whether it is in order, and the command that mends what is not.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use fs_err::{self as fs, File};

use crate::files::{free_bytes, remove, size_mb};
use crate::kernel::{cells, environment};
use crate::notebook;
use crate::paths::Paths;
use crate::process::{first_line, notebook_runner};
use crate::setup::{self, prerequisites};

/// Uses both shared libraries, and prints those of the process that runs cells.
const LIBRARIES: &str = r#"use hhnet::prelude::*;
let used = (trained_model().is_ok(), H5Matrix::open("no file", "X").is_ok());
let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
for path in maps.lines().filter_map(|line| line.split_whitespace().nth(5)).filter(|path| path.contains(".so")) {
    println!("{path}");
}"#;
/// OpenMP's runtimes. Two in one process slow each other down, or crash.
const OPENMP: [&str; 3] = ["libgomp", "libiomp5", "libomp."];

pub fn run() -> Result<()> {
    let paths = Paths::find()?;
    let mut report = Report::default();
    programs(&paths, &mut report);
    match prerequisites::check(&paths) {
        Ok(found) => installed(&paths, &setup::unfinished(&paths, &found)?, &mut report),
        Err(error) => report.mend("what set-up needs", &format!("{error:#}"), "install it"),
    }
    jupyter(&paths, &mut report);
    locks(&paths, &mut report)?;
    let free = free_bytes(&paths.root)? as f64 / 1e9;
    report.ok(
        "disk",
        &format!("{free:.1} GB free; .hhnet has {} MB, target {} MB", size_mb(&paths.home), size_mb(&paths.scratch)),
    );
    variables(&mut report);
    if report.faults == 0 {
        kernel(&paths, &mut report)?;
    }
    ensure!(report.faults == 0, "{} to mend, see above", report.faults);
    Ok(())
}

/// Prints what is found.
#[derive(Default)]
struct Report {
    faults: usize,
}

impl Report {
    fn ok(&self, what: &str, found: &str) {
        println!("ok    {what}: {found}");
    }

    fn mend(&mut self, what: &str, found: &str, remedy: &str) {
        self.faults += 1;
        println!("MEND  {what}: {found}\n      -> {remedy}");
    }
}

fn programs(paths: &Paths, report: &mut Report) {
    report.ok("checkout", &paths.root.display().to_string());
    report.ok("system", &format!("{} {}", env::consts::OS, env::consts::ARCH));
    for (what, program, option) in [
        ("compiler", "rustc", "--version"),
        ("cargo", "cargo", "--version"),
        ("C compiler", "cc", "--version"),
        ("C library", "getconf", "GNU_LIBC_VERSION"),
    ] {
        if let Some(found) = first_line(Command::new(program).arg(option).current_dir(&paths.root)) {
            report.ok(what, &found);
        }
    }
}

/// What set-up has installed, and where it comes from.
fn installed(paths: &Paths, unfinished: &[&str], report: &mut Report) {
    match unfinished {
        [] => report.ok("set-up", "everything is there"),
        _ => report.mend("set-up", &format!("missing or out of date: {}", unfinished.join(", ")), "cargo xtask setup"),
    }
    for (what, path) in
        [("libtorch", &paths.libtorch), ("HDF5", &paths.hdf5), ("Python", &paths.python_program("python"))]
    {
        if let Ok(target) = path.canonicalize() {
            report.ok(what, &target.display().to_string());
        }
    }
}

/// Whether Jupyter finds the kernel. One of the user's own named `rust` is found by other Jupyters.
fn jupyter(paths: &Paths, report: &mut Report) {
    let mut list = Command::new(paths.python_program("jupyter"));
    let list = paths.with_jupyter(list.args(["kernelspec", "list", "--json"])).output();
    let text = list.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let specifications: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let found = specifications["kernelspecs"]["rust"]["resource_dir"].as_str().unwrap_or("none");
    let ours = paths.kernelspec();
    match Path::new(found) == ours {
        true => report.ok("kernelspec", found),
        false => report.mend("kernelspec", &format!("`rust` is {found}, not {}", ours.display()), "cargo xtask setup"),
    }
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for folder in [".local/share/jupyter/kernels/rust", "Library/Jupyter/kernels/rust"].map(|name| home.join(name)) {
        if folder.exists() {
            report.ok(
                "another kernelspec `rust`",
                &format!("{}, which a Jupyter of your own may prefer", folder.display()),
            );
        }
    }
}

/// Who is at work in the checkout.
fn locks(paths: &Paths, report: &mut Report) -> Result<()> {
    let is_held = |path: &Path| match File::options().write(true).open(path) {
        Ok(lock) => lock.try_lock().is_err(),
        Err(_) => false,
    };
    for (name, what) in [("setup.lock", "a set-up"), ("work.lock", "a program that set-up started")] {
        if is_held(&paths.home.join(name)) {
            report.ok("locks", &format!("{what} is at work; others wait for it"));
        }
    }
    let directories = cells::kernel_directories(&paths.kernels()?);
    let ended = directories.iter().filter(|directory| cells::has_ended(directory)).count();
    let alive = directories.len() - ended;
    report.ok("kernels", &format!("{alive} at work; {ended} ended, whose folders the next one removes"));
    Ok(())
}

/// Variables that change what is installed, or that kernels do not take over.
fn variables(report: &mut Report) {
    let names: BTreeSet<String> = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    // cargo itself sets some for the programs that it runs.
    let is_set_by_cargo = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST");
    let is_left_out = |name: &&str| environment::shapes_builds(name) && !is_set_by_cargo(name);
    let left_out: Vec<&str> = names.iter().map(String::as_str).filter(is_left_out).collect();
    if !left_out.is_empty() {
        report.ok("variables", &format!("kernels do not take over {}", left_out.join(", ")));
    }
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CONDA_PREFIX", "VIRTUAL_ENV", "XDG_CACHE_HOME"]
    {
        if let Ok(value) = env::var(name) {
            report.ok("variables", &format!("{name}={value}"));
        }
    }
}

/// Starts a kernel and looks at the libraries that it has loaded.
fn kernel(paths: &Paths, report: &mut Report) -> Result<()> {
    let folder = paths.scratch.join("doctor");
    fs::create_dir_all(&folder)?;
    let notebook = folder.join("doctor.ipynb");
    fs::write(&notebook, notebook::of_code(&[notebook::DEPENDENCY, LIBRARIES]).to_string())?;
    let output = notebook_runner(paths, &notebook, &folder.join("executed.ipynb"), &folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    remove(&folder)?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = messages.trim().lines().collect();
        let last = lines[lines.len().saturating_sub(4)..].join("\n      ");
        report.mend("a kernel", &last, "delete .hhnet/cells and .hhnet/bin, then cargo xtask setup");
        return Ok(());
    }
    report.ok("a kernel", text.lines().last().unwrap_or_default().trim());
    let loaded: BTreeSet<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("| ")).collect();
    judge(&loaded, &[("libtorch_cpu.so", &paths.libtorch), ("libhdf5.so", &paths.hdf5)], report);
    Ok(())
}

/// Judges which libraries a kernel has loaded.
fn judge(loaded: &BTreeSet<&str>, expected: &[(&str, &Path)], report: &mut Report) {
    const REMEDY: &str = "start Jupyter without LD_PRELOAD, and outside of other environments";
    let name = |path: &str| Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    for (library, folder) in expected {
        let real = |path: &Path| path.canonicalize().unwrap_or(path.into());
        for path in loaded.iter().filter(|path| name(path).starts_with(library)) {
            // The system's HDF5 is linked to file by file.
            let is_ours = real(&folder.join("lib").join(library)) == real(Path::new(path));
            match is_ours {
                true => report.ok("loaded", path),
                false => report.mend("loaded", &format!("{path}, not the one in {}", folder.display()), REMEDY),
            }
        }
    }
    let runtimes: Vec<&&str> =
        loaded.iter().filter(|path| OPENMP.iter().any(|runtime| name(path).starts_with(runtime))).collect();
    match runtimes[..] {
        [] => {}
        [runtime] => report.ok("OpenMP", runtime),
        _ => report.mend("OpenMP", &format!("two runtimes: {runtimes:?}"), REMEDY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_and_double_libraries_are_found() {
        let torch = Path::new("/checkout/libtorch");
        let faults = |loaded: &[&str]| {
            let mut report = Report::default();
            judge(&loaded.iter().copied().collect(), &[("libtorch_cpu.so", torch)], &mut report);
            report.faults
        };
        let ours = "/checkout/libtorch/lib/libtorch_cpu.so";
        assert_eq!(faults(&[ours, "/usr/lib/libgomp.so.1"]), 0);
        assert_eq!(faults(&["/conda/lib/libtorch_cpu.so", "/usr/lib/libgomp.so.1"]), 1);
        assert_eq!(faults(&[ours, "/usr/lib/libgomp.so.1", "/conda/lib/libiomp5.so"]), 1);
    }
}
