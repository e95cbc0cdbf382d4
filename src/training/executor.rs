//! The engine at work: gradients and predictions on pieces of the data, by [`fused`] or [`libtorch`](super::libtorch).

use std::borrow::Cow;
use std::ops::Range;

use super::DeadUnits;
use super::fused::Fused;
use super::samples::{Data, Piece, Samples};
use crate::Result;
use crate::model::{Activation, Device, Model, Network, NetworkLayer};

/// Time steps of a micro-batch for libtorch: few enough for its arrays to stay in the cache, enough to keep the
/// overhead per call small.
const MICRO_BATCH_STEPS: usize = 10_000;
/// Time steps of a micro-batch for the fused engine, whose calls have little overhead: few enough for all threads to
/// finish a batch at about the same time.
const FUSED_MICRO_BATCH_STEPS: usize = 2_000;
/// Numbers in a micro-batch. This limits its steps in models with many channels.
const MICRO_BATCH_NUMBERS: usize = 1 << 22;
/// An accelerator needs more work at a time than fits into a CPU's cache.
const ACCELERATOR_MICRO_BATCHES: usize = 64;

/// Consecutive samples, or a stretch of one long sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub samples: Range<usize>,
    pub steps: Range<usize>,
}

/// Consecutive samples that are evaluated or predicted while the next ones are read, cut into segments.
pub(super) struct Portion<'a> {
    samples: Cow<'a, Samples<'a>>,
    pub segments: Vec<Segment>,
}

/// Computes the network with one of the engines.
pub(super) struct Executor {
    pub network: Network,
    pub device: Device,
    /// `None` if the engine is libtorch.
    pub fused: Option<Fused>,
}

impl Executor {
    pub fn new(model: &Model) -> Self {
        let (network, device) = (model.network.clone(), model.device());
        let fused = model.is_fused().then(|| Fused::new(&network, model.simd_level()));
        Executor { network, device, fused }
    }

    /// Sum of squared errors of some samples, and its gradient with respect to all weights.
    pub fn gradient(&self, weights: &[f32], samples: &Samples, rows: &[usize]) -> Result<(f64, Vec<f32>)> {
        match &self.fused {
            Some(fused) => Ok(fused.gradient(weights, samples, rows)),
            None => self.libtorch_gradient(weights, samples, rows),
        }
    }

    /// The output for a segment.
    pub fn predict(&self, weights: &[f32], samples: &Samples, segment: &Segment) -> Result<Vec<f32>> {
        match &self.fused {
            Some(fused) => Ok(fused.predict(weights, samples, segment)),
            None => self.libtorch_predict(weights, samples, segment),
        }
    }

    /// The output for one segment of a portion.
    pub fn predict_part(
        &self,
        weights: &[f32],
        Portion { samples, segments }: &Portion,
        part: usize,
    ) -> Result<Vec<f32>> {
        self.predict(weights, samples, &segments[part])
    }

    /// Sum of squared errors of one segment of a portion.
    pub fn squared_error(&self, weights: &[f32], portion: &Portion, part: usize) -> Result<f64> {
        let predicted = self.predict_part(weights, portion, part)?;
        let mut predicted = predicted.iter();
        let Portion { samples, segments } = portion;
        let mut sum = 0.0;
        for sample in segments[part].samples.clone() {
            let start = sample * samples.steps;
            let steps = start + segments[part].steps.start..start + segments[part].steps.end;
            let y = &samples.y[steps.start * samples.outputs..steps.end * samples.outputs];
            sum += y.iter().zip(&mut predicted).map(|(&y, &p)| f64::from(p - y) * f64::from(p - y)).sum::<f64>();
        }
        Ok(sum)
    }

    /// The ReLU units that are 0 at every step of the data, for each layer that has any.
    pub fn dead_units(&self, weights: &[f32], data: &Data) -> Result<Vec<DeadUnits>> {
        let relu = |layer: &&NetworkLayer| layer.activation == Activation::Relu;
        let layers: Vec<&NetworkLayer> = self.network.layers.iter().filter(relu).collect();
        let mut active: Vec<Vec<bool>> = layers.iter().map(|layer| vec![false; layer.outputs]).collect();
        'all: for piece in data.pieces(&self.portions(data)) {
            let Portion { samples, segments } = self.portion(piece?);
            for segment in segments {
                // Usually the first samples activate all units.
                if active.iter().flatten().all(|&active| active) {
                    break 'all;
                }
                self.find_active(weights, &samples, &segment, &mut active)?;
            }
        }
        let dead = layers.iter().zip(active).map(|(layer, active)| DeadUnits {
            layer: layer.name.clone(),
            units: (0..active.len()).filter(|&unit| !active[unit]).collect(),
            of: active.len(),
        });
        Ok(dead.filter(|dead| !dead.units.is_empty()).collect())
    }

    /// Samples of a micro-batch. On an accelerator it is the whole batch.
    pub fn micro_batch_samples(&self, steps: usize, batch_size: usize) -> usize {
        if self.device == Device::Cpu { self.group(steps) } else { batch_size }
    }

    /// The portions in which data are evaluated or predicted.
    pub fn portions(&self, data: &Data) -> Vec<Range<usize>> {
        data.portions(self.group(data.steps))
    }

    /// Cuts a portion into segments: several samples each where they are short, stretches of one sample where they are
    /// long.
    pub fn portion<'a>(&self, Piece { samples, .. }: Piece<'a>) -> Portion<'a> {
        let (length, group) = (self.micro_batch_steps(), self.group(samples.steps));
        let mut segments = Vec::new();
        for first in (0..samples.count).step_by(group) {
            let group = first..samples.count.min(first + group);
            for start in (0..samples.steps).step_by(length) {
                segments.push(Segment { samples: group.clone(), steps: start..samples.steps.min(start + length) });
            }
        }
        Portion { samples, segments }
    }

    /// Samples of a segment.
    fn group(&self, steps: usize) -> usize {
        (self.micro_batch_steps() / steps).max(1)
    }

    /// Time steps of a micro-batch.
    fn micro_batch_steps(&self) -> usize {
        let numbers = |layer: &NetworkLayer| layer.kernel_size.saturating_mul(layer.inputs);
        let numbers_per_step: usize = self.network.layers.iter().map(numbers).sum();
        let steps = if self.fused.is_some() { FUSED_MICRO_BATCH_STEPS } else { MICRO_BATCH_STEPS };
        let steps = steps.min(MICRO_BATCH_NUMBERS / numbers_per_step).max(1);
        if self.device == Device::Cpu { steps } else { ACCELERATOR_MICRO_BATCHES * steps }
    }
}
