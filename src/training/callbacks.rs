//! Keras' callbacks: what happens between epochs.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::History;
use crate::files::check_target;
use crate::model::{Model, check_keras_name, is_learning_rate};
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
            other => format!("{other:?}"),
        }
    }
    /// Checks the fields.
    fn check(&self, has_validation: bool) -> Result<()> {
        self.check_monitor(has_validation)?;
        match self {
            Callback::EarlyStopping(stopping) => check_not_negative("min_delta", stopping.min_delta),
            Callback::ReduceLrOnPlateau(plateau) => plateau.check(),
            Callback::LearningRateScheduler(scheduler) => scheduler.check(),
            Callback::ModelCheckpoint(ModelCheckpoint { filepath, .. }) => {
                file_name(filepath, 1, &History::default())
                    .map_err(|unknown| Error::file(filepath, format!("cannot replace '{unknown}' in it"), NAMES))?;
                Ok(())
            }
            Callback::BackupAndRestore(backup) => check_keras_name(&backup.path),
            Callback::CsvLogger(_) | Callback::TerminateOnNan => Ok(()),
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

/// Writes weights and optimiser state after each epoch, or only after epochs in which `monitor` reached a new smallest
/// value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelCheckpoint {
    /// Name of the file, which ends in `.weights.h5` or `.safetensors`. In it `{epoch}` is replaced by the number of
    /// the epoch, counted from 1, and `{loss}`, `{mse}`, `{val_loss}` and `{val_mse}` by their values. As in Keras,
    /// `{epoch:02d}` has at least 2 digits and `{val_loss:.2f}` has 2 decimals. If the name contains none of these,
    /// each file replaces the one before.
    pub filepath: PathBuf,
    /// The quantity to minimise.
    pub monitor: Monitor,
    /// Whether to write only the best weights.
    pub save_best_only: bool,
    /// Whether files from before the training may be replaced.
    pub overwrite: bool,
}

/// Saves weights, optimiser, history and the state of all callbacks to a file after each epoch. If the file exists when
/// `fit` begins, the training resumes from it. After an interruption, the same call therefore ends with the same bits
/// as without one.
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
    fn check(&self) -> Result<()> {
        if self.schedule.is_empty() {
            return Err(Error::parameter("schedule", "[]", "give a learning rate for each epoch"));
        }
        match self.schedule.iter().position(|&rate| !is_learning_rate(rate)) {
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
    fn check(&self) -> Result<()> {
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(Error::parameter("factor", self.factor, "give a number above 0 and below 1, such as 0.1"));
        }
        check_not_negative("min_delta", self.min_delta)?;
        check_not_negative("min_lr", self.min_lr)
    }
}

/// Writes the history as comma-separated values, one line after each epoch, in the form of [`History::to_csv`].
///
/// Epochs are counted from 1, whereas Keras' `CSVLogger` counts them from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvLogger {
    /// Name of the file.
    pub filename: PathBuf,
    /// The character between two values.
    pub separator: char,
    /// Whether to append the lines to an existing file.
    pub append: bool,
    /// Whether a file from before the training may be replaced.
    pub overwrite: bool,
}

impl Default for CsvLogger {
    fn default() -> Self {
        CsvLogger { filename: PathBuf::new(), separator: ',', append: false, overwrite: false }
    }
}

/// What a callback remembers from epoch to epoch.
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
    /// The weights of the best epoch, if they are to be restored.
    pub best_weights: Vec<f32>,
}

impl CallbackState {
    pub fn new() -> Self {
        CallbackState { best: f64::INFINITY, best_epoch: 0, wait: 0, cooldown: 0, best_weights: Vec::new() }
    }
}

/// The callbacks of one training.
pub(super) struct Callbacks<'a> {
    list: &'a [Callback],
    pub states: Vec<CallbackState>,
    /// The open file of each [`CsvLogger`], and whether it still needs a heading.
    logs: Vec<Option<(File, bool)>>,
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
        let states = vec![CallbackState::new(); list.len()];
        Ok(Callbacks { list, states, logs: list.iter().map(|_| None).collect(), is_resumed: false })
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
                    Model::check_weights_path(filepath, *overwrite || is_resumed)?;
                }
                Callback::CsvLogger(logger) => {
                    self.logs[i] = Some(logger.begin(history, is_resumed)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The learning rate of an epoch, counted from 1, if it is in a schedule.
    pub fn rate(&self, epoch: usize) -> Option<f64> {
        let schedule = self.list.iter().rev().find_map(|callback| match callback {
            Callback::LearningRateScheduler(scheduler) => Some(&scheduler.schedule),
            _ => None,
        });
        schedule.and_then(|schedule| schedule.get(epoch - 1)).copied()
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
                    checkpoint.epoch_end(state, model, history, self.is_resumed)?;
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
            match callback {
                Callback::EarlyStopping(_) if !state.best_weights.is_empty() => {
                    model.set_values(&state.best_weights)?;
                    history.notes.push(format!("the model has the weights of epoch {}", state.best_epoch));
                }
                Callback::BackupAndRestore(backup) if backup.delete_checkpoint && backup.path.exists() => {
                    std::fs::remove_file(&backup.path).map_err(Error::io(&backup.path, "remove"))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl ModelCheckpoint {
    fn epoch_end(&self, state: &mut CallbackState, model: &Model, history: &History, is_resumed: bool) -> Result<()> {
        let value = self.monitor.last(history);
        let is_best = value < state.best;
        if self.save_best_only && !is_best {
            return Ok(());
        }
        let epoch = history.len();
        let path = file_name(&self.filepath, epoch, history).unwrap_or_default();
        // After the first epoch, a file whose name has no numbers was written by this training.
        let is_own = is_resumed || state.best_epoch > 0 && path == self.filepath;
        model.save_weights(&path, self.overwrite || is_own)?;
        (state.best, state.best_epoch) = (value, epoch);
        Ok(())
    }
}

impl EarlyStopping {
    /// Returns whether the training stops.
    fn epoch_end(&self, state: &mut CallbackState, model: &Model, history: &mut History) -> Result<bool> {
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

impl ReduceLrOnPlateau {
    fn epoch_end(&self, state: &mut CallbackState, model: &mut Model, history: &mut History) -> Result<()> {
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

impl CsvLogger {
    /// Opens and locks the file, and writes the rows of the epochs before an interruption. Returns the file, and
    /// whether it still needs a heading.
    fn begin(&self, history: &History, is_resumed: bool) -> Result<(File, bool)> {
        let path = &self.filename;
        check_target(path, true)?;
        let mut file = File::options().create(true).append(true).open(path).map_err(Error::io(path, "write"))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::file(path, "another training is writing to it", "use another name, or wait"));
        }
        let length = file.metadata().map_err(Error::io(path, "read its size"))?.len();
        let appends = self.append && length > 0;
        // An empty file may be left from a training that was interrupted before its first epoch ended.
        check_target(path, appends || self.overwrite || is_resumed || length == 0)?;
        if appends {
            return Ok((file, false));
        }
        file.set_len(0).map_err(Error::io(path, "write"))?;
        if !history.is_empty() {
            self.write(&mut file, &history.csv(0..history.len(), true, self.separator))?;
        }
        Ok((file, history.is_empty()))
    }

    fn write(&self, file: &mut File, text: &str) -> Result<()> {
        file.write_all(text.as_bytes()).map_err(Error::io(&self.filename, "write"))
    }
}

const NAMES: &str =
    "use {epoch}, {loss}, {mse}, {val_loss} or {val_mse}, with a form such as {epoch:02d} or {loss:.2f}";

/// A checkpoint's name with the numbers of an epoch. The error is the field that is not understood.
fn file_name(pattern: &Path, epoch: usize, history: &History) -> std::result::Result<PathBuf, String> {
    let text = pattern.to_string_lossy();
    let mut name = String::new();
    let mut rest = &*text;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}').ok_or_else(|| format!("{{{after}"))?;
        let unknown = || format!("{{{field}}}");
        let (what, form) = field.split_once(':').unwrap_or((field, ""));
        let monitors = [Monitor::Loss, Monitor::Mse, Monitor::ValLoss, Monitor::ValMse];
        let number = if what == "epoch" {
            let digits = if form.is_empty() { Some("0") } else { form.strip_suffix('d') };
            let width: usize =
                digits.and_then(|digits| digits.parse().ok()).filter(|&w| w < 100).ok_or_else(unknown)?;
            format!("{epoch:0width$}")
        } else {
            let value = monitors.into_iter().find(|monitor| monitor.name() == what).ok_or_else(unknown)?.last(history);
            match form.strip_prefix('.').and_then(|form| form.strip_suffix('f')) {
                _ if form.is_empty() => value.to_string(),
                Some(digits) => {
                    let digits: usize = digits.parse().ok().filter(|&digits| digits < 100).ok_or_else(unknown)?;
                    format!("{value:.digits$}")
                }
                None => return Err(unknown()),
            }
        };
        name += before;
        name += &number;
        rest = after;
    }
    Ok(PathBuf::from(name + rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelOptions, generate_model};

    #[test]
    fn a_checkpoints_name_has_the_epochs_numbers() {
        let history = History { val_loss: vec![2.0, 0.1256], ..History::default() };
        let name = |pattern: &str| file_name(Path::new(pattern), 7, &history);
        assert_eq!(name("a.weights.h5"), Ok("a.weights.h5".into()));
        assert_eq!(name("d/{epoch:02d}-{val_loss:.2f}.weights.h5"), Ok("d/07-0.13.weights.h5".into()));
        assert_eq!(name("{epoch}_{val_loss}.x"), Ok("7_0.1256.x".into()));
        for bad in ["{", "{}", "{lr}", "{epoch:x}", "{val_loss:2f}", "{epoch:0999d}"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

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
