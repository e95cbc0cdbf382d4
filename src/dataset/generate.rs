//! Generates a data set: draws, simulates and keeps or drops the trials of one block while the block before is written.

use super::appender::sample_bytes;
use super::block::{Block, HOPELESS, Trial, block_trials, check_memory, hopeless};
use super::checksum;
use super::options::GenerateOptions;
use super::split::{SPLIT_NAMES, Split, SplitWriter, write_list};
use crate::files::NewFile;
use crate::interrupt::Interrupts;
use crate::progress::Lines;
use crate::stimulus::{NumpyRandom, Stream};
use crate::{Error, Result};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The result of [`generate`].
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// The file.
    pub path: PathBuf,
    /// Shape of `X` and `Y`: (samples, steps, 1).
    pub shape: [usize; 3],
    /// Shape of `X_test` and `Y_test`.
    pub test_shape: [usize; 3],
    /// The training trials that were dropped because the neuron spiked. With the stream numpy these are the numbers of
    /// the trials, counted from 0. With the stream philox a sample is drawn again until the neuron does not spike;
    /// these are the numbers of the samples, one for each dropped trial.
    pub dropped_trials: Vec<usize>,
    /// The dropped test trials.
    pub dropped_test_trials: Vec<usize>,
    /// Number of recorded spikes, if spiking trials were kept.
    pub spikes: usize,
    /// Simulated time of all trials together, including dropped ones, s.
    pub neuron_seconds: f64,
    /// Duration of the call.
    pub elapsed: Duration,
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, Generated { shape, test_shape, .. }) = (self.path.display(), self);
        writeln!(f, "'{path}': X, Y of shape {shape:?}, X_test, Y_test of shape {test_shape:?}")?;
        let dropped = self.dropped_trials.len() + self.dropped_test_trials.len();
        let seconds = self.elapsed.as_secs_f64();
        match self.spikes {
            0 => write!(f, "{dropped} trials dropped because the neuron spiked")?,
            spikes => write!(f, "{spikes} spikes recorded")?,
        }
        write!(f, "; {seconds:.1} s, {:.0} neuron-seconds per second", self.neuron_seconds / seconds)
    }
}

/// Generates a data set: draws currents, simulates the neuron, drops the trials in which it spikes, and writes the
/// others until the file holds the given number of samples. With `keep_spiking` it drops none, and records all spikes.
///
/// NumPy's stream is used as in the original study: two demonstration traces of `duration_ms` are drawn first, and not
/// stored. All trials follow in order, whether they are kept or not.
///
/// The file appears under its name once it is complete. Samples are written while others are simulated. At most 32 MB
/// of them are in memory, or 16 trials for each thread if these are larger.
///
/// # Errors
/// [`Error::Parameter`] for a parameter outside its range. [`Error::File`] or [`Error::Io`] if the file exists and
/// `overwrite` is not set, or cannot be written. [`Error::NotFinite`] if a potential diverges. [`Error::Interrupted`] after
/// Ctrl+C or the stop button of a notebook; a file of this name is then unchanged.
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
    let interrupts = Interrupts::receive();
    let path = path.as_ref();
    options.validate()?;
    check_memory(options, options.shapes()?)?;
    let splits = Split::both(path, options)?;
    let [shape, test_shape] = splits.each_ref().map(Split::shape);
    let new = NewFile::create(path, options.overwrite, sample_bytes(&[shape, shape, test_shape, test_shape]))?;
    if new.replaces_leftover() {
        options.progress.line(format_args!("'{}': removed an unfinished file of an earlier run", path.display()));
    }
    let file = new.create_hdf5()?;
    let [training, test] = &splits;
    let writers = [SplitWriter::create(&file, training, options)?, SplitWriter::create(&file, test, options)?];
    let disk = File::open(new.path()).map_err(Error::io(path, "open"))?;
    let [training, test] = Generator::new(options, &interrupts, training.steps, &disk, writers).fill(&splits)?;
    write_parameters(&file, options, &training, &test).map_err(Error::hdf5(path, "write how it was made"))?;
    checksum::finish(new, file)?;
    let values = training.trials * shape[1] + test.trials * test_shape[1];
    Ok(Generated {
        path: path.to_path_buf(),
        shape,
        test_shape,
        dropped_trials: training.dropped,
        dropped_test_trials: test.dropped,
        spikes: training.spikes + test.spikes,
        neuron_seconds: values as f64 * options.current.dt_ms / 1000.0,
        elapsed: started.elapsed(),
    })
}

/// Writes the parameters and the lists of dropped trials.
fn write_parameters(file: &hdf5::File, options: &GenerateOptions, training: &Tally, test: &Tally) -> hdf5::Result<()> {
    options.write(file)?;
    write_list(file, "dropped_trials", &training.dropped)?;
    write_list(file, "dropped_test_trials", &test.dropped)
}

/// Counts of the trials for a split.
#[derive(Default)]
struct Tally {
    /// Number of trials that were simulated.
    trials: usize,
    /// The numbers of those that were dropped.
    dropped: Vec<usize>,
    dropped_in_a_row: usize,
    spikes: usize,
}

impl Tally {
    /// Counts the trials of a block, up to the first that could not be simulated. `first` is the number of its first
    /// trial.
    fn add(&mut self, trials: &[Result<Trial>], first: usize, options: &GenerateOptions) {
        for (i, trial) in trials.iter().enumerate() {
            let Ok(trial) = trial else { break };
            self.trials += 1 + trial.dropped_before;
            let is_dropped = !options.keep_spiking && !trial.spike_times_ms.is_empty();
            let dropped = trial.dropped_before + usize::from(is_dropped);
            self.dropped.extend(std::iter::repeat_n(first + i, dropped));
            self.dropped_in_a_row = if is_dropped { self.dropped_in_a_row + 1 } else { 0 };
            self.spikes += if is_dropped { 0 } else { trial.spike_times_ms.len() };
        }
    }
}

/// Fills the datasets of a file.
struct Generator<'a> {
    options: &'a GenerateOptions,
    interrupts: &'a Interrupts,
    random: NumpyRandom,
    /// The file that HDF5 writes.
    disk: &'a File,
    /// One block is written while the other one is simulated.
    simulated: Block,
    written: Block,
    writers: [SplitWriter; 2],
    /// The split of the block that was simulated last and is not written yet.
    unwritten: Option<usize>,
}

impl<'a> Generator<'a> {
    fn new(
        options: &'a GenerateOptions,
        interrupts: &'a Interrupts,
        training_steps: usize,
        disk: &'a File,
        writers: [SplitWriter; 2],
    ) -> Self {
        let mut random = NumpyRandom::seed(options.seed);
        if options.stream == Stream::Numpy {
            // As many deviates as two traces take.
            for _ in 0..2 * (training_steps - 1) {
                random.standard_normal();
            }
        }
        Generator {
            options,
            interrupts,
            random,
            disk,
            simulated: Block::default(),
            written: Block::default(),
            writers,
            unwritten: None,
        }
    }

    /// Generates all samples of both splits.
    fn fill(mut self, [training, test]: &[Split; 2]) -> Result<[Tally; 2]> {
        let outcomes = [self.fill_split(training)?, self.fill_split(test)?];
        self.unwritten.map_or(Ok(()), |split| self.writers[split].append(&self.simulated))?;
        self.writers.into_iter().try_for_each(SplitWriter::finish)?;
        Ok(outcomes)
    }

    fn fill_split(&mut self, split: &Split) -> Result<Tally> {
        let options = self.options;
        let count = split.samples.len();
        let mut tally = Tally::default();
        let mut kept = 0;
        let (mut lines, started) = (Lines::new(options.progress), Instant::now());
        while kept < count {
            self.interrupts.check("generate", || format!("'{}' was not written", split.path.display()))?;
            // At most as many trials as samples are missing: the stream ends where it would if trials were drawn one by
            // one.
            let next = (count - kept).min(block_trials(split.steps));
            let sample = split.samples.start + kept;
            self.simulate(split, sample, next)?;
            // With the stream numpy trials are counted, with the stream philox samples.
            let first = if options.stream == Stream::Numpy { tally.trials } else { sample };
            tally.add(&self.simulated.trials, first, options);
            self.simulated.drop_spiking(options).map_err(|(i, error)| in_trial(error, split.name(), first + i))?;
            if tally.dropped_in_a_row >= HOPELESS {
                return Err(hopeless(options));
            }
            self.unwritten = Some(split.number);
            kept += self.simulated.trials.len();
            let line = report(split, kept, &tally, options, started.elapsed());
            // The last one is always printed.
            if kept < count {
                lines.line(format_args!("{line}"))
            } else {
                options.progress.line(format_args!("{line}"))
            }
        }
        Ok(tally)
    }

    /// Simulates a block while the block before is written.
    fn simulate(&mut self, split: &Split, sample: usize, count: usize) -> Result<()> {
        std::mem::swap(&mut self.simulated, &mut self.written);
        let Generator { options, random, disk, simulated, written, writers, unwritten, .. } = self;
        simulated.simulate(split, sample..sample + count, random, options, || {
            let Some(unwritten) = unwritten.take() else { return Ok(()) };
            writers[unwritten].append(written)?;
            // Flushed while the processor is busy, so that there is little to wait for at the end.
            disk.sync_data().map_err(Error::io(split.path, "flush it to the disk"))
        })
    }
}

/// How far a split is.
fn report(split: &Split, kept: usize, tally: &Tally, options: &GenerateOptions, elapsed: Duration) -> String {
    let [x, y, _] = SPLIT_NAMES[split.number];
    let (count, dropped, seconds) = (split.samples.len(), tally.dropped.len(), elapsed.as_secs_f64());
    let speed = (tally.trials * split.steps) as f64 * options.current.dt_ms / 1000.0 / seconds;
    format!(
        "{x}, {y}: {kept} of {count} samples, {dropped} trials dropped, {seconds:.1} s, {speed:.0} neuron-seconds per \
         second"
    )
}

/// Adds the trial to an error that occurred in it.
fn in_trial(error: Error, x_name: &str, trial: usize) -> Error {
    match error {
        Error::NotFinite { what, value, place, remedy } => {
            Error::NotFinite { what, value, place: format!("{place} in trial {trial} for {x_name}"), remedy }
        }
        other => other,
    }
}
