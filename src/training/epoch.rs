//! One epoch: batches in a random order, the gradient of each and the optimiser's step, then the validation.

use std::ops::Range;

use rand_mt::Mt64;

use super::executor::Executor;
use super::samples::{Data, Part, Portion};
use super::workers::Compute;
use super::{Evaluation, FitOptions};
use crate::interrupt::Interrupts;
use crate::model::{Adam, Network};
use crate::{Error, Result};

/// What the threads compute for each part of a portion, with these weights.
pub(super) enum Task {
    /// Error and gradient, for a batch.
    Gradient(Vec<f32>),
    /// The error, for validation data.
    Error(Vec<f32>),
}

/// Sum of squared errors of a part, and its gradient if the task asks for it.
pub(super) type PartResult = (f64, Vec<f32>);

/// What all epochs have in common.
pub(super) struct Epochs<'a> {
    executor: &'a Executor,
    penalty: Penalty,
    train: &'a Data<'a>,
    /// Samples of a micro-batch.
    micro_batch: usize,
    validation: Option<&'a Data<'a>>,
    options: &'a FitOptions,
    interrupts: Interrupts,
}

impl<'a> Epochs<'a> {
    pub fn new(
        executor: &'a Executor,
        train: &'a Data<'a>,
        validation: Option<&'a Data<'a>>,
        options: &'a FitOptions,
    ) -> Self {
        Epochs {
            executor,
            penalty: Penalty::new(&executor.network),
            train,
            micro_batch: executor.micro_batch_samples(train.steps, options.batch_size),
            validation,
            options,
            interrupts: Interrupts::receive(),
        }
    }

    /// Number of batches in an epoch.
    fn batches(&self) -> usize {
        self.train.count.div_ceil(self.options.batch_size)
    }

    /// What the epochs from `first` on compute with: the batches of each, and after them the validation data.
    /// `iterations` is the number of training steps before.
    pub fn portions(&self, first: usize, iterations: u64) -> impl Iterator<Item = Portion<'_>> {
        (first..=self.options.epochs).flat_map(move |epoch| {
            let before = iterations + ((epoch - first) * self.batches()) as u64;
            let order = order(self.train.count, self.options, before);
            let batches = (0..self.batches()).map(move |batch| {
                let start = batch * self.options.batch_size;
                let end = order.len().min(start.saturating_add(self.options.batch_size));
                self.train.portion(order[start..end].to_vec(), self.micro_batch)
            });
            batches.chain(self.validation.into_iter().flat_map(|data| self.executor.portions(data)))
        })
    }

    /// Does a task with one part of a portion.
    pub fn work(&self, task: &Task, part: &Part) -> Result<PartResult> {
        match task {
            Task::Gradient(weights) => self.executor.gradient(weights, part),
            Task::Error(weights) => Ok((self.executor.squared_error(weights, part)?, Vec::new())),
        }
    }

    /// Trains for an epoch. Returns the means over its batches, and the result on the validation data at its end.
    pub fn epoch(
        &self,
        epoch: usize,
        weights: &mut [f32],
        adam: &mut Adam,
        compute: &mut Compute<'_, Task, PartResult>,
    ) -> Result<(Evaluation, Option<Evaluation>)> {
        let rate = adam.learning_rate();
        let diverged = |what: &str, value: f64, place: &str| {
            let remedy = "lower the learning rate; the model keeps the weights from before this epoch";
            Error::not_finite(what, value, format!("epoch {epoch}, {place}, learning rate {rate}"), remedy)
        };
        let (mut loss_sum, mut mse_sum) = (0.0, 0.0);
        for batch in 0..self.batches() {
            let place = format!("batch {}", batch + 1);
            let samples = self.options.batch_size.min(self.train.count - batch * self.options.batch_size);
            let Evaluation { loss, mse } = self.batch(samples, weights, adam, compute)?;
            self.check_interrupts()?;
            if !loss.is_finite() {
                return Err(diverged("loss", loss, &place));
            }
            if let Some(&weight) = weights.iter().find(|weight| !weight.is_finite()) {
                return Err(diverged("a weight", f64::from(weight), &place));
            }
            loss_sum += loss * samples as f64;
            mse_sum += mse * samples as f64;
        }
        let count = self.train.count as f64;
        let training = Evaluation { loss: loss_sum / count, mse: mse_sum / count };
        let validation = self.validate(weights, compute)?;
        match validation {
            Some(Evaluation { loss, .. }) if !loss.is_finite() => Err(diverged("val_loss", loss, "validation")),
            _ => Ok((training, validation)),
        }
    }

    /// One training step, with a batch of `samples` samples. Returns loss and error with the weights from before it.
    fn batch(
        &self,
        samples: usize,
        weights: &mut [f32],
        adam: &mut Adam,
        compute: &mut Compute<'_, Task, PartResult>,
    ) -> Result<Evaluation> {
        let mut error = 0.0;
        let mut gradient = vec![0.0_f64; weights.len()];
        let count = (samples * self.train.steps * self.train.outputs) as f64;
        for (part_error, part_gradient) in compute(Task::Gradient(weights.to_vec()))? {
            error += part_error;
            gradient.iter_mut().zip(part_gradient).for_each(|(sum, value)| *sum += f64::from(value));
        }
        let found = self.penalty.evaluation(error / count, weights);
        if found.loss.is_finite() {
            adam.step(weights, &self.penalty.loss_gradient(weights, &gradient, count));
        }
        Ok(found)
    }

    fn check_interrupts(&self) -> Result<()> {
        self.interrupts.check("fit", || "the model is as it was after the last epoch".to_string())
    }

    fn validate(&self, weights: &[f32], compute: &mut Compute<'_, Task, PartResult>) -> Result<Option<Evaluation>> {
        let Some(data) = self.validation else { return Ok(None) };
        let mut error = 0.0;
        for _ in self.executor.portions(data) {
            for (part_error, _) in compute(Task::Error(weights.to_vec()))? {
                error += part_error;
            }
            self.check_interrupts()?;
        }
        Ok(Some(self.penalty.evaluation(error / data.values() as f64, weights)))
    }
}

/// The penalty on weights.
pub(super) struct Penalty {
    /// Consecutive weights, and the factor of their penalty.
    ranges: Vec<(Range<usize>, f64)>,
}

impl Penalty {
    pub fn new(network: &Network) -> Self {
        let mut ranges: Vec<(Range<usize>, f64)> = Vec::new();
        for layer in &network.layers {
            for (weights, factor) in [&layer.kernel, &layer.bias].into_iter().zip(layer.penalties) {
                match ranges.last_mut() {
                    Some((last, same)) if *same == factor => last.end = weights.end,
                    _ => ranges.push((weights.clone(), factor)),
                }
            }
        }
        ranges.retain(|(_, factor)| *factor != 0.0);
        Penalty { ranges }
    }

    /// The loss that belongs to a mean squared error.
    pub fn evaluation(&self, mse: f64, weights: &[f32]) -> Evaluation {
        let square = |weight: &f32| f64::from(*weight) * f64::from(*weight);
        let penalties =
            self.ranges.iter().map(|(range, factor)| factor * weights[range.clone()].iter().map(square).sum::<f64>());
        Evaluation { loss: mse + penalties.sum::<f64>(), mse }
    }

    /// The gradient of the loss, from that of the sum of squared errors over `count` values.
    fn loss_gradient(&self, weights: &[f32], gradient: &[f64], count: f64) -> Vec<f32> {
        let mut sums: Vec<f64> = gradient.iter().map(|value| value / count).collect();
        for (range, factor) in &self.ranges {
            for (sum, &weight) in sums[range.clone()].iter_mut().zip(&weights[range.clone()]) {
                *sum += 2.0 * factor * f64::from(weight);
            }
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

/// The order of the samples in an epoch. `iterations` is the number of training steps before it.
fn order(count: usize, options: &FitOptions, iterations: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if options.shuffle {
        // Fisher and Yates' shuffle. The high word of the product is uniform to within count / 2^64.
        let mut random = Mt64::new_with_key([options.seed, iterations]);
        for i in (1..count).rev() {
            let j = (u128::from(random.next_u64()) * (i as u128 + 1)) >> 64;
            order.swap(i, j as usize);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_each_sample_once() {
        for count in [1, 2, 3, 100] {
            let mut order = order(count, &FitOptions::default(), 5);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..count));
        }
        // Each of the 6 orders of 3 comes up about 1000 times.
        let mut counts = std::collections::BTreeMap::new();
        for iterations in 0..6000 {
            *counts.entry(order(3, &FitOptions::default(), iterations)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
