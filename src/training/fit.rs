//! One call of `fit`: epoch after epoch, with callbacks, backups and lines of progress in between.

use std::time::{Duration, Instant};

use super::backup::Backup;
use super::callbacks::Callbacks;
use super::epoch::{Epochs, PartResult, Task};
use super::executor::Executor;
use super::samples::Data;
use super::workers::Compute;
use super::{FitOptions, History, history};
use crate::model::Model;
use crate::{Error, Result};

/// The model between epochs, and what belongs to its training.
pub(super) struct Training<'a> {
    model: &'a mut Model,
    options: &'a FitOptions,
    callbacks: Callbacks<'a>,
    backup: Option<Backup<'a>>,
    history: History,
    lines: EpochLines,
}

impl<'a> Training<'a> {
    /// Checks the callbacks and prepares their files. If there is a backup, continues from it.
    pub fn begin(
        model: &'a mut Model,
        train: &Data,
        validation: Option<&Data>,
        options: &'a FitOptions,
    ) -> Result<Self> {
        let mut callbacks = Callbacks::new(&options.callbacks, validation.is_some())?;
        let mut history = History::default();
        let backup = callbacks
            .backup()
            .map(|backup| Backup::new(&backup.path, model, train, validation, options, callbacks.schedule()))
            .transpose()?;
        let is_resumed = backup.as_ref().is_some_and(Backup::exists);
        if let Some(backup) = backup.as_ref().filter(|_| is_resumed) {
            (history, callbacks.states) = backup.restore(model, options.callbacks.len())?;
        }
        callbacks.begin(&history, is_resumed)?;
        if let Some(backup) = backup.as_ref().filter(|_| !is_resumed) {
            // The callbacks' files belong to this training from here on.
            backup.save(model, &history, &callbacks.states)?;
        }
        let lines = EpochLines::new(options, &history);
        Ok(Training { model, options, callbacks, backup, history, lines })
    }

    /// The first epoch of this call: not 1 if there was a backup.
    pub fn first_epoch(&self) -> usize {
        self.history.len() + 1
    }

    /// Number of training steps so far.
    pub fn iterations(&self) -> u64 {
        self.model.adam.iterations
    }

    /// Trains until the last epoch, or until a callback stops the training. An error holds the history.
    pub fn run(&mut self, epochs: &Epochs, compute: &mut Compute<'_, Task, PartResult>) -> Result<()> {
        for epoch in self.first_epoch()..=self.options.epochs {
            match self.epoch(epoch, epochs, compute) {
                Ok(false) => {}
                Ok(true) => break,
                Err(error @ Error::NotFinite { .. }) if self.callbacks.terminates_on_nan() => {
                    self.history.notes.push(format!("stopped: {error}"));
                    break;
                }
                Err(Error::Interrupted { .. }) => {
                    self.history.interrupted = true;
                    let of = self.options.epochs;
                    let kept = match epoch - 1 {
                        0 => "the model has its weights from before".to_string(),
                        last => format!("the model has the weights of epoch {last}"),
                    };
                    self.history.notes.push(format!("interrupted in epoch {epoch} of {of}: {kept}"));
                    break;
                }
                Err(error) => return Err(with_history(error, &self.history)),
            }
        }
        Ok(())
    }

    /// One epoch, and what the callbacks do after it. Returns whether the training stops.
    fn epoch(&mut self, epoch: usize, epochs: &Epochs, compute: &mut Compute<'_, Task, PartResult>) -> Result<bool> {
        let start = Instant::now();
        // Copies: the model keeps its own until the epoch has ended well.
        let (mut weights, mut adam) = (self.model.values()?, self.model.adam.clone());
        if let Some(rate) = self.callbacks.rate(epoch) {
            adam.learning_rate = rate as f32;
        }
        let rate = adam.learning_rate();
        let (training, validation) = epochs.epoch(epoch, &mut weights, &mut adam, compute)?;
        self.model.set_values(&weights)?;
        self.model.adam = adam;
        self.history.push(training, validation, start.elapsed().as_secs_f64());
        if self.callbacks.changes_rate() {
            self.history.learning_rate.push(rate);
        }
        let stops = self.callbacks.epoch_end(self.model, &mut self.history)?;
        if let Some(line) = self.lines.epoch(&self.history, stops) {
            self.options.progress.line(format_args!("{line}"));
        }
        self.print_notes();
        if let Some(backup) = self.backup.as_ref().filter(|_| !stops) {
            backup.save(self.model, &self.history, &self.callbacks.states)?;
        }
        Ok(stops)
    }

    /// Ends the training: restores the best weights if a callback wants them, looks for dead units, and removes a
    /// backup. After an interrupt, it does none of this.
    pub fn end(mut self, executor: &Executor, train: &Data) -> Result<History> {
        if !self.history.interrupted {
            self.finish(executor, train).map_err(|error| with_history(error, &self.history))?;
        }
        self.print_notes();
        Ok(self.history)
    }

    fn finish(&mut self, executor: &Executor, train: &Data) -> Result<()> {
        self.callbacks.end(self.model, &mut self.history)?;
        match executor.dead_units(&self.model.values()?, train) {
            Ok(dead) => self.history.notes.extend(dead.into_iter().map(|dead| dead.to_string())),
            // All epochs are complete.
            Err(Error::Interrupted { .. }) => {
                self.history.notes.push("the search for dead units was interrupted".to_string());
            }
            Err(error) => return Err(error),
        }
        self.callbacks.remove_backup()
    }

    /// Prints the notes that are new.
    fn print_notes(&mut self) {
        for note in &self.history.notes[self.lines.notes..] {
            self.options.progress.line(format_args!("{note}"));
        }
        self.lines.notes = self.history.notes.len();
    }
}

/// An error that keeps the epochs that were complete.
fn with_history(error: Error, history: &History) -> Error {
    if history.is_empty() {
        return error;
    }
    Error::Training { history: Box::new(history.clone()), source: Box::new(error) }
}

/// The lines about the epochs.
struct EpochLines {
    epochs: usize,
    /// Epochs from before an interruption.
    before: usize,
    start: Instant,
    last: Option<Instant>,
    /// Number of notes that have been printed.
    notes: usize,
}

impl EpochLines {
    fn new(options: &FitOptions, history: &History) -> Self {
        let (before, notes) = (history.len(), history.notes.len());
        EpochLines { epochs: options.epochs, before, start: Instant::now(), last: None, notes }
    }

    /// The line about the last epoch in `history`, unless there was one within a second. The very last is always due.
    fn epoch(&mut self, history: &History, stops: bool) -> Option<String> {
        let epoch = history.len();
        let is_last = stops || epoch == self.epochs;
        let is_due = self.last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
        if !is_due && !is_last {
            return None;
        }
        self.last = Some(Instant::now());
        let line = history.line(epoch, self.epochs);
        if is_last {
            return Some(line);
        }
        let per_epoch = self.start.elapsed().as_secs_f64() / (epoch - self.before) as f64;
        let left = per_epoch * (self.epochs - epoch) as f64;
        Some(format!("{line} - {} left", history::duration(left)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Evaluation;
    use super::*;

    #[test]
    fn lines_are_the_first_the_last_and_few_a_second() {
        let options = FitOptions { epochs: 100, ..FitOptions::default() };
        let mut history = History::default();
        let mut lines = EpochLines::new(&options, &history);
        let mut printed = Vec::new();
        for epoch in 1..=100 {
            if epoch == 50 {
                // As if the last line had been printed a while ago.
                lines.last = Instant::now().checked_sub(Duration::from_secs(2));
            }
            let result = Evaluation { loss: 2807.26123, mse: 0.0004 };
            history.push(result, Some(result), 1.94);
            printed.extend(lines.epoch(&history, false));
        }
        let end = "100 - 1.9s - loss: 2807.2612 - mse: 4.0000e-4 - val_loss: 2807.2612 - val_mse: 4.0000e-4";
        // The time that is left depends on the machine.
        let without_time = |line: &String| match line.rsplit_once(" - ") {
            Some((line, time)) if time.ends_with(" left") => line.to_string(),
            _ => line.clone(),
        };
        let printed: Vec<String> = printed.iter().map(without_time).collect();
        assert_eq!(printed, [format!("Epoch   1/{end}"), format!("Epoch  50/{end}"), format!("Epoch 100/{end}")]);
    }
}
