//! Data sets in the network's precision: in memory, or read from files part by part.

use std::borrow::Cow;
use std::ops::Range;

use crate::dataset::{Opened, Source};
use crate::model::Model;
use crate::{Error, Result};

/// Values of `x` in a portion: 4 MB.
const PORTION_VALUES: usize = 1 << 20;

/// A data set whose shapes fit the model.
pub(super) struct Data<'a> {
    pub count: usize,
    pub steps: usize,
    /// Values per step of `x`, and of `y`.
    pub channels: usize,
    pub outputs: usize,
    /// Steps before and after a step on which its output depends.
    reach: (usize, usize),
    content: Content<'a>,
}

enum Content<'a> {
    Memory(Samples<'a>),
    /// Without `y` for a prediction.
    Files {
        x: Opened<'a>,
        y: Option<Opened<'a>>,
    },
}

/// Samples in 32-bit numbers, one after the other.
#[derive(Clone)]
pub(super) struct Samples<'a> {
    pub x: Cow<'a, [f32]>,
    /// Empty for a prediction.
    pub y: Cow<'a, [f32]>,
    pub steps: usize,
    /// Values per step of `x`, and of `y`.
    pub channels: usize,
    pub outputs: usize,
}

impl Samples<'_> {
    /// The values of `x` and `y` of one sample.
    pub fn sample(&self, row: usize) -> (&[f32], &[f32]) {
        self.stretch(row, &(0..self.steps))
    }

    /// The values at some of its steps.
    pub fn stretch(&self, row: usize, steps: &Range<usize>) -> (&[f32], &[f32]) {
        let range = |values: usize| (row * self.steps + steps.start) * values..(row * self.steps + steps.end) * values;
        (&self.x[range(self.channels)], self.y.get(range(self.outputs)).unwrap_or_default())
    }
}

/// Samples that are computed next: a batch, or consecutive samples of an evaluation or prediction. Cut into parts: some
/// samples each, or stretches of one that is long.
pub(super) struct Portion<'a> {
    data: &'a Data<'a>,
    rows: Vec<usize>,
    /// Samples of a part.
    part_samples: usize,
    /// Time steps of a part.
    part_steps: usize,
}

/// How the parts of a portion are read.
pub(super) enum ReadMode {
    /// They are in memory.
    Memory,
    /// By several threads at the same time.
    Concurrent,
    /// By one thread after the other.
    OneByOne,
}

/// What one thread computes at a time.
pub(super) struct Part<'a> {
    /// The samples, perhaps with others.
    pub samples: Cow<'a, Samples<'a>>,
    /// Which of them, in any order.
    pub rows: Vec<usize>,
    pub steps: Range<usize>,
}

impl<'a> Data<'a> {
    /// Checks shapes against the model, and values in memory. `names` are those of `x` and `y` in messages.
    pub fn new(model: &Model, x: &'a dyn Source, y: Option<&'a dyn Source>, names: [&str; 2]) -> Result<Self> {
        let (count, steps, channels) = x.shape();
        let (expected, outputs) = (model.network.inputs(), model.network.outputs());
        if channels != expected {
            let remedy = "the last axis holds the values of one time step";
            return Err(shape_error(names[0], format!("(samples, steps, {expected})"), x, remedy));
        }
        if count == 0 || steps == 0 {
            let remedy = "at least one sample and one time step are needed";
            return Err(shape_error(names[0], format!("(1 or more, 1 or more, {expected})"), x, remedy));
        }
        if let Some(y) = y.filter(|y| y.shape() != (count, steps, outputs)) {
            let values = if outputs == 1 { "one value".to_string() } else { format!("{outputs} values") };
            let remedy = format!("it needs as many samples and steps as {}, and {values} per step", names[0]);
            return Err(shape_error(names[1], format!("({count}, {steps}, {outputs})"), y, &remedy));
        }
        // As 64-bit numbers, too, they must be as many as a slice may hold.
        let bytes = [count, steps, channels.max(outputs), 8].into_iter().try_fold(1_usize, usize::checked_mul);
        if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            return Err(shape_error(names[0], "a smaller one".to_string(), x, "no memory has room for it"));
        }
        let x = x.open(names[0])?;
        let y = y.map(|y| y.open(names[1])).transpose()?;
        let content = match (x, y) {
            (Opened::Memory(x), Some(Opened::Memory(y))) => Content::Memory(Samples { x, y, steps, channels, outputs }),
            (Opened::Memory(x), None) => Content::Memory(Samples { x, y: Cow::default(), steps, channels, outputs }),
            (x, y) => Content::Files { x, y },
        };
        Ok(Data { count, steps, channels, outputs, reach: model.network.reach(), content })
    }

    /// The samples `rows`, computed in parts of `part_samples` samples.
    pub fn portion(&self, rows: Vec<usize>, part_samples: usize) -> Portion<'_> {
        Portion { data: self, rows, part_samples, part_steps: self.steps }
    }

    /// All samples in order. A part is `part_samples` of them, or `part_steps` steps of one that is longer.
    pub fn portions(&self, part_samples: usize, part_steps: usize) -> impl ExactSizeIterator<Item = Portion<'_>> {
        let parts = (PORTION_VALUES / part_samples.saturating_mul(self.steps * self.channels)).max(1);
        let size = parts.saturating_mul(part_samples).min(self.count);
        (0..self.count.div_ceil(size)).map(move |i| {
            let rows = (i * size..self.count.min((i + 1) * size)).collect();
            Portion { data: self, rows, part_samples, part_steps }
        })
    }

    /// Memory that so many portions of `rows` samples take, bytes, and the order of all samples for each.
    pub fn portions_bytes(&self, portions: usize, rows: usize) -> u128 {
        let values = match self.content {
            Content::Memory(_) => 0,
            Content::Files { .. } => {
                rows.min(self.count) as u128 * self.steps as u128 * (self.channels + self.outputs) as u128
            }
        };
        portions as u128 * (values * size_of::<f32>() as u128 + self.count as u128 * size_of::<usize>() as u128)
    }

    /// Number of values of `y`.
    pub fn values(&self) -> usize {
        self.count * self.steps * self.outputs
    }
}

impl<'a> Portion<'a> {
    /// How its parts are read.
    pub fn reading(&self) -> ReadMode {
        let one_by_one = |opened: &Opened| matches!(opened, Opened::File(file) if !file.is_concurrent());
        match &self.data.content {
            Content::Memory(_) => ReadMode::Memory,
            Content::Files { x, y } if one_by_one(x) || y.as_ref().is_some_and(one_by_one) => ReadMode::OneByOne,
            Content::Files { .. } => ReadMode::Concurrent,
        }
    }

    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.rows.len().div_ceil(self.part_samples) * self.stretches()
    }

    /// Number of parts into which samples that are computed together are cut.
    fn stretches(&self) -> usize {
        self.data.steps.div_ceil(self.part_steps)
    }

    /// One of the parts, which are in the order of the samples and of their steps. Reads it unless it is in memory.
    pub fn part(&self, part: usize) -> Result<Part<'a>> {
        let (first, start) = (part / self.stretches() * self.part_samples, part % self.stretches() * self.part_steps);
        let rows = &self.rows[first..self.rows.len().min(first + self.part_samples)];
        let Data { steps, channels, outputs, reach, ref content, .. } = *self.data;
        let wanted = start..steps.min(start + self.part_steps);
        match content {
            Content::Memory(samples) => {
                Ok(Part { samples: Cow::Borrowed(samples), rows: rows.to_vec(), steps: wanted })
            }
            Content::Files { x, y } => {
                // The output also depends on the steps around it.
                let (around, wanted) = surroundings(&wanted, steps, reach);
                let read = |opened, values| read(opened, rows, steps, around.clone(), values);
                let x = read(x, channels)?.into();
                let y = y.as_ref().map_or(Ok(Vec::new()), |y| read(y, outputs))?.into();
                let samples = Samples { x, y, steps: around.len(), channels, outputs };
                Ok(Part { samples: Cow::Owned(samples), rows: (0..rows.len()).collect(), steps: wanted })
            }
        }
    }
}

/// The steps of a sample on which its output at the steps `wanted` depends, and where these are among them.
pub(super) fn surroundings(wanted: &Range<usize>, steps: usize, reach: (usize, usize)) -> (Range<usize>, Range<usize>) {
    let around = wanted.start.saturating_sub(reach.0)..steps.min(wanted.end + reach.1);
    let inner = wanted.start - around.start..wanted.end - around.start;
    (around, inner)
}

/// The values at the steps `wanted` of some samples, which have `steps` steps of `values` values.
fn read(opened: &Opened, rows: &[usize], steps: usize, wanted: Range<usize>, values: usize) -> Result<Vec<f32>> {
    let mut found = Vec::with_capacity(rows.len() * wanted.len() * values);
    match opened {
        Opened::Memory(all) => {
            let range = |row| (row * steps + wanted.start) * values..(row * steps + wanted.end) * values;
            rows.iter().for_each(|&row| found.extend(&all[range(row)]));
        }
        Opened::File(file) => file.read(rows, wanted, &mut found)?,
    }
    Ok(found)
}

fn shape_error(what: &str, expected: String, found: &dyn Source, remedy: &str) -> Error {
    Error::shape(what, expected, format!("{:?}", found.shape()), remedy)
}
