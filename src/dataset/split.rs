//! Writes the training samples or the test samples of a file.

use super::appender::Appender;
use super::block::Block;
use super::options::GenerateOptions;
use crate::files::write_text_attribute;
use crate::memory;
use crate::{Error, Result};
use ndarray::{ArrayView1, s};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The names of a split's two datasets, and of the group that holds its spikes.
pub(super) const SPLIT_NAMES: [[&str; 3]; 2] = [["X", "Y", "spikes"], ["X_test", "Y_test", "spikes_test"]];

/// The training samples, `X` and `Y`, or the test samples, `X_test` and `Y_test`.
pub(super) struct Split<'a> {
    pub(super) path: &'a Path,
    /// 0 for the training samples, 1 for the test samples.
    pub(super) number: usize,
    /// The samples of the whole data set that belong in this file.
    pub(super) samples: Range<usize>,
    pub(super) steps: usize,
}

impl<'a> Split<'a> {
    /// Both splits of a file.
    pub(super) fn both(path: &'a Path, options: &GenerateOptions) -> Result<[Self; 2]> {
        let split = |number, [total, steps, _]: [usize; 3]| {
            let samples = options.shard.map_or(0..total, |shard| shard.samples(total));
            Split { path, number, samples, steps }
        };
        let [training, test] = options.shapes()?;
        Ok([split(0, training), split(1, test)])
    }

    /// The name of the currents, which stands for the split in messages.
    pub(super) fn name(&self) -> &'static str {
        SPLIT_NAMES[self.number][0]
    }

    /// The shape of its datasets in this file.
    pub(super) fn shape(&self) -> [usize; 3] {
        [self.samples.len(), self.steps, 1]
    }
}

/// Writes a split's datasets.
pub(super) struct SplitWriter {
    path: PathBuf,
    /// The number of the first sample in the whole data set.
    first: usize,
    x: Appender,
    y: Appender,
    spikes: Option<SpikeRecord>,
}

impl SplitWriter {
    pub(super) fn create(file: &hdf5::File, split: &Split, options: &GenerateOptions) -> Result<Self> {
        let (path, [x, y, spikes]) = (split.path, SPLIT_NAMES[split.number]);
        let create = |name| Appender::create(file, path, name, split.shape(), &sample_attributes(name));
        let (x, y) = (create(x)?, create(y)?);
        let spikes = options
            .keep_spiking
            .then(|| SpikeRecord::create(file, spikes).map_err(Error::hdf5(path, "create the record of spikes")));
        Ok(SplitWriter { path: path.to_path_buf(), first: split.samples.start, x, y, spikes: spikes.transpose()? })
    }

    /// Writes a block's trials as the next samples.
    pub(super) fn append(&mut self, block: &Block) -> Result<()> {
        let written = self.x.written();
        self.x.append(block.kept(&block.currents))?;
        self.y.append(block.kept(&block.potentials))?;
        let Some(record) = &self.spikes else { return Ok(()) };
        let spikes = (self.first + written..).zip(&block.trials).flat_map(|(sample, trial)| {
            trial.iter().flat_map(move |trial| trial.spike_times_ms.iter().map(move |&time| (sample as u64, time)))
        });
        let (senders, times): (Vec<u64>, Vec<f64>) = spikes.unzip();
        record.append(&senders, &times).map_err(Error::hdf5(&self.path, "write the record of spikes"))
    }

    pub(super) fn finish(self) -> Result<()> {
        self.x.finish()?;
        self.y.finish()
    }
}

/// The attributes of `X`, `Y`, `X_test` or `Y_test`.
pub(super) fn sample_attributes(name: &str) -> [(&'static str, &'static str); 2] {
    let is_current = name.starts_with('X');
    let (quantity, units) = if is_current { ("injected current", "pA") } else { ("membrane potential", "mV") };
    [("quantity", quantity), ("units", units)]
}

/// All spikes of a split in order: their samples and times.
pub(super) struct SpikeRecord {
    senders: hdf5::Dataset,
    times: hdf5::Dataset,
}

impl SpikeRecord {
    pub(super) fn create(file: &hdf5::File, name: &str) -> hdf5::Result<Self> {
        let group = file.create_group(name)?;
        let record = SpikeRecord {
            senders: group.new_dataset::<u64>().chunk(4096).shape(0..).create("senders")?,
            times: group.new_dataset::<f64>().chunk(4096).shape(0..).create("times")?,
        };
        write_text_attribute(&record.senders, "quantity", "number of the sample, from 0")?;
        write_text_attribute(&record.times, "quantity", "time of the spike from the start of its sample")?;
        write_text_attribute(&record.times, "units", "ms")?;
        Ok(record)
    }

    pub(super) fn append(&self, senders: &[u64], times: &[f64]) -> hdf5::Result<()> {
        let (start, end) = (self.times.size(), self.times.size() + times.len());
        if start == end {
            return Ok(());
        }
        self.senders.resize(end)?;
        self.times.resize(end)?;
        self.senders.write_slice(ArrayView1::from(senders), s![start..end])?;
        self.times.write_slice(ArrayView1::from(times), s![start..end])
    }
}

/// Writes a list of numbers, which may be empty, as a dataset.
pub(super) fn write_list(file: &hdf5::File, name: &str, numbers: &[usize]) -> hdf5::Result<()> {
    let numbers: Vec<u64> = numbers.iter().map(|&number| number as u64).collect();
    let list = file.new_dataset::<u64>().shape(numbers.len()).create(name)?;
    if numbers.is_empty() { Ok(()) } else { list.write_raw(&numbers) }
}

/// Reads a list of numbers.
pub(super) fn read_list<T: hdf5::H5Type>(file: &hdf5::File, name: &str, path: &Path) -> Result<Vec<T>> {
    file.dataset(name).and_then(|list| memory::read_dataset(&list)).map_err(Error::hdf5(path, format!("read '{name}'")))
}
