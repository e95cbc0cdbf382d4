//! Python environments, each made from a list of packages with versions and hashes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use fs_err as fs;

use crate::files::remove;
use crate::paths::Paths;
use crate::process::run_logged;
use crate::setup::prerequisites::{self, Found};
use crate::setup::step::Step;

/// One environment.
pub struct Environment<'a> {
    pub paths: &'a Paths,
    /// The stamp's file name; the logs' names begin with it.
    pub name: &'static str,
    /// What the user reads.
    pub title: &'static str,
    /// Where it is.
    pub directory: PathBuf,
    /// The file that lists the packages.
    pub list: PathBuf,
}

/// The environment that holds JupyterLab.
pub fn jupyter(paths: &Paths) -> Environment<'_> {
    Environment {
        paths,
        name: "python",
        title: "Python packages: JupyterLab, nbclient, nbconvert and tools (download about 110 MB)",
        directory: paths.python.clone(),
        list: paths.script("requirements.txt"),
    }
}

impl<'a> Environment<'a> {
    pub fn python(&self) -> PathBuf {
        self.directory.join("bin/python")
    }

    pub fn step(&self) -> Result<Step<'a>> {
        let list = fs::read_to_string(&self.list)?;
        // Another interpreter on the search path is no reason to make a new one; if its own is gone, the product is a link
        // that leads nowhere.
        Ok(Step { paths: self.paths, name: self.name, title: self.title, product: self.python(), inputs: vec![list] })
    }

    /// Makes it unless it is there, for a task that needs an environment of its own.
    pub fn ensure(&self) -> Result<()> {
        let found = prerequisites::check(self.paths)?;
        self.step()?.ensure(|| self.make(&found))?;
        Ok(())
    }

    /// Makes it in place, since its programs name the place.
    pub fn make(&self, found: &Found) -> Result<()> {
        remove(&self.directory)?;
        let mut venv = Command::new(&found.python);
        venv.args(["-m", "venv"]).arg(&self.directory);
        run_logged(self.paths, &format!("{}-venv", self.name), &mut venv, None)?;
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir", "-r"]);
        run_logged(self.paths, &format!("{}-packages", self.name), pip.arg(&self.list), Some(&self.directory))
    }
}
