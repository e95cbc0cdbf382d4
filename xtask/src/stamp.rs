//! A step of set-up and its stamp: a file with a hash of everything that the step's result depends on, written last. A step
//! that was interrupted has no stamp, and one whose inputs changed has the wrong one: both are done again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::places::Places;
use crate::process::{size_of, size_text};

/// One step.
pub struct Step<'a> {
    pub places: &'a Places,
    /// The stamp's file name.
    pub name: &'static str,
    /// What the user reads.
    pub title: &'static str,
    /// What must exist when the step is done.
    pub product: PathBuf,
    /// Everything that the result depends on.
    pub inputs: Vec<String>,
}

impl Step<'_> {
    /// Whether the step's result is there and up to date.
    pub fn is_done(&self) -> bool {
        self.product.exists() && fs::read_to_string(self.stamp()).is_ok_and(|found| found == self.hash())
    }

    /// Does the step unless it is done; true if there was something to do.
    pub fn ensure(&self, work: impl FnOnce() -> Result<()>) -> Result<bool> {
        if self.is_done() {
            return Ok(false);
        }
        println!("* {}", self.title);
        let begin = Instant::now();
        remove(&self.stamp())?;
        work().with_context(|| {
            format!("set-up could not finish `{}`; run it again once the cause is gone", self.title)
        })?;
        fs::create_dir_all(self.places.home.join("stamps"))?;
        fs::write(self.stamp(), self.hash())?;
        let size = size_text(size_of(&self.folder()));
        println!("  {}: done in {:.0} s, {size}", self.name, begin.elapsed().as_secs_f64());
        Ok(true)
    }

    /// The folder directly below `.hhnet` in which the product lies.
    fn folder(&self) -> PathBuf {
        let below = self.product.strip_prefix(&self.places.home).unwrap_or(&self.product);
        self.places.home.join(below.iter().next().unwrap_or_default())
    }

    fn stamp(&self) -> PathBuf {
        self.places.home.join("stamps").join(self.name)
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

/// Removes a file, a link or a directory with all it holds; nothing there is fine.
pub fn remove(path: &Path) -> Result<()> {
    let result = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    result.with_context(|| format!("cannot remove {}", path.display()))
}

/// Puts a finished `.part` in its place, instead of what was there.
pub fn put_in_place(part: &Path, target: &Path) -> Result<()> {
    remove(target)?;
    fs::rename(part, target).with_context(|| format!("cannot rename {} to {}", part.display(), target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step<'a>(places: &'a Places, input: &str) -> Step<'a> {
        let product = places.home.join("product");
        Step { places, name: "step", title: "a step", product, inputs: vec![input.to_string()] }
    }

    #[test]
    fn a_step_is_repeated_when_interrupted_changed_or_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places { root: directory.path().into(), home: directory.path().join(".hhnet") };
        let work = || Ok(fs::create_dir_all(places.home.join("product"))?);
        assert!(step(&places, "1").ensure(|| anyhow::bail!("killed")).is_err());
        assert!(step(&places, "1").ensure(work).unwrap());
        assert!(!step(&places, "1").ensure(work).unwrap());
        assert!(step(&places, "2").ensure(|| anyhow::bail!("killed")).is_err());
        assert!(!step(&places, "1").is_done(), "the product may be half replaced");
        assert!(step(&places, "2").ensure(work).unwrap());
        remove(&places.home.join("product")).unwrap();
        assert!(step(&places, "2").ensure(work).unwrap());
    }
}
