//! `cargo xtask faults`: what `test` tries a few times, many times, and inputs that a fuzzer makes up.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio, exit};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::check::Checks;
use crate::paths::Paths;
use crate::process::{cargo_in, run_logged};
use crate::setup;
use crate::setup::step::Step;

/// All checks together, once set-up is done.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// Tests in `cli/tests`: what they try, the file's name, the variable that says how often, and its value.
const LONG_TESTS: [(&str, &str, &str, &str); 4] = [
    ("50 kills of each command", "kills", "HHNET_ROUNDS", "50"),
    ("every call fails", "disk", "HHNET_ROUNDS", "50"),
    ("100 rounds of two writers", "writers", "HHNET_ROUNDS", "50"),
    ("10 000 damaged files of each kind", "damaged", "HHNET_MUTANTS", "10000"),
];
const CARGO_FUZZ: &str = "0.13.2";
/// In `fuzz/fuzz_targets`.
const TARGETS: [&str; 7] = ["dataset", "weights", "nwb", "numpy", "table", "options", "checkpoint"];
/// Of the time, for one target. A fuzzer ends when an input has been read, which may take a few seconds.
const SMALLEST_SHARE: Duration = Duration::from_secs(20);

/// `cargo xtask faults`.
pub fn run() -> Result<()> {
    let paths = setup::run()?;
    install_cargo_fuzz(&paths)?;
    let deadline = Instant::now() + LIMIT;
    let mut checks = Checks::new(&paths);
    for (what, name, variable, value) in LONG_TESTS {
        checks.run(what, |paths| {
            let mut cargo = cargo_in(paths, &["test", "--locked", "--package", "hhnet-cli", "--test", name]);
            run_until(deadline, paths.with_libraries(cargo.env(variable, value)))
        });
    }
    checks.run("fuzz targets compile", |paths| run_until(deadline, &mut cargo_fuzz(paths, "build")));
    for (done, target) in TARGETS.into_iter().enumerate() {
        checks.run(&format!("fuzz target {target}"), |paths| {
            let left = deadline.saturating_duration_since(Instant::now()) / (TARGETS.len() - done) as u32;
            ensure!(left > SMALLEST_SHARE, "no time is left");
            fuzz(paths, target, left - SMALLEST_SHARE / 2, deadline)
        });
    }
    checks.end()
}

fn install_cargo_fuzz(paths: &Paths) -> Result<()> {
    let root = paths.home.join("cargo-fuzz");
    let step = Step {
        paths,
        name: "cargo-fuzz",
        title: "cargo-fuzz, which runs fuzz targets, compiled by cargo (about a minute)".into(),
        product: root.join("bin/cargo-fuzz"),
        inputs: vec![CARGO_FUZZ.to_string()],
    };
    step.ensure(|| {
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--locked", "--force", "--version", CARGO_FUZZ, "cargo-fuzz", "--root"]).arg(&root);
        run_logged(paths, "cargo-fuzz", cargo.current_dir(&paths.home), None)
    })?;
    Ok(())
}

/// The options are those of `fuzz/README.md`.
fn cargo_fuzz(paths: &Paths, task: &str) -> Command {
    let mut command = Command::new(paths.home.join("cargo-fuzz/bin/cargo-fuzz"));
    command.args(["fuzz", task, "--target-dir"]).arg(paths.scratch.join("fuzz")).current_dir(&paths.root);
    command.env("RUSTC_BOOTSTRAP", "1").env("ASAN_OPTIONS", "detect_leaks=0:allocator_may_return_null=1");
    paths.with_libraries(&mut command);
    command
}

/// Has a target take the corpus, the reference data and what it makes up of them, for this time.
fn fuzz(paths: &Paths, target: &str, time: Duration, deadline: Instant) -> Result<()> {
    let found = paths.scratch.join("fuzz/found").join(target);
    let harmful = paths.scratch.join("fuzz/harmful");
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&harmful)?;
    let mut command = cargo_fuzz(paths, "run");
    command.arg(target).arg(found).arg(paths.root.join("fuzz/corpus").join(target)).arg(paths.root.join("tests/data"));
    command.args(["--", "-timeout=20", "-rss_limit_mb=4096", "-max_len=65536", "-verbosity=0", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={}", time.as_secs()));
    command.arg(format!("-artifact_prefix={}/{target}-", harmful.display()));
    run_until(deadline, &mut command)
}

/// Runs a command, and ends it with all that it has started if it is still running then, or when this program is to end.
fn run_until(deadline: Instant, command: &mut Command) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).process_group(0).spawn();
    let mut child = child.with_context(|| format!("cannot start {program}"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let is_late = Instant::now() > deadline;
        if is_late || signals.pending().next().is_some() {
            kill_process_group(Pid::from_child(&child), Signal::KILL)?;
            child.wait()?;
            if !is_late {
                exit(130);
            }
            bail!("it has not ended within {} minutes", LIMIT.as_secs() / 60);
        }
        thread::sleep(Duration::from_millis(100));
    };
    ensure!(status.success(), "{program} failed ({status}): see above");
    Ok(())
}
