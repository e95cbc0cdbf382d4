//! Backups: a file of weights with a group `training`, which holds everything else that is needed to resume.
//!
//! ```text
//! /training                          attributes run, start: the options and data that it belongs to, and the model
//!                                    at its beginning
//! /training/history/loss, ...        one number for each epoch
//! /training/history/notes            texts
//! /training/callbacks/0, 1, ...      attribute state: best value, its epoch, epochs without progress, cooldown,
//!                                    start of a log
//! /training/callbacks/0/weights      those of the best epoch
//! ```

use std::path::Path;

use super::callbacks::{Callback, CallbackState};
use super::samples::Data;
use super::{FitOptions, History};
use crate::dataset::checksum::PROGRAM;
use crate::dataset::description::text;
use crate::files::{open_hdf5, write_text_attribute, write_texts};
use crate::memory;
use crate::model::Model;
use crate::simd::SimdLevel;
use crate::{Error, Result};

/// The group that keeps the state of the training.
const TRAINING: &str = "training";

/// The file that a training is saved to after each epoch.
pub(super) struct Backup<'a> {
    path: &'a Path,
    /// Options and data, one per line. A training resumes only from a backup in which they are the same.
    run: String,
    /// The model at the beginning, one number per line.
    start: String,
    /// The learning rates of the first epochs, if there is a schedule.
    schedule: Option<&'a [f64]>,
}

/// The most samples whose values tell one data set from another. Reading all of a large file would take long.
const HASHED_SAMPLES: usize = 10_000;

/// What to do if a backup cannot be used.
const REMEDY: &str = "remove the file to start again, or use the options and data that it was made with";

impl<'a> Backup<'a> {
    pub fn new(
        path: &'a Path,
        model: &Model,
        train: &Data,
        validation: Option<&Data>,
        options: &FitOptions,
        schedule: Option<&'a [f64]>,
    ) -> Result<Self> {
        let callbacks: Vec<String> = options.callbacks.iter().map(Callback::describe).collect();
        let lines = [
            format!("batch_size: {}", options.batch_size),
            format!("shuffle: {}", options.shuffle),
            format!("seed: {}", options.seed),
            format!("program: {PROGRAM}"),
            format!("engine: {}", engine(model)),
            format!("model: {}", model.sequential()),
            format!("penalties: {:?}", model.network.layers.iter().map(|layer| layer.penalties).collect::<Vec<_>>()),
            format!("data: {}", describe_data(train)?),
            format!("validation data: {}", validation.map_or(Ok("none".to_string()), describe_data)?),
            format!("callbacks: {}", callbacks.join(", ")),
        ];
        Ok(Backup { path, run: lines.join("\n"), start: describe_model(model, schedule)?, schedule })
    }

    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Writes the whole file, in place of the one before.
    pub fn save(&self, model: &Model, history: &History, states: &[CallbackState]) -> Result<()> {
        model.save_weights_h5(self.path, true, &|file| {
            let group = file.create_group(TRAINING)?;
            for (name, lines) in [("run", &self.run), ("start", &self.start)] {
                write_text_attribute(&group, name, lines)?;
            }
            write_history(&group.create_group("history")?, history)?;
            let callbacks = group.create_group("callbacks")?;
            for (i, state) in states.iter().enumerate() {
                write_state(&callbacks.create_group(&i.to_string())?, state)?;
            }
            Ok(())
        })
    }

    /// Sets the model's weights and optimiser state from the file. Returns the history and the states of the callbacks.
    pub fn restore(&self, model: &mut Model, callbacks: usize) -> Result<(History, Vec<CallbackState>)> {
        let path = self.path;
        let cannot_read = || Error::hdf5(path, "read the state of the training");
        let file = open_hdf5(path)?;
        let Ok(group) = file.group(TRAINING) else {
            return Err(Error::file(path, "it holds weights, but no state of a training", "use another name"));
        };
        let lines = |name| -> Result<String> {
            text(&group, name).ok_or_else(|| format!("'{name}' is not text").into()).map_err(cannot_read())
        };
        let (run, start) = (lines("run")?, lines("start")?);
        self.compare(&run, &self.run)?;
        let history = group.group("history").and_then(|group| read_history(&group)).map_err(cannot_read())?;
        let states = (0..callbacks).map(|i| read_state(&group.group(&format!("callbacks/{i}"))?));
        let states: Vec<CallbackState> = states.collect::<hdf5::Result<_>>().map_err(cannot_read())?;
        if !is_consistent(&history, &states, model.count_params()) {
            return Err(Error::file(path, "the state of the training is inconsistent", REMEDY));
        }
        self.check_schedule(&history)?;
        let before = (model.values()?, model.adam.clone());
        model.load_weights(path)?;
        // The model may be the one that was interrupted.
        if self.start != describe_model(model, self.schedule)?
            && let Err(error) = self.compare(&start, &self.start)
        {
            model.set_values(&before.0)?;
            model.adam = before.1;
            return Err(error);
        }
        Ok((history, states))
    }

    /// Compares what the backup says line by line with what is the case.
    fn compare(&self, then: &str, now: &str) -> Result<()> {
        match then.lines().zip(now.lines()).find(|(then, now)| then != now) {
            None => Ok(()),
            Some((then, now)) => {
                let problem = format!("it is the backup of another run: '{then}', now '{now}'");
                Err(Error::file(self.path, problem, REMEDY))
            }
        }
    }

    /// Compares the schedule with the learning rates so far.
    fn check_schedule(&self, history: &History) -> Result<()> {
        let pairs = history.learning_rate.iter().zip(self.schedule.unwrap_or_default());
        match pairs.enumerate().find(|(_, (then, now))| **then as f32 != **now as f32) {
            None => Ok(()),
            Some((i, (then, now))) => {
                let rate = format!("learning rate of epoch {}", i + 1);
                self.compare(&format!("{rate}: {then}"), &format!("{rate}: {now}"))
            }
        }
    }
}

/// What computes the network. Others give other bits.
fn engine(model: &Model) -> String {
    match model.is_fused() {
        true if model.simd_level() == SimdLevel::Portable => "fused, without fused multiply-add".to_owned(),
        true => "fused".to_owned(),
        false => format!("libtorch on {:?}", model.device()),
    }
}

/// Learning rate and weights.
fn describe_model(model: &Model, schedule: Option<&[f64]>) -> Result<String> {
    let rate = schedule.map_or_else(|| model.learning_rate().to_string(), |_| "scheduled".to_owned());
    let hash = model.values()?.iter().fold(0, add_to_hash);
    Ok(format!("learning rate: {rate}\ninitial weights: {hash:016x}"))
}

/// Adds a number to a hash.
fn add_to_hash(hash: u64, number: &f32) -> u64 {
    // Any odd number with many digits will do.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    (hash.rotate_left(5) ^ u64::from(number.to_bits())).wrapping_mul(FACTOR)
}

/// Number and length of the samples, and a hash of their values; of evenly spaced ones if there are very many.
fn describe_data(data: &Data) -> Result<String> {
    let mut hash = 0_u64;
    for row in (0..data.count).step_by(data.count.div_ceil(HASHED_SAMPLES)) {
        let portion = data.portion(vec![row], 1);
        let part = portion.part(0)?;
        let (x, y) = part.samples.sample(part.rows[0]);
        hash = x.iter().chain(y).fold(hash, add_to_hash);
    }
    Ok(format!("{} samples of {} steps ({hash:016x})", data.count, data.steps))
}

fn write_history(group: &hdf5::Group, history: &History) -> hdf5::Result<()> {
    for (name, values) in history.columns() {
        group.new_dataset_builder().with_data(values).create(name)?;
    }
    write_texts(group, "notes", &history.notes)
}

fn read_history(group: &hdf5::Group) -> hdf5::Result<History> {
    let column = |name| memory::read_dataset(&group.dataset(name)?);
    Ok(History {
        learning_rate: column("learning_rate")?,
        loss: column("loss")?,
        mse: column("mse")?,
        seconds: column("seconds")?,
        val_loss: column("val_loss")?,
        val_mse: column("val_mse")?,
        notes: memory::read_texts(&group.dataset("notes")?)?,
        interrupted: false,
    })
}

fn write_state(group: &hdf5::Group, state: &CallbackState) -> hdf5::Result<()> {
    let CallbackState { best, best_epoch, wait, cooldown, log_start, .. } = *state;
    let numbers = [best, best_epoch as f64, wait as f64, cooldown as f64, log_start as f64];
    group.new_attr::<f64>().shape(numbers.len()).create("state")?.write(&numbers)?;
    group.new_dataset_builder().with_data(&state.best_weights).create("weights")?;
    Ok(())
}

fn read_state(group: &hdf5::Group) -> hdf5::Result<CallbackState> {
    let state = group.attr("state")?;
    let mut numbers = [0.0; 5];
    if state.shape() != [numbers.len()] {
        return Err("a callback's state needs five numbers".into());
    }
    state.read_into_raw::<f64>(&mut numbers)?;
    let [best, best_epoch, wait, cooldown, log_start] = numbers;
    let best_weights = memory::read_dataset(&group.dataset("weights")?)?;
    let (best_epoch, wait, cooldown) = (best_epoch as usize, wait as usize, cooldown as usize);
    Ok(CallbackState { best, best_epoch, wait, cooldown, log_start: log_start as u64, best_weights })
}

/// Whether all lists have the lengths that belong together.
fn is_consistent(history: &History, states: &[CallbackState], params: usize) -> bool {
    let columns = history.columns().map(|(_, values)| values.len());
    columns.iter().all(|&length| length == 0 || length == history.len())
        && states.iter().all(|state| state.best_weights.is_empty() || state.best_weights.len() == params)
}
