//! All checks of `cargo xtask test`, the cheapest first; long ones, one of a shared installation, and those of other
//! machines.
//!
//! | module | what it checks |
//! |---|---|
//! | [`texts`] | tasks, paths and links that texts name |
//! | [`results`] | what cells print: do committed and fresh notebooks agree, and does a cell show what the text quotes |
//! | [`audit`] | advisories, licences and sources of all packages |
//! | [`downloads`] | set-up's downloads from a server that fails |
//! | [`course`] | the course version of the notebooks |
//! | [`examine`] | an executed notebook: is it complete, did every cell succeed |
//! | [`notebooks`] | the committed notebooks, and both of them run from a clean kernel |
//! | [`isolation`] | a kernel in a hostile environment |
//! | [`browser`] | both notebooks worked with in JupyterLab in a browser |
//! | [`faults`] | what the tests try a few times, many times; fuzzing |
//! | [`hub`] | a shared installation, by three users of JupyterHub |
//! | [`cross`] | ARM64 in an emulator, and macOS as far as the compiler knows it |

pub mod audit;
pub mod browser;
pub mod course;
pub mod cross;
pub mod downloads;
pub mod examine;
pub mod faults;
pub mod hub;
pub mod isolation;
pub mod notebooks;
pub mod results;
pub mod texts;

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::paths::Paths;
use crate::process::cargo;
use crate::setup;

/// `cargo xtask test`.
pub fn run() -> Result<()> {
    let paths = setup::run()?;
    let mut checks = Checks::new(&paths);
    checks.run("formatting", |paths| cargo(paths, &["fmt", "--all", "--check"]));
    checks.run("tasks, paths and links in texts", texts::check);
    checks.run("committed notebooks", notebooks::check_committed);
    let mut not_run = Vec::new();
    checks.run("advisories, licences and sources of packages", |paths| {
        not_run = audit::check(paths)?;
        Ok(())
    });
    checks.run("downloads from a server that fails", downloads::check);
    checks.run("lints", |paths| {
        let clippy = ["clippy", "--locked", "--workspace", "--all-targets"];
        cargo(paths, &[&clippy[..], &["--", "-D", "warnings"]].concat())?;
        cargo(paths, &[&clippy[..], &["--no-default-features", "--", "-D", "warnings"]].concat())
    });
    checks.run("documentation", |paths| cargo(paths, &["doc", "--locked", "--workspace", "--no-deps"]));
    checks.run("Rust tests and doc tests", |paths| cargo(paths, &["test", "--locked", "--workspace"]));
    // The default feature is the model, which needs libtorch.
    let packages = ["--package", "hhnet", "--package", "hhnet-cli"];
    let without_model = [&["test", "--locked", "--no-default-features", "--tests"][..], &packages].concat();
    checks.run("Rust tests without the model", |paths| cargo(paths, &without_model));
    checks.run("course version", course::check);
    checks.run("a kernel in a hostile environment", isolation::check);
    // The browser runs the notebooks from a clean kernel, too.
    match browser::find() {
        Some(chromium) => checks.run("notebooks in a browser", |paths| browser::check(paths, &chromium)),
        None => {
            checks.run("notebooks from a clean kernel", notebooks::check_fresh);
            not_run.push(format!("notebooks in a browser: {}", browser::NO_BROWSER));
        }
    }
    checks.summary.extend(not_run.iter().map(|what| format!("NOT RUN             {what}")));
    checks.end()
}

/// The checks made so far.
struct Checks<'a> {
    paths: &'a Paths,
    /// A line for each.
    summary: Vec<String>,
}

impl<'a> Checks<'a> {
    fn new(paths: &'a Paths) -> Self {
        Self { paths, summary: Vec::new() }
    }

    fn run(&mut self, name: &str, check: impl FnOnce(&Paths) -> Result<()>) {
        println!("\n== {name}");
        let begin = Instant::now();
        let result = check(self.paths).inspect_err(|error| println!("FAILED: {error:#}"));
        let word = if result.is_ok() { "passed" } else { "FAILED" };
        self.summary.push(format!("{word}  {:>7.1} s  {name}", begin.elapsed().as_secs_f64()));
    }

    /// Prints the summary. Fails if a check did.
    fn end(self) -> Result<()> {
        let count = |word: &str| self.summary.iter().filter(|line| line.starts_with(word)).count();
        println!("\n{}\n{} passed, {} failed", self.summary.join("\n"), count("passed"), count("FAILED"));
        ensure!(count("FAILED") == 0, "not every check passed");
        Ok(())
    }
}

/// An error that lists all faults, if there are any.
pub fn report(faults: &[String], advice: &str) -> Result<()> {
    let count = match faults.len() {
        0 => return Ok(()),
        1 => "one fault".to_string(),
        count => format!("{count} faults"),
    };
    bail!("{count} ({advice}):\n  - {}", faults.join("\n  - "))
}
