//! What happens between epochs beside training: Keras' callbacks.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::History;
use crate::files::check_target;
use crate::model::{Model, check_keras_name};
use crate::{Error, Result};

/// Something that [`Model::fit`] does at the end of each epoch, in the order of [`FitOptions`](super::FitOptions)'s
/// list.
///
/// Each has the name, the fields and the defaults that it has in Keras.
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
    /// Stops when there is no progress any more.
    EarlyStopping(EarlyStopping),
    /// Writes the weights.
    ModelCheckpoint(ModelCheckpoint),
    /// Keeps all that is needed to go on after an interruption.
    BackupAndRestore(BackupAndRestore),
    /// Gives each epoch its learning rate.
    LearningRateScheduler(LearningRateScheduler),
    /// Lowers the learning rate when there is no progress any more.
    ReduceLrOnPlateau(ReduceLrOnPlateau),
    /// Writes the history while it is made.
    CsvLogger(CsvLogger),
    /// A loss that is not finite ends the training, but is no error: `fit` returns the history of the epochs before.
    TerminateOnNan,
}

impl Callback {
    /// What the course of the training depends on.
    pub(super) fn describe(&self) -> String {
        match self {
            Callback::ModelCheckpoint(_) => "ModelCheckpoint".to_string(),
            Callback::BackupAndRestore(_) => "BackupAndRestore".to_string(),
            Callback::CsvLogger(_) => "CsvLogger".to_string(),
            other => format!("{other:?}"),
        }
    }
}

/// What a callback looks at. All of these should become small.
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

/// Stops the training after `patience` epochs in a row in which `monitor` did not become smaller than before.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopping {
    /// What should become smaller.
    pub monitor: Monitor,
    /// It counts as smaller if it is so by more than this.
    pub min_delta: f64,
    /// So many epochs without progress are waited for.
    pub patience: usize,
    /// Progress counts only below this value.
    pub baseline: Option<f64>,
    /// Whether the model gets the weights of the best epoch when the training ends, early or not.
    pub restore_best_weights: bool,
    /// So many first epochs are not looked at.
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

/// Writes weights and optimiser state after each epoch, or after those in which `monitor` was smaller than ever before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelCheckpoint {
    /// Name of the file, which ends in `.weights.h5` or `.safetensors`. `{epoch}` in it is replaced by the epoch's number,
    /// counted from 1, and `{loss}`, `{mse}`, `{val_loss}` and `{val_mse}` by their values; as in Keras, `{epoch:02d}` has at
    /// least 2 digits and `{val_loss:.2f}` has 2 decimals. Without any of these, each file replaces the one before.
    pub filepath: PathBuf,
    /// What should become smaller.
    pub monitor: Monitor,
    /// Whether only the best weights are written.
    pub save_best_only: bool,
    /// Whether files that were there before the training may be replaced.
    pub overwrite: bool,
}

/// Keeps weights, optimiser, history and the state of all callbacks in a file after each epoch, and goes on from there if
/// the file exists when `fit` begins: the same call after an interruption ends with the same bits as without one.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupAndRestore {
    /// Name of the file, which ends in `.weights.h5`: other programs can read the weights in it.
    pub path: PathBuf,
    /// Whether the file is removed when the training has come to its end.
    pub delete_checkpoint: bool,
}

impl Default for BackupAndRestore {
    fn default() -> Self {
        BackupAndRestore { path: PathBuf::new(), delete_checkpoint: true }
    }
}

/// The learning rate of each epoch. Make a list from a formula like this:
///
/// ```
/// use hhnet::training::LearningRateScheduler;
/// let schedule = (0..100).map(|epoch| 0.01 * 0.97_f64.powi(epoch)).collect();
/// let decay = LearningRateScheduler { schedule };
/// assert_eq!(decay.schedule[0], 0.01);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LearningRateScheduler {
    /// The rates. After the last one the rate stays.
    pub schedule: Vec<f64>,
}

/// Multiplies the learning rate by `factor` after `patience` epochs in a row in which `monitor` did not become smaller.
#[derive(Debug, Clone, PartialEq)]
pub struct ReduceLrOnPlateau {
    /// What should become smaller.
    pub monitor: Monitor,
    /// From above 0 to below 1.
    pub factor: f64,
    /// So many epochs without progress are waited for.
    pub patience: usize,
    /// It counts as smaller if it is so by more than this.
    pub min_delta: f64,
    /// So many epochs after a reduction are not counted.
    pub cooldown: usize,
    /// The rate does not go below this.
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

/// Writes a line of comma-separated values after each epoch, as [`History::to_csv`] has it.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvLogger {
    /// Name of the file.
    pub filename: PathBuf,
    /// Between two values.
    pub separator: char,
    /// Whether the lines are added to what is in the file.
    pub append: bool,
    /// Whether a file that was there before the training may be replaced.
    pub overwrite: bool,
}

impl Default for CsvLogger {
    fn default() -> Self {
        CsvLogger { filename: PathBuf::new(), separator: ',', append: false, overwrite: false }
    }
}

/// What a callback remembers from epoch to epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    /// The smallest value of the monitor.
    pub best: f64,
    /// The epoch of the best weights, counted from 1; 0 if there are none yet.
    pub best_epoch: usize,
    /// Epochs without progress.
    pub wait: usize,
    /// Epochs that are not counted any more.
    pub cooldown: usize,
    /// Those of the best epoch, if they are to be restored.
    pub best_weights: Vec<f32>,
}

impl State {
    pub fn new() -> Self {
        State { best: f64::INFINITY, best_epoch: 0, wait: 0, cooldown: 0, best_weights: Vec::new() }
    }
}

/// The callbacks of one training.
pub(super) struct Callbacks<'a> {
    list: &'a [Callback],
    pub states: Vec<State>,
    /// The open file of each [`CsvLogger`], and whether it needs a heading.
    logs: Vec<Option<(File, bool)>>,
    /// Whether the training goes on from a backup: the files of its callbacks are its own then.
    is_resumed: bool,
}

impl<'a> Callbacks<'a> {
    /// Checks the callbacks' fields.
    pub fn new(list: &'a [Callback], has_validation: bool) -> Result<Self> {
        for (i, callback) in list.iter().enumerate() {
            let error = |field: &str, value: String, remedy: &str| {
                Err(Error::parameter(format!("callbacks[{i}].{field}"), value, remedy))
            };
            let monitor = match callback {
                Callback::EarlyStopping(stopping) => Some(stopping.monitor),
                Callback::ReduceLrOnPlateau(plateau) => Some(plateau.monitor),
                Callback::ModelCheckpoint(checkpoint) if checkpoint.save_best_only => Some(checkpoint.monitor),
                _ => None,
            };
            if let Some(monitor @ (Monitor::ValLoss | Monitor::ValMse)) = monitor
                && !has_validation
            {
                let remedy = "there are no validation data: give some, or monitor the loss";
                return error("monitor", monitor.name().to_string(), remedy);
            }
            let is_bad = |number: f64| number.is_nan() || number < 0.0;
            match callback {
                Callback::EarlyStopping(EarlyStopping { min_delta, .. }) if is_bad(*min_delta) => {
                    return error("min_delta", min_delta.to_string(), "give 0 or more");
                }
                Callback::ReduceLrOnPlateau(ReduceLrOnPlateau { factor, .. }) if !(*factor > 0.0 && *factor < 1.0) => {
                    return error("factor", factor.to_string(), "give a number above 0 and below 1, such as 0.1");
                }
                Callback::ReduceLrOnPlateau(ReduceLrOnPlateau { min_delta, .. }) if is_bad(*min_delta) => {
                    return error("min_delta", min_delta.to_string(), "give 0 or more");
                }
                Callback::ReduceLrOnPlateau(ReduceLrOnPlateau { min_lr, .. }) if is_bad(*min_lr) => {
                    return error("min_lr", min_lr.to_string(), "give 0 or more");
                }
                Callback::LearningRateScheduler(LearningRateScheduler { schedule }) => {
                    let usable = |rate: f64| (rate as f32).is_finite() && rate as f32 > 0.0;
                    if schedule.is_empty() {
                        return error("schedule", "[]".to_string(), "give a learning rate for each epoch");
                    }
                    if let Some(epoch) = schedule.iter().position(|&rate| !usable(rate)) {
                        let field = format!("schedule[{epoch}]");
                        return error(&field, schedule[epoch].to_string(), "give a learning rate above 0");
                    }
                }
                Callback::ModelCheckpoint(ModelCheckpoint { filepath, .. }) => {
                    file_name(filepath, 1, &History::default())
                        .map_err(|unknown| Error::file(filepath, format!("cannot replace '{unknown}' in it"), NAMES))?;
                }
                Callback::BackupAndRestore(backup) => check_keras_name(&backup.path)?,
                _ => {}
            }
        }
        if list.iter().filter(|callback| matches!(callback, Callback::BackupAndRestore(_))).count() > 1 {
            return Err(Error::parameter("callbacks", "two of BackupAndRestore", "give one"));
        }
        let states = vec![State::new(); list.len()];
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

    /// Whether the learning rate can change from epoch to epoch: then it is part of the history.
    pub fn changes_rate(&self) -> bool {
        let changes = |callback: &Callback| {
            matches!(callback, Callback::LearningRateScheduler(_) | Callback::ReduceLrOnPlateau(_))
        };
        self.list.iter().any(changes)
    }

    /// Looks at the files that are to be written, before hours have passed, and begins the logs. After an interruption
    /// `history` has the epochs before it.
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

    /// The learning rate that the epoch, counted from 0, is to have, if it is to change.
    pub fn rate(&self, epoch: usize) -> Option<f64> {
        let schedule = self.list.iter().rev().find_map(|callback| match callback {
            Callback::LearningRateScheduler(scheduler) => Some(&scheduler.schedule),
            _ => None,
        });
        schedule.and_then(|schedule| schedule.get(epoch)).copied()
    }

    /// What there is to do after the last epoch in `history`; true if the training is to stop.
    pub fn epoch_end(&mut self, model: &mut Model, history: &mut History) -> Result<bool> {
        let epoch = history.len();
        let mut stop = false;
        for (i, callback) in self.list.iter().enumerate() {
            let state = &mut self.states[i];
            match callback {
                Callback::EarlyStopping(stopping) => stop |= stopping.epoch_end(state, model, history)?,
                Callback::ReduceLrOnPlateau(plateau) => plateau.epoch_end(state, model, history)?,
                Callback::ModelCheckpoint(checkpoint) => {
                    let value = checkpoint.monitor.last(history);
                    if !checkpoint.save_best_only || value < state.best {
                        state.best = value;
                        let path = file_name(&checkpoint.filepath, epoch, history).unwrap_or_default();
                        // A name without numbers is this training's own after its first epoch.
                        let is_own = self.is_resumed || state.best_epoch > 0 && path == checkpoint.filepath;
                        model.save_weights(&path, checkpoint.overwrite || is_own)?;
                        state.best_epoch = epoch;
                    }
                }
                Callback::CsvLogger(logger) => {
                    if let Some((file, needs_head)) = &mut self.logs[i] {
                        // Only now the columns are known.
                        let head = std::mem::take(needs_head);
                        logger.write(file, &history.csv(epoch - 1..epoch, head, logger.separator))?;
                    }
                }
                Callback::BackupAndRestore(_) | Callback::LearningRateScheduler(_) | Callback::TerminateOnNan => {}
            }
        }
        Ok(stop)
    }

    /// What there is to do when the training has come to its end.
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

impl EarlyStopping {
    fn epoch_end(&self, state: &mut State, model: &Model, history: &mut History) -> Result<bool> {
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
            history.notes.push(format!("stopped after epoch {epoch}: {name} made no progress in {wait} epochs"));
        }
        Ok(stop)
    }
}

impl ReduceLrOnPlateau {
    fn epoch_end(&self, state: &mut State, model: &mut Model, history: &mut History) -> Result<()> {
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
    /// Opens the file, for this training alone, with the rows of the epochs before an interruption. Returns it, and whether
    /// it needs a heading.
    fn begin(&self, history: &History, is_resumed: bool) -> Result<(File, bool)> {
        let path = &self.filename;
        check_target(path, true)?;
        let mut file = File::options().create(true).append(true).open(path).map_err(Error::io(path, "write"))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::file(path, "another training is writing it", "give another name, or wait"));
        }
        let length = file.metadata().map_err(Error::io(path, "read the size of it"))?.len();
        let appends = self.append && length > 0;
        // An empty file may be from a training that was interrupted at once.
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

/// A checkpoint's name with the numbers of an epoch; the part that is not understood as the error.
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
