//! Reads samples of a dataset in any order, as training needs them.

use super::H5Matrix;
use super::source::ReadSamples;
use crate::files::hdf5_error;
use crate::{Error, Result};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// An open dataset.
pub(super) struct Reader<'a> {
    matrix: &'a H5Matrix,
    dataset: hdf5::Dataset,
    /// For a dataset whose values lie in the file as they are in memory: HDF5 needs several times longer for a sample.
    direct: Option<Direct>,
}

struct Direct {
    file: File,
    /// The position of the first value in the file.
    start: u64,
    is_double: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn open(matrix: &'a H5Matrix) -> Result<Self> {
        let dataset = matrix.dataset()?;
        let direct = Direct::new(matrix, &dataset)?;
        Ok(Reader { matrix, dataset, direct })
    }

    /// Appends the values of consecutive samples of the dataset. `bytes` is memory to work with.
    fn read_range(&self, samples: Range<usize>, bytes: &mut Vec<u8>, values: &mut Vec<f32>) -> Result<()> {
        let (_, steps, channels) = self.matrix.shape();
        if let Some(direct) = &self.direct {
            return direct
                .read(samples, steps * channels, bytes, values)
                .map_err(Error::io(self.matrix.path(), "read samples from it"));
        }
        let start = values.len();
        values.resize(start + samples.len() * steps * channels, 0.0);
        self.matrix.read_into(&self.dataset, samples, &mut values[start..])
    }
}

impl ReadSamples for Reader<'_> {
    fn read(&self, samples: &[usize], values: &mut Vec<f32>) -> Result<()> {
        let mut bytes = Vec::new();
        for run in samples.chunk_by(|a, b| a + 1 == *b) {
            let (first, start) = (self.matrix.first() + run[0], values.len());
            self.read_range(first..first + run.len(), &mut bytes, values)?;
            if let Some(nth) = values[start..].iter().position(|value| !value.is_finite()) {
                return Err(self.matrix.not_finite(f64::from(values[start + nth]), first, nth));
            }
        }
        Ok(())
    }
}

impl Direct {
    /// `None` if the values are stored in another way: in chunks, compressed, or as another type.
    fn new(matrix: &H5Matrix, dataset: &hdf5::Dataset) -> Result<Option<Self>> {
        let dtype = dataset.dtype().map_err(hdf5_error(matrix.path(), "read the type of the values"))?;
        let is_double = dtype.is::<f64>();
        match dataset.offset() {
            Some(start) if is_double || dtype.is::<f32>() => {
                // The dataset may be in another file, to which this one links.
                let path = dataset.filename();
                let file = File::open(&path).map_err(Error::io(path, "open"))?;
                Ok(Some(Direct { file, start, is_double }))
            }
            _ => Ok(None),
        }
    }

    /// Appends the values of consecutive samples, `length` each.
    fn read(
        &self,
        samples: Range<usize>,
        length: usize,
        bytes: &mut Vec<u8>,
        values: &mut Vec<f32>,
    ) -> std::io::Result<()> {
        let value_bytes = if self.is_double { size_of::<f64>() } else { size_of::<f32>() };
        bytes.resize(samples.len() * length * value_bytes, 0);
        self.file.read_exact_at(bytes, self.start + (samples.start * length * value_bytes) as u64)?;
        if self.is_double {
            values.extend(bytes.as_chunks().0.iter().map(|&bytes| f64::from_ne_bytes(bytes) as f32));
        } else {
            values.extend(bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5::H5Type;
    use ndarray::{Array3, s};

    /// Reads samples of a dataset that `create` has made, and compares them with those that are written to it.
    fn check<T: H5Type + From<f32>>(
        create: impl Fn(hdf5::DatasetBuilderEmptyShape) -> hdf5::DatasetBuilderEmptyShape,
        is_direct: bool,
    ) {
        let values = Array3::from_shape_fn((9, 20, 2), |(i, t, c)| (100 * i + 3 * t + c) as f32);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.h5");
        let file = hdf5::File::create(&path).unwrap();
        let dataset = create(file.new_dataset::<T>().shape((9, 20, 2))).create("X").unwrap();
        dataset.write(&values.mapv(T::from)).unwrap();
        drop((dataset, file));

        let matrix = H5Matrix::open(&path, "X").unwrap().slice(2..).unwrap();
        let reader = Reader::open(&matrix).unwrap();
        assert_eq!(reader.direct.is_some(), is_direct);
        let mut found = vec![-1.0];
        reader.read(&[6, 0, 3, 4, 5, 0], &mut found).unwrap();
        let expected = [8, 2, 5, 6, 7, 2].into_iter().flat_map(|sample| values.slice(s![sample, .., ..]).to_owned());
        assert_eq!(found, [-1.0].into_iter().chain(expected).collect::<Vec<_>>());
    }

    #[test]
    fn samples_in_any_order_are_those_of_the_file() {
        check::<f64>(|dataset| dataset, true);
        check::<f32>(|dataset| dataset, true);
        check::<f64>(|dataset| dataset.chunk((4, 7, 1)).deflate(3), false);
    }

    #[test]
    fn a_value_that_is_not_finite_is_found_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.h5");
        let mut values = Array3::<f64>::zeros((4, 20, 2));
        values[[2, 7, 1]] = 1e300;
        crate::dataset::save(&path, "X", &values, "pA", false).unwrap();
        let matrix = H5Matrix::open(&path, "X").unwrap();
        assert_eq!(matrix.read(..).unwrap(), values);
        let reader = Reader::open(&matrix).unwrap();
        reader.read(&[0, 1, 3], &mut Vec::new()).unwrap();
        for error in [reader.read(&[3, 2], &mut Vec::new()).unwrap_err(), matrix.read_f32(1..).unwrap_err()] {
            assert!(error.to_string().contains("'X' is inf at index (2, 7, 1)"), "{error}");
        }
    }
}
