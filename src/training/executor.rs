//! The engine at work: gradients and predictions on parts of the data, by [`fused`](super::fused) or [`libtorch`](super::libtorch).

use super::fused::Fused;
use super::samples::{Data, Part, Portion};
use super::{DeadUnits, NO_RESULT};
use crate::Result;
use crate::interrupt::Interrupts;
use crate::model::{Activation, Device, Model, Network, NetworkLayer};

/// Time steps of a part for libtorch: few enough for its arrays to stay in the cache, enough to keep the overhead per
/// call small.
const LIBTORCH_PART_STEPS: usize = 10_000;
/// Time steps of a part for the fused engine, whose calls have little overhead: few enough for all threads to finish a
/// batch at about the same time.
const FUSED_PART_STEPS: usize = 2_000;
/// Numbers in a part. This limits its steps in models with many channels.
const PART_NUMBERS: usize = 1 << 22;
/// An accelerator needs more work at a time than fits into a CPU's cache.
const ACCELERATOR_PARTS: usize = 64;

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

    /// Sum of squared errors of a part, whole samples, and its gradient with respect to all weights.
    pub fn gradient(&self, weights: &[f32], part: &Part) -> Result<(f64, Vec<f32>)> {
        match &self.fused {
            Some(fused) => Ok(fused.gradient(weights, part)),
            None => self.libtorch_gradient(weights, part),
        }
    }

    /// The output for a part.
    pub fn predict(&self, weights: &[f32], part: &Part) -> Result<Vec<f32>> {
        match &self.fused {
            Some(fused) => Ok(fused.predict(weights, part)),
            None => self.libtorch_predict(weights, part),
        }
    }

    /// Sum of squared errors of a part.
    pub fn squared_error(&self, weights: &[f32], part: &Part) -> Result<f64> {
        let predicted = self.predict(weights, part)?;
        let mut predicted = predicted.iter();
        let mut sum = 0.0;
        for &row in &part.rows {
            let (_, y) = part.samples.stretch(row, &part.steps);
            sum += y.iter().zip(&mut predicted).map(|(&y, &p)| f64::from(p - y) * f64::from(p - y)).sum::<f64>();
        }
        Ok(sum)
    }

    /// The ReLU units that are 0 at every step of the data, for each layer that has any.
    pub fn dead_units(&self, weights: &[f32], data: &Data) -> Result<Vec<DeadUnits>> {
        let interrupts = Interrupts::receive();
        let mut found = Vec::new();
        for (nth, layer) in self.network.layers.iter().enumerate() {
            if layer.activation == Activation::Relu {
                let units = self.first(nth + 1).zeros(weights, self.portions(data), &interrupts)?;
                if !units.is_empty() {
                    found.push(DeadUnits { layer: layer.name.clone(), units, of: layer.outputs });
                }
            }
        }
        Ok(found)
    }

    /// The first layers of the network, by the same engine. They have the first of the weights.
    fn first(&self, layers: usize) -> Executor {
        let network = Network { layers: self.network.layers[..layers].to_vec() };
        let fused = self.fused.as_ref().map(|fused| Fused::new(&network, fused.level));
        Executor { network, device: self.device, fused }
    }

    /// The outputs that are not above 0 at any step of the data.
    fn zeros<'a>(
        &self,
        weights: &[f32],
        portions: impl Iterator<Item = Portion<'a>>,
        interrupts: &Interrupts,
    ) -> Result<Vec<usize>> {
        let mut zeros: Vec<usize> = (0..self.network.outputs()).collect();
        for portion in portions {
            for part in 0..portion.parts() {
                // Usually there are none left after the first samples.
                if zeros.is_empty() {
                    return Ok(zeros);
                }
                interrupts.check("dead_units", || NO_RESULT.to_string())?;
                let output = self.predict(weights, &portion.part(part)?)?;
                zeros.retain(|&unit| !output.iter().skip(unit).step_by(self.network.outputs()).any(|h| *h > 0.0));
            }
        }
        Ok(zeros)
    }

    /// Memory that one thread takes for a part with so many time steps, bytes.
    pub fn thread_bytes(&self, steps: usize, with_gradient: bool) -> u128 {
        let times = if with_gradient { 2 } else { 1 };
        let numbers =
            self.fused.as_ref().map_or_else(|| self.libtorch_numbers(steps), |fused| fused.activations(steps));
        times * numbers * size_of::<f32>() as u128
    }

    /// Numbers that libtorch needs: for each step, what the kernels of all layers cover, and what the layers put out.
    fn libtorch_numbers(&self, steps: usize) -> u128 {
        let numbers = |layer: &NetworkLayer| (layer.kernel_size * layer.inputs + layer.outputs) as u128;
        steps as u128 * self.network.layers.iter().map(numbers).sum::<u128>()
    }

    /// Samples of a micro-batch. On an accelerator it is the whole batch.
    pub fn micro_batch_samples(&self, steps: usize, batch_size: usize) -> usize {
        if self.device == Device::Cpu { self.part_samples(steps) } else { batch_size }
    }

    /// The portions in which data are evaluated or predicted.
    pub fn portions<'a>(&self, data: &'a Data<'a>) -> impl ExactSizeIterator<Item = Portion<'a>> + use<'a> {
        data.portions(self.part_samples(data.steps), self.part_steps())
    }

    /// Samples of a part.
    pub fn part_samples(&self, steps: usize) -> usize {
        (self.part_steps() / steps).max(1)
    }

    /// Time steps of a part.
    pub fn part_steps(&self) -> usize {
        let numbers = |layer: &NetworkLayer| layer.kernel_size.saturating_mul(layer.inputs);
        let numbers_per_step: usize = self.network.layers.iter().map(numbers).sum();
        let steps = if self.fused.is_some() { FUSED_PART_STEPS } else { LIBTORCH_PART_STEPS };
        let steps = steps.min(PART_NUMBERS / numbers_per_step).max(1);
        if self.device == Device::Cpu { steps } else { ACCELERATOR_PARTS * steps }
    }
}
