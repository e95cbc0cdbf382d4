//! Training, evaluation and prediction: Keras' `fit`, `evaluate` and `predict`.
//!
//! The loss is the mean squared error plus the penalty `l2 * sum(w^2)` of the convolutions' weights, the optimiser Adam in
//! Keras' form, all in 32-bit numbers.
//!
//! A batch is cut into micro-batches of a few thousand time steps, whatever the number of threads; the sums of each are
//! computed on one thread and added up in order. So the results are the same bits for any number of threads.
//!
//! What is done between epochs (stopping early, keeping the best weights, changing the learning rate, going on after an
//! interruption) is a list of [`Callback`]s.
//!
//! **libtorch's own threads.** While one of these methods runs on a CPU, its workers set libtorch's number of threads to 1:
//! a setting of the whole process, in which other code that uses libtorch at that time may see 1. It is put back at the
//! end.

mod backup;
mod callbacks;
mod fused;
mod history;
mod libtorch;
#[cfg(test)]
mod reference;
mod workers;

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use ndarray::Array3;
use rand_mt::Mt64;

pub use callbacks::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, LearningRateScheduler, ModelCheckpoint, Monitor,
    ReduceLrOnPlateau,
};
pub use history::History;

use callbacks::Callbacks;
use workers::Run;

use crate::model::{Adam, Device, Model, ModelOptions, Variable};
use crate::progress::Progress;
use crate::{Error, Result};

/// Time steps of a micro-batch for libtorch: small enough for its arrays to stay in the cache, large enough to keep the cost
/// per call small.
const MICRO_BATCH_STEPS: usize = 10_000;
/// Time steps of a micro-batch for the fused engine, to which calls cost little: small enough for all threads to end a batch at
/// the same time.
const FUSED_MICRO_BATCH_STEPS: usize = 2_000;
/// Numbers of a micro-batch, which bounds the steps of models with many channels.
const MICRO_BATCH_NUMBERS: usize = 1 << 22;
/// An accelerator needs more work at a time than a CPU's cache holds.
const ACCELERATOR_MICRO_BATCHES: usize = 64;

/// How [`Model::fit`] trains. `Default` is Keras' default.
///
/// ```
/// use hhnet::training::FitOptions;
/// let options = FitOptions { batch_size: 100, epochs: 100, ..FitOptions::default() };
/// assert!(options.shuffle);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// Samples per training step; the last batch of an epoch has what is left.
    pub batch_size: usize,
    /// Passes over the data.
    pub epochs: usize,
    /// Whether the samples are put into a new order before each epoch.
    pub shuffle: bool,
    /// Seed of the order. The order depends on the seed and the model's count of training steps: training that goes on
    /// from a weights file has the order that it would have had without the interruption.
    pub seed: u64,
    /// Threads, on a CPU; `None` is all that the process may use. The results do not depend on it.
    pub threads: Option<usize>,
    /// Where the lines about the epochs go.
    pub progress: Progress,
    /// What is done between the epochs beside training.
    pub callbacks: Vec<Callback>,
}

impl Default for FitOptions {
    fn default() -> Self {
        FitOptions {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            seed: 1,
            threads: None,
            progress: Progress::Silent,
            callbacks: Vec::new(),
        }
    }
}

/// What [`Model::evaluate`] finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean squared error plus the penalty on the convolutions' weights.
    pub loss: f64,
    /// Mean squared error, in the square of `y`'s unit.
    pub mse: f64,
}

/// Units of a layer that are 0 whatever the input, as [`Model::dead_units`] finds them. `Display` tells what to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadUnits {
    /// The layer's name, such as `conv1d_1`.
    pub layer: String,
    /// The units' numbers, counted from 0.
    pub units: Vec<usize>,
    /// How many units the layer has.
    pub of: usize,
}

impl fmt::Display for DeadUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeadUnits { layer, units, of } = self;
        let count = units.len();
        let so = if count == *of { "the output is the same for every input" } else { "they do not learn any more" };
        write!(
            f,
            "{layer}: {count} of {of} units are 0 at every step: {so}; try another seed, or a lower learning rate"
        )
    }
}

impl Model {
    /// Trains the model on `x`, shape (samples, steps, channels), and `y`, shape (samples, steps, 1), and tests it after each
    /// epoch on the validation data, if given: a pair of such arrays, of any number of samples and steps.
    ///
    /// Loss and mse of an epoch are means over its samples while the weights change, as in Keras; those of the validation are
    /// computed at the epoch's end. Repeated calls go on: the optimiser keeps its state.
    ///
    /// With [`Progress::Stdout`] or [`Progress::Stderr`] an epoch's line reads
    /// `Epoch  12/100 - 1.9s - loss: 2807.2612 - mse: 2806.8134 - val_loss: 1579.2211 - val_mse: 1578.7712 - 2m 47s left`.
    /// Epochs that end within a second of the last line get none, except the first and the last. What callbacks have to say
    /// comes in lines of its own, as do dead units: see [`Model::dead_units`].
    ///
    /// # Errors
    /// If shapes do not fit, a value is not finite, an option is outside its range, or a callback cannot write its file. If
    /// the loss stops being finite, the message names epoch, batch and learning rate, and the model keeps weights and
    /// optimiser state of the last epoch that ended well; for the history of the epochs before, add
    /// [`Callback::TerminateOnNan`] or a [`CsvLogger`].
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// use hhnet::ndarray::Array3;
    /// use hhnet::training::FitOptions;
    /// let x = Array3::from_shape_fn((8, 50, 1), |(i, t, _)| ((i * 50 + t) as f64 * 0.1).sin());
    /// let y = x.mapv(|x| 2.0 * x - 60.0);
    /// let mut model = generate_model(&ModelOptions::default())?;
    /// let history = model.fit(&x, &y, None, &FitOptions { epochs: 2, ..FitOptions::default() })?;
    /// assert!(history.loss[1] < history.loss[0]);
    ///
    /// let error = model.fit(&x, &y, None, &FitOptions { epochs: 0, ..FitOptions::default() }).unwrap_err();
    /// assert_eq!(error.to_string(), "epochs = 0: give 1 or more");
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn fit(
        &mut self,
        x: &Array3<f64>,
        y: &Array3<f64>,
        validation: Option<(&Array3<f64>, &Array3<f64>)>,
        options: &FitOptions,
    ) -> Result<History> {
        for (name, value) in [("batch_size", options.batch_size), ("epochs", options.epochs)] {
            if value == 0 {
                return Err(Error::parameter(name, value, "give 1 or more"));
            }
        }
        let threads = self.threads(options.threads)?;
        let train = Samples::new(self, x, Some(y), ["x", "y"])?;
        let validation = match validation {
            Some((x, y)) => Some(Samples::new(self, x, Some(y), ["validation x", "validation y"])?),
            None => None,
        };
        let mut callbacks = Callbacks::new(&options.callbacks, validation.is_some())?;
        let backup =
            callbacks.backup().map(|backup| (backup, backup::describe_run(self, &train, validation.as_ref(), options)));
        let mut history = History::default();
        let is_resumed = backup.as_ref().is_some_and(|(backup, _)| backup.path.exists());
        if let Some((backup, run)) = backup.as_ref().filter(|_| is_resumed) {
            (history, callbacks.states) = backup::restore(&backup.path, self, run, options.callbacks.len())?;
        }
        callbacks.begin(&history, is_resumed)?;
        if let Some((backup, run)) = backup.as_ref().filter(|_| !is_resumed) {
            // From now on the callbacks' files are this training's own.
            backup::save(&backup.path, self, run, &history, &callbacks.states)?;
        }

        let engine = Arithmetic::new(self);
        let epochs = Epochs {
            engine: &engine,
            penalty: Penalty::new(self, &engine.variables),
            train: &train,
            micro_batch: engine.micro_batch_samples(train.steps, options.batch_size),
            segments: validation.as_ref().map_or(Vec::new(), |samples| engine.segments(samples)),
            validation: validation.as_ref(),
            options,
        };
        let mut told = history.notes.len();
        let tell = |history: &History, told: &mut usize| {
            history.notes[*told..].iter().for_each(|note| options.progress.line(format_args!("{note}")));
            *told = history.notes.len();
        };
        let work = |job: &Job, part: usize| epochs.work(job, part);
        workers::with_workers(threads, engine.device, &work, &mut |run| {
            let mut lines = Lines::new(options, history.len());
            for epoch in history.len() + 1..=options.epochs {
                if let Some(rate) = callbacks.rate(epoch - 1) {
                    self.set_learning_rate(rate)?;
                }
                let start = Instant::now();
                // Copies: the model keeps its own until the epoch has ended well.
                let (mut weights, mut adam) = (self.values()?, self.adam.clone());
                let rate = adam.learning_rate();
                let (training, validation) = match epochs.epoch(epoch, &mut weights, &mut adam, run) {
                    Err(error @ Error::NotFinite { .. }) if callbacks.terminates_on_nan() => {
                        history.notes.push(format!("stopped: {error}"));
                        break;
                    }
                    result => result?,
                };
                self.set_values(&weights)?;
                self.adam = adam;
                history.push(training, validation, start.elapsed().as_secs_f64());
                if callbacks.changes_rate() {
                    history.learning_rate.push(rate);
                }
                let stop = callbacks.epoch_end(self, &mut history)?;
                if let Some(line) = lines.epoch(&history, stop) {
                    options.progress.line(format_args!("{line}"));
                }
                tell(&history, &mut told);
                if stop {
                    break;
                }
                if let Some((backup, run)) = &backup {
                    backup::save(&backup.path, self, run, &history, &callbacks.states)?;
                }
            }
            Ok(())
        })?;
        callbacks.end(self, &mut history)?;
        history.notes.extend(self.dead_units_in(&engine, &train)?.into_iter().map(|dead| dead.to_string()));
        tell(&history, &mut told);
        Ok(history)
    }

    /// Loss and mean squared error on `x`, shape (samples, steps, channels), and `y`, shape (samples, steps, 1), of any
    /// number of samples and steps.
    ///
    /// # Errors
    /// If shapes do not fit or a value is not finite.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// use hhnet::ndarray::Array3;
    /// let model = generate_model(&ModelOptions { l2: 0.0, ..ModelOptions::default() })?;
    /// let (x, y) = (Array3::zeros((3, 100, 1)), Array3::from_elem((3, 100, 1), 2.0));
    /// assert_eq!(model.evaluate(&x, &y)?.mse, 4.0);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn evaluate(&self, x: &Array3<f64>, y: &Array3<f64>) -> Result<Evaluation> {
        let samples = Samples::new(self, x, Some(y), ["x", "y"])?;
        let engine = Arithmetic::new(self);
        let weights = self.values()?;
        let segments = engine.segments(&samples);
        let work = |_: &(), part: usize| engine.squared_error(&weights, &samples, &segments[part]);
        let mut error = 0.0;
        workers::with_workers(self.threads(None)?, engine.device, &work, &mut |run| {
            run((), segments.len()).into_iter().try_for_each(|part| {
                error += part?;
                Ok(())
            })
        })?;
        let mse = error / samples.y.len() as f64;
        Ok(Evaluation { loss: mse + Penalty::new(self, &engine.variables).value(&weights), mse })
    }

    /// The network's output for `x`, shape (samples, steps, channels): shape (samples, steps, 1). Any length will do; memory
    /// is needed for input, output and a few segments.
    ///
    /// # Errors
    /// If the shape does not fit or a value is not finite.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// use hhnet::ndarray::Array3;
    /// let model = generate_model(&ModelOptions::default())?;
    /// assert_eq!(model.predict(&Array3::zeros((2, 70, 1)))?.dim(), (2, 70, 1));
    /// assert!(model.predict(&Array3::zeros((2, 70, 3))).is_err());
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn predict(&self, x: &Array3<f64>) -> Result<Array3<f64>> {
        let samples = Samples::new(self, x, None, ["x", ""])?;
        let engine = Arithmetic::new(self);
        let weights = self.values()?;
        let segments = engine.segments(&samples);
        let work = |_: &(), part: usize| engine.predict(&weights, &samples, &segments[part]);
        let mut y = Array3::zeros((samples.count, samples.steps, 1));
        workers::with_workers(self.threads(None)?, engine.device, &work, &mut |run| {
            // Segments are in the order of the result, sample by sample and step by step.
            let mut values = y.iter_mut();
            for part in run((), segments.len()) {
                part?.into_iter().zip(&mut values).for_each(|(part, value)| *value = f64::from(part));
            }
            Ok(())
        })?;
        Ok(y)
    }

    /// The ReLU units that are 0 at every step of `x`, shape (samples, steps, channels), for each layer that has any.
    ///
    /// Such a unit does not learn any more, as its gradient is 0 too. `fit` looks for them at its end.
    ///
    /// # Errors
    /// If the shape does not fit or a value is not finite.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// use hhnet::ndarray::Array3;
    /// let mut model = generate_model(&ModelOptions::default())?;
    /// let mut weights = model.get_weights()?;
    /// weights[3][[0]] = -100.0;
    /// model.set_weights(&weights)?;
    /// let dead = model.dead_units(&Array3::ones((2, 50, 1)))?;
    /// assert!(dead.iter().any(|dead| dead.layer == "conv1d_1" && dead.units.contains(&0)));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn dead_units(&self, x: &Array3<f64>) -> Result<Vec<DeadUnits>> {
        let samples = Samples::new(self, x, None, ["x", ""])?;
        self.dead_units_in(&Arithmetic::new(self), &samples)
    }

    fn dead_units_in(&self, engine: &Arithmetic, samples: &Samples) -> Result<Vec<DeadUnits>> {
        let layers: Vec<&Variable> = engine.variables.iter().filter(|variable| variable.shape.len() == 3).collect();
        let weights = self.values()?;
        let mut alive: Vec<Vec<bool>> = layers.iter().map(|layer| vec![false; layer.shape[2]]).collect();
        for segment in engine.segments(samples) {
            // As a rule all units are found alive in the first sample.
            if alive.iter().flatten().all(|&alive| alive) {
                break;
            }
            engine.find_active(&weights, samples, &segment, &mut alive)?;
        }
        let dead = layers.iter().zip(alive).map(|(layer, alive)| DeadUnits {
            layer: layer.layer.clone(),
            units: (0..alive.len()).filter(|&unit| !alive[unit]).collect(),
            of: alive.len(),
        });
        Ok(dead.filter(|dead| !dead.units.is_empty()).collect())
    }

    fn threads(&self, threads: Option<usize>) -> Result<usize> {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        match threads {
            Some(0) => Err(Error::parameter("threads", 0, "give 1 or more")),
            // More do not fail, but each costs memory.
            Some(threads) if threads > 1024 => Err(Error::parameter("threads", threads, "give at most 1024")),
            _ if self.options().device != Device::Cpu => Ok(1),
            Some(threads) => Ok(threads),
            None => Ok(all()),
        }
    }
}

/// A data set in the network's precision, sample by sample.
struct Samples {
    x: Vec<f32>,
    /// Empty for a prediction.
    y: Vec<f32>,
    count: usize,
    steps: usize,
    channels: usize,
}

impl Samples {
    fn new(model: &Model, x: &Array3<f64>, y: Option<&Array3<f64>>, names: [&str; 2]) -> Result<Self> {
        let (count, steps, channels) = x.dim();
        let shape_error = |what: &str, expected: String, found: (usize, usize, usize), remedy: &str| Error::Shape {
            what: what.to_string(),
            expected,
            found: format!("{found:?}"),
            remedy: remedy.to_string(),
        };
        let expected = model.options().input_channels;
        if channels != expected {
            let remedy = "the last axis is the values per time step";
            return Err(shape_error(names[0], format!("(samples, steps, {expected})"), x.dim(), remedy));
        }
        if count == 0 || steps == 0 {
            let remedy = "there must be a sample and a time step";
            return Err(shape_error(names[0], format!("(1 or more, 1 or more, {expected})"), x.dim(), remedy));
        }
        if let Some(y) = y.filter(|y| y.dim() != (count, steps, 1)) {
            let remedy = format!("as many samples and steps as {}, one value each", names[0]);
            return Err(shape_error(names[1], format!("({count}, {steps}, 1)"), y.dim(), &remedy));
        }
        let floats = |name: &str, values: &Array3<f64>| -> Result<Vec<f32>> {
            let mut floats = Vec::with_capacity(values.len());
            for &value in values {
                let float = value as f32;
                if !float.is_finite() {
                    let (channels, index) = (values.dim().2, floats.len());
                    let (sample, step) = (index / channels / steps, index / channels % steps);
                    return Err(Error::NotFinite {
                        what: name.to_string(),
                        value,
                        place: format!("index [{sample}, {step}, {}]", index % channels),
                        remedy: "give finite 32-bit numbers; repair or drop the sample".to_string(),
                    });
                }
                floats.push(float);
            }
            Ok(floats)
        };
        let x = floats(names[0], x)?;
        let y = y.map_or(Ok(Vec::new()), |y| floats(names[1], y))?;
        Ok(Samples { x, y, count, steps, channels })
    }
}

/// Consecutive samples, or a stretch of one sample.
#[derive(Debug, Clone, PartialEq)]
struct Segment {
    samples: Range<usize>,
    steps: Range<usize>,
}

/// What the threads do during training, all with the same weights.
struct Job {
    weights: Vec<f32>,
    /// The samples of a batch, of which each part takes a micro-batch; `None` for the validation, of which each takes a segment.
    rows: Option<Vec<usize>>,
}

/// What all epochs have in common.
struct Epochs<'a> {
    engine: &'a Arithmetic,
    penalty: Penalty,
    train: &'a Samples,
    /// Samples of a micro-batch.
    micro_batch: usize,
    validation: Option<&'a Samples>,
    segments: Vec<Segment>,
    options: &'a FitOptions,
}

impl Epochs<'_> {
    /// Sum of squared errors of a part of the job, and its gradient in training.
    fn work(&self, job: &Job, part: usize) -> Result<(f64, Vec<f32>)> {
        match (&job.rows, self.validation) {
            (Some(rows), _) => {
                let rows = &rows[part * self.micro_batch..rows.len().min((part + 1) * self.micro_batch)];
                self.engine.gradient(&job.weights, self.train, rows)
            }
            (None, Some(samples)) => {
                Ok((self.engine.squared_error(&job.weights, samples, &self.segments[part])?, Vec::new()))
            }
            (None, None) => Ok((0.0, Vec::new())),
        }
    }

    /// Trains for an epoch; what was found during it, and on the validation data at its end.
    fn epoch(
        &self,
        epoch: usize,
        weights: &mut [f32],
        adam: &mut Adam,
        run: &mut Run<'_, Job, Result<(f64, Vec<f32>)>>,
    ) -> Result<(Evaluation, Option<Evaluation>)> {
        let rate = adam.learning_rate();
        let diverged = |what: &str, value: f64, place: String| Error::NotFinite {
            what: what.to_string(),
            value,
            place: format!("epoch {epoch}, {place}, learning rate {rate}"),
            remedy: "lower the learning rate; the model keeps the weights from before this epoch".to_string(),
        };
        let order = order(self.train.count, self.options, adam.iterations);
        let (mut loss_sum, mut mse_sum) = (0.0, 0.0);
        for (batch, rows) in order.chunks(self.options.batch_size).enumerate() {
            let job = Job { weights: weights.to_vec(), rows: Some(rows.to_vec()) };
            let mut error = 0.0;
            let mut gradient = vec![0.0_f64; weights.len()];
            for result in run(job, rows.len().div_ceil(self.micro_batch)) {
                let (part_error, part_gradient) = result?;
                error += part_error;
                gradient.iter_mut().zip(part_gradient).for_each(|(sum, part)| *sum += f64::from(part));
            }
            let count = (rows.len() * self.train.steps) as f64;
            let mse = error / count;
            let loss = mse + self.penalty.value(weights);
            let place = || format!("batch {}", batch + 1);
            if !loss.is_finite() {
                return Err(diverged("loss", loss, place()));
            }
            let gradient = self.penalty.add_gradient(weights, &gradient, count);
            adam.step(weights, &gradient);
            if let Some(&weight) = weights.iter().find(|weight| !weight.is_finite()) {
                return Err(diverged("a weight", f64::from(weight), place()));
            }
            loss_sum += loss * rows.len() as f64;
            mse_sum += mse * rows.len() as f64;
        }
        let count = self.train.count as f64;
        let training = Evaluation { loss: loss_sum / count, mse: mse_sum / count };
        let Some(samples) = self.validation else { return Ok((training, None)) };
        let mut error = 0.0;
        for part in run(Job { weights: weights.to_vec(), rows: None }, self.segments.len()) {
            error += part?.0;
        }
        let mse = error / samples.y.len() as f64;
        let loss = mse + self.penalty.value(weights);
        if !loss.is_finite() {
            return Err(diverged("val_loss", loss, "validation".to_string()));
        }
        Ok((training, Some(Evaluation { loss, mse })))
    }
}

/// The network's arithmetic on a micro-batch, in [`fused`] or in [`libtorch`].
struct Arithmetic {
    variables: Vec<Variable>,
    device: Device,
    fused: Option<fused::Network>,
}

impl Arithmetic {
    fn new(model: &Model) -> Self {
        let ModelOptions { device, engine, instructions, .. } = *model.options();
        let variables = model.variables();
        let fused = engine.is_fused(device).then(|| fused::Network::new(&variables, instructions));
        Arithmetic { variables, device, fused }
    }

    /// Sum of squared errors of some samples, and its gradient with respect to all weights.
    fn gradient(&self, weights: &[f32], samples: &Samples, rows: &[usize]) -> Result<(f64, Vec<f32>)> {
        match &self.fused {
            Some(fused) => Ok(fused.gradient(weights, samples, rows)),
            None => self.libtorch_gradient(weights, samples, rows),
        }
    }

    /// The output for a segment.
    fn predict(&self, weights: &[f32], samples: &Samples, segment: &Segment) -> Result<Vec<f32>> {
        match &self.fused {
            Some(fused) => Ok(fused.predict(weights, samples, segment, self.reach())),
            None => self.libtorch_predict(weights, samples, segment),
        }
    }

    /// Time steps of a micro-batch.
    fn micro_batch_steps(&self) -> usize {
        let numbers_per_step: usize = self
            .variables
            .iter()
            .map(|variable| match variable.shape[..] {
                [kernel_size, input, _] => kernel_size.saturating_mul(input),
                _ => variable.shape[0],
            })
            .sum();
        let steps = if self.fused.is_some() { FUSED_MICRO_BATCH_STEPS } else { MICRO_BATCH_STEPS };
        let steps = steps.min(MICRO_BATCH_NUMBERS / numbers_per_step).max(1);
        if self.device == Device::Cpu { steps } else { ACCELERATOR_MICRO_BATCHES * steps }
    }

    /// Samples of a micro-batch. On an accelerator it is the whole batch.
    fn micro_batch_samples(&self, steps: usize, batch_size: usize) -> usize {
        if self.device == Device::Cpu { (self.micro_batch_steps() / steps).max(1) } else { batch_size }
    }

    /// The data in segments: several samples where they are short, stretches of one where they are long.
    fn segments(&self, samples: &Samples) -> Vec<Segment> {
        let length = self.micro_batch_steps();
        let group = (length / samples.steps).max(1);
        let mut segments = Vec::new();
        for first in (0..samples.count).step_by(group) {
            let group = first..samples.count.min(first + group);
            for start in (0..samples.steps).step_by(length) {
                segments.push(Segment { samples: group.clone(), steps: start..samples.steps.min(start + length) });
            }
        }
        segments
    }

    /// Steps before and after a step that its output depends on.
    fn reach(&self) -> (usize, usize) {
        let kernels = self.variables.iter().filter(|variable| variable.shape.len() == 3);
        kernels.map(|kernel| kernel.shape[0] - 1).fold((0, 0), |(left, right), total| {
            let before = total / 2;
            (left + before, right + total - before)
        })
    }

    fn squared_error(&self, weights: &[f32], samples: &Samples, segment: &Segment) -> Result<f64> {
        let predicted = self.predict(weights, samples, segment)?;
        let mut predicted = predicted.iter();
        let mut sum = 0.0;
        for sample in segment.samples.clone() {
            let start = sample * samples.steps;
            let y = &samples.y[start + segment.steps.start..start + segment.steps.end];
            sum += y.iter().zip(&mut predicted).map(|(&y, &p)| f64::from(p - y) * f64::from(p - y)).sum::<f64>();
        }
        Ok(sum)
    }
}

/// The factor and the extent of the penalty on the convolutions' weights.
struct Penalty {
    l2: f64,
    /// The convolutions' weights are the first so many.
    count: usize,
}

impl Penalty {
    fn new(model: &Model, variables: &[Variable]) -> Self {
        let count = variables.iter().rev().nth(1).map_or(0, |kernel| kernel.range.start);
        Penalty { l2: model.options().l2, count }
    }

    fn value(&self, weights: &[f32]) -> f64 {
        self.l2 * weights[..self.count].iter().map(|&weight| f64::from(weight) * f64::from(weight)).sum::<f64>()
    }

    /// The gradient of the loss from that of the sum of squared errors over `count` values.
    fn add_gradient(&self, weights: &[f32], gradient: &[f64], count: f64) -> Vec<f32> {
        let parts = weights.iter().zip(gradient).enumerate();
        parts
            .map(|(i, (&weight, &part))| {
                let decay = if i < self.count { 2.0 * self.l2 * f64::from(weight) } else { 0.0 };
                (part / count + decay) as f32
            })
            .collect()
    }
}

/// The order of the samples in an epoch that starts after so many training steps.
fn order(count: usize, options: &FitOptions, iterations: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if options.shuffle {
        // Fisher and Yates' shuffle. The high word of the product is uniform to within count / 2^64.
        let mut random = Mt64::new_with_key([options.seed, iterations]);
        for i in (1..count).rev() {
            let j = (u128::from(random.next_u64()) * (i as u128 + 1)) >> 64;
            order.swap(i, j as usize);
        }
    }
    order
}

/// The lines about the epochs.
struct Lines {
    epochs: usize,
    /// Epochs from before an interruption.
    before: usize,
    start: Instant,
    last: Option<Instant>,
}

impl Lines {
    fn new(options: &FitOptions, before: usize) -> Self {
        Lines { epochs: options.epochs, before, start: Instant::now(), last: None }
    }

    /// The line about the last epoch in `history`, unless there was one within a second. The last of all is always due.
    fn epoch(&mut self, history: &History, stop: bool) -> Option<String> {
        let epoch = history.len();
        let is_last = stop || epoch == self.epochs;
        let is_due = self.last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
        if !is_due && !is_last {
            return None;
        }
        self.last = Some(Instant::now());
        let line = history.line(epoch, self.epochs);
        if is_last {
            return Some(line);
        }
        let per_epoch = self.start.elapsed().as_secs_f64() / (epoch - self.before) as f64;
        let left = per_epoch * (self.epochs - epoch) as f64;
        Some(format!("{line} - {} left", history::duration(left)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_first_the_last_and_few_a_second() {
        let options = FitOptions { epochs: 100, ..FitOptions::default() };
        let mut lines = Lines::new(&options, 0);
        let mut history = History::default();
        let mut printed = Vec::new();
        for epoch in 1..=100 {
            if epoch == 50 {
                // As if the last line had been printed a while ago.
                lines.last = Instant::now().checked_sub(Duration::from_secs(2));
            }
            let result = Evaluation { loss: 2807.26123, mse: 0.0004 };
            history.push(result, Some(result), 1.94);
            printed.extend(lines.epoch(&history, false));
        }
        let end = "100 - 1.9s - loss: 2807.2612 - mse: 4.0000e-4 - val_loss: 2807.2612 - val_mse: 4.0000e-4";
        let expected =
            [format!("Epoch   1/{end} - 0s left"), format!("Epoch  50/{end} - 0s left"), format!("Epoch 100/{end}")];
        assert_eq!(printed, expected);
    }

    #[test]
    fn an_order_holds_each_sample_once() {
        for count in [1, 2, 3, 100] {
            let mut order = order(count, &FitOptions::default(), 5);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..count));
        }
        // Each of the 6 orders of 3 comes up about 1000 times.
        let mut counts = std::collections::BTreeMap::new();
        for iterations in 0..6000 {
            *counts.entry(order(3, &FitOptions::default(), iterations)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
