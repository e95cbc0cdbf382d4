//! The course of a training.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::Evaluation;
use crate::Result;
use crate::files::write_whole;

/// Loss and mean squared error of each epoch, as [`Model::fit`](crate::model::Model::fit) returns them.
///
/// `Display` is a table of at most ten epochs, followed by the notes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Mean squared error plus penalty: the mean over the epoch, while the weights change.
    pub loss: Vec<f64>,
    /// Mean squared error in the square of `y`'s unit: the mean over the epoch, while the weights change.
    pub mse: Vec<f64>,
    /// Loss on the validation data at the epoch's end; empty without validation data.
    pub val_loss: Vec<f64>,
    /// Mean squared error on the validation data at the epoch's end; empty without validation data.
    pub val_mse: Vec<f64>,
    /// Duration of the epoch and its validation, s.
    pub seconds: Vec<f64>,
    /// Learning rate; empty without a callback that can change it.
    pub learning_rate: Vec<f64>,
    /// Messages: why the training stopped early, when the learning rate changed, which units are dead.
    pub notes: Vec<String>,
    /// Whether the training was ended by Ctrl+C, or by the stop button of a notebook.
    pub interrupted: bool,
}

impl History {
    /// Number of epochs.
    pub fn len(&self) -> usize {
        self.loss.len()
    }

    /// Whether there are no epochs.
    pub fn is_empty(&self) -> bool {
        self.loss.is_empty()
    }

    /// The history as comma-separated values: the epoch, then the other columns in alphabetical order, as in the files
    /// of Keras' `CSVLogger`. Epochs are counted from 1, whereas Keras' `CSVLogger` counts them from 0.
    ///
    /// ```
    /// use hhnet::training::History;
    /// let history = History { loss: vec![2.5], mse: vec![2.25], seconds: vec![0.5], ..History::default() };
    /// assert_eq!(history.to_csv(), "epoch,loss,mse,seconds\n1,2.5,2.25,0.5\n");
    /// ```
    pub fn to_csv(&self) -> String {
        self.csv(0..self.len(), true, ',')
    }

    /// Rows of [`History::to_csv`]. `indices` are those of the epochs in the lists, from 0.
    pub(super) fn csv(&self, indices: Range<usize>, head: bool, separator: char) -> String {
        let columns = self.columns().into_iter().filter(|(_, values)| !values.is_empty());
        let columns: Vec<(&str, &[f64])> = columns.collect();
        let mut text = String::new();
        if head {
            text += "epoch";
            for (name, _) in &columns {
                text += &format!("{separator}{name}");
            }
            text.push('\n');
        }
        for index in indices {
            text += &(index + 1).to_string();
            for (_, values) in &columns {
                text.push(separator);
                text += &values.get(index).map_or(String::new(), f64::to_string);
            }
            text.push('\n');
        }
        text
    }

    /// Writes [`History::to_csv`] to a file. The file is complete or absent.
    ///
    /// # Errors
    /// If the file exists and `overwrite` is false, or it cannot be written.
    pub fn save_csv(&self, path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        write_whole(path.as_ref(), overwrite, self.to_csv().as_bytes())
    }

    pub(super) fn push(&mut self, training: Evaluation, validation: Option<Evaluation>, seconds: f64) {
        self.loss.push(training.loss);
        self.mse.push(training.mse);
        if let Some(validation) = validation {
            self.val_loss.push(validation.loss);
            self.val_mse.push(validation.mse);
        }
        self.seconds.push(seconds);
    }

    /// All columns, in alphabetical order.
    pub(super) fn columns(&self) -> [(&'static str, &[f64]); 6] {
        [
            ("learning_rate", &self.learning_rate),
            ("loss", &self.loss),
            ("mse", &self.mse),
            ("seconds", &self.seconds),
            ("val_loss", &self.val_loss),
            ("val_mse", &self.val_mse),
        ]
    }

    /// The line about an epoch, counted from 1.
    pub(super) fn line(&self, epoch: usize, epochs: usize) -> String {
        let width = epochs.to_string().len();
        let seconds = self.seconds.get(epoch - 1).copied().unwrap_or_default();
        let mut line = format!("Epoch {epoch:>width$}/{epochs} - {seconds:.1}s");
        for (name, values) in self.columns() {
            if !["seconds", "learning_rate"].contains(&name)
                && let Some(&value) = values.get(epoch - 1)
            {
                line += &format!(" - {name}: {}", number(value));
            }
        }
        line
    }

    /// Headings, and a row for each of at most ten epochs: the first, the last and some between.
    pub(crate) fn table(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let columns: Vec<_> = self.columns().into_iter().filter(|(_, values)| !values.is_empty()).collect();
        let head = std::iter::once("epoch").chain(columns.iter().map(|(name, _)| *name)).collect();
        let (rows, epochs) = (self.len().min(10), self.len());
        let row = |row: usize| {
            let index = if rows > 1 { row * (epochs - 1) / (rows - 1) } else { 0 };
            let cell = |(name, values): &(&str, &[f64])| {
                let value = values.get(index).copied().unwrap_or(f64::NAN);
                if *name == "seconds" { format!("{value:.2}") } else { number(value) }
            };
            std::iter::once((index + 1).to_string()).chain(columns.iter().map(cell)).collect()
        };
        (head, (0..rows).map(row).collect())
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, rows) = self.table();
        let width = |name: &str| match name {
            "epoch" => 6,
            "seconds" => 9,
            "learning_rate" => 15,
            _ => 12,
        };
        for name in &head {
            write!(f, "{name:>0$}", width(name))?;
        }
        for row in rows {
            writeln!(f)?;
            for (cell, name) in row.iter().zip(&head) {
                write!(f, "{cell:>0$}", width(name))?;
            }
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}

/// Four decimals, or an exponent where they would not be enough, as in Keras.
fn number(value: f64) -> String {
    if value.abs() > 1e-3 || value == 0.0 { format!("{value:.4}") } else { format!("{value:.4e}") }
}

/// `5s`, `2m 47s`, `3h 05m`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}
