//! Recordings in NWB 2 files (Neurodata Without Borders): current-clamp sweeps are read, and simulated ones written.
//!
//! The format is that of the NWB schema, <https://nwb-schema.readthedocs.io>, its part for intracellular
//! electrophysiology: a `CurrentClampSeries` holds a potential, a `CurrentClampStimulusSeries` the injected current.

use super::checksum;
use super::description::{attribute, text};
use super::import::{Cutter, ImportOptions, Imported, Trace, Values};
use super::units::{millivolts_in, picoamperes_in};
use crate::files::{NewFile, hdf5_text, open_hdf5, write_text_attribute};
use crate::memory;
use crate::neuron::{Response, check_time};
use crate::progress::Lines;
use crate::{Error, Result};
use hdf5::types::VarLenUnicode;
use hdf5::{Group, H5Type, LocationToken, ObjectReference1, ReferencedObject};
use ndarray::{Ix1, s};
use std::ops::Range;
use std::path::Path;

const CURRENT: &str = "CurrentClampStimulusSeries";
const POTENTIAL: &str = "CurrentClampSeries";
const TABLE: &str = "general/intracellular_ephys/intracellular_recordings";

/// A compressed file can hold about this many times its own size.
const MAX_COMPRESSION: u64 = 1100;

/// Reads the current-clamp recordings of an NWB 2 file and cuts them into samples, as [`cut`](super::cut) does.
///
/// A current and a potential belong together if the table `intracellular_recordings` says so. In files without this
/// table they do if they have the same sweep number and electrode; else if, at the same electrode, they alone start at
/// the same time; else in the order of their names, if there are as many currents as potentials at the electrode.
/// Values are converted as the file says (`conversion`, `offset`, `unit`) to pA and mV. Their times follow from `rate`
/// and `starting_time`, or from `timestamps`, which must be evenly spaced.
///
/// What cannot be used is left out, and named in the notes: voltage clamp, potentials without a current, gaps between
/// timestamps, unknown units, sweeps shorter than a sample, samples with NaN.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] if the file cannot be opened or is not an NWB 2 file; [`Error::Parameter`] for an
/// option outside its range; [`Error::Shape`] if no sample is left: the message says why.
///
/// ```
/// use hhnet::dataset::{ImportOptions, read_nwb, write_nwb};
/// use hhnet::neuron::HhPscAlpha;
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("recording.nwb");
/// // Two simulated sweeps of 250 ms at 10 kHz.
/// let currents_pa = [vec![50.0; 2500], vec![-50.0; 2500]];
/// let responses = HhPscAlpha::default().simulate_many(&currents_pa, 0.1, 0.1)?;
/// write_nwb(&path, &currents_pa, &responses, false)?;
///
/// let samples = read_nwb(&path, &ImportOptions { duration_ms: 100.0, ..ImportOptions::default() })?;
/// assert_eq!(samples.x.dim(), (4, 100, 1));
/// assert!((samples.x[[3, 50, 0]] + 50.0).abs() < 0.01); // pA
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn read_nwb(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported> {
    read(path.as_ref(), options)
}

fn read(path: &Path, options: &ImportOptions) -> Result<Imported> {
    let mut cutter = Cutter::new(options)?;
    let file = open_hdf5(path)?;
    match text(&file, "nwb_version") {
        Some(version) if version.trim_start_matches("NWB-").starts_with('2') => {}
        version => {
            let version = version.map_or("it has no attribute nwb_version".to_owned(), |v| format!("version {v}"));
            let remedy = "give a file of NWB 2, as pynwb, MatNWB and MIES write them";
            return Err(Error::file(path, format!("it is not an NWB 2 file: {version}"), remedy));
        }
    }
    let sweeps = match sweeps_of_table(&file, path, &mut cutter)? {
        Some(sweeps) => sweeps,
        None => pair(TimeSeries::list(&file, &mut cutter), &mut cutter),
    };
    let mut lines = Lines::new(options.progress);
    for (nth, Sweep { current, potential }) in sweeps.iter().enumerate() {
        let opened =
            Recorded::open(current, "amperes", path).and_then(|x| Ok((x, Recorded::open(potential, "volts", path)?)));
        match opened {
            Ok((x, y)) => cutter.add(&potential.name, &x.trace(), &y.trace())?,
            Err(reason) => cutter.leave_out(&potential.name, reason),
        }
        lines.line(format_args!("{} of {} sweeps read", nth + 1, sweeps.len()));
    }
    let mut imported = cutter.finish().map_err(|error| match error {
        Error::Shape { remedy, .. } => Error::file(path, "it yields no samples", remedy),
        other => other,
    })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    imported.attributes.push(("source".to_owned(), format!("{name} (NWB)")));
    Ok(imported)
}

/// A current and the potential that it causes.
struct Sweep {
    current: TimeSeries,
    potential: TimeSeries,
}

/// A series of values in the file, or a range of it.
#[derive(Clone)]
struct TimeSeries {
    /// Without the groups that it is in.
    name: String,
    group: Group,
    /// Its type in NWB's schema.
    kind: String,
    sweep_number: Option<f64>,
    electrode: Option<LocationToken>,
    start_s: Option<f64>,
    /// The range that belongs to a sweep; `None` means all.
    range: Option<Range<usize>>,
}

impl TimeSeries {
    fn new(group: Group) -> Self {
        let electrode = group.group("electrode").and_then(|electrode| electrode.loc_info());
        let start = || group.dataset("starting_time").ok()?.read_scalar::<f64>().ok();
        let first_timestamp = || Some(read_range(&group.dataset("timestamps").ok()?, 0..1).ok()?[0]);
        TimeSeries {
            name: group.name().rsplit('/').next().unwrap_or_default().to_owned(),
            kind: text(&group, "neurodata_type").unwrap_or_default(),
            sweep_number: number(&group, "sweep_number"),
            electrode: electrode.ok().map(|info| info.token),
            start_s: start().or_else(first_timestamp),
            range: None,
            group,
        }
    }

    /// The currents and potentials of the file, in the order of their names. Other patch-clamp series are noted.
    fn list(file: &Group, cutter: &mut Cutter) -> Vec<TimeSeries> {
        let mut found = Vec::new();
        for place in ["acquisition", "stimulus/presentation"] {
            let Ok(group) = file.group(place) else { continue };
            let mut names = group.member_names().unwrap_or_default();
            names.sort();
            // What is no group, or a broken link, is no series.
            for series in names.iter().filter_map(|name| group.group(name).ok()).map(TimeSeries::new) {
                match series.kind.as_str() {
                    CURRENT | POTENTIAL => found.push(series),
                    kind if kind.ends_with("ClampSeries") => {
                        cutter.leave_out(&series.name, format!("{kind}: only current clamp is read"));
                    }
                    _ => {}
                }
            }
        }
        found
    }
}

/// Finds the current of each potential in a file without a table of recordings: see [`read_nwb`].
fn pair(series: Vec<TimeSeries>, cutter: &mut Cutter) -> Vec<Sweep> {
    let (currents, potentials): (Vec<_>, Vec<_>) = series.into_iter().partition(|series| series.kind == CURRENT);
    let mut sweeps = Vec::new();
    for potential in &potentials {
        match current_of(potential, &currents, &potentials) {
            Some(current) => sweeps.push(Sweep { current: current.clone(), potential: potential.clone() }),
            None => cutter.leave_out(
                &potential.name,
                "no current belongs to it: neither a table nor a sweep number, start or order of names tells which",
            ),
        }
    }
    sweeps
}

/// The current that caused a potential: that of its sweep number or, without one, the one at the same electrode that
/// starts with it or has the same place in the order of names.
fn current_of<'a>(
    potential: &TimeSeries,
    currents: &'a [TimeSeries],
    potentials: &[TimeSeries],
) -> Option<&'a TimeSeries> {
    let at_electrode = |series: &&TimeSeries| series.electrode == potential.electrode;
    let mut currents = currents.iter().filter(at_electrode);
    if potential.sweep_number.is_some() {
        return only(currents.filter(|current| current.sweep_number == potential.sweep_number));
    }
    let mut potentials = potentials.iter().filter(at_electrode);
    let starts_with_it = |series: &&TimeSeries| match (series.start_s, potential.start_s) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        _ => false,
    };
    if let Some(current) = only(currents.clone().filter(starts_with_it))
        && potentials.clone().filter(starts_with_it).count() == 1
    {
        return Some(current);
    }
    let is_complete = currents.clone().count() == potentials.clone().count();
    let place = potentials.position(|series| series.name == potential.name).filter(|_| is_complete);
    currents.nth(place?)
}

/// The only item; `None` if there is none, or more than one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

/// An element of a column of the table: a range of a series.
#[derive(H5Type, Clone, Copy)]
#[repr(C)]
struct Reference {
    /// -1 if nothing was recorded.
    idx_start: i64,
    count: i64,
    timeseries: ObjectReference1,
}

impl Reference {
    fn series(&self, file: &Group) -> Option<TimeSeries> {
        let start = usize::try_from(self.idx_start).ok()?;
        let count = usize::try_from(self.count).ok()?;
        let Ok(ReferencedObject::Group(group)) = file.dereference(&self.timeseries) else { return None };
        Some(TimeSeries { range: Some(start..start.saturating_add(count)), ..TimeSeries::new(group) })
    }
}

/// The sweeps that the table of recordings lists; `None` if there is no table, or an empty one.
fn sweeps_of_table(file: &hdf5::File, path: &Path, cutter: &mut Cutter) -> Result<Option<Vec<Sweep>>> {
    let Ok(table) = file.group(TABLE) else { return Ok(None) };
    let column = |name: &str| -> Result<Vec<Reference>> {
        let column = table.dataset(name).and_then(|column| memory::read_dataset(&column));
        column.map_err(Error::hdf5(path, format!("read '{TABLE}/{name}'")))
    };
    let (currents, potentials) = (column("stimuli/stimulus")?, column("responses/response")?);
    if potentials.is_empty() {
        return Ok(None);
    }
    let mut sweeps = Vec::new();
    for (row, (current, potential)) in currents.iter().zip(&potentials).enumerate() {
        let name = format!("row {row}");
        match (current.series(file), potential.series(file)) {
            (Some(current), Some(potential)) if current.kind == CURRENT && potential.kind == POTENTIAL => {
                sweeps.push(Sweep { current, potential });
            }
            (Some(_), Some(potential)) if potential.kind != POTENTIAL => {
                cutter.leave_out(&potential.name, format!("{}: only current clamp is read", potential.kind));
            }
            (None, Some(potential)) => cutter.leave_out(&potential.name, "the table has no current for it"),
            (_, potential) => {
                let name = potential.map_or(name, |potential| potential.name);
                cutter.leave_out(&name, "its row of the table lacks a current or a potential");
            }
        }
    }
    Ok(Some(sweeps))
}

/// The values of a series, in pA or mV.
struct Recorded<'a> {
    data: hdf5::Dataset,
    range: Range<usize>,
    start_ms: f64,
    interval_ms: f64,
    /// From stored values to pA or mV.
    factor: f64,
    offset: f64,
    path: &'a Path,
}

impl<'a> Recorded<'a> {
    /// Opens a series. Fails with the reason why it must be left out.
    fn open(series: &TimeSeries, default_unit: &str, path: &'a Path) -> std::result::Result<Self, String> {
        let data = series.group.dataset("data").map_err(|_| "it has no dataset 'data'".to_owned())?;
        let (name, shape) = (&series.name, data.shape());
        let &[length] = &shape[..] else {
            return Err(format!("'{name}' has data of shape {shape:?}, not of one dimension"));
        };
        let bytes = std::fs::metadata(data.filename()).map_or(0, |file| file.len());
        if length as u64 > bytes.saturating_mul(MAX_COMPRESSION) {
            return Err(format!("'{name}' claims {length} values, more than a file of {bytes} bytes can hold"));
        }
        let range = series.range.clone().unwrap_or(0..length);
        if range.end > length {
            return Err(format!("the table wants values up to {} of '{name}', which has {length}", range.end));
        }
        if range.len() < 2 {
            return Err(format!("'{name}' has {} values", range.len()));
        }
        let unit = text(&data, "unit").unwrap_or(default_unit.to_owned());
        let unit_factor = if default_unit == "volts" { millivolts_in(&unit) } else { picoamperes_in(&unit) };
        let Some(unit_factor) = unit_factor else {
            return Err(format!("'{name}' is in '{unit}', not in {default_unit}"));
        };
        let conversion = number(&data, "conversion").unwrap_or(1.0);
        let offset = number(&data, "offset").unwrap_or(0.0);
        if !(conversion.is_finite() && offset.is_finite()) {
            return Err(format!("'{name}' has conversion {conversion} and offset {offset}"));
        }
        let (start_s, interval_s) =
            times(&series.group, &range, length).map_err(|reason| format!("'{name}' {reason}"))?;
        Ok(Recorded {
            data,
            start_ms: start_s * 1000.0,
            interval_ms: interval_s * 1000.0,
            factor: conversion * unit_factor,
            offset: offset * unit_factor,
            range,
            path,
        })
    }

    fn trace(&self) -> Trace<'_> {
        Trace { interval_ms: self.interval_ms, start_ms: self.start_ms, values: self }
    }
}

impl Values for Recorded<'_> {
    fn count(&self) -> usize {
        self.range.len()
    }

    fn read(&self, range: Range<usize>) -> Result<Vec<f64>> {
        let range = self.range.start + range.start..self.range.start + range.end;
        let mut values =
            read_range(&self.data, range).map_err(Error::hdf5(self.path, format!("read '{}'", self.data.name())))?;
        values.iter_mut().for_each(|value| *value = *value * self.factor + self.offset);
        Ok(values)
    }
}

/// The time of the first value of a range, and the time between two, s.
fn times(group: &Group, range: &Range<usize>, length: usize) -> std::result::Result<(f64, f64), String> {
    if let Ok(start) = group.dataset("starting_time") {
        let rate = number(&start, "rate").filter(|rate| *rate > 0.0 && rate.is_finite());
        let rate = rate.ok_or("has no 'rate' above 0")?;
        let start: f64 = start.read_scalar().map_err(|_| "has a 'starting_time' that is no number")?;
        return Ok((start + range.start as f64 / rate, 1.0 / rate));
    }
    let timestamps = group.dataset("timestamps").map_err(|_| "has neither 'starting_time' nor 'timestamps'")?;
    if timestamps.shape() != [length] {
        return Err(format!("has timestamps of shape {:?} for {length} values", timestamps.shape()));
    }
    let read = |range| read_range(&timestamps, range).map_err(|error| format!("has unreadable timestamps: {error}"));
    let (first, last) = (read(range.start..range.start + 1)?[0], read(range.end - 1..range.end)?[0]);
    let interval = (last - first) / (range.len() - 1) as f64;
    if !(interval > 0.0 && interval.is_finite()) {
        return Err("has timestamps that do not increase".to_owned());
    }
    check_even(&read, range, first, interval)?;
    Ok((first, interval))
}

/// Checks that the times of a range are an interval apart. `read` reads times, of which `first` is the first.
fn check_even(
    read: &dyn Fn(Range<usize>) -> std::result::Result<Vec<f64>, String>,
    range: &Range<usize>,
    first: f64,
    interval: f64,
) -> std::result::Result<(), String> {
    const AT_A_TIME: usize = 1 << 20;
    let (mut is_even, mut before, mut largest, mut largest_at) = (true, first, 0.0, range.start);
    for start in range.clone().step_by(AT_A_TIME) {
        for (nth, time) in (start..).zip(read(start..range.end.min(start + AT_A_TIME))?) {
            is_even &= (time - first - (nth - range.start) as f64 * interval).abs() < interval / 2.0;
            if time - before > largest {
                (largest, largest_at) = (time - before, nth);
            }
            before = time;
        }
    }
    if is_even {
        return Ok(());
    }
    Err(format!("has uneven timestamps: {largest:.6} s before value {largest_at}, {interval:.6} s on average"))
}

fn read_range(dataset: &hdf5::Dataset, range: Range<usize>) -> hdf5::Result<Vec<f64>> {
    Ok(dataset.as_reader().read_slice::<f64, _, Ix1>(s![range])?.to_vec())
}

fn number(place: &hdf5::Location, name: &str) -> Option<f64> {
    attribute(place, name).number()
}

/// Writes simulated sweeps as an NWB 2 file, in the way in which amplifiers write recordings: a
/// `CurrentClampStimulusSeries` and a `CurrentClampSeries` for each sweep, in 16-bit integers with a conversion to
/// amperes and volts.
///
/// Each current (pA) must have as many values as its response, one every [`Response::dt_ms`]. The sweeps follow one
/// another in time with pauses of 1 s. The largest current and the largest potential of all sweeps become the largest
/// integer: a potential of up to 100 mV is rounded to 0.003 mV. pynwb reads the file.
///
/// # Errors
/// [`Error::Parameter`] without sweeps; [`Error::Shape`] if a current and its response differ in length, or are empty;
/// [`Error::NotFinite`] for NaN or infinite values; [`Error::File`] or [`Error::Io`] if the file exists and `overwrite`
/// is not set, or cannot be written.
///
/// The example of [`read_nwb`] writes a file.
pub fn write_nwb(
    path: impl AsRef<Path>,
    currents_pa: &[Vec<f64>],
    responses: &[Response],
    overwrite: bool,
) -> Result<()> {
    write(path.as_ref(), currents_pa, responses, overwrite)
}

fn write(path: &Path, currents_pa: &[Vec<f64>], responses: &[Response], overwrite: bool) -> Result<()> {
    check_sweeps(currents_pa, responses)?;
    let values: usize = currents_pa.iter().map(Vec::len).sum();
    // An upper bound: two numbers of 16 bits for each value, which are compressed.
    let new = NewFile::create(path, overwrite, 4 * values as u64)?;
    let file = new.create_hdf5()?;
    write_sweeps(&file, currents_pa, responses).map_err(Error::hdf5(path, "write the recording"))?;
    checksum::finish(new, file)
}

fn check_sweeps(currents_pa: &[Vec<f64>], responses: &[Response]) -> Result<()> {
    let shape = |what: &str, expected: usize, found: usize| {
        let remedy = "give one response for each current, with as many values, and at least one";
        Error::shape(what, format!("({expected},)"), format!("({found},)"), remedy)
    };
    if currents_pa.is_empty() {
        return Err(Error::parameter("currents_pa", "none", "give the current of at least one sweep"));
    }
    if currents_pa.len() != responses.len() {
        return Err(shape("responses", currents_pa.len(), responses.len()));
    }
    for (i, (current, response)) in currents_pa.iter().zip(responses).enumerate() {
        let potential = &response.potential_mv;
        if current.len() != potential.len() || current.is_empty() {
            return Err(shape(&format!("response {i}"), current.len().max(1), potential.len()));
        }
        for (what, values) in [("current", current), ("potential", potential)] {
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                let (value, place) = (values[place], format!("value {place} of sweep {i}"));
                return Err(Error::not_finite(what, value, place, "give finite values"));
            }
        }
        check_time("Response::dt_ms", response.dt_ms)?;
    }
    Ok(())
}

/// The version of NWB's schema that the file follows.
const VERSION: &str = "2.7.0";
/// A simulation takes place at no time. The format needs one.
const START: &str = "2000-01-01T00:00:00+00:00";

fn write_sweeps(file: &hdf5::File, currents_pa: &[Vec<f64>], responses: &[Response]) -> hdf5::Result<()> {
    set_type(file, "NWBFile")?;
    write_text_attribute(file, "nwb_version", VERSION)?;
    write_text(file, "session_description", "Simulated current-clamp recording of a Hodgkin-Huxley neuron")?;
    write_text(file, "identifier", "hhnet simulated recording")?;
    write_text(file, "session_start_time", START)?;
    write_text(file, "timestamps_reference_time", START)?;
    file.new_dataset::<VarLenUnicode>().shape(1).create("file_create_date")?.write_raw(&[hdf5_text(START)?])?;
    for group in ["analysis", "processing", "stimulus/templates"] {
        file.create_group(group)?;
    }
    let device = file.create_group("general/devices/simulation")?;
    set_type(&device, "Device")?;
    write_text_attribute(&device, "description", concat!("hhnet ", env!("CARGO_PKG_VERSION")))?;
    let electrode = file.create_group("general/intracellular_ephys/electrode")?;
    set_type(&electrode, "IntracellularElectrode")?;
    write_text(&electrode, "description", "ideal, without resistance")?;
    electrode.link_soft("/general/devices/simulation", "device")?;

    let largest = |values: &mut dyn Iterator<Item = &f64>| values.fold(f64::MIN_POSITIVE, |a, b| a.max(b.abs()));
    let largest_pa = largest(&mut currents_pa.iter().flatten());
    let largest_mv = largest(&mut responses.iter().flat_map(|response| &response.potential_mv));
    let (stimulus, acquisition) = (file.create_group("stimulus/presentation")?, file.create_group("acquisition")?);
    let mut start_s = 0.0;
    for (number, (current, response)) in currents_pa.iter().zip(responses).enumerate() {
        let timing = Timing { number: number as u32, start_s, dt_ms: response.dt_ms };
        let (current_name, name) = (format!("current_{number:04}"), format!("potential_{number:04}"));
        timing.write(&stimulus.create_group(&current_name)?, CURRENT, current, largest_pa, ("amperes", 1e-12))?;
        timing.write(
            &acquisition.create_group(&name)?,
            POTENTIAL,
            &response.potential_mv,
            largest_mv,
            ("volts", 1e-3),
        )?;
        start_s += current.len() as f64 * response.dt_ms / 1000.0 + 1.0;
    }
    Ok(())
}

/// Number, start and rate of a sweep.
struct Timing {
    number: u32,
    start_s: f64,
    dt_ms: f64,
}

impl Timing {
    /// Writes one of the two series. `unit` is the unit in the file, and the value of the unit of `values` in it.
    fn write(&self, group: &Group, kind: &str, values: &[f64], largest: f64, unit: (&str, f64)) -> hdf5::Result<()> {
        set_type(group, kind)?;
        write_text_attribute(group, "description", "simulated")?;
        write_text_attribute(group, "comments", "no comments")?;
        write_text_attribute(group, "stimulus_description", "simulated")?;
        group.new_attr::<u32>().create("sweep_number")?.write_scalar(&self.number)?;
        group.link_soft("/general/intracellular_ephys/electrode", "electrode")?;

        let scale = largest / f64::from(i16::MAX);
        let values: Vec<i16> = values.iter().map(|value| (value / scale).round() as i16).collect();
        let chunk = values.len().min(1 << 16);
        let data = group.new_dataset::<i16>().shape(values.len()).chunk(chunk).shuffle().deflate(4).create("data")?;
        data.write_raw(&values)?;
        write_text_attribute(&data, "unit", unit.0)?;
        for (name, value) in [("conversion", scale * unit.1), ("offset", 0.0), ("resolution", -1.0)] {
            data.new_attr::<f64>().create(name)?.write_scalar(&value)?;
        }

        let start = group.new_dataset::<f64>().create("starting_time")?;
        start.write_scalar(&self.start_s)?;
        write_text_attribute(&start, "unit", "seconds")?;
        start.new_attr::<f64>().create("rate")?.write_scalar(&(1000.0 / self.dt_ms))
    }
}

/// Marks an object as one of a type of NWB's schema.
fn set_type(place: &hdf5::Location, kind: &str) -> hdf5::Result<()> {
    write_text_attribute(place, "namespace", "core")?;
    write_text_attribute(place, "neurodata_type", kind)
}

fn write_text(group: &Group, name: &str, text: &str) -> hdf5::Result<()> {
    group.new_dataset::<VarLenUnicode>().create(name)?.write_scalar(&hdf5_text(text)?)
}
