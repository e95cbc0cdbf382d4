//! Stops the training early.

use super::{CallbackState, Monitor, check_not_negative};
use crate::Result;
use crate::model::Model;
use crate::training::History;

/// Stops the training after `patience` epochs in a row without progress, that is, without a new smallest value of
/// `monitor`.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    /// The quantity to minimise.
    pub monitor: Monitor,
    /// Smallest decrease that counts as progress; a decrease must be larger than this.
    pub min_delta: f64,
    /// Number of epochs without progress to wait.
    pub patience: usize,
    /// If given, only values below it count as progress.
    pub baseline: Option<f64>,
    /// Whether to restore the weights of the best epoch when the training ends, early or not.
    pub restore_best_weights: bool,
    /// Number of epochs at the start to ignore.
    pub start_from_epoch: usize,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        EarlyStopping {
            monitor: Monitor::ValLoss,
            min_delta: 0.0,
            patience: 0,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
        }
    }
}

impl EarlyStopping {
    pub(super) fn check(&self) -> Result<()> {
        check_not_negative("min_delta", self.min_delta)
    }

    /// Returns whether the training stops.
    pub(super) fn epoch_end(&self, state: &mut CallbackState, model: &Model, history: &mut History) -> Result<bool> {
        let epoch = history.len();
        if epoch <= self.start_from_epoch {
            return Ok(false);
        }
        let value = self.monitor.last(history);
        let is_better = |than: f64| value < than - self.min_delta;
        let is_best = is_better(state.best);
        if self.restore_best_weights && (is_best || state.best_weights.is_empty()) {
            state.best_weights = model.values()?;
            state.best_epoch = epoch;
        }
        state.wait += 1;
        if is_best {
            (state.best, state.best_epoch) = (value, epoch);
            if self.baseline.is_none_or(is_better) {
                state.wait = 0;
            }
            return Ok(false);
        }
        let stop = state.wait >= self.patience && epoch > 1;
        if stop {
            let (name, wait) = (self.monitor.name(), state.wait);
            history.notes.push(format!("stopped after epoch {epoch}: {name} made no progress for {wait} epochs"));
        }
        Ok(stop)
    }
}
