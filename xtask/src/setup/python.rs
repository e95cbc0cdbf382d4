//! Python environments, each made from a list of packages with versions and hashes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::files::remove;
use crate::paths::Paths;
use crate::process::{run_logged, wait_for_work};
use crate::setup::prerequisites::{self, Found};
use crate::setup::step::Step;

/// Only files with a hash in the list, and nothing that would be built.
const CHECKED: [&str; 3] = ["--require-hashes", "--only-binary", ":all:"];
/// What pip does not say clearly: if the index does not answer, it finds "no matching distribution".
pub const NO_INDEX: &str = "\"from versions: none\" means that the index of Python packages did not answer, pip's own or the \
                            one that PIP_INDEX_URL or pip's settings name; docs/troubleshooting.md has more";

/// One environment.
pub struct Environment<'a> {
    paths: &'a Paths,
    /// Its folder in `.hhnet`, and the stamp's file name. The logs' names begin with it.
    name: &'static str,
    /// What the user reads.
    title: &'static str,
    /// The file that lists the packages.
    list: PathBuf,
}

/// The environment that holds JupyterLab.
pub fn jupyter(paths: &Paths) -> Environment<'_> {
    let title = "Python packages: JupyterLab, nbclient, nbconvert and tools (download about 110 MB)";
    Environment::new(paths, "python", title, paths.script("requirements.txt"))
}

impl<'a> Environment<'a> {
    /// The environment `.hhnet/NAME`.
    pub fn new(paths: &'a Paths, name: &'static str, title: &'static str, list: PathBuf) -> Self {
        Self { paths, name, title, list }
    }

    fn directory(&self) -> PathBuf {
        self.paths.home.join(self.name)
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory().join("bin").join(name)
    }

    pub fn python(&self) -> PathBuf {
        self.program("python")
    }

    pub fn step(&self) -> Result<Step<'a>> {
        let lists = [self.list.clone(), self.paths.script("pip.txt")];
        let inputs = lists.iter().map(fs::read_to_string).collect::<Result<_, _>>()?;
        // Another interpreter on the search path is no reason to make a new one; if its own is gone, the product is a link
        // that leads nowhere.
        Ok(Step { paths: self.paths, name: self.name, title: self.title.into(), product: self.python(), inputs })
    }

    /// Makes it unless it is there, for a task that needs an environment of its own.
    pub fn ensure(&self) -> Result<()> {
        wait_for_work(self.paths)?;
        let found = prerequisites::check(self.paths)?;
        self.step()?.ensure(|| self.make(&found))?;
        Ok(())
    }

    /// Makes it in place, since its programs name the place.
    pub fn make(&self, found: &Found) -> Result<()> {
        let directory = self.directory();
        remove(&directory)?;
        let mut venv = Command::new(&found.python);
        venv.args(["-m", "venv"]).arg(&directory);
        run_logged(self.paths, &format!("{}-venv", self.name), &mut venv, None)?;
        // The pip that Python brings may be one that cannot continue a download.
        let mut newer = Command::new(self.python());
        newer.args(["-m", "pip", "install", "--no-cache-dir"]).args(CHECKED);
        newer.arg("-r").arg(self.paths.script("pip.txt"));
        run_logged(self.paths, &format!("{}-pip", self.name), &mut newer, None).context(NO_INDEX)?;
        // Kept until success: what an interrupted run has downloaded is not downloaded again.
        let cache = self.paths.home.join("pip-cache");
        let mut packages = pip(&self.python(), "install");
        packages.arg("--cache-dir").arg(&cache).arg("-r").arg(&self.list);
        run_logged(self.paths, &format!("{}-packages", self.name), &mut packages, Some(&directory))
            .context(NO_INDEX)?;
        remove(&cache)
    }
}

/// pip's command for packages in lists with hashes. It tries again where a server fails, continues a download that was
/// cut off, and checks a file before anything is made of it.
pub fn pip(python: &Path, command: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", command, "--resume-retries", "20"]).args(CHECKED);
    pip
}
