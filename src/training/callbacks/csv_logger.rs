//! Writes the history to a file.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::PathBuf;

use crate::files::check_target;
use crate::training::History;
use crate::{Error, Result};

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

impl CsvLogger {
    /// Opens and locks the file, and writes the rows of the epochs before an interruption, in place of those that are
    /// there: an epoch may have a row but no backup. `start` is where the training's rows begin. Returns the file, and
    /// whether it still needs a heading.
    pub(super) fn begin(&self, history: &History, is_resumed: bool, start: &mut u64) -> Result<(File, bool)> {
        let path = &self.filename;
        check_target(path, true)?;
        let mut file = File::options().create(true).append(true).open(path).map_err(Error::io(path, "write"))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::file(path, "another training is writing to it", "use another name, or wait"));
        }
        let length = file.metadata().map_err(Error::io(path, "read its size"))?.len();
        // An empty file may be left from a training that was interrupted before its first epoch ended.
        check_target(path, self.append || self.overwrite || is_resumed || length == 0)?;
        if !is_resumed {
            *start = if self.append { length } else { 0 };
        }
        file.set_len(length.min(*start)).map_err(Error::io(path, "write"))?;
        let needs_head = length.min(*start) == 0;
        if history.is_empty() {
            return Ok((file, needs_head));
        }
        self.write(&mut file, &history.csv(0..history.len(), needs_head, self.separator))?;
        Ok((file, false))
    }

    pub(super) fn write(&self, file: &mut File, text: &str) -> Result<()> {
        file.write_all(text.as_bytes()).map_err(Error::io(&self.filename, "write"))
    }
}
