//! `evaluate` and `predict`: a trained network at work.

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
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The weights file
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Samples to use: the validation samples at the end of X and Y, or all of X_test and Y_test
    #[arg(long, value_enum, default_value_t = Split::Validation)]
    split: Split,
    /// Number of validation samples at the end of X and Y
    #[arg(long, value_name = "N", default_value_t = 500)]
    validation: usize,
    /// Dataset of currents, to evaluate all its samples instead of a split
    #[arg(long, value_name = "DATASET", requires = "y", conflicts_with_all = ["split", "validation"])]
    x: Option<String>,
    /// Dataset of potentials for the currents in --x
    #[arg(long, value_name = "DATASET", requires = "x")]
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
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The weights file
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
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
        let model = Model::load(&self.weights)?;
        let open = |name: &str| H5Matrix::open(&self.data, name);
        let (x, y, rows) = match (&self.x, &self.y, self.split) {
            (Some(x), Some(y), _) => (open(x)?, open(y)?, None),
            (_, _, Split::Test) => (open("X_test")?, open("Y_test")?, None),
            (_, _, Split::Validation) => {
                let x = open("X")?;
                let rows = validation_rows(self.validation, &x)?;
                (x, open("Y")?, Some(-rows))
            }
        };
        let read = |data: &H5Matrix| rows.map_or_else(|| data.read(..), |first| data.read(first..));
        let (currents, potentials) = (read(&x)?, read(&y)?);
        let found = model.evaluate(&currents, &potentials)?;
        let samples = currents.dim().0;
        let units = y.units().map_or(String::new(), square);
        let text = format!("{samples} samples: loss {:.6}, mse {:.6}{units}", found.loss, found.mse);
        Ok((text, json!({ "samples": samples, "loss": found.loss, "mse": found.mse })))
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
        let model = Model::load(&self.weights)?;
        let prediction = model.predict(&H5Matrix::open(&self.data, &self.x)?.read(..)?)?;
        dataset::save(&self.out, "Y_pred", &prediction, "mV", self.force)?;
        let (samples, steps, channels) = prediction.dim();
        let text = format!("'{}': Y_pred, shape ({samples}, {steps}, {channels})", self.out.display());
        Ok((text, json!({ "file": self.out, "dataset": "Y_pred", "shape": [samples, steps, channels] })))
    }
}
