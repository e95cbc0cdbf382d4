//! Trials are drawn, simulated and kept or dropped while those before are written.

use super::options::GenerateOptions;
use super::text_attribute;
use crate::files::{NewFile, hdf5_error};
use crate::neuron::Spikes;
use crate::simd::SimdLevel;
use crate::stimulus::{NumpyRandom, PhiloxRandom, Stream};
use crate::{Error, Result};
use ndarray::{ArrayView1, ArrayView3, s};
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Values of the current that are drawn and simulated while those before are written: 8 MB, and as much for the potentials.
pub(super) const CHUNK_VALUES: usize = 1 << 20;

/// Trials that a thread takes at a time: a multiple of the lanes of every vector.
const TRIALS_AT_A_TIME: usize = 16;

/// So many trials in a row with a spike end the attempt: nothing subthreshold is to be had from these parameters.
const HOPELESS: usize = 1000;

/// What [`generate`] made.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The file.
    pub path: PathBuf,
    /// Shape of `X` and `Y`: (samples, steps, 1).
    pub shape: [usize; 3],
    /// Shape of `X_test` and `Y_test`.
    pub test_shape: [usize; 3],
    /// The training trials that were dropped because the neuron spiked: their numbers in the stream, from 0. In the stream
    /// philox, where each sample is drawn again until it has no spike, the numbers of those samples.
    pub dropped_trials: Vec<usize>,
    /// The same for the test trials.
    pub dropped_test_trials: Vec<usize>,
    /// Number of spikes that were recorded in trials that were to be kept.
    pub spikes: usize,
    /// Simulated time of all neurons together, s, with dropped trials.
    pub neuron_seconds: f64,
    /// Time it took.
    pub elapsed: Duration,
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "'{}': X, Y of shape {:?}, X_test, Y_test of shape {:?}",
            self.path.display(),
            self.shape,
            self.test_shape
        )?;
        let dropped = self.dropped_trials.len() + self.dropped_test_trials.len();
        let seconds = self.elapsed.as_secs_f64();
        match self.spikes {
            0 => write!(f, "{dropped} trials dropped because the neuron spiked")?,
            spikes => write!(f, "{spikes} spikes recorded")?,
        }
        write!(f, "; {seconds:.1} s, {:.0} neuron-seconds per second", self.neuron_seconds / seconds)
    }
}

/// Generates a data set: draws currents, simulates the neuron, drops the trials in which it spikes, and writes the others
/// until the file holds as many as asked for. With `keep_spiking` it drops none, and records all spikes.
///
/// NumPy's stream is used as the original study uses it: two demonstration traces of `duration_ms` are drawn first
/// (they are not stored), then trials in order, whether they are kept or not. The file appears under its name once it is
/// complete. Samples go to it while others are made: no more than 32 MB of them are in memory (16 trials for each thread, if
/// these are longer).
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
    options.validate()?;
    let new = NewFile::create(path, options.overwrite)?;
    if new.replaces_leftover() {
        options.progress.line(format_args!("'{}': removed what an earlier run had left unfinished", path.display()));
    }
    let file = new.create_hdf5()?;
    let [training, test] = options.shapes()?;
    let series = [Series::new(&file, path, 0, training, options)?, Series::new(&file, path, 1, test, options)?];
    let mut random = NumpyRandom::seed(options.seed);
    if options.stream == Stream::Numpy {
        for _ in 0..2 {
            options.current.trace(training[1], &mut random);
        }
    }
    let disk = File::open(new.path()).map_err(Error::io(path, "open"))?;
    let [training, test] = &write_trials(&series, &disk, &mut random, options)?;

    let finish = || -> hdf5::Result<()> {
        options.write(&file)?;
        for (name, found) in [("dropped_trials", training), ("dropped_test_trials", test)] {
            write_list(&file, name, &found.dropped)?;
        }
        Ok(())
    };
    finish().and_then(|()| file.close()).map_err(hdf5_error(path, "finish the file"))?;
    let [shape, test_shape] = [0, 1].map(|i| [series[i].samples.len(), series[i].steps, 1]);
    drop(series);
    new.finish()?;
    let values = training.trials * shape[1] + test.trials * test_shape[1];
    Ok(Generated {
        path: path.to_path_buf(),
        shape,
        test_shape,
        dropped_trials: training.dropped.clone(),
        dropped_test_trials: test.dropped.clone(),
        spikes: training.spikes + test.spikes,
        neuron_seconds: values as f64 * options.current.dt_ms / 1000.0,
        elapsed: started.elapsed(),
    })
}

/// Writes a list of numbers, which may be empty, as a dataset.
pub(super) fn write_list(file: &hdf5::File, name: &str, numbers: &[usize]) -> hdf5::Result<()> {
    let numbers: Vec<u64> = numbers.iter().map(|&number| number as u64).collect();
    let list = file.new_dataset::<u64>().shape(numbers.len()).create(name)?;
    if numbers.is_empty() { Ok(()) } else { list.write_raw(&numbers) }
}

/// Samples of one length: `X` and `Y`, or `X_test` and `Y_test`.
struct Series<'a> {
    path: &'a Path,
    /// 0 for the training samples, 1 for the test samples.
    number: u32,
    /// The samples of the whole data set that this file is to hold.
    samples: Range<usize>,
    steps: usize,
    x: hdf5::Dataset,
    y: hdf5::Dataset,
    spikes: Option<SpikeRecord>,
}

/// The names of a series' datasets, and of the group that holds its spikes.
pub(super) const SERIES_NAMES: [[&str; 3]; 2] = [["X", "Y", "spikes"], ["X_test", "Y_test", "spikes_test"]];

impl<'a> Series<'a> {
    fn new(
        file: &hdf5::File,
        path: &'a Path,
        number: u32,
        [total, steps, _]: [usize; 3],
        options: &GenerateOptions,
    ) -> Result<Self> {
        let samples = options.shard.map_or(0..total, |shard| shard.part(total));
        let [x, y, spikes] = SERIES_NAMES[number as usize];
        let create = |name: &str| -> hdf5::Result<hdf5::Dataset> {
            let dataset = file.new_dataset::<f64>().shape((samples.len(), steps, 1)).create(name)?;
            describe_samples(&dataset)?;
            Ok(dataset)
        };
        Ok(Series {
            path,
            number,
            steps,
            x: create(x).map_err(hdf5_error(path, format!("create {x}")))?,
            y: create(y).map_err(hdf5_error(path, format!("create {y}")))?,
            spikes: options
                .keep_spiking
                .then(|| SpikeRecord::create(file, spikes))
                .transpose()
                .map_err(hdf5_error(path, format!("create {spikes}")))?,
            samples,
        })
    }

    fn name(&self) -> &'static str {
        SERIES_NAMES[self.number as usize][0]
    }

    /// Writes a chunk's trials as the samples from row `first` of this file on.
    fn write(&self, chunk: &Chunk, first: usize) -> Result<()> {
        let new = chunk.trials.len();
        if new == 0 {
            return Ok(());
        }
        let write = || -> hdf5::Result<()> {
            for (dataset, values) in [(&self.x, &chunk.currents), (&self.y, &chunk.potentials)] {
                let values = ArrayView3::from_shape((new, self.steps, 1), &values[..new * self.steps]);
                dataset.write_slice(values.expect("the trials fit in"), s![first..first + new, .., ..])?;
            }
            let Some(record) = &self.spikes else { return Ok(()) };
            let spikes = chunk.trials.iter().enumerate().flat_map(|(i, trial)| {
                let sender = (self.samples.start + first + i) as u64;
                trial.iter().flat_map(move |trial| trial.spike_times_ms.iter().map(move |&time| (sender, time)))
            });
            let (senders, times): (Vec<u64>, Vec<f64>) = spikes.unzip();
            record.append(&senders, &times)
        };
        write().map_err(hdf5_error(self.path, format!("write samples {first} to {} of {}", first + new, self.name())))
    }
}

/// Says what the values of `X`, `Y` and so on are.
pub(super) fn describe_samples(dataset: &hdf5::Dataset) -> hdf5::Result<()> {
    let is_current = dataset.name().starts_with("/X");
    let (quantity, units) = if is_current { ("injected current", "pA") } else { ("membrane potential", "mV") };
    text_attribute(dataset, "quantity", quantity)?;
    text_attribute(dataset, "units", units)
}

/// All spikes of a series, in order: which sample, and when.
pub(super) struct SpikeRecord {
    senders: hdf5::Dataset,
    times: hdf5::Dataset,
}

impl SpikeRecord {
    pub(super) fn create(file: &hdf5::File, name: &str) -> hdf5::Result<Self> {
        let group = file.create_group(name)?;
        let record = SpikeRecord {
            senders: group.new_dataset::<u64>().chunk(4096).shape(0..).create("senders")?,
            times: group.new_dataset::<f64>().chunk(4096).shape(0..).create("times")?,
        };
        text_attribute(&record.senders, "quantity", "number of the sample, from 0")?;
        text_attribute(&record.times, "quantity", "time of the spike from the start of its sample")?;
        text_attribute(&record.times, "units", "ms")?;
        Ok(record)
    }

    pub(super) fn append(&self, senders: &[u64], times: &[f64]) -> hdf5::Result<()> {
        let (start, end) = (self.times.size(), self.times.size() + times.len());
        if start == end {
            return Ok(());
        }
        self.senders.resize(end)?;
        self.times.resize(end)?;
        self.senders.write_slice(ArrayView1::from(senders), s![start..end])?;
        self.times.write_slice(ArrayView1::from(times), s![start..end])
    }
}

/// What came of a series.
#[derive(Default)]
struct Found {
    /// Number of trials that were simulated.
    trials: usize,
    dropped: Vec<usize>,
    spikes: usize,
}

/// Fills the datasets of both series.
fn write_trials(
    series: &[Series; 2],
    disk: &File,
    random: &mut NumpyRandom,
    options: &GenerateOptions,
) -> Result<[Found; 2]> {
    // One is written while the other one is simulated.
    let (mut simulated, mut written) = (Chunk::default(), Chunk::default());
    let mut unwritten: Option<(&Series, usize)> = None;
    let found = series.each_ref().map(|series| -> Result<Found> {
        let (count, steps) = (series.samples.len(), series.steps);
        let mut found = Found::default();
        let (mut kept, mut dropped_in_a_row) = (0, 0);
        let (started, mut last_line) = (Instant::now(), Instant::now());
        while kept < count {
            std::mem::swap(&mut simulated, &mut written);
            // Never more trials than samples are missing: the stream ends where it would if they were drawn one by one.
            let next = (count - kept).min((CHUNK_VALUES / steps).max(TRIALS_AT_A_TIME));
            let first = series.samples.start + kept;
            simulated.simulate(series, first..first + next, random, options, || {
                let Some((series, row)) = unwritten.take() else { return Ok(()) };
                series.write(&written, row)?;
                // Brought to the disk while the processor is busy: little is left to wait for at the end.
                disk.sync_data().map_err(Error::io(series.path, "bring it to the disk"))
            })?;
            let drawn = found.trials;
            for (i, trial) in simulated.trials.iter().enumerate() {
                let Ok(trial) = trial else { break };
                found.trials += 1 + trial.dropped_before;
                // In NumPy's stream the trial itself is dropped, in the other one those before it.
                let number = if options.stream == Stream::Numpy { drawn + i } else { first + i };
                let is_dropped = !options.keep_spiking && !trial.spike_times_ms.is_empty();
                let dropped = trial.dropped_before + usize::from(is_dropped);
                found.dropped.extend(std::iter::repeat_n(number, dropped));
                dropped_in_a_row = if is_dropped { dropped_in_a_row + 1 } else { 0 };
                found.spikes += if is_dropped { 0 } else { trial.spike_times_ms.len() };
            }
            let first_number = if options.stream == Stream::Numpy { drawn } else { first };
            simulated.drop_spiking(options).map_err(|(i, error)| in_trial(error, series.name(), first_number + i))?;
            if dropped_in_a_row >= HOPELESS {
                return Err(hopeless(options));
            }
            unwritten = Some((series, kept));
            kept += simulated.trials.len();
            if kept == count || last_line.elapsed() >= Duration::from_secs(1) {
                last_line = Instant::now();
                let seconds = started.elapsed().as_secs_f64();
                let neuron_seconds = found.trials as f64 * steps as f64 * options.current.dt_ms / 1000.0;
                let [x, y, _] = SERIES_NAMES[series.number as usize];
                options.progress.line(format_args!(
                    "{x}, {y}: {kept} of {count} samples, {} trials dropped, {seconds:.1} s, {:.0} neuron-seconds per second",
                    found.dropped.len(),
                    neuron_seconds / seconds,
                ));
            }
        }
        Ok(found)
    });
    let [training, test] = found;
    let found = [training?, test?];
    unwritten.map_or(Ok(()), |(series, row)| series.write(&simulated, row))?;
    Ok(found)
}

fn hopeless(options: &GenerateOptions) -> Error {
    let remedy = format!("the neuron spiked in {HOPELESS} trials in a row: give a weaker current or shorter trials");
    Error::parameter("OrnsteinUhlenbeck::sigma", options.current.sigma, remedy)
}

/// What came of a trial.
#[derive(Debug, Clone)]
struct Trial {
    /// Only the first, if it is dropped for it.
    spike_times_ms: Vec<f64>,
    /// Number of trials that were dropped for the same sample before.
    dropped_before: usize,
}

/// Trials that are simulated together, one after the other in memory.
#[derive(Default)]
struct Chunk {
    steps: usize,
    currents: Vec<f64>,
    potentials: Vec<f64>,
    trials: Vec<Result<Trial>>,
}

/// Trials that a thread takes: the first one's number, their currents, potentials and what came of them, to be filled in.
type Share<'a> = (usize, &'a mut [f64], &'a mut [f64], &'a mut [Result<Trial>]);

impl Chunk {
    /// Draws and simulates trials for the given samples on several threads, while this one does something else.
    fn simulate(
        &mut self,
        series: &Series,
        samples: Range<usize>,
        random: &mut NumpyRandom,
        options: &GenerateOptions,
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let (steps, count) = (series.steps, samples.len());
        self.steps = steps;
        self.currents.resize(count * steps, 0.0);
        self.potentials.resize(count * steps, 0.0);
        self.trials =
            vec![Trial { spike_times_ms: Vec::new(), dropped_before: 0 }; count].into_iter().map(Ok).collect();
        let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let at_a_time = count.div_ceil(threads).min(TRIALS_AT_A_TIME);
        let shares = self.currents.chunks_mut(at_a_time * steps).zip(self.potentials.chunks_mut(at_a_time * steps));
        let shares = samples.step_by(at_a_time).zip(shares).zip(self.trials.chunks_mut(at_a_time));
        let shares = shares.map(|((first, (x, y)), trials)| (first, x, y, trials));
        // NumPy's stream is one: whoever takes trials draws their currents before the next one may.
        let source = Mutex::new((shares, random));
        let take = || -> Option<Share> {
            let (shares, random) = &mut *source.lock().unwrap_or_else(PoisonError::into_inner);
            let share = shares.next()?;
            if options.stream == Stream::Numpy {
                share.1.chunks_mut(steps).for_each(|trace| options.current.fill(trace, *random));
            }
            Some(share)
        };
        std::thread::scope(|scope| {
            for _ in 0..threads.min(count.div_ceil(at_a_time)) {
                scope.spawn(|| {
                    while let Some(share) = take() {
                        simulate_share(share, series, options);
                    }
                });
            }
            meanwhile()
        })
    }

    /// Moves the trials that are kept together. Fails with the first trial that could not be simulated.
    fn drop_spiking(&mut self, options: &GenerateOptions) -> std::result::Result<(), (usize, Error)> {
        let mut kept = Vec::with_capacity(self.trials.len());
        for (i, trial) in std::mem::take(&mut self.trials).into_iter().enumerate() {
            let trial = trial.map_err(|error| (i, error))?;
            if !options.keep_spiking && !trial.spike_times_ms.is_empty() {
                continue;
            }
            for values in [&mut self.currents, &mut self.potentials] {
                values.copy_within(i * self.steps..(i + 1) * self.steps, kept.len() * self.steps);
            }
            kept.push(Ok(trial));
        }
        self.trials = kept;
        Ok(())
    }
}

fn simulate_share((first, currents, potentials, trials): Share, series: &Series, options: &GenerateOptions) {
    let steps = series.steps;
    let draw = |trace: &mut [f64], sample: usize, attempt: usize| {
        let mut random = PhiloxRandom::trial(options.seed, series.number, sample as u64, attempt as u32);
        options.current.fill(trace, &mut random);
    };
    let simulate = |currents: &[f64], potentials: &mut [f64]| -> Result<Vec<Result<Vec<f64>>>> {
        let timing = options.neuron.check(options.current.dt_ms, options.resolution_ms)?;
        let currents: Vec<&[f64]> = currents.chunks(steps).collect();
        let mut potentials: Vec<&mut [f64]> = potentials.chunks_mut(steps).collect();
        let spikes = if options.keep_spiking { Spikes::Keep } else { Spikes::StopAtFirst };
        Ok(options.neuron.batch(SimdLevel::best(), timing, &currents, &mut potentials, spikes))
    };
    if options.stream == Stream::Philox {
        currents.chunks_mut(steps).enumerate().for_each(|(i, trace)| draw(trace, first + i, 0));
    }
    let found = match simulate(currents, potentials) {
        Ok(found) => found,
        Err(error) => {
            trials[0] = Err(error);
            return;
        }
    };
    let rows = currents.chunks_mut(steps).zip(potentials.chunks_mut(steps));
    for (i, ((trial, mut found), (current, potential))) in trials.iter_mut().zip(found).zip(rows).enumerate() {
        let mut dropped_before = 0;
        // In the stream philox a sample is drawn again until it has no spike.
        while options.stream == Stream::Philox
            && !options.keep_spiking
            && found.as_ref().is_ok_and(|times| !times.is_empty())
        {
            dropped_before += 1;
            if dropped_before == HOPELESS {
                found = Err(hopeless(options));
                break;
            }
            draw(current, first + i, dropped_before);
            found = simulate(current, potential).and_then(|mut found| found.remove(0));
        }
        *trial = found.map(|spike_times_ms| Trial { spike_times_ms, dropped_before });
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
