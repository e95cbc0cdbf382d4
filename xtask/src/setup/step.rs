//! A step of set-up and its stamp, a file that is written last and holds a hash of everything on which the step's
//! result depends. A step that was interrupted has no stamp, and one whose inputs have changed has the wrong one: both
//! are done again.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::files::{remove, size_mb};
use crate::paths::Paths;

/// One step.
pub struct Step<'a> {
    pub paths: &'a Paths,
    /// The stamp's file name.
    pub name: &'static str,
    /// What the user reads.
    pub title: &'static str,
    /// What must exist when the step is done.
    pub product: PathBuf,
    /// Everything on which the result depends.
    pub inputs: Vec<String>,
}

impl Step<'_> {
    /// Whether the step's result is there and up to date.
    pub fn is_done(&self) -> bool {
        self.product.exists() && fs::read_to_string(self.stamp()).is_ok_and(|found| found == self.hash())
    }

    /// Does the step unless it is done. Returns whether there was something to do.
    pub fn ensure(&self, work: impl FnOnce() -> Result<()>) -> Result<bool> {
        if self.is_done() {
            return Ok(false);
        }
        println!("* {}", self.title);
        let begin = Instant::now();
        remove(&self.stamp())?;
        work().with_context(|| {
            format!("set-up could not finish `{}`; run it again once the cause is removed", self.title)
        })?;
        fs::create_dir_all(self.paths.home.join("stamps"))?;
        fs::write(self.stamp(), self.hash())?;
        let seconds = begin.elapsed().as_secs_f64();
        println!("  {}: done in {seconds:.0} s, {} MB", self.name, size_mb(&self.folder()));
        Ok(true)
    }

    /// The folder directly below `.hhnet` in which the product lies.
    fn folder(&self) -> PathBuf {
        let below = self.product.strip_prefix(&self.paths.home).unwrap_or(&self.product);
        self.paths.home.join(below.iter().next().unwrap_or_default())
    }

    fn stamp(&self) -> PathBuf {
        self.paths.home.join("stamps").join(self.name)
    }

    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for input in &self.inputs {
            hash.update(input.len().to_le_bytes());
            hash.update(input);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step<'a>(paths: &'a Paths, input: &str) -> Step<'a> {
        let product = paths.home.join("product");
        Step { paths, name: "step", title: "a step", product, inputs: vec![input.to_string()] }
    }

    #[test]
    fn a_step_is_repeated_when_interrupted_changed_or_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::of(directory.path().into());
        let work = || Ok(fs::create_dir_all(paths.home.join("product"))?);
        assert!(step(&paths, "1").ensure(|| anyhow::bail!("killed")).is_err());
        assert!(step(&paths, "1").ensure(work).unwrap());
        assert!(!step(&paths, "1").ensure(work).unwrap());
        assert!(step(&paths, "2").ensure(|| anyhow::bail!("killed")).is_err());
        assert!(!step(&paths, "1").is_done(), "the product may be half replaced");
        assert!(step(&paths, "2").ensure(work).unwrap());
        remove(&paths.home.join("product")).unwrap();
        assert!(step(&paths, "2").ensure(work).unwrap());
    }
}
