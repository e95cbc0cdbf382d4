//! Writes the training samples or the test samples of a file.

use super::block::Block;
use super::options::GenerateOptions;
use super::text_attribute;
use crate::Result;
use crate::files::hdf5_error;
use ndarray::{ArrayView1, ArrayView3, s};
use std::ops::Range;
use std::path::Path;

/// The names of a split's two datasets, and of the group that holds its spikes.
pub(super) const SPLIT_NAMES: [[&str; 3]; 2] = [["X", "Y", "spikes"], ["X_test", "Y_test", "spikes_test"]];

/// The training samples, `X` and `Y`, or the test samples, `X_test` and `Y_test`.
pub(super) struct Split<'a> {
    pub(super) path: &'a Path,
    /// 0 for the training samples, 1 for the test samples.
    pub(super) number: u32,
    /// The samples of the whole data set that belong in this file.
    pub(super) samples: Range<usize>,
    pub(super) steps: usize,
    x: hdf5::Dataset,
    y: hdf5::Dataset,
    spikes: Option<SpikeRecord>,
}

impl<'a> Split<'a> {
    /// Creates the datasets of a split. The shape is that in the whole data set.
    pub(super) fn create(
        file: &hdf5::File,
        path: &'a Path,
        number: u32,
        [total, steps, _]: [usize; 3],
        options: &GenerateOptions,
    ) -> Result<Self> {
        let samples = options.shard.map_or(0..total, |shard| shard.samples(total));
        let [x, y, spikes] = SPLIT_NAMES[number as usize];
        let create = |name: &str| -> Result<hdf5::Dataset> {
            let dataset = file.new_dataset::<f64>().shape((samples.len(), steps, 1)).create(name);
            let dataset = dataset.and_then(|dataset| describe_samples(&dataset).map(|()| dataset));
            dataset.map_err(hdf5_error(path, format!("create {name}")))
        };
        let (x, y) = (create(x)?, create(y)?);
        let spikes = options
            .keep_spiking
            .then(|| SpikeRecord::create(file, spikes).map_err(hdf5_error(path, "create the record of spikes")));
        Ok(Split { path, number, samples, steps, x, y, spikes: spikes.transpose()? })
    }

    /// The name of the currents, which stands for the split in messages.
    pub(super) fn name(&self) -> &'static str {
        SPLIT_NAMES[self.number as usize][0]
    }

    /// The shape of its datasets in this file.
    pub(super) fn shape(&self) -> [usize; 3] {
        [self.samples.len(), self.steps, 1]
    }

    /// Writes a block's trials as the samples from row `first` of this file on.
    pub(super) fn write(&self, block: &Block, first: usize) -> Result<()> {
        let end = first + block.trials.len();
        if first == end {
            return Ok(());
        }
        self.write_rows(block, first..end)
            .map_err(hdf5_error(self.path, format!("write samples {first} to {end} of {}", self.name())))
    }

    fn write_rows(&self, block: &Block, rows: Range<usize>) -> hdf5::Result<()> {
        let shape = (rows.len(), self.steps, 1);
        for (dataset, values) in [(&self.x, &block.currents), (&self.y, &block.potentials)] {
            let values = ArrayView3::from_shape(shape, &values[..rows.len() * self.steps]);
            dataset.write_slice(values.expect("the trials fit in"), s![rows.clone(), .., ..])?;
        }
        let Some(record) = &self.spikes else { return Ok(()) };
        let spikes = rows.zip(&block.trials).flat_map(|(row, trial)| {
            let sender = (self.samples.start + row) as u64;
            trial.iter().flat_map(move |trial| trial.spike_times_ms.iter().map(move |&time| (sender, time)))
        });
        let (senders, times): (Vec<u64>, Vec<f64>) = spikes.unzip();
        record.append(&senders, &times)
    }
}

/// Writes the attributes of `X`, `Y`, `X_test` or `Y_test`: quantity and units.
pub(super) fn describe_samples(dataset: &hdf5::Dataset) -> hdf5::Result<()> {
    let is_current = dataset.name().starts_with("/X");
    let (quantity, units) = if is_current { ("injected current", "pA") } else { ("membrane potential", "mV") };
    text_attribute(dataset, "quantity", quantity)?;
    text_attribute(dataset, "units", units)
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
        text_attribute(&record.senders, "quantity", "number of the sample, from 0")?;
        text_attribute(&record.times, "quantity", "time of the spike from the start of its sample")?;
        text_attribute(&record.times, "units", "ms")?;
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
