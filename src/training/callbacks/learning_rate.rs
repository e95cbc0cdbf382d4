//! Sets and lowers the learning rate.

use super::{CallbackState, Monitor, check_not_negative};
use crate::model::{Model, is_positive_f32};
use crate::training::History;
use crate::{Error, Result};

/// Sets the learning rate of each epoch from a list. Make the list from a formula like this:
///
/// ```
/// use hhnet::training::LearningRateScheduler;
/// let schedule = (0..100).map(|epoch| 0.01 * 0.97_f64.powi(epoch)).collect();
/// let decay = LearningRateScheduler { schedule };
/// assert_eq!(decay.schedule[0], 0.01);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LearningRateScheduler {
    /// The learning rates, the first epoch's first. After the last one the rate stays the same.
    pub schedule: Vec<f64>,
}

impl LearningRateScheduler {
    pub(super) fn check(&self) -> Result<()> {
        if self.schedule.is_empty() {
            return Err(Error::parameter("schedule", "[]", "give a learning rate for each epoch"));
        }
        match self.schedule.iter().position(|&rate| !is_positive_f32(rate)) {
            None => Ok(()),
            Some(i) => {
                Err(Error::parameter(format!("schedule[{i}]"), self.schedule[i], "give a learning rate above 0"))
            }
        }
    }
}

/// Multiplies the learning rate by `factor` after `patience` epochs in a row without a new smallest value of `monitor`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceLrOnPlateau {
    /// The quantity to minimise.
    pub monitor: Monitor,
    /// The factor, above 0 and below 1.
    pub factor: f64,
    /// Number of epochs without progress to wait.
    pub patience: usize,
    /// Smallest decrease that counts as progress; a decrease must be larger than this.
    pub min_delta: f64,
    /// Number of epochs to ignore after a reduction.
    pub cooldown: usize,
    /// Smallest learning rate to set.
    pub min_lr: f64,
}

impl Default for ReduceLrOnPlateau {
    fn default() -> Self {
        ReduceLrOnPlateau {
            monitor: Monitor::ValLoss,
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
        }
    }
}

impl ReduceLrOnPlateau {
    pub(super) fn check(&self) -> Result<()> {
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(Error::parameter("factor", self.factor, "give a number above 0 and below 1, such as 0.1"));
        }
        check_not_negative("min_delta", self.min_delta)?;
        check_not_negative("min_lr", self.min_lr)
    }

    pub(super) fn epoch_end(&self, state: &mut CallbackState, model: &mut Model, history: &mut History) -> Result<()> {
        let value = self.monitor.last(history);
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.wait = 0;
        }
        if value < state.best - self.min_delta {
            (state.best, state.wait) = (value, 0);
        } else if state.cooldown == 0 {
            state.wait += 1;
            let rate = model.learning_rate();
            let lower = (rate * self.factor).max(self.min_lr);
            if state.wait >= self.patience && lower < rate && lower as f32 > 0.0 {
                model.set_learning_rate(lower)?;
                (state.cooldown, state.wait) = (self.cooldown, 0);
                let (epoch, lower) = (history.len(), model.learning_rate());
                history.notes.push(format!("learning rate {lower:e} after epoch {epoch}"));
            }
        }
        Ok(())
    }
}
