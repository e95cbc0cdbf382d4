//! Datasets to which samples are written one after the other.

use super::checksum::{self, CHECKSUM, Checksum};
use crate::files::{NewFile, write_text_attribute};
use crate::{Error, Result};
use ndarray::{ArrayView3, s};
use std::path::{Path, PathBuf};

/// A float64 dataset of shape (samples, steps, channels) to which samples are appended until all are there.
pub(super) struct Appender {
    /// The file, for messages.
    path: PathBuf,
    name: String,
    dataset: hdf5::Dataset,
    shape: [usize; 3],
    written: usize,
    checksum: Checksum,
}

impl Appender {
    pub(super) fn create(
        file: &hdf5::File,
        path: &Path,
        name: &str,
        shape: [usize; 3],
        attributes: &[(&str, &str)],
    ) -> Result<Self> {
        let create = || -> hdf5::Result<hdf5::Dataset> {
            let dataset = file.new_dataset::<f64>().shape(shape).create(name)?;
            attributes.iter().try_for_each(|(name, text)| write_text_attribute(&dataset, name, text))?;
            Ok(dataset)
        };
        let dataset = create().map_err(Error::hdf5(path, format!("create '{name}'")))?;
        let (path, name) = (path.to_path_buf(), name.to_owned());
        Ok(Appender { path, name, dataset, shape, written: 0, checksum: Checksum::default() })
    }

    /// Number of samples that have been written.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Writes the values of the next samples.
    pub(super) fn append(&mut self, values: &[f64]) -> Result<()> {
        let [_, steps, channels] = self.shape;
        let samples = self.written..self.written + values.len() / (steps * channels).max(1);
        let write = || -> hdf5::Result<()> {
            let values = ArrayView3::from_shape((samples.len(), steps, channels), values)?;
            self.dataset.write_slice(values, s![samples.clone(), .., ..])
        };
        write().map_err(Error::hdf5(&self.path, format!("write samples {samples:?} of '{}'", self.name)))?;
        self.checksum.numbers(values);
        self.written = samples.end;
        Ok(())
    }

    /// Writes the checksum of all values.
    pub(super) fn finish(self) -> Result<()> {
        write_text_attribute(&self.dataset, CHECKSUM, &self.checksum.digits())
            .map_err(Error::hdf5(&self.path, format!("finish '{}'", self.name)))
    }
}

/// A new file with one float64 dataset, to which samples are appended.
pub(crate) struct SampleWriter {
    new: NewFile,
    file: hdf5::File,
    samples: Appender,
}

impl SampleWriter {
    /// `shape` is (samples, steps, channels).
    pub(crate) fn create(path: &Path, name: &str, shape: [usize; 3], units: &str, overwrite: bool) -> Result<Self> {
        let new = NewFile::create(path, overwrite, sample_bytes(&[shape]))?;
        let file = new.create_hdf5()?;
        let samples = Appender::create(&file, path, name, shape, &[("units", units)])?;
        Ok(SampleWriter { new, file, samples })
    }

    /// Writes the values of the next samples.
    pub(crate) fn append(&mut self, values: &[f64]) -> Result<()> {
        self.samples.append(values)
    }

    pub(crate) fn finish(self) -> Result<()> {
        let SampleWriter { new, file, samples } = self;
        samples.finish()?;
        checksum::finish(new, file)
    }
}

/// The bytes of datasets of such shapes.
pub(super) fn sample_bytes(shapes: &[[usize; 3]]) -> u64 {
    let bytes = shapes.iter().map(|shape| shape.iter().fold(8_u64, |bytes, &n| bytes.saturating_mul(n as u64)));
    bytes.fold(0, u64::saturating_add)
}
