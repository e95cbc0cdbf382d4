//! Backups: a file of weights with a group `training`, which holds what else is needed to go on.
//!
//! ```text
//! /training                          attribute run: the options and data that it belongs to
//! /training/history/loss, ...        a number for each epoch
//! /training/history/notes            a text each
//! /training/callbacks/0, 1, ...      attribute state: best value, its epoch, epochs without progress, epochs not counted
//! /training/callbacks/0/weights      those of the best epoch
//! ```

use std::path::Path;

use hdf5::types::VarLenUnicode;

use super::callbacks::{Callback, State};
use super::{FitOptions, History, Samples};
use crate::files::{hdf5_error, open_hdf5};
use crate::model::{Model, TRAINING};
use crate::{Error, Result};

/// What a backup belongs to: another run must not go on from it.
pub(super) fn describe_run(
    model: &Model,
    train: &Samples,
    validation: Option<&Samples>,
    options: &FitOptions,
) -> String {
    let data = |samples: &Samples| {
        let numbers = samples.x.iter().chain(&samples.y);
        let hash = numbers.fold(0_u64, |hash, x| (hash.rotate_left(5) ^ u64::from(x.to_bits())).wrapping_mul(HASH));
        format!("{} samples of {} steps ({hash:016x})", samples.count, samples.steps)
    };
    let lines = [
        format!("batch_size: {}", options.batch_size),
        format!("shuffle: {}", options.shuffle),
        format!("seed: {}", options.seed),
        format!("l2: {}", model.options().l2),
        format!("data: {}", data(train)),
        format!("validation data: {}", validation.map_or("none".to_string(), data)),
        format!("callbacks: {}", options.callbacks.iter().map(Callback::describe).collect::<Vec<_>>().join(", ")),
    ];
    lines.join("\n")
}

/// Any odd number with many digits will do.
const HASH: u64 = 0x9e37_79b9_7f4a_7c15;

/// Writes the file whole, in place of the one before.
pub(super) fn save(path: &Path, model: &Model, run: &str, history: &History, states: &[State]) -> Result<()> {
    let text = |text: &str| text.parse::<VarLenUnicode>().map_err(|_| hdf5::Error::from("a text with a zero byte"));
    model.save_keras(path, true, &|file| {
        let group = file.create_group(TRAINING)?;
        group.new_attr::<VarLenUnicode>().create("run")?.write_scalar(&text(run)?)?;
        let columns = group.create_group("history")?;
        for (name, values) in history.columns() {
            columns.new_dataset_builder().with_data(values).create(name)?;
        }
        let notes = history.notes.iter().map(|note| text(note)).collect::<hdf5::Result<Vec<_>>>()?;
        columns.new_dataset_builder().with_data(&notes).create("notes")?;
        let callbacks = group.create_group("callbacks")?;
        for (i, state) in states.iter().enumerate() {
            let callback = callbacks.create_group(&i.to_string())?;
            let numbers = [state.best, state.best_epoch as f64, state.wait as f64, state.cooldown as f64];
            callback.new_attr::<f64>().shape(4).create("state")?.write(&numbers)?;
            callback.new_dataset_builder().with_data(&state.best_weights).create("weights")?;
        }
        Ok(())
    })
}

/// Gives the model its weights and optimiser from the file, and returns history and states.
pub(super) fn restore(path: &Path, model: &mut Model, run: &str, states: usize) -> Result<(History, Vec<State>)> {
    let file = open_hdf5(path)?;
    let remedy = "remove the file to begin anew, or give the options and data that it was made with";
    let Ok(group) = file.group(TRAINING) else {
        return Err(Error::file(path, "it has weights, but no state of a training", "give another name"));
    };
    let read = || -> hdf5::Result<(History, Vec<State>)> {
        let columns = group.group("history")?;
        let mut history = History::default();
        for (name, values) in history.columns_mut() {
            *values = columns.dataset(name)?.read_raw()?;
        }
        let notes = columns.dataset("notes")?.read_raw::<VarLenUnicode>()?;
        history.notes = notes.iter().map(ToString::to_string).collect();
        let state = |i: usize| {
            let callback = group.group(&format!("callbacks/{i}"))?;
            let numbers = callback.attr("state")?.read_raw::<f64>()?;
            let [best, best_epoch, wait, cooldown] = numbers[..] else { return Err("callbacks: state".into()) };
            let (best_epoch, wait, cooldown) = (best_epoch as usize, wait as usize, cooldown as usize);
            Ok(State { best, best_epoch, wait, cooldown, best_weights: callback.dataset("weights")?.read_raw()? })
        };
        Ok((history, (0..states).map(state).collect::<hdf5::Result<_>>()?))
    };
    let found = group.attr("run").and_then(|attribute| attribute.read_scalar::<VarLenUnicode>());
    let found = found.map_err(hdf5_error(path, "read the state of the training"))?;
    if let Some((then, now)) = found.lines().zip(run.lines()).find(|(then, now)| then != now) {
        return Err(Error::file(path, format!("it is the backup of another run: '{then}', now '{now}'"), remedy));
    }
    let (history, states) = read().map_err(hdf5_error(path, "read the state of the training"))?;
    let params = model.count_params();
    let lengths = history.columns().map(|(_, values)| values.len());
    if lengths.iter().any(|&length| length != 0 && length != history.len())
        || states.iter().any(|state| !state.best_weights.is_empty() && state.best_weights.len() != params)
    {
        return Err(Error::file(path, "the state of the training does not fit together", remedy));
    }
    model.set_weights_from(path)?;
    Ok((history, states))
}
