//! Reads samples of a dataset: ranges of them, or any of them in any order, as training needs them.

use super::H5Matrix;
use super::source::{Number, ReadSamples};
use crate::{Error, Result};
use bytemuck::Pod;
use hdf5::{Hyperslab, SliceOrIndex};
use ndarray::ArrayD;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::PathBuf;

/// Values that are read at a time: few enough to be still in the processor's cache when they are converted.
const BLOCK_VALUES: usize = 1 << 15;

/// Values from which on a thread of its own pays.
const THREAD_VALUES: usize = 1 << 19;

/// An open dataset.
pub(super) struct Reader {
    matrix: H5Matrix,
    dataset: hdf5::Dataset,
    contiguous: Option<Contiguous>,
}

/// Values that are in one piece of the file, as numbers of this machine. HDF5 takes longer to read them, for a single
/// sample several times as long, and reads with one thread.
struct Contiguous {
    /// The file, which may be another one that the dataset's file links to.
    path: PathBuf,
    file: File,
    /// The position of the first value in it.
    start: u64,
    stored: Stored,
}

#[derive(Clone, Copy)]
enum Stored {
    Float64,
    Float32,
    Int16,
}

impl Reader {
    pub(super) fn open(matrix: H5Matrix) -> Result<Self> {
        let dataset = matrix.dataset()?;
        let contiguous = Contiguous::new(&matrix, &dataset)?;
        Ok(Reader { matrix, dataset, contiguous })
    }

    /// Reads consecutive samples of the dataset into `values`, which has place for just them. Uses all cores where that
    /// is possible.
    pub(super) fn read_range<T: Number>(&self, samples: Range<usize>, values: &mut [T]) -> Result<()> {
        let Some(contiguous) = &self.contiguous else {
            return self.read_with_hdf5(samples, 0..self.matrix.shape().1, values);
        };
        let first = self.first_value(samples.start, 0);
        let most_threads = values.len() / THREAD_VALUES;
        // Asking for the number of cores takes longer than reading a sample.
        if most_threads < 2 {
            return self.read_contiguous(contiguous, [(first, values)]);
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(most_threads);
        let length = values.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let start = |piece| {
                let read = move || self.read_contiguous(contiguous, [piece]);
                std::thread::Builder::new().spawn_scoped(scope, read)
            };
            let pieces = (first..).step_by(length).zip(values.chunks_mut(length));
            let readers: Vec<_> = pieces.map(start).collect();
            let results = readers.into_iter().map(|reader| {
                let reader = reader.map_err(Error::io(&contiguous.path, "start a thread that reads it"))?;
                reader.join().unwrap_or_else(|panic| resume_unwind(panic))
            });
            results.collect()
        })
    }

    /// Reads pieces of the dataset. Each has the number of its first value, and memory for its values.
    fn read_contiguous<'v, T: Number + 'v>(
        &self,
        contiguous: &Contiguous,
        pieces: impl IntoIterator<Item = (usize, &'v mut [T])>,
    ) -> Result<()> {
        match contiguous.stored {
            Stored::Float64 => self.read_numbers::<f64, T>(contiguous, pieces),
            Stored::Float32 => self.read_numbers::<f32, T>(contiguous, pieces),
            Stored::Int16 => self.read_numbers::<i16, T>(contiguous, pieces),
        }
    }

    fn read_numbers<'v, S: Pod + Into<f64>, T: Number + 'v>(
        &self,
        contiguous: &Contiguous,
        pieces: impl IntoIterator<Item = (usize, &'v mut [T])>,
    ) -> Result<()> {
        let Contiguous { path, file, start, .. } = contiguous;
        // For numbers as they are in the file, as many as the largest block needs.
        let mut memory: Vec<u64> = Vec::new();
        let blocks = pieces
            .into_iter()
            .flat_map(|(first, values)| (first..).step_by(BLOCK_VALUES).zip(values.chunks_mut(BLOCK_VALUES)));
        for (first, block) in blocks {
            memory.resize(memory.len().max(block.len()), 0);
            let numbers: &mut [S] = &mut bytemuck::cast_slice_mut(&mut memory)[..block.len()];
            file.read_exact_at(bytemuck::cast_slice_mut(numbers), start + first as u64 * size_of::<S>() as u64)
                .map_err(Error::io(path, "read samples from it"))?;
            for (value, &number) in block.iter_mut().zip(&*numbers) {
                *value = T::from_f64(number.into());
            }
            self.matrix.check(first, block)?;
        }
        Ok(())
    }

    /// Lets HDF5 read, convert and decompress the given steps of consecutive samples.
    fn read_with_hdf5<T: Number>(&self, samples: Range<usize>, steps: Range<usize>, values: &mut [T]) -> Result<()> {
        let action = || format!("read samples {}..{} of '{}'", samples.start, samples.end, self.matrix.name());
        let dimensions = self.dataset.ndim();
        let length = values.len() / samples.len().max(1);
        // A chunk is read once: HDF5 may have forgotten it when the next block comes.
        let chunk_samples = self.dataset.chunk().and_then(|chunk| chunk.first().copied()).unwrap_or(1).max(1);
        let block_samples = (BLOCK_VALUES / length.max(1)).max(1);
        let block_samples = block_samples.checked_next_multiple_of(chunk_samples).unwrap_or(samples.end);
        let mut first = samples.start;
        while first < samples.end {
            let last = (first / block_samples + 1).saturating_mul(block_samples).min(samples.end);
            let mut selection = vec![SliceOrIndex::from(..); dimensions];
            // The only dimension of a single sample are its steps.
            if dimensions > 1 {
                selection[0] = (first..last).into();
            }
            selection[dimensions.min(2) - 1] = steps.clone().into();
            let block: ArrayD<T> = self
                .dataset
                .read_slice(Hyperslab::from(selection))
                .map_err(Error::hdf5(self.matrix.path(), action()))?;
            let block = block.into_raw_vec_and_offset().0;
            self.matrix.check(self.first_value(first, steps.start), &block)?;
            let from = (first - samples.start) * length;
            values[from..from + block.len()].copy_from_slice(&block);
            first = last;
        }
        Ok(())
    }

    /// The number of a value in the dataset.
    fn first_value(&self, sample: usize, step: usize) -> usize {
        let (_, steps, channels) = self.matrix.shape();
        (sample * steps + step) * channels
    }
}

impl ReadSamples for Reader {
    /// HDF5 lets one thread read after the other.
    fn is_concurrent(&self) -> bool {
        self.contiguous.is_some()
    }

    fn read(&self, samples: &[usize], steps: Range<usize>, values: &mut Vec<f32>) -> Result<()> {
        let (_, all, channels) = self.matrix.shape();
        let (start, length) = (values.len(), steps.len() * channels);
        values.resize(start + samples.len() * length, 0.0);
        let mut rest = &mut values[start..];
        // Whole samples that follow each other are read at once.
        let runs = samples.chunk_by(|a, b| a + 1 == *b && steps.len() == all).map(|run| {
            let (values, after) = std::mem::take(&mut rest).split_at_mut(run.len() * length);
            rest = after;
            let first = self.matrix.first() + run[0];
            (first..first + run.len(), values)
        });
        match &self.contiguous {
            Some(contiguous) => {
                let pieces = runs.map(|(samples, values)| (self.first_value(samples.start, steps.start), values));
                self.read_contiguous(contiguous, pieces)
            }
            None => {
                runs.into_iter().try_for_each(|(samples, values)| self.read_with_hdf5(samples, steps.clone(), values))
            }
        }
    }
}

impl Contiguous {
    /// `None` if the values are stored in another way: in chunks, compressed, or as another type.
    fn new(matrix: &H5Matrix, dataset: &hdf5::Dataset) -> Result<Option<Self>> {
        let dtype = dataset.dtype().map_err(Error::hdf5(matrix.path(), "read the type of the values"))?;
        let stored = match () {
            () if dtype.is::<f64>() => Stored::Float64,
            () if dtype.is::<f32>() => Stored::Float32,
            () if dtype.is::<i16>() => Stored::Int16,
            () => return Ok(None),
        };
        let Some(start) = dataset.offset() else { return Ok(None) };
        let path = PathBuf::from(dataset.filename());
        let file = File::open(&path).map_err(Error::io(&path, "open"))?;
        Ok(Some(Contiguous { path, file, start, stored }))
    }
}

/// As many zeros as there is memory for.
pub(super) fn zeros<T: Clone + Default>(count: usize) -> Vec<T> {
    let mut values = vec![T::default(); count];
    prefer_huge_pages(&mut values);
    values
}

/// Asks the system for huge pages, as NumPy does for its arrays. Filling new memory then takes a third of the time.
#[cfg(target_os = "linux")]
fn prefer_huge_pages<T>(values: &mut [T]) {
    /// From this size on they pay.
    const LARGE: usize = 4 << 20;
    /// A multiple of the size of a normal page on every processor.
    const PAGE: usize = 64 << 10;
    let bytes = values.as_mut_ptr().cast::<u8>();
    let skipped = bytes.align_offset(PAGE);
    let length = size_of_val(values).saturating_sub(skipped);
    if length >= LARGE {
        // SAFETY: the range is within `values`, and the advice does not change what it holds. A system without huge
        // pages refuses, which does not matter.
        unsafe { libc::madvise(bytes.add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
    }
}

/// Other systems choose by themselves.
#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages<T>(_: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;
    use hdf5::H5Type;
    use ndarray::{Array3, s};

    /// Reads samples of a dataset that `create` has made, and compares them with those that are written to it.
    fn check<T: H5Type + From<i16>>(
        create: impl Fn(hdf5::DatasetBuilderEmptyShape) -> hdf5::DatasetBuilderEmptyShape,
        is_contiguous: bool,
    ) {
        let values = Array3::from_shape_fn((9, 20, 2), |(i, t, c)| (100 * i + 3 * t + c) as i16);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.h5");
        let file = hdf5::File::create(&path).unwrap();
        let dataset = create(file.new_dataset::<T>().shape((9, 20, 2))).create("X").unwrap();
        dataset.write(&values.mapv(T::from)).unwrap();
        drop((dataset, file));

        let matrix = H5Matrix::open(&path, "X").unwrap().slice(2..).unwrap();
        let reader = Reader::open(matrix.clone()).unwrap();
        assert_eq!(reader.contiguous.is_some(), is_contiguous);
        let mut found = vec![-1.0];
        reader.read(&[6, 0, 3, 4, 5, 0], 0..20, &mut found).unwrap();
        let expected =
            [8, 2, 5, 6, 7, 2].into_iter().flat_map(|sample| values.slice(s![sample, .., ..]).mapv(f32::from));
        assert_eq!(found, [-1.0].into_iter().chain(expected).collect::<Vec<_>>());

        let mut found = Vec::new();
        reader.read(&[3, 4], 5..12, &mut found).unwrap();
        assert!(found.into_iter().eq(values.slice(s![5..7, 5..12, ..]).mapv(f32::from)));
    }

    #[test]
    fn samples_in_any_order_are_those_of_the_file() {
        check::<f64>(|dataset| dataset, true);
        check::<f32>(|dataset| dataset, true);
        check::<i16>(|dataset| dataset, true);
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
        let reader = Reader::open(matrix.clone()).unwrap();
        reader.read(&[0, 1, 3], 0..20, &mut Vec::new()).unwrap();
        reader.read(&[2], 8..20, &mut Vec::new()).unwrap();
        let of_steps = |steps| reader.read(&[3, 2], steps, &mut Vec::new()).unwrap_err();
        for error in [of_steps(0..20), of_steps(7..9), matrix.read_f32(1..).unwrap_err()] {
            assert!(error.to_string().contains("'X' is inf at index (2, 7, 1)"), "{error}");
        }
    }

    #[test]
    fn threads_share_a_range() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.h5");
        let (samples, steps) = (5, THREAD_VALUES + 1);
        let mut values = Array3::from_shape_fn((samples, steps, 1), |(i, t, _)| (steps * i + t) as f64);
        crate::dataset::save(&path, "X", &values, "pA", false).unwrap();
        let matrix = H5Matrix::open(&path, "X").unwrap();
        assert!(matrix.read(..).unwrap() == values);
        assert!(matrix.read_f32(1..4).unwrap() == values.slice(s![1..4, .., ..]).mapv(|value| value as f32));

        // The first one is named, whichever thread finds one first.
        for index in [[1, 3, 0], [4, steps - 1, 0]] {
            values[index] = f64::NAN;
        }
        crate::dataset::save(&path, "X", &values, "pA", true).unwrap();
        let error = H5Matrix::open(&path, "X").unwrap().read(..).unwrap_err();
        assert!(error.to_string().contains("NaN at index (1, 3, 0)"), "{error}");
    }
}
