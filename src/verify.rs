//! Finds out whether a file is as it was written.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::dataset::checksum::{self, CHANGED, Checksum, Seal};
use crate::dataset::{H5Matrix, shards_of};
use crate::files::{is_hdf5, open_hdf5};
use crate::interrupt::Interrupts;
use crate::progress::{Lines, Progress};
use crate::{Error, Result};

/// Values that are read at a time.
const BLOCK_VALUES: usize = 1 << 21;

/// The result of [`verify`].
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The file.
    pub path: PathBuf,
    /// The program that wrote it, with its version.
    pub program: String,
    /// The datasets of samples in it, and the SHA-256 of their values.
    pub datasets: Vec<(String, String)>,
    /// The shards that hold its samples, which were verified too.
    pub shards: Vec<PathBuf>,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}': unchanged since {} wrote it", self.path.display(), self.program)?;
        if !self.shards.is_empty() {
            write!(f, ", and so are its {} shards", self.shards.len())?;
        }
        self.datasets.iter().try_for_each(|(name, digits)| write!(f, "\n  {name}: SHA-256 {digits}"))
    }
}

/// Compares the contents of a file with the checksums in it. Files of data and of models have some, if they were written
/// by this crate. Of a data set whose samples stay in shards, all shards are verified.
///
/// The checksum of a dataset of samples is the SHA-256 of its values as Python sees them:
/// `hashlib.sha256(file["X"][()].tobytes()).hexdigest()`.
///
/// # Errors
/// [`Error::File`] if the file has no checksum, if something in it has changed (the message names the dataset), or if it
/// cannot be read; [`Error::Io`] if it cannot be opened; [`Error::Interrupted`] after Ctrl+C or the stop button.
///
/// ```
/// use hhnet::{dataset, ndarray::Array3, progress::Progress, verify};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("prediction.h5");
/// dataset::save(&path, "Y_pred", &Array3::zeros((2, 3, 1)), "mV", false)?;
/// assert_eq!(verify(&path, Progress::Silent)?.datasets[0].0, "Y_pred");
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn verify(path: impl AsRef<Path>, progress: Progress) -> Result<Verified> {
    let (path, interrupts, mut lines) = (path.as_ref(), Interrupts::receive(), Lines::new(progress));
    let mut verified = verify_file(path, &interrupts, &mut lines)?;
    for (shard, recorded) in shards_of(path)? {
        verify_shard(&shard, &recorded, &interrupts, &mut lines)?;
        verified.shards.push(shard);
    }
    Ok(verified)
}

/// The version of this crate that wrote a file, such as `hhnet 0.1.0`. `None` for files of other programs. Only what is
/// quick is read: see [`verify`].
///
/// # Errors
/// [`Error::File`] or [`Error::Io`] if it cannot be opened, or is neither an HDF5 file nor one with a model.
pub fn written_by(path: impl AsRef<Path>) -> Result<Option<String>> {
    let path = path.as_ref();
    if is_hdf5(path)? { Ok(checksum::program(&open_hdf5(path)?)) } else { sealed_model(path) }
}

/// The program that wrote a model that is not an HDF5 file.
#[cfg(feature = "model")]
fn sealed_model(path: &Path) -> Result<Option<String>> {
    crate::model::sealed_by(path)
}

#[cfg(not(feature = "model"))]
fn sealed_model(path: &Path) -> Result<Option<String>> {
    let remedy = "give an HDF5 file; models in other formats need the feature `model`, which is on by default";
    Err(Error::file(path, "it is not an HDF5 file", remedy))
}

/// Verifies one file, without shards that it refers to.
fn verify_file(path: &Path, interrupts: &Interrupts, lines: &mut Lines) -> Result<Verified> {
    let mut verified = Verified { path: path.to_path_buf(), program: String::new(), datasets: vec![], shards: vec![] };
    if !is_hdf5(path)? {
        verified.program = sealed_model(path)?.ok_or_else(|| without_checksum(path))?;
        return Ok(verified);
    }
    let recorded = {
        let file = open_hdf5(path)?;
        match checksum::check(&file).map_err(Error::hdf5(path, "read it"))? {
            Seal::Whole(program) => verified.program = program,
            Seal::Missing => return Err(without_checksum(path)),
            Seal::Broken => return Err(changed(path, CHANGED[0])),
        }
        checksum::of_datasets(&file)
    };
    for (name, recorded) in recorded {
        let found = checksum_of(path, &name, interrupts, lines)?;
        if found != recorded {
            let problem = format!("the values of '{name}' have changed: their SHA-256 is {found}, not {recorded}");
            return Err(changed(path, &problem));
        }
        verified.datasets.push((name, recorded));
    }
    Ok(verified)
}

/// Verifies that a file is the shard with this checksum.
fn verify_shard(shard: &Path, recorded: &str, interrupts: &Interrupts, lines: &mut Lines) -> Result<()> {
    verify_file(shard, interrupts, lines)?;
    let file = open_hdf5(shard)?;
    if checksum::recorded(&file).as_deref() == Some(recorded) {
        return Ok(());
    }
    Err(Error::file(shard, "it is not the shard that was merged", "restore that one, or merge the shards again"))
}

fn without_checksum(path: &Path) -> Error {
    let problem = "it has no checksum, so nobody can tell whether it has changed";
    Error::file(path, problem, "give a file that hhnet has written; other programs' files have none")
}

fn changed(path: &Path, problem: &str) -> Error {
    Error::file(path, problem, CHANGED[1])
}

/// The checksum of a dataset's values.
fn checksum_of(path: &Path, name: &str, interrupts: &Interrupts, lines: &mut Lines) -> Result<String> {
    let matrix = H5Matrix::open(path, name)?.allow_nan();
    let (samples, steps, channels) = matrix.shape();
    let at_a_time = (BLOCK_VALUES / (steps * channels).max(1)).max(1);
    let mut checksum = Checksum::default();
    for first in (0..samples).step_by(at_a_time) {
        interrupts.check("verify", || format!("'{}' is not verified", path.display()))?;
        let last = (first + at_a_time).min(samples);
        let values = matrix.read(first as isize..last as isize)?;
        checksum.numbers(values.as_slice().unwrap_or_default());
        lines.line(format_args!("'{}': {name}: {last} of {samples} samples verified", path.display()));
    }
    Ok(checksum.digits())
}
