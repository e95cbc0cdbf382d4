//! Writes the weights to files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{CallbackState, Monitor};
use crate::model::Model;
use crate::training::History;
use crate::{Error, Result};

/// Writes weights and optimiser state after each epoch, or only after epochs in which `monitor` reached a new smallest
/// value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelCheckpoint {
    /// Name of the file, which ends in `.keras`, `.weights.h5` or `.safetensors`. In it `{epoch}` is replaced by the
    /// number of the epoch, counted from 1, and `{loss}`, `{mse}`, `{val_loss}` and `{val_mse}` by their values. As in Keras,
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

impl ModelCheckpoint {
    pub(super) fn check(&self, has_validation: bool) -> Result<()> {
        if let Err(unknown) = file_name(&self.filepath, 1, &History::default()) {
            return Err(Error::file(&self.filepath, format!("cannot replace '{unknown}' in it"), NAMES));
        }
        if !has_validation && self.filepath.to_string_lossy().contains("{val_") {
            let problem = "without validation data there is no number for its {val_...}";
            return Err(Error::file(&self.filepath, problem, "give validation data, or use {loss} or {mse}"));
        }
        Ok(())
    }

    pub(super) fn epoch_end(
        &self,
        state: &mut CallbackState,
        model: &Model,
        history: &History,
        written: &mut HashSet<PathBuf>,
        is_resumed: bool,
    ) -> Result<()> {
        let value = self.monitor.last(history);
        let is_best = value < state.best;
        if self.save_best_only && !is_best {
            return Ok(());
        }
        let epoch = history.len();
        let path = file_name(&self.filepath, epoch, history).unwrap_or_default();
        // A name without numbers comes again, and one with few digits may.
        model.save(&path, self.overwrite || is_resumed || written.contains(&path))?;
        written.insert(path);
        (state.best, state.best_epoch) = (value, epoch);
        Ok(())
    }
}

const NAMES: &str =
    "use {epoch}, {loss}, {mse}, {val_loss} or {val_mse}, with a form such as {epoch:02d} or {loss:.2f}";

/// The name of a checkpoint, with the numbers of an epoch filled in. The error is the field that is not understood.
fn file_name(pattern: &Path, epoch: usize, history: &History) -> std::result::Result<PathBuf, String> {
    let text = pattern.to_string_lossy();
    let mut name = String::new();
    let mut rest = &*text;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}').ok_or_else(|| format!("{{{after}"))?;
        let (what, form) = field.split_once(':').unwrap_or((field, ""));
        name += before;
        name += &number(what, form, epoch, history).ok_or_else(|| format!("{{{field}}}"))?;
        rest = after;
    }
    Ok(PathBuf::from(name + rest))
}

/// A number of an epoch, in a form such as `02d` or `.2f`. `None` if there is no such number or form.
fn number(what: &str, form: &str, epoch: usize, history: &History) -> Option<String> {
    let parse = |digits: &str| digits.parse().ok().filter(|&digits: &usize| digits < 100);
    if what == "epoch" {
        let width = if form.is_empty() { 0 } else { parse(form.strip_suffix('d')?)? };
        return Some(format!("{epoch:0width$}"));
    }
    let monitors = [Monitor::Loss, Monitor::Mse, Monitor::ValLoss, Monitor::ValMse];
    let value = monitors.into_iter().find(|monitor| monitor.name() == what)?.last(history);
    if form.is_empty() {
        return Some(value.to_string());
    }
    let digits = parse(form.strip_prefix('.')?.strip_suffix('f')?)?;
    Some(format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
