//! `train`: fits a new network to a data file.

use crate::Output;
use crate::evaluate::validation_rows;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hhnet::dataset::H5Matrix;
use hhnet::model::{Activation, Engine, Model, ModelOptions, Padding, device, generate_model};
use hhnet::progress::Progress;
use hhnet::training::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, FitOptions, History, LearningRateScheduler, ModelCheckpoint,
    ReduceLrOnPlateau,
};
use hhnet::{Error, Result};
use hhnet_cli::failure::check_different;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The most learning rates of a schedule.
const MAX_RATES: usize = 1_000_000;

#[derive(Args)]
pub struct Train {
    /// The data file
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The file to write. Its name ends in .weights.h5 or .keras (Keras' formats) or .safetensors
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// CSV file for loss and error of each epoch, written during the training
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Number of passes over the training samples
    #[arg(long, value_name = "N", default_value_t = 100)]
    epochs: usize,
    /// Number of samples per training step
    #[arg(long, value_name = "N", default_value_t = 100)]
    batch_size: usize,
    /// Number of samples at the end of X and Y to keep for validation
    #[arg(long, value_name = "N", default_value_t = 500)]
    validation: usize,
    /// Factor of the penalty on the convolutions' weights
    #[arg(long, value_name = "FACTOR", default_value_t = 0.01)]
    l2: f64,
    /// Time steps that a convolution's kernel covers: `same`, on both sides of the present one; `causal`, up to it
    #[arg(long, value_parser = one_of(PADDINGS), default_value = "same")]
    padding: Padding,
    /// Function that the convolutions apply to their sums
    #[arg(long, value_parser = one_of(ACTIVATIONS), default_value = "relu")]
    activation: Activation,
    /// Learning rate of the Adam optimiser
    #[arg(long, value_name = "RATE", default_value_t = 0.001)]
    lr: f64,
    /// Number of output channels of each convolution
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "2,6,16")]
    layer_sizes: Vec<usize>,
    /// Kernel size of each convolution (time steps)
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "11,5,1")]
    kernel_sizes: Vec<usize>,
    /// Seed of the initial weights and of the order of the samples
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What computes the network: this program's own engine (fused, CPU only) or libtorch. `auto` is fused on a CPU
    #[arg(long, value_parser = one_of(ENGINES), default_value = "auto")]
    engine: Engine,
    /// Device to train on: cpu, cuda, cuda:1, ... or mps
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Number of threads on a CPU; the weights do not depend on it [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Stop after this number of epochs without a lower val_loss, and keep the weights of the best epoch
    #[arg(long, value_name = "EPOCHS")]
    early_stopping: Option<usize>,
    /// Reduce the learning rate after this number of epochs without a lower val_loss
    #[arg(long, value_name = "EPOCHS", conflicts_with = "lr_decay")]
    reduce_lr: Option<usize>,
    /// Factor by which --reduce-lr multiplies the learning rate
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1, requires = "reduce_lr")]
    reduce_lr_factor: f64,
    /// Multiply the learning rate by this factor after each epoch
    #[arg(long, value_name = "FACTOR")]
    lr_decay: Option<f64>,
    /// Weights file for the best epoch so far, written during the training
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// A .weights.h5 file that saves the state of the training. After an interruption, the same command resumes from it
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

const ENGINES: [(&str, Engine); 3] = [("auto", Engine::Auto), ("fused", Engine::Fused), ("libtorch", Engine::Libtorch)];
const PADDINGS: [(&str, Padding); 2] = [("same", Padding::Same), ("causal", Padding::Causal)];
const ACTIVATIONS: [(&str, Activation); 4] = [
    ("linear", Activation::Linear),
    ("relu", Activation::Relu),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
];

/// A parser for an option that takes one of these names, and gives the value of that name.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [(&'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    let value = move |found: String| values.iter().find(|(name, _)| *name == found).expect("it is one of the names").1;
    PossibleValuesParser::new(values.map(|(name, _)| name)).map(value)
}

impl Train {
    pub fn run(&self) -> Output {
        // Checked before the training, not after it.
        let written = [
            ("--weights", Some(&self.weights)),
            ("--history", self.history.as_ref()),
            ("--checkpoint", self.checkpoint.as_ref()),
            ("--backup", self.backup.as_ref()),
        ];
        let written: Vec<_> = written.into_iter().filter_map(|(option, path)| Some((option, &**path?))).collect();
        check_different(&[("--data", &self.data)], &written)?;
        Model::check_save(&self.weights, self.force)?;
        let (x, y) = (H5Matrix::open(&self.data, "X")?, H5Matrix::open(&self.data, "Y")?);
        let held_out = validation_rows(self.validation, &x)?;
        let mut model = generate_model(&self.model_options(x.shape().2)?)?;
        model.set_threads(self.threads)?;
        model.set_validation_samples(Some(self.validation));
        let (x_train, y_train) = (x.slice(..-held_out)?, y.slice(..-held_out)?);
        let (x_val, y_val) = (x.slice(-held_out..)?, y.slice(-held_out..)?);
        let trained = model.fit(&x_train, &y_train, Some((&x_val, &y_val)), &self.fit_options()?);
        let history = match trained {
            Ok(history) if !history.interrupted => history,
            Ok(history) => {
                let kept = self.keep(&model, history.len())?;
                return Err(Error::Interrupted { what: "train", kept });
            }
            Err(Error::Training { history, source }) => {
                // What failed is more important than whether this succeeds.
                let kept = self.keep(&model, history.len()).unwrap_or_else(|error| error.to_string());
                Progress::Stderr.line(format_args!("{kept}"));
                return Err(*source);
            }
            Err(error) => return Err(error),
        };
        model.save(&self.weights, self.force)?;
        if let Some(backup) = &self.backup {
            // Not before the weights are safe.
            let cannot = |source| Error::Io { path: backup.clone(), action: "remove", source };
            std::fs::remove_file(backup).map_err(cannot)?;
        }
        Ok((format!("{history}\n'{}' written", self.weights.display()), self.json(&model, &history)))
    }

    /// Keeps what a training has achieved that ended early: the backup, or else the weights. Says so.
    fn keep(&self, model: &Model, epochs: usize) -> Result<String> {
        let weights = self.weights.display();
        if let Some(backup) = &self.backup {
            return Ok(format!("the same command continues from '{}'", backup.display()));
        }
        if epochs == 0 {
            return Ok(format!("no epoch had ended, '{weights}' was not written"));
        }
        model.save(&self.weights, self.force)?;
        Ok(format!("'{weights}' has the weights of epoch {epochs}"))
    }

    fn model_options(&self, input_channels: usize) -> Result<ModelOptions> {
        Ok(ModelOptions {
            lr: self.lr,
            layer_sizes: self.layer_sizes.clone(),
            kernel_sizes: self.kernel_sizes.clone(),
            padding: self.padding,
            activation: self.activation,
            l2: self.l2,
            input_channels,
            seed: self.seed,
            device: device(&self.device)?,
            engine: self.engine,
            ..ModelOptions::default()
        })
    }

    fn fit_options(&self) -> Result<FitOptions> {
        Ok(FitOptions {
            batch_size: self.batch_size,
            epochs: self.epochs,
            seed: self.seed,
            progress: Progress::Stderr,
            callbacks: self.callbacks()?,
            ..FitOptions::default()
        })
    }

    fn json(&self, model: &Model, history: &History) -> Value {
        json!({
            "weights": self.weights,
            "epochs": history.len(),
            "loss": history.loss.last(),
            "mse": history.mse.last(),
            "val_loss": history.val_loss.last(),
            "val_mse": history.val_mse.last(),
            "seconds": history.seconds.iter().sum::<f64>(),
            "learning_rate": model.learning_rate(),
            "notes": history.notes,
        })
    }

    fn callbacks(&self) -> Result<Vec<Callback>> {
        let mut callbacks = Vec::new();
        if let Some(filename) = self.history.clone() {
            callbacks.push(Callback::CsvLogger(CsvLogger { filename, overwrite: self.force, ..CsvLogger::default() }));
        }
        if let Some(patience) = self.reduce_lr {
            let factor = self.reduce_lr_factor;
            let plateau = ReduceLrOnPlateau { patience, factor, ..ReduceLrOnPlateau::default() };
            callbacks.push(Callback::ReduceLrOnPlateau(plateau));
        }
        if let Some(decay) = self.lr_decay {
            if !(decay > 0.0 && decay <= 1.0) {
                return Err(Error::parameter("lr_decay", decay, "give a factor above 0 and at most 1, such as 0.98"));
            }
            if self.epochs > MAX_RATES {
                return Err(Error::parameter(
                    "epochs",
                    self.epochs,
                    format!("give at most {MAX_RATES} with --lr-decay"),
                ));
            }
            let schedule = (0..self.epochs).map(|epoch| self.lr * decay.powi(epoch as i32)).collect();
            callbacks.push(Callback::LearningRateScheduler(LearningRateScheduler { schedule }));
        }
        if let Some(patience) = self.early_stopping {
            let stopping = EarlyStopping { patience, restore_best_weights: true, ..EarlyStopping::default() };
            callbacks.push(Callback::EarlyStopping(stopping));
        }
        if let Some(filepath) = self.checkpoint.clone() {
            let overwrite = self.force;
            let checkpoint =
                ModelCheckpoint { filepath, save_best_only: true, overwrite, ..ModelCheckpoint::default() };
            callbacks.push(Callback::ModelCheckpoint(checkpoint));
        }
        if let Some(path) = self.backup.clone() {
            callbacks.push(Callback::BackupAndRestore(BackupAndRestore { path, delete_checkpoint: false }));
        }
        Ok(callbacks)
    }
}
