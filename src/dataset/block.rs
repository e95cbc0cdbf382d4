//! Trials that are drawn and simulated together, on several threads.

use super::options::GenerateOptions;
use super::split::Split;
use crate::memory;
use crate::neuron::Trials;
use crate::simd::{SimdLevel, dispatch_on};
use crate::stimulus::{NumpyRandom, PhiloxRandom, Stream};
use crate::{Error, Result};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Values of the current in a block: 8 MB, and as much for the potentials.
pub(super) const BLOCK_VALUES: usize = 1 << 20;

/// Trials that a thread takes at a time: a multiple of the lanes of every vector.
const TASK_TRIALS: usize = 16;

/// After this many spiking trials in a row, generation fails: the parameters yield no subthreshold trial.
pub(super) const HOPELESS: usize = 1000;

/// Number of trials in a block, for samples with the given number of steps.
pub(super) fn block_trials(steps: usize) -> usize {
    (BLOCK_VALUES / steps).max(TASK_TRIALS)
}

/// Checks that two blocks of trials fit in memory: one is simulated while the other is written.
pub(super) fn check_memory(options: &GenerateOptions, [training, test]: [[usize; 3]; 2]) -> Result<()> {
    let durations = [("duration_ms", options.duration_ms), ("test_duration_ms", options.test_duration_ms)];
    for ((name, duration_ms), [samples, steps, _]) in durations.into_iter().zip([training, test]) {
        let samples = options.shard.map_or(samples, |shard| shard.samples(samples).len());
        let values = 4 * samples.min(block_trials(steps)) as u128 * steps as u128;
        memory::check::<f64>(values, |shortage| Error::parameter(name, duration_ms, shortage))?;
    }
    Ok(())
}

/// The outcome of a trial.
#[derive(Debug, Clone, Default)]
pub(super) struct Trial {
    /// Only the first spike, if the trial is dropped because of it.
    pub(super) spike_times_ms: Vec<f64>,
    /// Number of trials that were dropped for the same sample before.
    pub(super) dropped_before: usize,
}

/// Trials that are simulated together, one after the other in memory.
#[derive(Default)]
pub(super) struct Block {
    steps: usize,
    pub(super) currents: Vec<f64>,
    pub(super) potentials: Vec<f64>,
    pub(super) trials: Vec<Result<Trial>>,
}

impl Block {
    /// Draws and simulates trials for the given samples on several threads, while this thread runs `meanwhile`.
    pub(super) fn simulate(
        &mut self,
        split: &Split,
        samples: Range<usize>,
        random: &mut NumpyRandom,
        options: &GenerateOptions,
        meanwhile: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let count = samples.len();
        let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let task_trials = count.div_ceil(threads).min(TASK_TRIALS);
        self.reset(count, split.steps);
        let simulator = Simulator { options, split: split.number as u32, steps: split.steps };
        // NumPy's stream is a sequence: a thread draws the currents of its trials before the next thread takes trials.
        let queue = Mutex::new((self.tasks(samples.start, task_trials), random));
        let next_task = || -> Option<Task> {
            let (tasks, random) = &mut *queue.lock().unwrap_or_else(PoisonError::into_inner);
            let task = tasks.next()?;
            if options.stream == Stream::Numpy {
                task.currents.chunks_mut(split.steps).for_each(|trace| options.current.fill(trace, *random));
            }
            Some(task)
        };
        let run = || {
            while let Some(task) = next_task() {
                simulator.run(task);
            }
        };
        std::thread::scope(|scope| {
            for nth in 0..threads.min(count.div_ceil(task_trials)) {
                let started = std::thread::Builder::new().spawn_scoped(scope, run);
                if let Err(reason) = started {
                    // Those that have started do all the work.
                    if nth == 0 {
                        return Err(Error::parameter("threads", threads, format!("cannot start one: {reason}")));
                    }
                    break;
                }
            }
            meanwhile()
        })
    }

    fn reset(&mut self, count: usize, steps: usize) {
        self.steps = steps;
        self.currents.resize(count * steps, 0.0);
        self.potentials.resize(count * steps, 0.0);
        self.trials = (0..count).map(|_| Ok(Trial::default())).collect();
    }

    fn tasks(&mut self, first_sample: usize, task_trials: usize) -> impl Iterator<Item = Task<'_>> {
        let currents = self.currents.chunks_mut(task_trials * self.steps);
        let potentials = self.potentials.chunks_mut(task_trials * self.steps);
        let trials = self.trials.chunks_mut(task_trials);
        (first_sample..)
            .step_by(task_trials)
            .zip(currents)
            .zip(potentials)
            .zip(trials)
            .map(|(((first_sample, currents), potentials), trials)| Task { first_sample, currents, potentials, trials })
    }

    /// The values of the trials that are there: drawn ones, or those left by [`Block::drop_spiking`].
    pub(super) fn kept<'a>(&self, values: &'a [f64]) -> &'a [f64] {
        &values[..self.trials.len() * self.steps]
    }

    /// Removes spiking trials and closes the gaps. Fails with the first trial that could not be simulated.
    pub(super) fn drop_spiking(&mut self, options: &GenerateOptions) -> std::result::Result<(), (usize, Error)> {
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

/// Trials that a thread takes at a time.
struct Task<'a> {
    first_sample: usize,
    currents: &'a mut [f64],
    potentials: &'a mut [f64],
    /// Filled in by the thread.
    trials: &'a mut [Result<Trial>],
}

/// Draws and simulates trials of one split.
struct Simulator<'a> {
    options: &'a GenerateOptions,
    split: u32,
    steps: usize,
}

impl Simulator<'_> {
    fn run(&self, Task { first_sample, currents, potentials, trials }: Task) {
        if self.options.stream == Stream::Philox {
            let traces = currents.chunks_mut(self.steps).enumerate();
            traces.for_each(|(i, trace)| self.draw(trace, first_sample + i, 0));
        }
        let spikes = match self.simulate(currents, potentials) {
            Ok(spikes) => spikes,
            Err(error) => {
                trials[0] = Err(error);
                return;
            }
        };
        let rows = currents.chunks_mut(self.steps).zip(potentials.chunks_mut(self.steps));
        for (i, ((trial, spikes), (current, potential))) in trials.iter_mut().zip(spikes).zip(rows).enumerate() {
            *trial = self.redraw_while_spiking(first_sample + i, current, potential, spikes);
        }
    }

    /// Draws a current from the stream philox.
    fn draw(&self, trace: &mut [f64], sample: usize, dropped_before: usize) {
        let mut random = PhiloxRandom::trial(self.options.seed, self.split, sample as u64, dropped_before as u32);
        self.options.current.fill(trace, &mut random);
    }

    /// Simulates the potentials for some currents. Returns the spike times of each trial.
    fn simulate(&self, currents: &[f64], potentials: &mut [f64]) -> Result<Vec<Result<Vec<f64>>>> {
        let GenerateOptions { neuron, current, resolution_ms, keep_spiking, .. } = self.options;
        let timing = neuron.timing(current.dt_ms, *resolution_ms)?;
        let currents: Vec<&[f64]> = currents.chunks(self.steps).collect();
        let mut potentials: Vec<&mut [f64]> = potentials.chunks_mut(self.steps).collect();
        let (currents, potentials) = (&currents[..], &mut potentials[..]);
        let trials = Trials { neuron, timing, currents, potentials, keep_spiking: *keep_spiking };
        Ok(dispatch_on(SimdLevel::best(), trials))
    }

    /// With the stream philox, draws a sample again until the neuron does not spike.
    fn redraw_while_spiking(
        &self,
        sample: usize,
        current: &mut [f64],
        potential: &mut [f64],
        mut spikes: Result<Vec<f64>>,
    ) -> Result<Trial> {
        let may_redraw = self.options.stream == Stream::Philox && !self.options.keep_spiking;
        let mut dropped_before = 0;
        while may_redraw && spikes.as_ref().is_ok_and(|times| !times.is_empty()) {
            dropped_before += 1;
            if dropped_before == HOPELESS {
                return Err(hopeless(self.options));
            }
            self.draw(current, sample, dropped_before);
            spikes = self.simulate(current, potential).and_then(|mut spikes| spikes.remove(0));
        }
        spikes.map(|spike_times_ms| Trial { spike_times_ms, dropped_before })
    }
}

pub(super) fn hopeless(options: &GenerateOptions) -> Error {
    let remedy = format!("the neuron spiked in {HOPELESS} trials in a row: give a weaker current or shorter trials");
    Error::parameter("OrnsteinUhlenbeck::sigma", options.current.sigma, remedy)
}
