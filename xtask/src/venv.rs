//! Python environments, each made from a list of packages with versions and hashes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::places::Places;
use crate::prerequisites::Found;
use crate::process::run_logged;
use crate::stamp::{Step, remove};

/// One environment.
pub struct Environment<'a> {
    pub places: &'a Places,
    /// The stamp's file name; the logs' names begin with it.
    pub name: &'static str,
    /// What the user reads.
    pub title: &'static str,
    /// Where it is.
    pub directory: PathBuf,
    /// The file that lists the packages.
    pub list: PathBuf,
}

impl<'a> Environment<'a> {
    pub fn python(&self) -> PathBuf {
        self.directory.join("bin/python")
    }

    pub fn step(&self, found: &Found) -> Result<Step<'a>> {
        let list = fs::read_to_string(&self.list).with_context(|| format!("cannot read {}", self.list.display()))?;
        // Programs of a virtual environment name its directory.
        let inputs = vec![list, found.python.display().to_string(), self.places.root.display().to_string()];
        Ok(Step { places: self.places, name: self.name, title: self.title, product: self.python(), inputs })
    }

    /// Not made aside and renamed: a virtual environment works only where it was made. Without its stamp it does not count.
    pub fn make(&self, interpreter: &Path) -> Result<()> {
        remove(&self.directory)?;
        let mut venv = Command::new(interpreter);
        venv.args(["-m", "venv"]).arg(&self.directory);
        run_logged(self.places, &format!("{}-venv", self.name), &mut venv, None)?;
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir", "-r"]);
        run_logged(self.places, &format!("{}-packages", self.name), pip.arg(&self.list), Some(&self.directory))
    }
}
