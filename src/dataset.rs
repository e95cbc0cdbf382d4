//! The data set: noisy currents and the neuron's potentials, written to and read from HDF5.
//!
//! A file holds `X` and `Y`, currents (pA) and potentials (mV) of shape (samples, steps, 1), and `X_test` and `Y_test`,
//! fewer and longer ones; everything is float64, one value per millisecond. Parameters, seed and units stand in HDF5
//! attributes.

use crate::files::{PartFile, hdf5_error, open_hdf5};
use crate::neuron::{HhPscAlpha, Spikes, whole_steps};
use crate::progress::Progress;
use crate::simd::Level;
use crate::stimulus::{NumpyRandom, OrnsteinUhlenbeck};
use crate::{Error, Result};
use ndarray::{Array3, ArrayView3, s};
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Values of the current that are drawn and simulated while those before are written: 8 MB, and as much for the potentials.
const CHUNK_VALUES: usize = 1 << 20;

/// Trials that a thread takes at a time: a multiple of the lanes of every vector.
const TRIALS_AT_A_TIME: usize = 16;

/// So many trials in a row with a spike end the attempt: nothing subthreshold is to be had from these parameters.
const HOPELESS: usize = 1000;

/// How many groups deep [`describe`] looks.
const MAX_DEPTH: usize = 16;

/// What to generate. The default is the original study's data set.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Number of training and validation samples (`X`, `Y`).
    pub samples: usize,
    /// Length of each, ms.
    pub duration_ms: f64,
    /// Number of test samples (`X_test`, `Y_test`).
    pub test_samples: usize,
    /// Length of each, ms.
    pub test_duration_ms: f64,
    /// Seed of NumPy's legacy random stream.
    pub seed: u32,
    /// The injected current.
    pub current: OrnsteinUhlenbeck,
    /// The neuron.
    pub neuron: HhPscAlpha,
    /// Resolution of the simulation, ms.
    pub dt_ms: f64,
    /// Number of threads; `None` takes one per core. The data do not depend on it.
    pub threads: Option<usize>,
    /// Whether an existing file may be replaced.
    pub overwrite: bool,
    /// Where progress lines go.
    pub progress: Progress,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions {
            samples: 10_000,
            duration_ms: 1000.0,
            test_samples: 10,
            test_duration_ms: 10_000.0,
            seed: 1234,
            current: OrnsteinUhlenbeck::default(),
            neuron: HhPscAlpha::default(),
            dt_ms: 0.1,
            threads: None,
            overwrite: false,
            progress: Progress::Silent,
        }
    }
}

/// What [`generate`] made.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The file.
    pub path: PathBuf,
    /// Shape of `X` and `Y`: (samples, steps, 1).
    pub shape: [usize; 3],
    /// Shape of `X_test` and `Y_test`.
    pub test_shape: [usize; 3],
    /// Numbers (from 0) of the training trials that were dropped because the neuron spiked.
    pub dropped_trials: Vec<usize>,
    /// The same for the test trials.
    pub dropped_test_trials: Vec<usize>,
    /// Simulated time of all neurons together, s, with dropped trials.
    pub neuron_seconds: f64,
    /// Time it took.
    pub elapsed: Duration,
}

impl std::fmt::Display for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "'{}': X, Y of shape {:?}, X_test, Y_test of shape {:?}",
            self.path.display(),
            self.shape,
            self.test_shape
        )?;
        let dropped = self.dropped_trials.len() + self.dropped_test_trials.len();
        let seconds = self.elapsed.as_secs_f64();
        write!(
            f,
            "{dropped} trials dropped because the neuron spiked; {seconds:.1} s, {:.0} neuron-seconds per second",
            self.neuron_seconds / seconds
        )
    }
}

/// Generates a data set: draws currents, simulates the neuron, drops the trials in which it spikes, and writes the others
/// until the file holds as many as asked for.
///
/// The random stream is used as the original study uses it: two demonstration traces of `duration_ms` are drawn first
/// (they are not stored), then trials in order, whether they are kept or not. The file appears under its name once it is
/// complete.
///
/// # Errors
/// [`Error::Parameter`] for a parameter outside its range; [`Error::File`] or [`Error::Io`] if the file exists and
/// `overwrite` is not set, or cannot be written; [`Error::NotFinite`] if a potential runs away.
///
/// ```
/// use hhnet::dataset::{GenerateOptions, H5Matrix, generate};
/// let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("small.h5");
/// let made = generate(&path, &GenerateOptions { samples: 3, test_samples: 1, ..GenerateOptions::default() })?;
/// assert_eq!(made.shape, [3, 1000, 1]);
/// assert_eq!(H5Matrix::open(&path, "Y_test")?.shape(), (1, 10_000, 1));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn generate(path: impl AsRef<Path>, options: &GenerateOptions) -> Result<Generated> {
    let started = Instant::now();
    let path = path.as_ref();
    let shape = shape_of("samples", options.samples, options.duration_ms, options)?;
    let test_shape = shape_of("test_samples", options.test_samples, options.test_duration_ms, options)?;
    options.current.validate()?;
    // An empty simulation checks the neuron and the time steps before any work is done.
    options.neuron.simulate(&[], options.current.dt_ms, options.dt_ms)?;
    if options.threads == Some(0) {
        return Err(Error::parameter("threads", 0, "give 1 or more"));
    }

    let part = PartFile::new(path, options.overwrite)?;
    if part.path().exists() {
        options.progress.line(format_args!("replacing '{}', left unfinished by an earlier run", part.path().display()));
    }
    let (part, file) = part.create_hdf5()?;
    let mut random = NumpyRandom::seed(options.seed);
    for _ in 0..2 {
        options.current.trace(shape[1], &mut random);
    }
    let dropped_trials = write_trials(&file, "X", "Y", shape, &mut random, options, part.path())?;
    let dropped_test_trials = write_trials(&file, "X_test", "Y_test", test_shape, &mut random, options, part.path())?;
    write_attributes(&file, options, &dropped_trials, &dropped_test_trials)
        .and_then(|()| file.close())
        .map_err(hdf5_error(part.path(), "finish the file"))?;
    part.finish()?;
    let values =
        (shape[0] + dropped_trials.len()) * shape[1] + (test_shape[0] + dropped_test_trials.len()) * test_shape[1];
    Ok(Generated {
        path: path.to_path_buf(),
        shape,
        test_shape,
        dropped_trials,
        dropped_test_trials,
        neuron_seconds: values as f64 * options.current.dt_ms / 1000.0,
        elapsed: started.elapsed(),
    })
}

/// (samples, steps, 1), if there is something in it and it can be addressed.
fn shape_of(name: &str, samples: usize, duration_ms: f64, options: &GenerateOptions) -> Result<[usize; 3]> {
    let duration_name = if name == "samples" { "duration_ms" } else { "test_duration_ms" };
    let steps = whole_steps(duration_name, duration_ms, options.current.dt_ms)?;
    let bytes = samples.checked_mul(steps).and_then(|n| n.checked_mul(16)).filter(|&bytes| bytes <= 1 << 50);
    if samples == 0 || bytes.is_none() {
        return Err(Error::parameter(name, samples, "give 1 or more, and no more than a disk holds (2^50 bytes)"));
    }
    Ok([samples, steps, 1])
}

/// Fills two new datasets of the given shape with kept trials, and returns the numbers of those dropped.
fn write_trials(
    file: &hdf5::File,
    x_name: &str,
    y_name: &str,
    shape: [usize; 3],
    random: &mut NumpyRandom,
    options: &GenerateOptions,
    path: &Path,
) -> Result<Vec<usize>> {
    let create = |name: &str, quantity: &str, units: &str| -> hdf5::Result<hdf5::Dataset> {
        let dataset = file.new_dataset::<f64>().shape(shape).create(name)?;
        text_attribute(&dataset, "quantity", quantity)?;
        text_attribute(&dataset, "units", units)?;
        Ok(dataset)
    };
    let x = create(x_name, "injected current", "pA").map_err(hdf5_error(path, format!("create {x_name}")))?;
    let y = create(y_name, "membrane potential", "mV").map_err(hdf5_error(path, format!("create {y_name}")))?;

    let [samples, steps, _] = shape;
    let write = |chunk: &Chunk, kept: usize| -> Result<()> {
        let new = chunk.kept();
        for (dataset, values, name) in [(&x, &chunk.currents, x_name), (&y, &chunk.potentials, y_name)] {
            let values = ArrayView3::from_shape((new, steps, 1), &values[..new * steps]).expect("kept trials fit in");
            dataset
                .write_slice(values, s![kept..kept + new, .., ..])
                .map_err(hdf5_error(path, format!("write samples {kept} to {} of {name}", kept + new)))?;
        }
        Ok(())
    };
    let (mut kept, mut drawn, mut dropped_in_a_row) = (0, 0, 0);
    let mut dropped = Vec::new();
    let (started, mut last_line) = (Instant::now(), Instant::now());
    // One is written while the other one is simulated.
    let (mut simulated, mut written) = (Chunk::new(steps), Chunk::new(steps));
    while kept < samples {
        std::mem::swap(&mut simulated, &mut written);
        let to_write = written.kept();
        // Never more trials than samples are missing: the stream ends where it would if they were drawn one by one.
        let count = (samples - kept).min((CHUNK_VALUES / steps).max(TRIALS_AT_A_TIME));
        let result = simulated.simulate(count, random, options, || {
            if to_write > 0 { write(&written, kept - to_write) } else { Ok(()) }
        })?;
        result?;
        for (i, spikes) in simulated.spikes.iter().enumerate() {
            let trial = drawn + i;
            match spikes {
                Ok(false) => dropped_in_a_row = 0,
                Ok(true) => {
                    dropped.push(trial);
                    dropped_in_a_row += 1;
                }
                Err(_) => {}
            }
        }
        simulated.drop_spiking().map_err(|(i, error)| in_trial(error, x_name, drawn + i))?;
        if dropped_in_a_row >= HOPELESS {
            let remedy =
                format!("the neuron spiked in {HOPELESS} trials in a row: give a weaker current or shorter trials");
            return Err(Error::parameter("OrnsteinUhlenbeck::sigma", options.current.sigma, remedy));
        }
        drawn += count;
        kept += simulated.kept();
        if kept == samples || last_line.elapsed() >= Duration::from_secs(1) {
            last_line = Instant::now();
            let seconds = started.elapsed().as_secs_f64();
            let neuron_seconds = drawn as f64 * steps as f64 * options.current.dt_ms / 1000.0;
            options.progress.line(format_args!(
                "{x_name}, {y_name}: {kept} of {samples} samples, {} trials dropped, {seconds:.1} s, {:.0} neuron-seconds per second",
                dropped.len(),
                neuron_seconds / seconds,
            ));
        }
    }
    write(&simulated, kept - simulated.kept())?;
    Ok(dropped)
}

/// Trials that are simulated together, one after the other in memory.
struct Chunk {
    steps: usize,
    currents: Vec<f64>,
    potentials: Vec<f64>,
    /// For each trial whether the neuron spiked.
    spikes: Vec<Result<bool>>,
}

/// Trials that a thread takes: their currents, potentials and spikes, to be filled in.
type Share<'a> = (&'a mut [f64], &'a mut [f64], &'a mut [Result<bool>]);

impl Chunk {
    fn new(steps: usize) -> Self {
        Chunk { steps, currents: Vec::new(), potentials: Vec::new(), spikes: Vec::new() }
    }

    /// Number of trials that are left.
    fn kept(&self) -> usize {
        self.spikes.len()
    }

    /// Draws and simulates trials on several threads, while this one does something else, whose result is returned.
    fn simulate<R>(
        &mut self,
        count: usize,
        random: &mut NumpyRandom,
        options: &GenerateOptions,
        meanwhile: impl FnOnce() -> R,
    ) -> Result<R> {
        let steps = self.steps;
        let timing = options.neuron.check(options.current.dt_ms, options.dt_ms)?;
        self.currents.resize(count * steps, 0.0);
        self.potentials.resize(count * steps, 0.0);
        self.spikes = (0..count).map(|_| Ok(false)).collect();
        let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let at_a_time = count.div_ceil(threads).min(TRIALS_AT_A_TIME);
        let shares = self.currents.chunks_mut(at_a_time * steps).zip(self.potentials.chunks_mut(at_a_time * steps));
        let shares = shares.zip(self.spikes.chunks_mut(at_a_time)).map(|((x, y), spikes)| (x, y, spikes));
        // The stream is one: whoever takes trials draws their currents before the next one may.
        let source = Mutex::new((shares, random));
        let take = || -> Option<Share> {
            let (shares, random) = &mut *source.lock().unwrap_or_else(PoisonError::into_inner);
            let share = shares.next()?;
            share.0.chunks_mut(steps).for_each(|trace| options.current.fill(trace, random));
            Some(share)
        };
        Ok(std::thread::scope(|scope| {
            for _ in 0..threads.min(count.div_ceil(at_a_time)) {
                scope.spawn(|| {
                    while let Some((currents, potentials, spikes)) = take() {
                        let currents: Vec<&[f64]> = currents.chunks(steps).collect();
                        let mut potentials: Vec<&mut [f64]> = potentials.chunks_mut(steps).collect();
                        let found = options.neuron.batch(
                            Level::best(),
                            timing,
                            &currents,
                            &mut potentials,
                            Spikes::StopAtFirst,
                        );
                        for (spikes, found) in spikes.iter_mut().zip(found) {
                            *spikes = found.map(|times| !times.is_empty());
                        }
                    }
                });
            }
            meanwhile()
        }))
    }

    /// Moves the trials without a spike together. Fails with the first trial that could not be simulated.
    fn drop_spiking(&mut self) -> std::result::Result<(), (usize, Error)> {
        let mut kept = 0;
        for (trial, spikes) in std::mem::take(&mut self.spikes).into_iter().enumerate() {
            if spikes.map_err(|error| (trial, error))? {
                continue;
            }
            for values in [&mut self.currents, &mut self.potentials] {
                values.copy_within(trial * self.steps..(trial + 1) * self.steps, kept * self.steps);
            }
            kept += 1;
        }
        self.spikes.resize_with(kept, || Ok(false));
        Ok(())
    }
}

/// Adds the trial to an error that came up in it.
fn in_trial(error: Error, x_name: &str, trial: usize) -> Error {
    match error {
        Error::NotFinite { what, value, place, remedy } => {
            Error::NotFinite { what, value, place: format!("{place} in trial {trial} for {x_name}"), remedy }
        }
        other => other,
    }
}

fn write_attributes(
    file: &hdf5::File,
    options: &GenerateOptions,
    dropped: &[usize],
    dropped_test: &[usize],
) -> hdf5::Result<()> {
    text_attribute(file, "program", concat!("hhnet ", env!("CARGO_PKG_VERSION")))?;
    text_attribute(file, "model", "hh_psc_alpha")?;
    text_attribute(file, "stream", "numpy")?;
    file.new_attr::<u32>().create("seed")?.write_scalar(&options.seed)?;
    let OrnsteinUhlenbeck { theta, mu, sigma, x0, dt_ms } = options.current;
    let HhPscAlpha { C_m, g_Na, g_K, g_L, E_Na, E_K, E_L, I_e, t_ref } = options.neuron;
    let numbers = [
        ("ou_theta_per_ms", theta),
        ("ou_mu_pA", mu),
        ("ou_sigma_pA_per_sqrt_ms", sigma),
        ("ou_x0_pA", x0),
        ("ou_dt_ms", dt_ms),
        ("C_m_pF", C_m),
        ("g_Na_nS", g_Na),
        ("g_K_nS", g_K),
        ("g_L_nS", g_L),
        ("E_Na_mV", E_Na),
        ("E_K_mV", E_K),
        ("E_L_mV", E_L),
        ("I_e_pA", I_e),
        ("t_ref_ms", t_ref),
        ("dt_ms", options.dt_ms),
    ];
    for (name, value) in numbers {
        file.new_attr::<f64>().create(name)?.write_scalar(&value)?;
    }
    for (name, trials) in [("dropped_trials", dropped), ("dropped_test_trials", dropped_test)] {
        let trials: Vec<u64> = trials.iter().map(|&trial| trial as u64).collect();
        file.new_attr::<u64>().shape(trials.len()).create(name)?.write_raw(&trials)?;
    }
    Ok(())
}

fn text_attribute(place: &hdf5::Location, name: &str, text: &str) -> hdf5::Result<()> {
    let text = text.parse::<hdf5::types::VarLenUnicode>().map_err(|e| hdf5::Error::from(e.to_string().as_str()))?;
    place.new_attr::<hdf5::types::VarLenUnicode>().create(name)?.write_scalar(&text)
}

/// A dataset of shape (samples, steps, channels) in an HDF5 file, read in parts on demand.
///
/// The file is open only while something is read. Float32 and float64 datasets are read, chunked, compressed or not, from
/// this crate, from h5py or from any other program.
///
/// ```
/// # use hhnet::dataset::{GenerateOptions, H5Matrix, generate};
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("data.h5");
/// # generate(&path, &GenerateOptions { samples: 4, test_samples: 1, ..GenerateOptions::default() })?;
/// let x = H5Matrix::open(&path, "X")?;
/// assert_eq!(x.shape(), (4, 1000, 1));
/// assert_eq!(x.read(-3..)?.dim(), (3, 1000, 1)); // the last three, as X[-3:] in Python
/// assert_eq!(x.read(..-3)?.dim(), (1, 1000, 1)); // all but the last three, X[:-3]
/// assert!(x.read(..9).is_err()); // there is no ninth sample
/// # Ok::<(), hhnet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H5Matrix {
    path: PathBuf,
    name: String,
    shape: [usize; 3],
}

impl H5Matrix {
    /// Looks at dataset `name` of the file; reads nothing but its shape and type.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if the file cannot be opened or is not an HDF5 file, if the dataset is missing
    /// (the message lists what is there), or if it is not a 3-dimensional array of float32 or float64 with something in it.
    pub fn open(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        let path = path.as_ref();
        let shape = dataset_shape(&open_hdf5(path)?, path, name)?;
        Ok(H5Matrix { path: path.to_path_buf(), name: name.to_owned(), shape })
    }

    /// (samples, steps, channels).
    pub fn shape(&self) -> (usize, usize, usize) {
        self.shape.into()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The dataset's name in the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a range of samples as float64; a negative bound counts from the end, as in Python.
    ///
    /// # Errors
    /// [`Error::Parameter`] if the range is empty or leaves the dataset (Python would cut it short without a word);
    /// [`Error::File`] if the file changed or is damaged; [`Error::NotFinite`] if a value is NaN or infinite.
    pub fn read(&self, samples: impl RangeBounds<isize>) -> Result<Array3<f64>> {
        let start = match samples.start_bound() {
            Bound::Included(&i) => i,
            Bound::Excluded(&i) => i.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match samples.end_bound() {
            Bound::Included(&-1) | Bound::Unbounded => self.shape[0] as isize,
            Bound::Included(&i) => i.saturating_add(1),
            Bound::Excluded(&i) => i,
        };
        self.read_between(start, end)
    }

    fn read_between(&self, start: isize, end: isize) -> Result<Array3<f64>> {
        let count = self.shape[0] as isize;
        let from_start = |i: isize| if i < 0 { i + count } else { i };
        let (first, last) = (from_start(start), from_start(end));
        if first < 0 || last > count || first >= last {
            let name = format!("range of samples of dataset '{}' in '{}'", self.name, self.path.display());
            let remedy =
                format!("it has {count} samples: give a range within 0..{count} (or -{count}..) that is not empty");
            return Err(Error::parameter(name, format!("{start}..{end}"), remedy));
        }
        let file = open_hdf5(&self.path)?;
        if dataset_shape(&file, &self.path, &self.name)? != self.shape {
            let problem = format!("dataset '{}' no longer has shape {:?}", self.name, self.shape);
            return Err(Error::file(&self.path, problem, "the file was replaced: open it again"));
        }
        let (first, last) = (first as usize, last as usize);
        let values = file
            .dataset(&self.name)
            .and_then(|dataset| dataset.as_reader().read_slice(s![first..last, .., ..]))
            .map_err(hdf5_error(&self.path, format!("read samples {first}..{last} of '{}'", self.name)))?;
        reject_not_finite(&values, first, &self.name, &self.path)?;
        Ok(values)
    }
}

/// The shape of a dataset that this crate can read.
fn dataset_shape(file: &hdf5::File, path: &Path, name: &str) -> Result<[usize; 3]> {
    let Ok(dataset) = file.dataset(name) else {
        let mut names: Vec<String> = file.member_names().unwrap_or_default();
        names.sort();
        let remedy = format!("it holds: {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") });
        return Err(Error::file(path, format!("there is no dataset '{name}'"), remedy));
    };
    let shape = dataset.shape();
    let is_float = dataset.dtype().is_ok_and(|t| t.is::<f64>() || t.is::<f32>());
    match <[usize; 3]>::try_from(shape.as_slice()) {
        Ok(shape) if is_float && !shape.contains(&0) => Ok(shape),
        _ => {
            let dtype =
                dataset.dtype().and_then(|t| t.to_descriptor()).map_or("another type".to_owned(), |t| t.to_string());
            let problem = format!("dataset '{name}' is an array of {dtype} of shape {shape:?}");
            Err(Error::file(path, problem, "float32 or float64 of shape (samples, steps, channels) is needed"))
        }
    }
}

/// Sample `i` of an array of shape (samples, steps, channels) as a plain list: its first channel over the steps. Empty if
/// there is no such sample, or no channel.
///
/// ```
/// use hhnet::{dataset::series, ndarray::arr3};
/// let x = arr3(&[[[1.0], [2.0]], [[3.0], [4.0]]]);
/// assert_eq!(series(&x, 1), [3.0, 4.0]);
/// ```
pub fn series(samples: &Array3<f64>, i: usize) -> Vec<f64> {
    let (count, _, channels) = samples.dim();
    if i < count && channels > 0 { samples.slice(s![i, .., 0]).to_vec() } else { Vec::new() }
}

fn reject_not_finite(values: &Array3<f64>, first: usize, name: &str, path: &Path) -> Result<()> {
    // The sum is not finite if any value is not; only then is it worth looking for which.
    if values.sum().is_finite() {
        return Ok(());
    }
    match values.indexed_iter().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some(((sample, step, channel), &value)) => Err(Error::NotFinite {
            what: format!("'{}', dataset '{name}'", path.display()),
            value,
            place: format!("index ({}, {step}, {channel})", first + sample),
            remedy: "make the file again, or leave this sample out".into(),
        }),
    }
}

/// Writes one array of shape (samples, steps, channels) as dataset `name` of a new HDF5 file, float64, with its units as
/// an attribute.
///
/// # Errors
/// [`Error::File`] or [`Error::Io`] if the file exists and `overwrite` is not set, or cannot be written.
pub fn save(path: impl AsRef<Path>, name: &str, values: &Array3<f64>, units: &str, overwrite: bool) -> Result<()> {
    let (part, file) = PartFile::new(path.as_ref(), overwrite)?.create_hdf5()?;
    let write = || -> hdf5::Result<()> {
        let dataset = file.new_dataset::<f64>().shape(values.dim()).create(name)?;
        dataset.write(values.as_standard_layout().view())?;
        text_attribute(&dataset, "units", units)
    };
    write().map_err(hdf5_error(part.path(), format!("write '{name}'")))?;
    file.close().map_err(hdf5_error(part.path(), "finish the file"))?;
    part.finish()
}

/// What is in an HDF5 file: see [`describe`].
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Attributes of the file: name and value.
    pub attributes: Vec<(String, String)>,
    /// Datasets in all groups, in the order of their names.
    pub datasets: Vec<DatasetInfo>,
}

/// One dataset of a [`Description`].
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetInfo {
    /// Name, with the groups it is in.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Type of its elements.
    pub dtype: String,
    /// Units, where the file says so.
    pub units: Option<String>,
}

/// Lists what is in an HDF5 file, be it data or weights.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] if it cannot be opened or is not an HDF5 file.
pub fn describe(path: impl AsRef<Path>) -> Result<Description> {
    let path = path.as_ref();
    let file = open_hdf5(path)?;
    let mut datasets = Vec::new();
    let mut read = || -> hdf5::Result<Vec<(String, String)>> {
        list_datasets(&file, MAX_DEPTH, &mut datasets)?;
        file.attr_names()?.into_iter().map(|name| attribute_text(&file, &name).map(|value| (name, value))).collect()
    };
    let attributes = read().map_err(hdf5_error(path, "list the contents"))?;
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    let bytes = std::fs::metadata(path).map_err(Error::io(path, "open"))?.len();
    Ok(Description { bytes, attributes, datasets })
}

/// Goes `depth` groups deep and no deeper: a group can hold itself.
fn list_datasets(group: &hdf5::Group, depth: usize, found: &mut Vec<DatasetInfo>) -> hdf5::Result<()> {
    for dataset in group.datasets()? {
        found.push(DatasetInfo {
            name: dataset.name().trim_start_matches('/').to_owned(),
            shape: dataset.shape(),
            dtype: dataset.dtype()?.to_descriptor().map_or("other type".to_owned(), |t| t.to_string()),
            units: attribute_text(&dataset, "units").ok(),
        });
    }
    if depth > 0 {
        group.groups()?.iter().try_for_each(|group| list_datasets(group, depth - 1, found))?;
    }
    Ok(())
}

/// An attribute's value as text: numbers, lists of numbers and strings of the kinds that this crate and h5py write.
fn attribute_text(place: &hdf5::Location, name: &str) -> hdf5::Result<String> {
    use hdf5::types::{TypeDescriptor as T, VarLenAscii, VarLenUnicode};
    let attribute = place.attr(name)?;
    let list =
        |items: Vec<String>| if attribute.is_scalar() { items.concat() } else { format!("[{}]", items.join(", ")) };
    Ok(match attribute.dtype()?.to_descriptor() {
        Ok(T::VarLenUnicode) => attribute.read_scalar::<VarLenUnicode>()?.to_string(),
        Ok(T::VarLenAscii) => attribute.read_scalar::<VarLenAscii>()?.to_string(),
        Ok(T::Float(_)) => list(attribute.read_raw::<f64>()?.iter().map(f64::to_string).collect()),
        Ok(T::Integer(_)) => list(attribute.read_raw::<i64>()?.iter().map(i64::to_string).collect()),
        Ok(T::Unsigned(_)) => list(attribute.read_raw::<u64>()?.iter().map(u64::to_string).collect()),
        Ok(other) => format!("({other})"),
        Err(_) => "(of another type)".to_owned(),
    })
}

impl std::fmt::Display for Description {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} bytes", self.bytes)?;
        for DatasetInfo { name, shape, dtype, units } in &self.datasets {
            let units = units.as_ref().map_or(String::new(), |units| format!(", {units}"));
            writeln!(f, "  {name}: {shape:?} {dtype}{units}")?;
        }
        for (name, value) in &self.attributes {
            writeln!(f, "  {name} = {value}")?;
        }
        Ok(())
    }
}
