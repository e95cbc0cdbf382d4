//! Where the samples of a training or a prediction come from: arrays in memory, or datasets in files.

use crate::{Error, Result};
use hdf5::H5Type;
use ndarray::{ArrayBase, Data, Ix3};
use std::borrow::Cow;
use std::ops::Range;

/// Samples of shape (samples, steps, channels): an array of float64 or float32 numbers or a view of one, or an
/// [`H5Matrix`](super::H5Matrix), whose samples are read when they are needed.
///
/// ```
/// use hhnet::dataset::{Opened, Source};
/// use hhnet::ndarray::{Array3, s};
/// let x = Array3::<f32>::ones((5, 100, 1));
/// assert_eq!(Source::shape(&x.slice(s![1.., .., ..])), (4, 100, 1));
/// assert!(matches!(x.open("x")?, Opened::Memory(values) if values.len() == 500));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub trait Source: Sync {
    /// The shape: (samples, steps, channels).
    fn shape(&self) -> (usize, usize, usize);

    /// Gives access to the values as 32-bit numbers, the precision of the network. `name` is what messages call an
    /// array.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a value in memory is not finite as a 32-bit number. [`Error::Io`] or [`Error::File`] if
    /// a file cannot be opened or has changed.
    fn open(&self, name: &str) -> Result<Opened<'_>>;
}

/// The values of a [`Source`].
pub enum Opened<'a> {
    /// All values, sample by sample and step by step.
    Memory(Cow<'a, [f32]>),
    /// Values that are read when they are needed.
    File(Box<dyn ReadSamples + 'a>),
}

/// Reads samples from an open file.
pub trait ReadSamples: Send + Sync {
    /// Appends values of the samples with these numbers to `values`, in this order: those of the given steps of each.
    ///
    /// # Errors
    /// If they cannot be read, or a value is not finite as a 32-bit number.
    fn read(&self, samples: &[usize], steps: Range<usize>, values: &mut Vec<f32>) -> Result<()>;

    /// Whether several threads can read at the same time.
    fn is_concurrent(&self) -> bool {
        true
    }
}

impl<A: Number, S: Data<Elem = A>> Source for ArrayBase<S, Ix3>
where
    Self: Sync,
{
    fn shape(&self) -> (usize, usize, usize) {
        self.dim()
    }

    fn open(&self, name: &str) -> Result<Opened<'_>> {
        let values: Cow<[f32]> = match self.as_slice().and_then(A::as_f32) {
            Some(values) => Cow::Borrowed(values),
            None => self.iter().map(|&value| value.into() as f32).collect(),
        };
        let first_bad = values.iter().position(|value| !value.is_finite());
        match first_bad.and_then(|index| self.indexed_iter().nth(index)) {
            None => Ok(Opened::Memory(values)),
            Some(((sample, step, channel), &value)) => {
                let place = format!("index [{sample}, {step}, {channel}]");
                let remedy = "use finite 32-bit numbers: repair or drop the sample";
                Err(Error::not_finite(name, value, place, remedy))
            }
        }
    }
}

/// A type of numbers in arrays of samples.
pub(super) trait Number: H5Type + Copy + Default + Into<f64> + Send {
    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;

    fn is_finite(self) -> bool {
        let value: f64 = self.into();
        value.is_finite()
    }

    /// The numbers themselves, if they are 32-bit ones.
    fn as_f32(values: &[Self]) -> Option<&[f32]>;
}

impl Number for f32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }

    fn as_f32(values: &[f32]) -> Option<&[f32]> {
        Some(values)
    }
}

impl Number for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }

    fn as_f32(_: &[f64]) -> Option<&[f32]> {
        None
    }
}
