//! `evaluate` and `predict`: a trained network at work.

use crate::Output;
use clap::{Args, ValueEnum};
use hhnet::dataset::H5Matrix;
use hhnet::model::{Model, device};
use hhnet::{Error, Result};
use hhnet_cli::failure::check_different;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Evaluate {
    /// The data file
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    model: Trained,
    /// Samples to use: the validation samples at the end of X and Y, or all of X_test and Y_test
    #[arg(long, value_enum, default_value_t = Split::Validation)]
    split: Split,
    /// Number of validation samples at the end of X and Y [default: as many as in the training]
    #[arg(long, value_name = "N")]
    validation: Option<usize>,
    /// Dataset of currents, to evaluate all its samples instead of a split
    #[arg(long, value_name = "DATASET", requires = "y", conflicts_with_all = ["split", "validation"])]
    x: Option<String>,
    /// Dataset of potentials for the currents in --x
    #[arg(long, value_name = "DATASET", requires = "x")]
    y: Option<String>,
}

/// A trained model, and where it is computed.
#[derive(Args)]
struct Trained {
    /// The weights file
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Device to compute on: cpu, cuda, cuda:1, ... or mps
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Number of threads on a CPU; the result does not depend on it [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Trained {
    fn load(&self) -> Result<Model> {
        let mut model = Model::load(&self.weights)?;
        model.set_device(device(&self.device)?)?;
        model.set_threads(self.threads)?;
        Ok(model)
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Split {
    Validation,
    Test,
}

#[derive(Args)]
pub struct Predict {
    /// The data file
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    model: Trained,
    /// The HDF5 file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Dataset of currents
    #[arg(long, value_name = "DATASET", default_value = "X_test")]
    x: String,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Evaluate {
    pub fn run(&self) -> Output {
        let model = self.model.load()?;
        let open = |name: &str| H5Matrix::open(&self.data, name);
        let (x, y, rows) = match (&self.x, &self.y, self.split) {
            (Some(x), Some(y), _) => (open(x)?, open(y)?, None),
            (_, _, Split::Test) => (open("X_test")?, open("Y_test")?, None),
            (_, _, Split::Validation) => {
                let x = open("X")?;
                let rows = validation_rows(self.validation_samples(&model)?, &x)?;
                (x, open("Y")?, Some(-rows))
            }
        };
        let slice = |data: &H5Matrix| rows.map_or_else(|| data.slice(..), |first| data.slice(first..));
        let (x, y) = (slice(&x)?, slice(&y)?);
        let found = model.evaluate(&x, &y)?;
        let samples = x.shape().0;
        let units = y.units().map_or(String::new(), square);
        let text = format!("{samples} samples: loss {:.6}, mse {:.6}{units}", found.loss, found.mse);
        Ok((text, json!({ "samples": samples, "loss": found.loss, "mse": found.mse })))
    }

    /// The number of samples on which the model was not trained.
    fn validation_samples(&self, model: &Model) -> Result<usize> {
        match (self.validation, model.validation_samples()) {
            (Some(count), Some(held_out)) if count > held_out => {
                let remedy = format!(
                    "{held_out} samples were kept for validation; the model was trained on the others: give {held_out} \
                     or fewer, or --x X --y Y to evaluate all samples"
                );
                Err(Error::parameter("validation", count, remedy))
            }
            (Some(count), _) | (None, Some(count)) => Ok(count),
            (None, None) => {
                let problem = "it does not say how many samples were kept for validation when the model was trained";
                Err(Error::file(&self.model.weights, problem, "give --validation, or --split test"))
            }
        }
    }
}

/// The square of a unit, after a number.
fn square(units: &str) -> String {
    if units.chars().all(char::is_alphabetic) { format!(" {units}²") } else { format!(" ({units})²") }
}

/// The number of validation samples, if samples to train on are left.
pub fn validation_rows(count: usize, x: &H5Matrix) -> Result<isize> {
    let samples = x.shape().0;
    match isize::try_from(count) {
        Ok(rows) if rows > 0 && count < samples => Ok(rows),
        _ => Err(Error::parameter(
            "validation",
            count,
            format!("the file has {samples} samples: give 1 or more, but fewer than these"),
        )),
    }
}

impl Predict {
    pub fn run(&self) -> Output {
        let read = [("--data", &*self.data), ("--weights", &*self.model.weights)];
        check_different(&read, &[("--out", &self.out)])?;
        let model = self.model.load()?;
        let x = H5Matrix::open(&self.data, &self.x)?;
        model.predict_to(&x, &self.out, "Y_pred", "mV", self.force)?;
        let (samples, steps, outputs) = H5Matrix::open(&self.out, "Y_pred")?.shape();
        let text = format!("'{}': Y_pred, shape ({samples}, {steps}, {outputs})", self.out.display());
        Ok((text, json!({ "file": self.out, "dataset": "Y_pred", "shape": [samples, steps, outputs] })))
    }
}
