//! `train`.

use crate::Output;
use crate::evaluate::validation_rows;
use clap::{Args, ValueEnum};
use hhnet::dataset::H5Matrix;
use hhnet::model::{self, Model, ModelOptions, device, generate_model};
use hhnet::progress::Progress;
use hhnet::training::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, FitOptions, LearningRateScheduler, ModelCheckpoint,
    ReduceLrOnPlateau,
};
use hhnet::{Error, Result};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Train {
    /// The data file
    #[arg(long)]
    data: PathBuf,
    /// The weights file to write; its name ends in .weights.h5 (Keras' format) or .safetensors
    #[arg(long)]
    weights: PathBuf,
    /// A CSV file for the history, written epoch by epoch
    #[arg(long)]
    history: Option<PathBuf>,
    /// Passes over the training samples
    #[arg(long, default_value_t = 100)]
    epochs: usize,
    /// Samples per training step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    /// So many last samples are kept for validation
    #[arg(long, default_value_t = 500)]
    validation: usize,
    /// Learning rate of the Adam optimiser
    #[arg(long, default_value_t = 0.001)]
    lr: f64,
    /// Output channels of each convolution
    #[arg(long, value_delimiter = ',', default_value = "2,6,16")]
    layer_sizes: Vec<usize>,
    /// Kernel size of each convolution (time steps)
    #[arg(long, value_delimiter = ',', default_value = "11,5,1")]
    kernel_sizes: Vec<usize>,
    /// Seed of the starting weights and of the order of the samples
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What does the arithmetic
    #[arg(long, value_enum, default_value_t = Engine::Auto)]
    engine: Engine,
    /// cpu, cuda or mps
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Number of threads [default: one per core]; the weights do not depend on it
    #[arg(long)]
    threads: Option<usize>,
    /// Stop after so many epochs without a lower val_loss; the weights are those of the best epoch
    #[arg(long, value_name = "PATIENCE")]
    early_stopping: Option<usize>,
    /// Multiply the learning rate by --reduce-lr-factor after so many epochs without a lower val_loss
    #[arg(long, value_name = "PATIENCE", conflicts_with = "lr_decay")]
    reduce_lr: Option<usize>,
    /// See --reduce-lr
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1, requires = "reduce_lr")]
    reduce_lr_factor: f64,
    /// Multiply the learning rate by this after each epoch
    #[arg(long, value_name = "FACTOR")]
    lr_decay: Option<f64>,
    /// A weights file for the best epoch so far, written during the training
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// A .weights.h5 file that is kept during the training: after an interruption the same command goes on from there
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Engine {
    Auto,
    Fused,
    Libtorch,
}

impl Train {
    pub fn run(&self) -> Output {
        // Told now, and not after an hour of training.
        Model::check_weights_path(&self.weights, self.force)?;
        let (x, y) = (H5Matrix::open(&self.data, "X")?, H5Matrix::open(&self.data, "Y")?);
        let held_out = validation_rows(self.validation, &x)?;
        let mut model = generate_model(&ModelOptions {
            lr: self.lr,
            layer_sizes: self.layer_sizes.clone(),
            kernel_sizes: self.kernel_sizes.clone(),
            input_channels: x.shape().2,
            seed: self.seed,
            device: device(&self.device)?,
            engine: match self.engine {
                Engine::Auto => model::Engine::Auto,
                Engine::Fused => model::Engine::Fused,
                Engine::Libtorch => model::Engine::Libtorch,
            },
            ..ModelOptions::default()
        })?;
        let history = model.fit(
            &x.read(..-held_out)?,
            &y.read(..-held_out)?,
            Some((&x.read(-held_out..)?, &y.read(-held_out..)?)),
            &FitOptions {
                batch_size: self.batch_size,
                epochs: self.epochs,
                seed: self.seed,
                threads: self.threads,
                progress: Progress::Stderr,
                callbacks: self.callbacks()?,
                ..FitOptions::default()
            },
        )?;
        model.save_weights(&self.weights, self.force)?;
        let last = history.len() - 1;
        let json = json!({
            "weights": self.weights,
            "epochs": history.len(),
            "loss": history.loss[last],
            "mse": history.mse[last],
            "val_loss": history.val_loss[last],
            "val_mse": history.val_mse[last],
            "seconds": history.seconds.iter().sum::<f64>(),
            "learning_rate": model.learning_rate(),
            "notes": history.notes,
        });
        Ok((format!("{history}\n'{}' written", self.weights.display()), json))
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
                return Err(Error::parameter("lr_decay", decay, "give a factor above 0, at most 1, such as 0.98"));
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
            callbacks.push(Callback::BackupAndRestore(BackupAndRestore { path, ..BackupAndRestore::default() }));
        }
        Ok(callbacks)
    }
}
