//! One epoch: batches in a random order, the gradient of each and the optimiser's step, then the validation.

use std::ops::Range;

use rand_mt::Mt64;

use super::executor::{Executor, Portion};
use super::samples::{Data, Piece};
use super::workers::Run;
use super::{Evaluation, FitOptions};
use crate::interrupt::Interrupts;
use crate::model::{Adam, Network};
use crate::{Error, Result};

/// What the threads compute together. Each part is a micro-batch or a segment.
pub(super) enum Job<'a> {
    /// Error and gradient of a batch.
    Batch { weights: Vec<f32>, batch: Piece<'a> },
    /// Error on a portion of the validation data.
    Validation { weights: Vec<f32>, portion: Portion<'a> },
}

/// Sum of squared errors of a part of a job, and its gradient if the job is a batch.
pub(super) type PartResult = Result<(f64, Vec<f32>)>;

/// The batches of all epochs in order, and after those of each epoch the portions of the validation data.
pub(super) type Pieces<'i, 'p> = dyn Iterator<Item = Result<Piece<'p>>> + 'i;

/// What all epochs have in common.
pub(super) struct Epochs<'a> {
    executor: &'a Executor,
    penalty: Penalty,
    train: &'a Data<'a>,
    /// Samples of a micro-batch.
    micro_batch: usize,
    validation: Option<(&'a Data<'a>, Vec<Range<usize>>)>,
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
            validation: validation.map(|data| (data, executor.portions(data))),
            options,
            interrupts: Interrupts::receive(),
        }
    }

    /// Number of batches in an epoch.
    fn batches(&self) -> usize {
        self.train.count.div_ceil(self.options.batch_size)
    }

    /// Everything that the epochs from `first` on compute with. `iterations` is the number of training steps before.
    pub fn pieces(&self, first: usize, iterations: u64) -> impl Iterator<Item = Result<Piece<'_>>> + Send {
        (first..=self.options.epochs).flat_map(move |epoch| {
            let before = iterations + ((epoch - first) * self.batches()) as u64;
            let order = order(self.train.count, self.options, before);
            let batches = (0..self.batches()).map(move |batch| {
                let start = batch * self.options.batch_size;
                let end = order.len().min(start.saturating_add(self.options.batch_size));
                self.train.piece(order[start..end].to_vec())
            });
            let validation = self.validation.iter();
            batches.chain(validation.flat_map(|(data, portions)| data.pieces(portions)))
        })
    }

    /// Computes one part of a job.
    pub fn work(&self, job: &Job, part: usize) -> PartResult {
        match job {
            Job::Batch { weights, batch: Piece { samples, rows } } => {
                let rows = &rows[part * self.micro_batch..rows.len().min((part + 1) * self.micro_batch)];
                self.executor.gradient(weights, samples, rows)
            }
            Job::Validation { weights, portion } => {
                Ok((self.executor.squared_error(weights, portion, part)?, Vec::new()))
            }
        }
    }

    /// Trains for an epoch. Returns the means over its batches, and the result on the validation data at its end.
    pub fn epoch<'p>(
        &self,
        epoch: usize,
        weights: &mut [f32],
        adam: &mut Adam,
        pieces: &mut Pieces<'_, 'p>,
        run: &mut Run<'_, Job<'p>, PartResult>,
    ) -> Result<(Evaluation, Option<Evaluation>)> {
        let rate = adam.learning_rate();
        let diverged = |what: &str, value: f64, place: &str| Error::NotFinite {
            what: what.to_string(),
            value,
            place: format!("epoch {epoch}, {place}, learning rate {rate}"),
            remedy: "lower the learning rate; the model keeps the weights from before this epoch".to_string(),
        };
        let (mut loss_sum, mut mse_sum) = (0.0, 0.0);
        for (batch, piece) in pieces.take(self.batches()).enumerate() {
            let place = format!("batch {}", batch + 1);
            let piece = piece?;
            let count = piece.rows.len() as f64;
            let Evaluation { loss, mse } = self.batch(piece, weights, adam, run)?;
            self.check_interrupts()?;
            if !loss.is_finite() {
                return Err(diverged("loss", loss, &place));
            }
            if let Some(&weight) = weights.iter().find(|weight| !weight.is_finite()) {
                return Err(diverged("a weight", f64::from(weight), &place));
            }
            loss_sum += loss * count;
            mse_sum += mse * count;
        }
        let count = self.train.count as f64;
        let training = Evaluation { loss: loss_sum / count, mse: mse_sum / count };
        let validation = self.validate(weights, pieces, run)?;
        match validation {
            Some(Evaluation { loss, .. }) if !loss.is_finite() => Err(diverged("val_loss", loss, "validation")),
            _ => Ok((training, validation)),
        }
    }

    /// One training step. Returns loss and error with the weights from before it.
    fn batch<'p>(
        &self,
        batch: Piece<'p>,
        weights: &mut [f32],
        adam: &mut Adam,
        run: &mut Run<'_, Job<'p>, PartResult>,
    ) -> Result<Evaluation> {
        let mut error = 0.0;
        let mut gradient = vec![0.0_f64; weights.len()];
        let count = (batch.rows.len() * self.train.steps * self.train.outputs) as f64;
        let parts = batch.rows.len().div_ceil(self.micro_batch);
        for result in run(Job::Batch { weights: weights.to_vec(), batch }, parts) {
            let (part_error, part_gradient) = result?;
            error += part_error;
            gradient.iter_mut().zip(part_gradient).for_each(|(sum, part)| *sum += f64::from(part));
        }
        let found = self.penalty.evaluation(error / count, weights);
        if found.loss.is_finite() {
            adam.step(weights, &self.penalty.add_gradient(weights, &gradient, count));
        }
        Ok(found)
    }

    fn check_interrupts(&self) -> Result<()> {
        self.interrupts.check("fit", || "the model is as it was after the last epoch".to_string())
    }

    fn validate<'p>(
        &self,
        weights: &[f32],
        pieces: &mut Pieces<'_, 'p>,
        run: &mut Run<'_, Job<'p>, PartResult>,
    ) -> Result<Option<Evaluation>> {
        let Some((data, portions)) = &self.validation else { return Ok(None) };
        let mut error = 0.0;
        for piece in pieces.take(portions.len()) {
            let portion = self.executor.portion(piece?);
            let parts = portion.segments.len();
            for part in run(Job::Validation { weights: weights.to_vec(), portion }, parts) {
                error += part?.0;
            }
            self.check_interrupts()?;
        }
        Ok(Some(self.penalty.evaluation(error / data.values() as f64, weights)))
    }
}

/// The penalty on weights.
pub(super) struct Penalty {
    /// Consecutive weights, and the factor of their penalty.
    parts: Vec<(Range<usize>, f64)>,
}

impl Penalty {
    pub fn new(network: &Network) -> Self {
        let mut parts: Vec<(Range<usize>, f64)> = Vec::new();
        for layer in &network.layers {
            for (weights, factor) in [&layer.kernel, &layer.bias].into_iter().zip(layer.penalties) {
                match parts.last_mut() {
                    Some((last, same)) if *same == factor => last.end = weights.end,
                    _ => parts.push((weights.clone(), factor)),
                }
            }
        }
        parts.retain(|(_, factor)| *factor != 0.0);
        Penalty { parts }
    }

    /// The loss that belongs to a mean squared error.
    pub fn evaluation(&self, mse: f64, weights: &[f32]) -> Evaluation {
        let square = |weight: &f32| f64::from(*weight) * f64::from(*weight);
        let penalties =
            self.parts.iter().map(|(part, factor)| factor * weights[part.clone()].iter().map(square).sum::<f64>());
        Evaluation { loss: mse + penalties.sum::<f64>(), mse }
    }

    /// The gradient of the loss, from that of the sum of squared errors over `count` values.
    fn add_gradient(&self, weights: &[f32], gradient: &[f64], count: f64) -> Vec<f32> {
        let mut sums: Vec<f64> = gradient.iter().map(|part| part / count).collect();
        for (part, factor) in &self.parts {
            for (sum, &weight) in sums[part.clone()].iter_mut().zip(&weights[part.clone()]) {
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
