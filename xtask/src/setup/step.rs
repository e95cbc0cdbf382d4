//! A step of set-up and its stamp, a file that is written last and holds a hash of everything on which the step's
//! result depends. A step that was interrupted has no stamp, and one whose inputs have changed has the wrong one: both
//! are done again.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::files::{remove, size_mb, write};
use crate::paths::Paths;

/// One step.
pub struct Step<'a> {
    pub paths: &'a Paths,
    /// The stamp's file name.
    pub name: &'static str,
    /// What the user reads.
    pub title: String,
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
        write(&self.stamp(), self.hash())?;
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
        format!("{:x}", hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step<'a>(paths: &'a Paths, input: &str) -> Step<'a> {
        let product = paths.home.join("product");
        Step { paths, name: "step", title: "a step".into(), product, inputs: vec![input.to_string()] }
    }

    /// Tells a child of the test where it ends, as if killed.
    const MARKER: &str = "HHNET_TEST_MARKER";
    /// A step that is killed before it begins, with half of its work done, with all of it, and after it.
    const MARKERS: usize = 4;

    /// Does three steps, each with the result of the one before, and ends at a marker.
    fn three_steps(paths: &Paths, end_at: usize) -> Result<()> {
        let marker = |number: usize| {
            if number == end_at {
                std::process::abort()
            }
        };
        let folder = |number: usize| paths.home.join(format!("product{number}"));
        for number in 0..3 {
            let (name, first) = (["a", "b", "c"][number], number * MARKERS);
            let step =
                Step { paths, name, title: name.into(), product: folder(number).join("1"), inputs: vec![name.into()] };
            marker(first);
            step.ensure(|| {
                // In place, as a Python environment is made.
                remove(&folder(number))?;
                fs::create_dir_all(folder(number))?;
                for half in ["1", "2"] {
                    let before = number.checked_sub(1).map(|before| fs::read_to_string(folder(before).join(half)));
                    fs::write(folder(number).join(half), before.transpose()?.unwrap_or_default() + name)?;
                    marker(first + if half == "1" { 1 } else { 2 });
                }
                Ok(())
            })?;
            marker(first + 3);
        }
        Ok(())
    }

    #[test]
    fn steps_that_were_killed_anywhere_are_completed() {
        if let Ok(end_at) = std::env::var(MARKER) {
            let (end_at, root) = end_at.split_once(' ').unwrap();
            three_steps(&Paths::of(root.into()), end_at.parse().unwrap()).unwrap();
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        for end_at in 0..3 * MARKERS {
            let paths = Paths::of(directory.path().join(end_at.to_string()));
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "setup::step::tests::steps_that_were_killed_anywhere_are_completed"]);
            child.env(MARKER, format!("{end_at} {}", paths.root.display()));
            assert!(!child.output().unwrap().status.success(), "{end_at}: it was not killed");
            three_steps(&paths, usize::MAX).unwrap();
            for half in ["1", "2"] {
                assert_eq!(fs::read_to_string(paths.home.join("product2").join(half)).unwrap(), "abc", "{end_at}");
            }
        }
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
