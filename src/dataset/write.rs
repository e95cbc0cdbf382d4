//! Writes arrays as a data file.

use super::appender::{Appender, sample_bytes};
use super::checksum::{self, CHECKSUM, PROGRAM_ATTRIBUTE};
use super::split::{SPLIT_NAMES, sample_attributes};
use crate::files::{NewFile, write_text_attribute};
use crate::neuron::check_time;
use crate::{Error, Result};
use ndarray::{Array3, ArrayView3, s};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a data file holds beside the samples: see [`write()`].
#[derive(Debug, Clone, PartialEq)]
pub struct WriteOptions {
    /// The test samples, `X_test` and `Y_test`.
    pub test: TestSamples,
    /// Time between two values, ms.
    pub step_ms: f64,
    /// Further attributes of the file: names and texts, for example where the data come from.
    pub attributes: Vec<(String, String)>,
    /// Whether an existing file may be replaced.
    pub overwrite: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions { test: TestSamples::Last(0), step_ms: 1.0, attributes: Vec::new(), overwrite: false }
    }
}

/// Where the test samples of a data file come from.
#[derive(Debug, Clone, PartialEq)]
pub enum TestSamples {
    /// This many samples at the end of the arrays; 0 for no test samples.
    Last(usize),
    /// Other currents (pA) and potentials (mV), which may be longer or shorter.
    Given(Array3<f64>, Array3<f64>),
}

/// The result of [`write()`].
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Shape of `X`: (samples, steps, channels). `Y` has as many samples and steps.
    pub shape: [usize; 3],
    /// Shape of `X_test`, unless there are no test samples.
    pub test_shape: Option<[usize; 3]>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}': X, Y of shape {:?}", self.path.display(), self.shape)?;
        self.test_shape.map_or(Ok(()), |shape| write!(f, ", X_test, Y_test of shape {shape:?}"))
    }
}

/// Writes currents `x` (pA) and potentials `y` (mV) as a data file, which training, evaluation and prediction take.
///
/// Both arrays have shape (samples, steps, channels), usually with one channel. The file appears under its name once
/// it is complete.
///
/// # Errors
/// [`Error::Shape`] if `x` and `y` differ in samples or steps, or are empty; [`Error::NotFinite`] with the index of the
/// first value that is NaN or infinite; [`Error::Parameter`] if no training samples are left, or for a step that is not
/// above 0; [`Error::File`] or [`Error::Io`] if the file exists and `overwrite` is not set, or cannot be written.
///
/// ```
/// use hhnet::dataset::{self, H5Matrix, TestSamples, WriteOptions};
/// use hhnet::ndarray::Array3;
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data.h5");
/// let (x, y) = (Array3::zeros((12, 500, 1)), Array3::from_elem((12, 500, 1), -65.0));
/// dataset::write(&path, &x, &y, &WriteOptions { test: TestSamples::Last(2), ..WriteOptions::default() })?;
/// assert_eq!(H5Matrix::open(&path, "X")?.shape(), (10, 500, 1));
/// assert_eq!(H5Matrix::open(&path, "Y_test")?.shape(), (2, 500, 1));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn write(path: impl AsRef<Path>, x: &Array3<f64>, y: &Array3<f64>, options: &WriteOptions) -> Result<Written> {
    write_samples(path.as_ref(), x, y, options)
}

fn write_samples(path: &Path, x: &Array3<f64>, y: &Array3<f64>, options: &WriteOptions) -> Result<Written> {
    check_time("step_ms", options.step_ms)?;
    check_attributes(&options.attributes)?;
    check("x", x, "y", y)?;
    let (training, test) = match &options.test {
        TestSamples::Given(x_test, y_test) => {
            check("x_test", x_test, "y_test", y_test)?;
            ([x.view(), y.view()], Some([x_test.view(), y_test.view()]))
        }
        TestSamples::Last(0) => ([x.view(), y.view()], None),
        &TestSamples::Last(count) => {
            let samples = x.dim().0;
            if count >= samples {
                let remedy = format!("there are {samples} samples: give fewer, so that some are left for training");
                return Err(Error::parameter("test", count, remedy));
            }
            let slice = |from, to| [x.slice(s![from..to, .., ..]), y.slice(s![from..to, .., ..])];
            (slice(0, samples - count), Some(slice(samples - count, samples)))
        }
    };
    let written = Written {
        path: path.to_path_buf(),
        shape: training[0].dim().into(),
        test_shape: test.as_ref().map(|[x, _]| x.dim().into()),
    };
    let shapes: Vec<[usize; 3]> =
        [Some(&training), test.as_ref()].into_iter().flatten().flatten().map(|values| values.dim().into()).collect();
    let new = NewFile::create(path, options.overwrite, sample_bytes(&shapes))?;
    let file = new.create_hdf5()?;
    for (names, arrays) in SPLIT_NAMES.into_iter().zip([Some(training), test]) {
        for (name, values) in names.into_iter().zip(arrays.into_iter().flatten()) {
            write_array(&file, path, name, values)?;
        }
    }
    write_attributes(&file, options).map_err(Error::hdf5(path, "write the attributes"))?;
    checksum::finish(new, file)?;
    Ok(written)
}

/// Checks that all attributes can be written, each once.
fn check_attributes(attributes: &[(String, String)]) -> Result<()> {
    for (i, (name, text)) in attributes.iter().enumerate() {
        let is_taken = ["step_ms", PROGRAM_ATTRIBUTE, CHECKSUM].contains(&&**name)
            || attributes[..i].iter().any(|(other, _)| other == name);
        let remedy = match () {
            () if name.is_empty() || name.contains('\0') => "give a name, without zero bytes",
            () if is_taken => "the file has another attribute of this name: give another name",
            () if text.contains('\0') => "leave the zero bytes out of its text",
            () => continue,
        };
        return Err(Error::parameter("attributes", format!("{name:?}"), remedy));
    }
    Ok(())
}

/// Checks that currents and potentials belong together, and that all are finite.
fn check(x_name: &str, x: &Array3<f64>, y_name: &str, y: &Array3<f64>) -> Result<()> {
    let ((samples, steps, channels), found) = (x.dim(), y.dim());
    if x.is_empty() {
        let found = format!("({samples}, {steps}, {channels})");
        return Err(Error::shape(x_name, "(1 or more, 1 or more, 1 or more)", found, "give at least one sample"));
    }
    if (found.0, found.1) != (samples, steps) || found.2 == 0 {
        let (expected, found) = (format!("({samples}, {steps}, 1)"), format!("{found:?}"));
        return Err(Error::shape(y_name, expected, found, format!("give as many samples and steps as in {x_name}")));
    }
    for (name, values) in [(x_name, x), (y_name, y)] {
        if let Some(((sample, step, channel), &value)) = values.indexed_iter().find(|(_, value)| !value.is_finite()) {
            let place = format!("index ({sample}, {step}, {channel})");
            return Err(Error::not_finite(name, value, place, "leave this sample out"));
        }
    }
    Ok(())
}

fn write_array(file: &hdf5::File, path: &Path, name: &str, values: ArrayView3<f64>) -> Result<()> {
    let mut samples = Appender::create(file, path, name, values.dim().into(), &sample_attributes(name))?;
    samples.append(values.as_standard_layout().as_slice().unwrap_or_default())?;
    samples.finish()
}

fn write_attributes(file: &hdf5::File, options: &WriteOptions) -> hdf5::Result<()> {
    file.new_attr::<f64>().create("step_ms")?.write_scalar(&options.step_ms)?;
    options.attributes.iter().try_for_each(|(name, text)| write_text_attribute(file, name, text))
}
