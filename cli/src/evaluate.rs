//! `evaluate` and `predict`: what a trained network says.

use crate::Output;
use clap::{Args, ValueEnum};
use hhnet::dataset::{self, H5Matrix};
use hhnet::model::Model;
use hhnet::{Error, Result};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Evaluate {
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
pub struct Predict {
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

impl Evaluate {
    pub fn run(&self) -> Output {
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
pub fn validation_rows(count: usize, x: &H5Matrix) -> Result<isize> {
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
    pub fn run(&self) -> Output {
        let model = Model::load_weights(&self.weights)?;
        let prediction = model.predict(&H5Matrix::open(&self.data, &self.x)?.read(..)?)?;
        dataset::save(&self.out, "Y_pred", &prediction, "mV", self.force)?;
        let (samples, steps, channels) = prediction.dim();
        let text = format!("'{}': Y_pred, shape ({samples}, {steps}, {channels})", self.out.display());
        Ok((text, json!({ "file": self.out, "dataset": "Y_pred", "shape": [samples, steps, channels] })))
    }
}
