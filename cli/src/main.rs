//! The command line: the same engine as in the notebooks, for scripts and clusters.

mod generate;

use clap::{Args, Parser, Subcommand, ValueEnum};
use generate::{Generate, Merge};
use hhnet::dataset::{self, H5Matrix};
use hhnet::model::{self, Model, ModelOptions, device, generate_model};
use hhnet::progress::Progress;
use hhnet::training::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, FitOptions, LearningRateScheduler, ModelCheckpoint,
    ReduceLrOnPlateau,
};
use hhnet::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Hodgkin-Huxley data and a convolutional network that learns them.
#[derive(Parser)]
#[command(name = "hhnet", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Draw currents, simulate the neuron and write X, Y, X_test, Y_test
    Generate(Generate),
    /// Join the parts that `generate --shard` made into one data set
    Merge(Merge),
    /// Train the network on X and Y and write its weights
    Train(Train),
    /// Print loss and mse of trained weights on part of a data file
    Evaluate(Evaluate),
    /// Write the network's answer to currents as dataset Y_pred
    Predict(Predict),
    /// Describe a data or weights file
    Info {
        /// The file: .h5 or .safetensors
        file: PathBuf,
    },
}

#[derive(Args)]
struct Train {
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

#[derive(Args)]
struct Evaluate {
    /// The data file
    #[arg(long)]
    data: PathBuf,
    /// The weights file
    #[arg(long)]
    weights: PathBuf,
    /// The last samples of X and Y, or X_test and Y_test
    #[arg(long, value_enum, default_value_t = Split::Validation)]
    split: Split,
    /// Number of the last samples that are the validation data
    #[arg(long, default_value_t = 500)]
    validation: usize,
    /// Another dataset of currents, taken whole
    #[arg(long, requires = "y", conflicts_with_all = ["split", "validation"])]
    x: Option<String>,
    /// The dataset of potentials that goes with it
    #[arg(long, requires = "x")]
    y: Option<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Split {
    Validation,
    Test,
}

#[derive(Args)]
struct Predict {
    /// The data file
    #[arg(long)]
    data: PathBuf,
    /// The weights file
    #[arg(long)]
    weights: PathBuf,
    /// The HDF5 file to write
    #[arg(long)]
    out: PathBuf,
    /// The dataset of currents
    #[arg(long, default_value = "X_test")]
    x: String,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Generate(arguments) => arguments.run(),
        Command::Merge(arguments) => arguments.run(),
        Command::Train(arguments) => arguments.run(),
        Command::Evaluate(arguments) => arguments.run(),
        Command::Predict(arguments) => arguments.run(),
        Command::Info { file } => info(file),
    };
    match result {
        Ok((text, json)) => {
            use std::io::Write;
            let output = if cli.json { json.to_string() } else { text.trim_end().to_owned() };
            // A reader that has seen enough and closed the pipe is no failure.
            let _ = writeln!(std::io::stdout(), "{output}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("hhnet: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// A command's result, for a person and for a program.
type Output = Result<(String, Value)>;

impl Train {
    fn run(&self) -> Output {
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

impl Evaluate {
    fn run(&self) -> Output {
        let model = Model::load_weights(&self.weights)?;
        let open = |name: &str| H5Matrix::open(&self.data, name);
        let (x, y) = match (&self.x, &self.y, self.split) {
            (Some(x), Some(y), _) => (open(x)?.read(..)?, open(y)?.read(..)?),
            (_, _, Split::Test) => (open("X_test")?.read(..)?, open("Y_test")?.read(..)?),
            (_, _, Split::Validation) => {
                let x = open("X")?;
                let held_out = validation_rows(self.validation, &x)?;
                (x.read(-held_out..)?, open("Y")?.read(-held_out..)?)
            }
        };
        let found = model.evaluate(&x, &y)?;
        let text = format!("{} samples: loss {:.6}, mse {:.6} mV²", x.dim().0, found.loss, found.mse);
        Ok((text, json!({ "samples": x.dim().0, "loss": found.loss, "mse": found.mse })))
    }
}

/// The number of validation samples, if it leaves some to train on.
fn validation_rows(count: usize, x: &H5Matrix) -> Result<isize> {
    let samples = x.shape().0;
    match isize::try_from(count) {
        Ok(rows) if rows > 0 && count < samples => Ok(rows),
        _ => Err(Error::parameter(
            "validation",
            count,
            format!("the file has {samples} samples: give 1 or more, and fewer"),
        )),
    }
}

impl Predict {
    fn run(&self) -> Output {
        let model = Model::load_weights(&self.weights)?;
        let prediction = model.predict(&H5Matrix::open(&self.data, &self.x)?.read(..)?)?;
        dataset::save(&self.out, "Y_pred", &prediction, "mV", self.force)?;
        let (samples, steps, channels) = prediction.dim();
        let text = format!("'{}': Y_pred, shape ({samples}, {steps}, {channels})", self.out.display());
        Ok((text, json!({ "file": self.out, "dataset": "Y_pred", "shape": [samples, steps, channels] })))
    }
}

fn info(file: &Path) -> Output {
    let name = file.to_string_lossy();
    let (mut text, mut json) =
        if name.ends_with(".safetensors") { (format!("'{name}'\n"), json!({ "file": file })) } else { describe(file)? };
    if name.ends_with(".weights.h5") || name.ends_with(".safetensors") {
        let model = Model::load_weights(file)?;
        text += &format!("\n{}", model.summary());
        json["layer_sizes"] = json!(model.options().layer_sizes);
        json["kernel_sizes"] = json!(model.options().kernel_sizes);
        json["params"] = json!(model.count_params());
    }
    Ok((text, json))
}

/// What is in an HDF5 file, and how it was made.
fn describe(file: &Path) -> Output {
    let description = dataset::describe(file)?;
    let datasets: Vec<Value> = description
        .datasets
        .iter()
        .map(|d| json!({ "name": d.name, "shape": d.shape, "dtype": d.dtype, "units": d.units }))
        .collect();
    let attributes: Value = description.attributes.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut json = json!({ "file": file, "bytes": description.bytes, "datasets": datasets, "attributes": attributes });
    let mut text = format!("'{}': {description}", file.display());
    if let Some(command) = generate::command_line(file) {
        text += &format!("made by: {command}\n");
        json["command"] = json!(command);
    }
    Ok((text, json))
}
