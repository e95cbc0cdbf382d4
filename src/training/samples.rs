//! A data set in the network's precision, and its segments.

use std::ops::Range;

use ndarray::Array3;

use crate::model::Model;
use crate::{Error, Result};

/// A data set in 32-bit numbers, one sample after the other.
pub(super) struct Samples {
    pub x: Vec<f32>,
    /// Empty for a prediction.
    pub y: Vec<f32>,
    pub count: usize,
    pub steps: usize,
    /// Values per step of `x`, and of `y`.
    pub channels: usize,
    pub outputs: usize,
}

/// Consecutive samples, or a stretch of one long sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub samples: Range<usize>,
    pub steps: Range<usize>,
}

impl Samples {
    /// Checks shapes and values against the model. `names` are those of `x` and `y` in messages.
    pub fn new(model: &Model, x: &Array3<f64>, y: Option<&Array3<f64>>, names: [&str; 2]) -> Result<Self> {
        let (count, steps, channels) = x.dim();
        let (expected, outputs) = (model.network.inputs(), model.network.outputs());
        if channels != expected {
            let remedy = "the last axis holds the values of one time step";
            return Err(shape_error(names[0], format!("(samples, steps, {expected})"), x, remedy));
        }
        if count == 0 || steps == 0 {
            let remedy = "at least one sample and one time step are needed";
            return Err(shape_error(names[0], format!("(1 or more, 1 or more, {expected})"), x, remedy));
        }
        if let Some(y) = y.filter(|y| y.dim() != (count, steps, outputs)) {
            let values = if outputs == 1 { "one value".to_string() } else { format!("{outputs} values") };
            let remedy = format!("it needs as many samples and steps as {}, and {values} per step", names[0]);
            return Err(shape_error(names[1], format!("({count}, {steps}, {outputs})"), y, &remedy));
        }
        let x = to_f32(names[0], x)?;
        let y = y.map_or(Ok(Vec::new()), |y| to_f32(names[1], y))?;
        Ok(Samples { x, y, count, steps, channels, outputs })
    }
}

fn shape_error(what: &str, expected: String, found: &Array3<f64>, remedy: &str) -> Error {
    Error::Shape { what: what.to_string(), expected, found: format!("{:?}", found.dim()), remedy: remedy.to_string() }
}

/// All values in order, which must be finite as 32-bit numbers.
fn to_f32(name: &str, values: &Array3<f64>) -> Result<Vec<f32>> {
    let floats: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let first_bad = floats.iter().position(|float| !float.is_finite());
    match first_bad.and_then(|index| values.indexed_iter().nth(index)) {
        None => Ok(floats),
        Some(((sample, step, channel), &value)) => Err(Error::NotFinite {
            what: name.to_string(),
            value,
            place: format!("index [{sample}, {step}, {channel}]"),
            remedy: "use finite 32-bit numbers: repair or drop the sample".to_string(),
        }),
    }
}
