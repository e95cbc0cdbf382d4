//! Keras' callbacks: what happens between epochs. Each module has the fields of a callback and what it does;
//! [`Callbacks`] runs those of one training.

mod checkpoint;
mod csv_logger;
mod early_stopping;
mod learning_rate;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

pub use checkpoint::ModelCheckpoint;
pub use csv_logger::CsvLogger;
pub use early_stopping::EarlyStopping;
pub use learning_rate::{LearningRateScheduler, ReduceLrOnPlateau};

use super::History;
use crate::model::{Model, check_weights_h5_name};
use crate::{Error, Result};

/// An action of [`Model::fit`] between epochs. Callbacks run in the order of the list in
/// [`FitOptions`](super::FitOptions).
///
/// Names, fields and defaults are those of Keras.
///
/// ```
/// use hhnet::prelude::*;
/// let options = FitOptions {
///     epochs: 100,
///     callbacks: vec![
///         Callback::EarlyStopping(EarlyStopping { patience: 10, ..EarlyStopping::default() }),
///         Callback::CsvLogger(CsvLogger { filename: "history.csv".into(), ..CsvLogger::default() }),
///     ],
///     ..FitOptions::default()
/// };
/// assert_eq!(options.callbacks.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Callback {
    /// Stops the training when there is no more progress.
    EarlyStopping(EarlyStopping),
    /// Writes the weights to a file.
    ModelCheckpoint(ModelCheckpoint),
    /// Saves everything that is needed to resume after an interruption.
    BackupAndRestore(BackupAndRestore),
    /// Sets the learning rate of each epoch.
    LearningRateScheduler(LearningRateScheduler),
    /// Lowers the learning rate when there is no more progress.
    ReduceLrOnPlateau(ReduceLrOnPlateau),
    /// Writes the history to a file, epoch by epoch.
    CsvLogger(CsvLogger),
    /// Ends the training without an error if the loss becomes infinite or NaN: `fit` returns the history of the epochs
    /// before.
    TerminateOnNan,
}

impl Callback {
    /// The callback with the fields on which the course of the training depends.
    pub(super) fn describe(&self) -> String {
        match self {
            Callback::ModelCheckpoint(_) => "ModelCheckpoint".to_string(),
            Callback::BackupAndRestore(_) => "BackupAndRestore".to_string(),
            Callback::CsvLogger(_) => "CsvLogger".to_string(),
            // A backup's history has the rates. More of them may be added for more epochs.
            Callback::LearningRateScheduler(_) => "LearningRateScheduler".to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Checks the fields.
    fn check(&self, has_validation: bool) -> Result<()> {
        self.check_monitor(has_validation)?;
        match self {
            Callback::EarlyStopping(stopping) => stopping.check(),
            Callback::ReduceLrOnPlateau(plateau) => plateau.check(),
            Callback::LearningRateScheduler(scheduler) => scheduler.check(),
            Callback::ModelCheckpoint(checkpoint) => checkpoint.check(has_validation),
            Callback::BackupAndRestore(backup) => check_weights_h5_name(&backup.path),
            Callback::CsvLogger(_) | Callback::TerminateOnNan => Ok(()),
        }
    }

    /// The file that it writes, and the name of the field.
    fn file(&self) -> Option<(&'static str, &Path)> {
        match self {
            Callback::ModelCheckpoint(checkpoint) => Some(("filepath", &checkpoint.filepath)),
            Callback::BackupAndRestore(backup) => Some(("path", &backup.path)),
            Callback::CsvLogger(logger) => Some(("filename", &logger.filename)),
            _ => None,
        }
    }

    fn check_monitor(&self, has_validation: bool) -> Result<()> {
        let monitor = match self {
            Callback::EarlyStopping(stopping) => stopping.monitor,
            Callback::ReduceLrOnPlateau(plateau) => plateau.monitor,
            Callback::ModelCheckpoint(checkpoint) if checkpoint.save_best_only => checkpoint.monitor,
            _ => return Ok(()),
        };
        if matches!(monitor, Monitor::ValLoss | Monitor::ValMse) && !has_validation {
            let remedy = "there are no validation data: give some, or monitor the loss";
            return Err(Error::parameter("monitor", monitor.name(), remedy));
        }
        Ok(())
    }
}

fn check_not_negative(name: &str, value: f64) -> Result<()> {
    if value >= 0.0 { Ok(()) } else { Err(Error::parameter(name, value, "give 0 or more")) }
}

/// The quantity that a callback monitors. Smaller is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Monitor {
    /// Loss on the training data.
    Loss,
    /// Mean squared error on the training data.
    Mse,
    /// Loss on the validation data.
    #[default]
    ValLoss,
    /// Mean squared error on the validation data.
    ValMse,
}

impl Monitor {
    fn name(self) -> &'static str {
        match self {
            Monitor::Loss => "loss",
            Monitor::Mse => "mse",
            Monitor::ValLoss => "val_loss",
            Monitor::ValMse => "val_mse",
        }
    }

    /// Its value in the last epoch.
    fn last(self, history: &History) -> f64 {
        let values = match self {
            Monitor::Loss => &history.loss,
            Monitor::Mse => &history.mse,
            Monitor::ValLoss => &history.val_loss,
            Monitor::ValMse => &history.val_mse,
        };
        values.last().copied().unwrap_or(f64::INFINITY)
    }
}

/// Saves weights, optimiser, history and the state of all callbacks to a file after each epoch. If the file exists when
/// `fit` begins, the training resumes from it. After an interruption, the same call therefore ends with the same bits
/// as without one. More epochs may be given.
///
/// A backup of another training is refused: of other data, options, initial weights, learning rate or engine, or of
/// another version of this crate. The model must be as it was at the beginning of the training, or as it was when the
/// backup was written.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupAndRestore {
    /// Name of the file, which ends in `.weights.h5`. Keras can read the weights in it.
    pub path: PathBuf,
    /// Whether to remove the file at the end of the training.
    pub delete_checkpoint: bool,
}

impl Default for BackupAndRestore {
    fn default() -> Self {
        BackupAndRestore { path: PathBuf::new(), delete_checkpoint: true }
    }
}

/// What a callback keeps from one epoch to the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CallbackState {
    /// The smallest value of the monitored quantity.
    pub best: f64,
    /// The epoch of the best weights, counted from 1; 0 if there are none yet.
    pub best_epoch: usize,
    /// Epochs without progress.
    pub wait: usize,
    /// Epochs left to ignore.
    pub cooldown: usize,
    /// The length of a log before the training's first line, bytes.
    pub log_start: u64,
    /// The weights of the best epoch, if they are to be restored.
    pub best_weights: Vec<f32>,
}

impl CallbackState {
    pub fn new() -> Self {
        CallbackState {
            best: f64::INFINITY,
            best_epoch: 0,
            wait: 0,
            cooldown: 0,
            log_start: 0,
            best_weights: Vec::new(),
        }
    }
}

/// The callbacks of one training.
pub(super) struct Callbacks<'a> {
    list: &'a [Callback],
    pub states: Vec<CallbackState>,
    /// The open file of each [`CsvLogger`], and whether it still needs a heading.
    logs: Vec<Option<(File, bool)>>,
    /// The files that each [`ModelCheckpoint`] has written. It may replace them.
    checkpoints: Vec<HashSet<PathBuf>>,
    /// Whether the training resumes from a backup. The existing files of its callbacks are its own then.
    is_resumed: bool,
}

impl<'a> Callbacks<'a> {
    /// Checks all fields of the callbacks.
    pub fn new(list: &'a [Callback], has_validation: bool) -> Result<Self> {
        for (i, callback) in list.iter().enumerate() {
            callback.check(has_validation).map_err(|error| match error {
                Error::Parameter { name, value, remedy } => {
                    Error::Parameter { name: format!("callbacks[{i}].{name}"), value, remedy }
                }
                other => other,
            })?;
        }
        if list.iter().filter(|callback| matches!(callback, Callback::BackupAndRestore(_))).count() > 1 {
            return Err(Error::parameter("callbacks", "two of BackupAndRestore", "give one"));
        }
        let files: Vec<_> = list.iter().map(Callback::file).collect();
        for (i, file) in files.iter().enumerate() {
            let Some((field, path)) = file else { continue };
            if let Some(other) = files[..i].iter().position(|other| other.is_some_and(|(_, other)| other == *path)) {
                let remedy = format!("callbacks[{other}] writes the same file: give another name");
                return Err(Error::parameter(format!("callbacks[{i}].{field}"), path.display(), remedy));
            }
        }
        let states = vec![CallbackState::new(); list.len()];
        let checkpoints = vec![HashSet::new(); list.len()];
        Ok(Callbacks { list, states, logs: list.iter().map(|_| None).collect(), checkpoints, is_resumed: false })
    }

    pub fn backup(&self) -> Option<&'a BackupAndRestore> {
        self.list.iter().find_map(|callback| match callback {
            Callback::BackupAndRestore(backup) => Some(backup),
            _ => None,
        })
    }

    pub fn terminates_on_nan(&self) -> bool {
        self.list.contains(&Callback::TerminateOnNan)
    }

    /// Whether the learning rate can change from epoch to epoch. It is part of the history then.
    pub fn changes_rate(&self) -> bool {
        let changes = |callback: &Callback| {
            matches!(callback, Callback::LearningRateScheduler(_) | Callback::ReduceLrOnPlateau(_))
        };
        self.list.iter().any(changes)
    }

    /// Checks the files that are to be written, before hours of training, and opens the logs. After an interruption
    /// `history` holds the epochs before it.
    pub fn begin(&mut self, history: &History, is_resumed: bool) -> Result<()> {
        self.is_resumed = is_resumed;
        for (i, callback) in self.list.iter().enumerate() {
            match callback {
                Callback::ModelCheckpoint(ModelCheckpoint { filepath, overwrite, .. }) => {
                    Model::check_save(filepath, *overwrite || is_resumed)?;
                }
                Callback::CsvLogger(logger) => {
                    self.logs[i] = Some(logger.begin(history, is_resumed, &mut self.states[i].log_start)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The learning rates of the first epochs, if there is a schedule.
    pub fn schedule(&self) -> Option<&'a [f64]> {
        self.list.iter().rev().find_map(|callback| match callback {
            Callback::LearningRateScheduler(scheduler) => Some(&*scheduler.schedule),
            _ => None,
        })
    }

    /// The learning rate of an epoch, counted from 1, if it is in a schedule.
    pub fn rate(&self, epoch: usize) -> Option<f64> {
        self.schedule()?.get(epoch - 1).copied()
    }

    /// Runs all callbacks after the last epoch in `history`. Returns whether the training stops.
    pub fn epoch_end(&mut self, model: &mut Model, history: &mut History) -> Result<bool> {
        let epoch = history.len();
        let mut stop = false;
        for (i, callback) in self.list.iter().enumerate() {
            let state = &mut self.states[i];
            match callback {
                Callback::EarlyStopping(stopping) => stop |= stopping.epoch_end(state, model, history)?,
                Callback::ReduceLrOnPlateau(plateau) => plateau.epoch_end(state, model, history)?,
                Callback::ModelCheckpoint(checkpoint) => {
                    let written = &mut self.checkpoints[i];
                    checkpoint.epoch_end(state, model, history, written, self.is_resumed)?;
                }
                Callback::CsvLogger(logger) => {
                    if let Some((file, needs_head)) = &mut self.logs[i] {
                        // The columns are known only after the first epoch.
                        let head = std::mem::take(needs_head);
                        logger.write(file, &history.csv(epoch - 1..epoch, head, logger.separator))?;
                    }
                }
                Callback::BackupAndRestore(_) | Callback::LearningRateScheduler(_) | Callback::TerminateOnNan => {}
            }
        }
        Ok(stop)
    }

    /// Runs all callbacks at the end of the training.
    pub fn end(&self, model: &mut Model, history: &mut History) -> Result<()> {
        for (callback, state) in self.list.iter().zip(&self.states) {
            if matches!(callback, Callback::EarlyStopping(_)) && !state.best_weights.is_empty() {
                model.set_values(&state.best_weights)?;
                history.notes.push(format!("the model has the weights of epoch {}", state.best_epoch));
            }
        }
        Ok(())
    }

    /// Removes the backup, once nothing can fail any more.
    pub fn remove_backup(&self) -> Result<()> {
        match self.backup() {
            Some(backup) if backup.delete_checkpoint && backup.path.exists() => {
                std::fs::remove_file(&backup.path).map_err(Error::io(&backup.path, "remove"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelOptions, generate_model};

    /// The same numbers were given to Keras' callbacks (version 3.15) with the same fields.
    const VAL_LOSS: [f64; 16] = [5.0, 4.0, 4.0, 3.9, 3.95, 3.85, 3.9, 4.0, 3.8, 3.9, 3.7, 3.9, 3.9, 3.9, 3.9, 1.0];

    /// Epochs until the end, learning rate in each, and the weight at the end, which is the number of the epoch.
    fn run(callback: Callback) -> (usize, Vec<f64>, f32) {
        let options = ModelOptions { layer_sizes: vec![], kernel_sizes: vec![], ..ModelOptions::default() };
        let mut model = generate_model(&options).unwrap();
        let list = [callback];
        let mut callbacks = Callbacks::new(&list, true).unwrap();
        let mut history = History::default();
        let mut rates = Vec::new();
        for (i, value) in VAL_LOSS.into_iter().enumerate() {
            model.set_values(&[(i + 1) as f32, 0.0]).unwrap();
            rates.push(model.learning_rate());
            history.loss.push(1.0);
            history.val_loss.push(value);
            if callbacks.epoch_end(&mut model, &mut history).unwrap() {
                break;
            }
        }
        callbacks.end(&mut model, &mut history).unwrap();
        (history.len(), rates, model.values().unwrap()[0])
    }

    #[test]
    fn early_stopping_stops_when_keras_does() {
        let default = EarlyStopping::default();
        for (stopping, epochs, weight) in [
            (default.clone(), 3, 3.0),
            (EarlyStopping { patience: 2, ..default.clone() }, 8, 8.0),
            (EarlyStopping { patience: 2, min_delta: 0.2, ..default.clone() }, 4, 4.0),
            (EarlyStopping { patience: 3, baseline: Some(3.88), ..default.clone() }, 3, 3.0),
            (EarlyStopping { patience: 1, start_from_epoch: 4, ..default.clone() }, 7, 7.0),
            (EarlyStopping { patience: 3, restore_best_weights: true, ..default.clone() }, 14, 11.0),
            (EarlyStopping { patience: 4, restore_best_weights: true, ..default.clone() }, 15, 11.0),
            // Not stopped, and yet the best weights at the end.
            (EarlyStopping { patience: 20, restore_best_weights: true, ..default }, 16, 16.0),
        ] {
            let found = run(Callback::EarlyStopping(stopping.clone()));
            assert_eq!((found.0, found.2), (epochs, weight), "{stopping:?}");
        }
    }

    #[test]
    fn the_learning_rate_falls_when_it_does_in_keras() {
        let default = ReduceLrOnPlateau::default();
        for (plateau, rates) in [
            (ReduceLrOnPlateau { patience: 2, ..default.clone() }, &[(8, 1e-3), (5, 1e-4), (2, 1e-5), (1, 1e-6)][..]),
            (
                ReduceLrOnPlateau { patience: 2, cooldown: 2, factor: 0.5, ..default.clone() },
                &[(8, 1e-3), (5, 5e-4), (3, 2.5e-4)],
            ),
            (
                ReduceLrOnPlateau { patience: 1, min_lr: 3e-4, factor: 0.5, ..default },
                &[(3, 1e-3), (2, 5e-4), (11, 3e-4)],
            ),
        ] {
            let expected: Vec<f64> = rates.iter().flat_map(|&(epochs, rate)| vec![rate; epochs]).collect();
            let (_, found, _) = run(Callback::ReduceLrOnPlateau(plateau.clone()));
            let same = found.iter().zip(&expected).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-6);
            assert!(same && found.len() == expected.len(), "{plateau:?}: {found:?}");
        }
    }
}
