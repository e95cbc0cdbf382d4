//! Data sets in the network's precision: in memory, or read from files piece by piece.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::mpsc::sync_channel;

use crate::dataset::{Opened, Source};
use crate::model::Model;
use crate::{Error, Result};

/// Values of `x` in a portion: 4 MB.
const PORTION_VALUES: usize = 1 << 20;
/// Pieces that have been read and wait for their computation.
const AHEAD: usize = 2;

/// A data set whose shapes fit the model.
pub(super) struct Data<'a> {
    pub count: usize,
    pub steps: usize,
    /// Values per step of `x`, and of `y`.
    pub channels: usize,
    pub outputs: usize,
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
    pub count: usize,
    pub steps: usize,
    /// Values per step of `x`, and of `y`.
    pub channels: usize,
    pub outputs: usize,
}

impl Samples<'_> {
    /// The values of `x` and `y` of one sample.
    pub fn sample(&self, row: usize) -> (&[f32], &[f32]) {
        let (x, y) = (self.steps * self.channels, self.steps * self.outputs);
        (&self.x[row * x..(row + 1) * x], self.y.get(row * y..(row + 1) * y).unwrap_or_default())
    }
}

/// Some samples of a data set, in any order.
pub(super) struct Piece<'a> {
    /// The samples, perhaps with others.
    pub samples: Cow<'a, Samples<'a>>,
    /// Which of them.
    pub rows: Vec<usize>,
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
        let x = x.open(names[0])?;
        let y = y.map(|y| y.open(names[1])).transpose()?;
        let content = match (x, y) {
            (Opened::Memory(x), Some(Opened::Memory(y))) => {
                Content::Memory(Samples { x, y, count, steps, channels, outputs })
            }
            (Opened::Memory(x), None) => {
                Content::Memory(Samples { x, y: Cow::default(), count, steps, channels, outputs })
            }
            (x, y) => Content::Files { x, y },
        };
        Ok(Data { count, steps, channels, outputs, content })
    }

    /// Whether samples are read from a file when they are needed.
    pub fn is_read(&self) -> bool {
        matches!(self.content, Content::Files { .. })
    }

    /// The samples with these numbers.
    pub fn piece(&self, rows: Vec<usize>) -> Result<Piece<'_>> {
        let (x, y) = match &self.content {
            Content::Memory(samples) => return Ok(Piece { samples: Cow::Borrowed(samples), rows }),
            Content::Files { x, y } => (x, y),
        };
        let Data { steps, channels, outputs, .. } = *self;
        let x = read(x, steps * channels, &rows)?.into();
        let y = y.as_ref().map_or(Ok(Vec::new()), |y| read(y, steps * outputs, &rows))?.into();
        let samples = Samples { x, y, count: rows.len(), steps, channels, outputs };
        Ok(Piece { samples: Cow::Owned(samples), rows: (0..rows.len()).collect() })
    }

    /// All samples in order, in portions of a whole number of groups. What is in memory is one portion.
    pub fn portions(&self, group: usize) -> Vec<Range<usize>> {
        let groups = if self.is_read() { PORTION_VALUES / (group * self.steps * self.channels) } else { self.count };
        let size = group.saturating_mul(groups.max(1));
        (0..self.count).step_by(size).map(|first| first..self.count.min(first + size)).collect()
    }

    /// Reads portions, one after the other.
    pub fn pieces<'p>(&'p self, portions: &'p [Range<usize>]) -> impl Iterator<Item = Result<Piece<'p>>> + Send {
        portions.iter().map(|portion| self.piece(portion.clone().collect()))
    }

    /// Number of values of `y`.
    pub fn values(&self) -> usize {
        self.count * self.steps * self.outputs
    }
}

/// The values of some samples, `length` each.
fn read(opened: &Opened, length: usize, rows: &[usize]) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(rows.len() * length);
    match opened {
        Opened::Memory(all) => rows.iter().for_each(|row| values.extend(&all[row * length..(row + 1) * length])),
        Opened::File(file) => file.read(rows, &mut values)?,
    }
    Ok(values)
}

/// Calls `body` with the items. If they are read from a file, this happens on a thread of its own, ahead of `body`.
pub(super) fn read_ahead<T: Send, O>(
    is_read: bool,
    mut items: impl Iterator<Item = T> + Send,
    body: impl FnOnce(&mut dyn Iterator<Item = T>) -> O,
) -> O {
    if !is_read {
        return body(&mut items);
    }
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        // Nobody receives any more if `body` has ended early.
        scope.spawn(move || items.try_for_each(|item| sender.send(item)));
        body(&mut receiver.into_iter())
    })
}

fn shape_error(what: &str, expected: String, found: &dyn Source, remedy: &str) -> Error {
    Error::Shape { what: what.to_string(), expected, found: format!("{:?}", found.shape()), remedy: remedy.to_string() }
}
