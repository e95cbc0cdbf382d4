//! Cuts recordings into samples.

use super::write::{TestSamples, WriteOptions, Written, write};
use crate::interrupt::Interrupts;
use crate::math::{HALF_FILTER, MAX_STEP, resample};
use crate::memory;
use crate::neuron::{check_time, whole_steps};
use crate::progress::Progress;
use crate::{Error, Result};
use ndarray::Array3;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// Values of a recording that are read at a time, for each of its two traces: 32 MB.
const BLOCK_VALUES: f64 = (1 << 22) as f64;

/// How recordings become samples: see [`cut`] and [`read_nwb`](super::read_nwb).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImportOptions {
    /// Length of a sample, ms.
    pub duration_ms: f64,
    /// Time between two values of a sample, ms.
    pub step_ms: f64,
    /// Whether to keep samples in which the neuron spikes. Otherwise these samples are dropped.
    pub keep_spiking: bool,
    /// A neuron spikes in a sample if the recorded potential reaches this value in it, mV.
    pub spike_threshold_mv: f64,
    /// Where to print lines of progress.
    pub progress: Progress,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions {
            duration_ms: 1000.0,
            step_ms: 1.0,
            keep_spiking: false,
            spike_threshold_mv: 0.0,
            progress: Progress::Silent,
        }
    }
}

/// Samples made of recordings.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Currents (pA), of shape (samples, steps, 1).
    pub x: Array3<f64>,
    /// Potentials (mV), of the same shape.
    pub y: Array3<f64>,
    /// How they were made.
    pub options: ImportOptions,
    /// Number of recorded sweeps from which there are samples.
    pub sweeps: usize,
    /// Number of samples that were dropped because the neuron spiked.
    pub dropped_samples: usize,
    /// What was left out for another reason, and why: one sentence each.
    pub notes: Vec<String>,
    /// What the file of [`Imported::write`] says about the recording, as names and texts.
    pub attributes: Vec<(String, String)>,
}

impl Imported {
    /// Writes a data file: [`write`](super::write()), with the step and the attributes of this recording. The last
    /// `test_samples` samples become `X_test` and `Y_test`.
    ///
    /// # Errors
    /// As for `write`.
    pub fn write(&self, path: impl AsRef<Path>, test_samples: usize, overwrite: bool) -> Result<Written> {
        let options = WriteOptions {
            test: TestSamples::Last(test_samples),
            step_ms: self.options.step_ms,
            attributes: self.attributes.clone(),
            overwrite,
        };
        write(path, &self.x, &self.y, &options)
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (samples, steps, _) = self.x.dim();
        let ImportOptions { duration_ms, step_ms, .. } = self.options;
        write!(f, "{samples} samples of {duration_ms} ms ({steps} steps of {step_ms} ms) from {} sweeps", self.sweeps)?;
        if !self.options.keep_spiking {
            write!(f, "; {} samples dropped because the neuron spiked", self.dropped_samples)?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\nnote: {note}"))
    }
}

/// Cuts recorded sweeps into samples: currents (pA) and the potentials (mV) that they caused, one value of both every
/// `interval_ms`. Sweeps may differ in length.
///
/// Both are [resampled](resample) to the step of the samples. A sweep is cut from its start; what is left at its end is
/// too short for a sample. Samples in which the neuron spikes are dropped, and so are samples with NaN.
///
/// # Errors
/// [`Error::Parameter`] for an option outside its range, or if the values are further apart than the step;
/// [`Error::Shape`] if a current and its potential differ in length, or if no sample is left: the message says why.
///
/// ```
/// use hhnet::dataset::{ImportOptions, cut};
/// // 450 ms at 10 kHz.
/// let (current_pa, potential_mv) = (vec![vec![10.0; 4500]], vec![vec![-65.0; 4500]]);
/// let options = ImportOptions { duration_ms: 100.0, ..ImportOptions::default() };
/// let samples = cut(&current_pa, &potential_mv, 0.1, &options)?;
/// assert_eq!(samples.x.dim(), (4, 100, 1));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn cut(
    currents_pa: &[Vec<f64>],
    potentials_mv: &[Vec<f64>],
    interval_ms: f64,
    options: &ImportOptions,
) -> Result<Imported> {
    check_time("interval_ms", interval_ms)?;
    let different = |what: &str, expected: usize, found: usize| {
        let remedy = "give a potential for each value of the current";
        Error::shape(what, format!("({expected},)"), format!("({found},)"), remedy)
    };
    if currents_pa.len() != potentials_mv.len() {
        return Err(different("list of potentials", currents_pa.len(), potentials_mv.len()));
    }
    let mut cutter = Cutter::new(options)?;
    for (i, (current, potential)) in currents_pa.iter().zip(potentials_mv).enumerate() {
        if current.len() != potential.len() {
            return Err(different(&format!("potential {i}"), current.len(), potential.len()));
        }
        let trace = |values| Trace { interval_ms, start_ms: 0.0, values };
        cutter.add(&format!("sweep {i}"), &trace(current), &trace(potential))?;
    }
    cutter.finish()
}

/// Values that were recorded at a fixed rate.
pub(super) trait Values {
    /// The number of values.
    fn count(&self) -> usize;
    /// Some of them, in pA or mV.
    fn read(&self, range: Range<usize>) -> Result<Vec<f64>>;
}

impl Values for Vec<f64> {
    fn count(&self) -> usize {
        self.len()
    }

    fn read(&self, range: Range<usize>) -> Result<Vec<f64>> {
        Ok(self[range].to_vec())
    }
}

/// A recorded current or potential.
pub(super) struct Trace<'a> {
    /// Time between two values.
    pub(super) interval_ms: f64,
    /// Time of the first value.
    pub(super) start_ms: f64,
    pub(super) values: &'a dyn Values,
}

impl Trace<'_> {
    /// The time of the last value.
    fn end_ms(&self) -> f64 {
        self.start_ms + (self.values.count() as f64 - 1.0) * self.interval_ms
    }

    /// Values at `count` times from `first_ms` on, and the recorded values from the first of these times to the end of
    /// the last step.
    fn read(&self, first_ms: f64, step_ms: f64, count: usize) -> Result<(Vec<f64>, Vec<f64>)> {
        // Places that are whole but for rounding are made whole.
        let snap = |place: f64| if (place - place.round()).abs() < 1e-6 { place.round() } else { place };
        let step = snap(step_ms / self.interval_ms);
        let first = snap((first_ms - self.start_ms) / self.interval_ms);
        let length = self.values.count();
        // One step more than the filter reaches, for rounding.
        let reach = HALF_FILTER + 1.0;
        let start = (first - reach * step).max(0.0) as usize;
        let until = |place: f64| length.min((place as usize).saturating_add(1));
        let end = until(first + (count as f64 + reach) * step);
        let recorded = self.values.read(start..end)?;
        let values = resample(&recorded, first - start as f64, step, count)?;
        let end_of_steps = until(first + count as f64 * step - 1e-6);
        Ok((values, recorded[first as usize - start..end_of_steps - start].to_vec()))
    }
}

/// Collects the samples of sweeps.
pub(super) struct Cutter<'a> {
    options: &'a ImportOptions,
    steps: usize,
    x: Vec<f64>,
    y: Vec<f64>,
    sweeps: usize,
    dropped_samples: usize,
    /// What was left out: why, and the names.
    left_out: Vec<(String, Vec<String>)>,
    interrupts: Interrupts,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(options: &'a ImportOptions) -> Result<Self> {
        let ImportOptions { duration_ms, step_ms, spike_threshold_mv, .. } = *options;
        check_time("step_ms", step_ms)?;
        let Some(steps) = whole_steps(duration_ms, step_ms) else {
            let remedy = format!("give a whole multiple of the time between two values, {step_ms} ms");
            return Err(Error::parameter("duration_ms", duration_ms, remedy));
        };
        if !spike_threshold_mv.is_finite() {
            return Err(Error::parameter("spike_threshold_mv", spike_threshold_mv, "give a potential, in mV"));
        }
        let (x, y, left_out) = (Vec::new(), Vec::new(), Vec::new());
        let interrupts = Interrupts::receive();
        Ok(Cutter { options, steps, x, y, sweeps: 0, dropped_samples: 0, left_out, interrupts })
    }

    /// Notes that something was left out.
    pub(super) fn leave_out(&mut self, name: &str, reason: impl Into<String>) {
        let reason = reason.into();
        match self.left_out.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name.to_owned()),
            None => self.left_out.push((reason, vec![name.to_owned()])),
        }
    }

    /// Cuts a sweep, from the time on at which both the current and the potential are recorded.
    pub(super) fn add(&mut self, name: &str, current: &Trace, potential: &Trace) -> Result<()> {
        let ImportOptions { duration_ms, step_ms, .. } = *self.options;
        let [shortest_ms, longest_ms] = [f64::min, f64::max].map(|of| of(current.interval_ms, potential.interval_ms));
        if let Some(reason) = unusable_intervals(shortest_ms, longest_ms, step_ms) {
            self.leave_out(name, reason);
            return Ok(());
        }
        let first_ms = current.start_ms.max(potential.start_ms);
        let span_ms = current.end_ms().min(potential.end_ms()) - first_ms;
        // The last value of a sample is one step before its end.
        let count = if span_ms >= 0.0 { (span_ms / step_ms + 1e-6) as usize + 1 } else { 0 };
        let samples = count / self.steps;
        if samples == 0 {
            self.leave_out(name, format!("shorter than a sample, {duration_ms} ms"));
            return Ok(());
        }
        let values_per_sample = duration_ms / shortest_ms;
        let at_a_time = (BLOCK_VALUES / values_per_sample).max(1.0) as usize;
        // The current and the potential, as they are and as samples.
        let at_once = 4.0 * values_per_sample * at_a_time as f64;
        memory::check::<f64>(at_once as u128, |shortage| Error::parameter("duration_ms", duration_ms, shortage))?;
        let kept_before = self.y.len();
        for first in (0..samples).step_by(at_a_time) {
            self.interrupts.check("import", || "no file was written".to_string())?;
            let count = at_a_time.min(samples - first) * self.steps;
            // Growing memory is copied.
            memory::check::<f64>(4 * (self.x.len() + count) as u128, |shortage| {
                Error::parameter("recording", name, format!("{shortage}: import fewer sweeps at a time"))
            })?;
            let block_ms = first_ms + (first * self.steps) as f64 * step_ms;
            let (x, _) = current.read(block_ms, step_ms, count)?;
            let (y, recorded) = potential.read(block_ms, step_ms, count)?;
            self.keep(name, &x, &y, &recorded, duration_ms / potential.interval_ms);
        }
        self.sweeps += usize::from(self.y.len() > kept_before);
        Ok(())
    }

    /// Keeps those samples of a block that have no spike and no NaN. `recorded` are the potentials as recorded,
    /// `values_per_sample` for each sample.
    fn keep(&mut self, name: &str, x: &[f64], y: &[f64], recorded: &[f64], values_per_sample: f64) {
        let until = |samples: usize| recorded.len().min((samples as f64 * values_per_sample).round() as usize);
        for (nth, (x, y)) in x.chunks(self.steps).zip(y.chunks(self.steps)).enumerate() {
            let spikes = recorded[until(nth)..until(nth + 1)].iter().any(|&v| v >= self.options.spike_threshold_mv);
            if spikes && !self.options.keep_spiking {
                self.dropped_samples += 1;
            } else if x.iter().chain(y).any(|value| !value.is_finite()) {
                self.leave_out(name, "samples with values that are not numbers");
            } else {
                self.x.extend(x);
                self.y.extend(y);
            }
        }
    }

    pub(super) fn finish(self) -> Result<Imported> {
        let Cutter { options, steps, x, y, sweeps, dropped_samples, left_out, .. } = self;
        let notes: Vec<String> = left_out.iter().map(|(reason, names)| note(reason, names)).collect();
        let shape = (x.len() / steps, steps, 1);
        if x.is_empty() {
            let dropped = match dropped_samples {
                0 => None,
                n => Some(format!(
                    "{n} samples were dropped because the potential reaches {} mV: keep them (`keep_spiking`, \
                     --keep-spiking), or cut shorter ones",
                    options.spike_threshold_mv
                )),
            };
            let reasons: Vec<String> = dropped.into_iter().chain(notes).collect();
            let remedy = if reasons.is_empty() { "there is no recording".to_owned() } else { reasons.join("; ") };
            let (expected, found) = (format!("(1 or more, {steps}, 1)"), format!("(0, {steps}, 1)"));
            return Err(Error::shape("samples", expected, found, remedy));
        }
        let array = |values| Array3::from_shape_vec(shape, values).expect("each sample has all its steps");
        let attributes = [
            ("duration_ms", options.duration_ms.to_string()),
            ("keep_spiking", options.keep_spiking.to_string()),
            ("spike_threshold_mV", options.spike_threshold_mv.to_string()),
            ("sweeps", sweeps.to_string()),
            ("dropped_samples", dropped_samples.to_string()),
            ("notes", notes.join("\n")),
        ];
        let attributes = attributes.into_iter().filter(|(_, text)| !text.is_empty());
        let attributes = attributes.map(|(name, text)| (name.to_owned(), text)).collect();
        Ok(Imported { x: array(x), y: array(y), options: *options, sweeps, dropped_samples, notes, attributes })
    }
}

/// A sentence about what was left out.
fn note(reason: &str, names: &[String]) -> String {
    const NAMED: usize = 3;
    let mut distinct: Vec<&str> = names.iter().map(String::as_str).collect();
    distinct.dedup();
    let named = distinct[..distinct.len().min(NAMED)].join(", ");
    match distinct.len().saturating_sub(NAMED) {
        0 => format!("left out: {named} ({reason})"),
        more => format!("left out: {named} and {more} more ({reason})"),
    }
}

/// Why recordings with such intervals cannot be resampled to a step.
fn unusable_intervals(shortest_ms: f64, longest_ms: f64, step_ms: f64) -> Option<String> {
    if longest_ms > step_ms * (1.0 + 1e-9) {
        let longest_ms = (longest_ms * 1e6).round() / 1e6;
        return Some(format!("values {longest_ms} ms apart; give a step of {longest_ms} ms or more"));
    }
    let max_ms = shortest_ms * MAX_STEP;
    (step_ms > max_ms).then(|| format!("values {shortest_ms} ms apart; give a step of {max_ms} ms or less"))
}
