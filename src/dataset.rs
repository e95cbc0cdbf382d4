//! Data sets: noisy currents and the neuron's potentials, in HDF5 files.
//!
//! A file holds `X` and `Y`, currents (pA) and potentials (mV) of shape (samples, steps, 1), and `X_test` and `Y_test`,
//! which are fewer and longer. All values are float64. By default there is one per millisecond. Parameters, seed and
//! units are HDF5 attributes.
//!
//! `dropped_trials` and `dropped_test_trials` list the trials that were dropped because the neuron spiked. If spiking
//! trials were kept instead, the groups `spikes` and `spikes_test` hold all spikes in the form of NEST's recorder:
//! `senders` (the number of the sample) and `times` (ms). A file written by [`merge`] may hold virtual datasets; the
//! dataset `shards` then lists the files that hold the samples.
//!
//! Data need not come from a simulation: [`read_nwb`] and [`cut`] make samples of recordings, and [`write()`] makes a
//! file of any currents and potentials. Such a file may lack test samples. `docs/files.md` lists all formats.
//!
//! Files that are written here carry checksums: see [`verify`](crate::verify()).

mod appender;
mod block;
pub(crate) mod checksum;
pub(crate) mod description;
mod generate;
mod import;
mod matrix;
mod merge;
mod nwb;
mod options;
mod reader;
mod source;
mod split;
mod units;
mod write;

pub use description::{AttributeValue, DatasetInfo, Description, describe};
pub use generate::{Generated, generate};
pub use import::{ImportOptions, Imported, cut};
pub use matrix::H5Matrix;
pub use merge::{MergeOptions, Merged, merge};
pub use nwb::{read_nwb, write_nwb};
pub use options::{GenerateOptions, Shard};
pub use source::{Opened, ReadSamples, Source};
pub use units::{millivolts_in, picoamperes_in};
pub use write::{TestSamples, WriteOptions, Written, write};

pub(crate) use appender::SampleWriter;
pub(crate) use merge::shards_of;

use crate::{Error, Result};
use ndarray::{Array3, s};
use std::path::Path;

/// The trace of sample `i` in an array of shape (samples, steps, channels): its first channel over the steps. Empty if
/// there is no such sample or no channel.
///
/// ```
/// use hhnet::{dataset::trace, ndarray::arr3};
/// let x = arr3(&[[[1.0], [2.0]], [[3.0], [4.0]]]);
/// assert_eq!(trace(&x, 1), [3.0, 4.0]);
/// ```
pub fn trace(samples: &Array3<f64>, i: usize) -> Vec<f64> {
    let (count, _, channels) = samples.dim();
    if i < count && channels > 0 { samples.slice(s![i, .., 0]).to_vec() } else { Vec::new() }
}

/// Writes an array of shape (samples, steps, channels) to a new HDF5 file, as float64 dataset `name` with its units as
/// an attribute.
///
/// # Errors
/// [`Error::Shape`] for an empty array; [`Error::File`] or [`Error::Io`] if the file exists and `overwrite` is not set,
/// or cannot be written.
pub fn save(path: impl AsRef<Path>, name: &str, values: &Array3<f64>, units: &str, overwrite: bool) -> Result<()> {
    if values.is_empty() {
        let found = format!("{:?}", values.dim());
        return Err(Error::shape(name, "(1 or more, 1 or more, 1 or more)", found, "give at least one value"));
    }
    let mut file = SampleWriter::create(path.as_ref(), name, values.dim().into(), units, overwrite)?;
    file.append(values.as_standard_layout().as_slice().unwrap_or_default())?;
    file.finish()
}
