//! Training, evaluation and prediction: Keras' `fit`, `evaluate` and `predict`.
//!
//! The loss is the mean squared error plus the layers' penalties `l2 * sum(w^2)` on their weights. The optimiser is Adam
//! in Keras' form. All computation is in 32-bit numbers.
//!
//! A batch is cut into micro-batches of a few thousand time steps, whatever the number of threads. Each micro-batch is
//! computed on one thread, and their sums are added in order. The results are therefore the same bits for any number of
//! threads.
//!
//! Everything that happens between epochs (stopping early, keeping the best weights, changing the learning rate,
//! resuming after an interruption) is a list of [`Callback`]s.
//!
//! **libtorch's own threads.** While one of these methods runs on a CPU, its workers set libtorch's number of threads
//! to 1. This setting belongs to the whole process, so other code that uses libtorch at that time may see it. The
//! number is restored at the end.

mod backup;
mod callbacks;
mod epoch;
mod executor;
mod fit;
mod fused;
mod history;
mod libtorch;
#[cfg(test)]
mod reference;
mod samples;
mod workers;

use std::fmt;
use std::path::Path;

use ndarray::Array3;

pub use callbacks::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, LearningRateScheduler, ModelCheckpoint, Monitor,
    ReduceLrOnPlateau,
};
pub use history::History;

use epoch::{Epochs, Penalty, Task};
use executor::Executor;
use fit::Training;
use samples::{Data, Part};
use workers::{AHEAD, with_workers};

use crate::dataset::{SampleWriter, Source};
use crate::interrupt::Interrupts;
use crate::memory;
use crate::model::Model;
use crate::progress::Progress;
use crate::{Error, Result};

/// What an interrupt of other work than `fit` means.
const NO_RESULT: &str = "there is no result, and no file has changed";

/// How [`Model::fit`] trains. `Default` is Keras' default.
///
/// ```
/// use hhnet::training::FitOptions;
/// let options = FitOptions { batch_size: 100, epochs: 100, ..FitOptions::default() };
/// assert!(options.shuffle);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// Samples per training step. The last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Number of passes over the data.
    pub epochs: usize,
    /// Whether to put the samples into a new order before each epoch.
    pub shuffle: bool,
    /// Seed of the order of the samples. The order depends on this seed and on the number of training steps so far:
    /// training that continues from a weights file uses the same order as training without the interruption.
    pub seed: u64,
    /// Where to print the lines about the epochs.
    pub progress: Progress,
    /// What to do between the epochs, in this order.
    pub callbacks: Vec<Callback>,
}

impl Default for FitOptions {
    fn default() -> Self {
        FitOptions {
            batch_size: 32,
            epochs: 1,
            shuffle: true,
            seed: 1,
            progress: Progress::Silent,
            callbacks: Vec::new(),
        }
    }
}

/// The result of [`Model::evaluate`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean squared error plus the penalty on the weights.
    pub loss: f64,
    /// Mean squared error, in the square of `y`'s unit.
    pub mse: f64,
}

/// Units of a layer that are 0 for every input, as found by [`Model::dead_units`]. `Display` suggests a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadUnits {
    /// The layer's name, such as `conv1d_1`.
    pub layer: String,
    /// The indices of the dead units, counted from 0.
    pub units: Vec<usize>,
    /// Number of units in the layer.
    pub of: usize,
}

impl fmt::Display for DeadUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeadUnits { layer, units, of } = self;
        let count = units.len();
        let effect = if count == *of { "the output is the same for every input" } else { "they cannot learn" };
        write!(
            f,
            "{layer}: {count} of {of} units are 0 at every step: {effect}; try another seed or a lower learning rate"
        )
    }
}

impl Model {
    /// Trains the model on `x`, shape (samples, steps, channels), and `y`, shape (samples, steps, outputs). If validation
    /// data are given, a pair of such arrays with any number of samples and steps, the model is evaluated on them after
    /// each epoch.
    ///
    /// Data are arrays, views, or datasets in files: see [`Source`]. Large datasets need not fit in memory: their
    /// samples are read while others are computed with. The results are the same bits. An epoch takes the samples in
    /// random order, so such a dataset should be contiguous, as [`generate`](crate::dataset::generate) writes it; from
    /// a compressed one, whole chunks would be read for each sample.
    ///
    /// Loss and mse of an epoch are means over its samples while the weights change, as in Keras. Those of the
    /// validation are computed at the end of the epoch. Further calls continue the training: the optimiser keeps its
    /// state.
    ///
    /// With [`Progress::Stdout`] or [`Progress::Stderr`] the line about an epoch reads
    ///
    /// ```text
    /// Epoch  12/100 - 1.9s - loss: 2807.2612 - mse: 2806.8134 - val_loss: 1579.2211 - val_mse: 1578.7712 - 2m 47s left
    /// ```
    ///
    /// An epoch that ends within a second of the last line has no line of its own, unless it is the first or the last.
    /// Messages of callbacks and reports of dead units are separate lines: see [`Model::dead_units`].
    ///
    /// Ctrl+C, or the stop button of a notebook, ends the training after the running batch. The history then has the epochs
    /// that ended before, with [`History::interrupted`] set; the model has the weights and the optimiser state of the last of
    /// them, so that another `fit` trains on; a backup stays.
    ///
    /// # Errors
    /// If shapes do not fit, a value is not finite, an option is outside its range, or a callback cannot write its
    /// file. If the loss becomes infinite or NaN, the message contains the epoch, the batch and the learning rate. The
    /// model then keeps the weights and the optimiser state of the last epoch that ended well; if there was one, the
    /// error is [`Error::Training`], which has the history of these epochs. With [`Callback::TerminateOnNan`] it is no error.
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
        x: &dyn Source,
        y: &dyn Source,
        validation: Option<(&dyn Source, &dyn Source)>,
        options: &FitOptions,
    ) -> Result<History> {
        for (name, value) in [("batch_size", options.batch_size), ("epochs", options.epochs)] {
            if value == 0 {
                return Err(Error::parameter(name, value, "give 1 or more"));
            }
        }
        let train = Data::new(self, x, Some(y), ["x", "y"])?;
        let validation = validation.map(|(x, y)| Data::new(self, x, Some(y), ["validation x", "validation y"]));
        let validation = validation.transpose()?;

        let threads = self.threads();
        let executor = Executor::new(self);
        self.check_memory(&executor, &train, options.batch_size, true)?;
        let epochs = Epochs::new(&executor, &train, validation.as_ref(), options);
        let mut training = Training::begin(self, &train, validation.as_ref(), options)?;
        let portions = epochs.portions(training.first_epoch(), training.iterations());
        let work = |task: &Task, part: &Part| epochs.work(task, part);
        with_workers(threads, executor.device, portions, &work, &mut |compute| training.run(&epochs, compute))?;
        training.end(&executor, &train)
    }

    /// Loss and mean squared error on `x`, shape (samples, steps, channels), and `y`, shape (samples, steps, outputs),
    /// with any number of samples and steps.
    ///
    /// # Errors
    /// If shapes do not fit or a value is not finite; [`Error::Interrupted`] after Ctrl+C or the stop button.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// use hhnet::ndarray::Array3;
    /// let model = generate_model(&ModelOptions { l2: 0.0, ..ModelOptions::default() })?;
    /// let (x, y) = (Array3::<f64>::zeros((3, 100, 1)), Array3::from_elem((3, 100, 1), 2.0));
    /// assert_eq!(model.evaluate(&x, &y)?.mse, 4.0);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn evaluate(&self, x: &dyn Source, y: &dyn Source) -> Result<Evaluation> {
        let data = Data::new(self, x, Some(y), ["x", "y"])?;
        let executor = Executor::new(self);
        let weights = self.values()?;
        let mut error = 0.0;
        let work = |part: &Part| executor.squared_error(&weights, part);
        self.for_each_portion("evaluate", &executor, &data, &work, &mut |parts| {
            error = parts.into_iter().fold(error, |sum, part| sum + part);
            Ok(())
        })?;
        Ok(Penalty::new(&executor.network).evaluation(error / data.values() as f64, &weights))
    }

    /// The network's output for `x`, shape (samples, steps, channels): shape (samples, steps, outputs). Samples may have any
    /// length. Memory holds the input, the output and a few parts of them.
    ///
    /// # Errors
    /// If the shape does not fit or a value is not finite; [`Error::Interrupted`] after Ctrl+C or the stop button.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// use hhnet::ndarray::Array3;
    /// let model = generate_model(&ModelOptions::default())?;
    /// assert_eq!(model.predict(&Array3::<f64>::zeros((2, 70, 1)))?.dim(), (2, 70, 1));
    /// assert!(model.predict(&Array3::<f64>::zeros((2, 70, 3))).is_err());
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn predict(&self, x: &dyn Source) -> Result<Array3<f64>> {
        let (samples, steps, _) = x.shape();
        let values = samples as u128 * steps as u128 * self.network.outputs() as u128;
        memory::check::<f64>(values, |shortage| {
            let found = format!("{:?}", x.shape());
            Error::parameter("x", found, format!("the prediction {shortage}: predict fewer samples, or use predict_to"))
        })?;
        let mut y = Vec::with_capacity(values as usize);
        self.predict_portions(x, &mut |portion| {
            y.extend(portion);
            Ok(())
        })?;
        Ok(Array3::from_shape_vec((samples, steps, self.network.outputs()), y).expect("one value for each"))
    }

    /// Writes the network's output for `x` to a new HDF5 file, as float64 dataset `name` of shape (samples, steps,
    /// outputs) with its units as an attribute. Like [`Model::predict`], but the output is written as it is computed:
    /// it need not fit in memory.
    ///
    /// # Errors
    /// Like those of [`Model::predict`], and if the file exists and `overwrite` is not set, or cannot be written. An
    /// existing file is then unchanged.
    ///
    /// ```
    /// use hhnet::prelude::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("prediction.h5");
    /// trained_model()?.predict_to(&Array3::<f64>::zeros((2, 70, 1)), &path, "Y_pred", "mV", false)?;
    /// assert_eq!(H5Matrix::open(&path, "Y_pred")?.shape(), (2, 70, 1));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn predict_to(
        &self,
        x: &dyn Source,
        path: impl AsRef<Path>,
        name: &str,
        units: &str,
        overwrite: bool,
    ) -> Result<()> {
        let (samples, steps, _) = x.shape();
        let shape = [samples, steps, self.network.outputs()];
        let mut file = SampleWriter::create(path.as_ref(), name, shape, units, overwrite)?;
        self.predict_portions(x, &mut |portion| file.append(&portion))?;
        file.finish()
    }

    /// Calls `each` with the output, portion by portion, in order.
    fn predict_portions(&self, x: &dyn Source, each: &mut dyn FnMut(Vec<f64>) -> Result<()>) -> Result<()> {
        let data = Data::new(self, x, None, ["x", ""])?;
        let executor = Executor::new(self);
        let weights = self.values()?;
        let work = |part: &Part| executor.predict(&weights, part);
        self.for_each_portion("predict", &executor, &data, &work, &mut |parts| {
            // Parts are in the order of the result, sample by sample and step by step.
            each(parts.into_iter().flatten().map(f64::from).collect())
        })
    }

    /// Computes the portions one after the other, each on several threads, and calls `each` with the results of its
    /// parts. `what` is the name of this work in an error.
    fn for_each_portion<R: Send>(
        &self,
        what: &'static str,
        executor: &Executor,
        data: &Data,
        work: &(dyn Fn(&Part) -> Result<R> + Sync),
        each: &mut dyn FnMut(Vec<R>) -> Result<()>,
    ) -> Result<()> {
        let portions = executor.portions(data);
        let count = portions.len();
        self.check_memory(executor, data, executor.part_samples(data.steps), false)?;
        let interrupts = Interrupts::receive();
        let work = |(): &(), part: &Part| {
            interrupts.check(what, || NO_RESULT.to_string())?;
            work(part)
        };
        with_workers(self.threads(), executor.device, portions, &work, &mut |compute| {
            (0..count).try_for_each(|_| each(compute(())?))
        })
    }

    /// The output of a model with one input channel and one output for a single sample: one value for each value of `x`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the model has several input channels or outputs, or if `x` is empty; [`Error::NotFinite`] if
    /// a value is not finite as a 32-bit number.
    ///
    /// ```
    /// use hhnet::prelude::*;
    /// let predicted_mv = trained_model()?.predict_trace(&step_current(150.0, 20..120, 160))?;
    /// assert_eq!(predicted_mv.len(), 160);
    /// assert!(predicted_mv[100] > predicted_mv[10]);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn predict_trace(&self, x: &[f64]) -> Result<Vec<f64>> {
        let (inputs, outputs, found) = (self.network.inputs(), self.network.outputs(), format!("({},)", x.len()));
        if inputs != 1 {
            let remedy = "the model has several input channels: use predict";
            return Err(Error::shape("x", format!("(samples, steps, {inputs})"), found, remedy));
        }
        if outputs != 1 {
            let remedy = "the model has several outputs: use predict";
            let found = format!("(samples, steps, {outputs})");
            return Err(Error::shape("output", "(samples, steps, 1)", found, remedy));
        }
        if x.is_empty() {
            return Err(Error::shape("x", "(1 or more,)", found, "at least one time step is needed"));
        }
        if let Some(index) = x.iter().position(|&value| !(value as f32).is_finite()) {
            return Err(Error::not_finite("x", x[index], format!("index {index}"), "use finite 32-bit numbers"));
        }
        let sample = Array3::from_shape_fn((1, x.len(), 1), |(_, step, _)| x[step]);
        Ok(self.predict(&sample)?.into_iter().collect())
    }

    /// The ReLU units that are 0 at every step of `x`, shape (samples, steps, channels), for each layer that has any.
    ///
    /// Such a unit cannot learn, because its gradient is 0 too. `fit` looks for dead units at its end.
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
    /// let dead = model.dead_units(&Array3::<f64>::ones((2, 50, 1)))?;
    /// assert!(dead.iter().any(|dead| dead.layer == "conv1d_1" && dead.units.contains(&0)));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn dead_units(&self, x: &dyn Source) -> Result<Vec<DeadUnits>> {
        let data = Data::new(self, x, None, ["x", ""])?;
        let executor = Executor::new(self);
        self.check_memory(&executor, &data, executor.part_samples(data.steps), false)?;
        executor.dead_units(&self.values()?, &data)
    }

    /// Checks that there is memory for what all threads compute at a time, and for portions of `rows` samples that are
    /// read.
    fn check_memory(&self, executor: &Executor, data: &Data, rows: usize, with_gradient: bool) -> Result<()> {
        let (threads, reach) = (self.threads(), executor.network.reach());
        let stretch = executor.part_steps().saturating_add(reach.0 + reach.1);
        let steps = if with_gradient { data.steps } else { data.steps.min(stretch) };
        let bytes = threads as u128 * executor.thread_bytes(steps, with_gradient);
        let bytes = bytes + data.portions_bytes(AHEAD + 1, rows);
        memory::check::<u8>(bytes, |shortage| {
            let value = format!("samples of {} steps", data.steps);
            let remedy = format!(
                "with {} and {threads} threads this {shortage}: give shorter samples, a smaller model or fewer threads",
                self.sequential()
            );
            Error::parameter("x", value, remedy)
        })
    }

    /// The number of threads to use.
    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}
