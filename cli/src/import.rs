//! `import`: own recordings become a data file.

mod numpy;
mod table;

use crate::Output;
use crate::failure::check_different;
use clap::Args;
use hhnet::dataset::{
    self, ImportOptions, Imported, TestSamples, WriteOptions, cut, millivolts_in, picoamperes_in, read_nwb,
};
use hhnet::ndarray::{Array3, Axis};
use hhnet::progress::Progress;
use hhnet::{Error, Result};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The arguments of `hhnet import`.
#[derive(Args)]
pub struct Import {
    /// The recording: an NWB 2 file, NumPy's arrays (.npz), or a table (.csv) whose first line names the columns
    #[arg(value_name = "FILE", required_unless_present_all = ["x", "y"])]
    file: Option<PathBuf>,
    /// The HDF5 file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The currents: their array in a .npz FILE or column of a .csv FILE; without FILE, a .npy file
    #[arg(long, value_name = "NAME", requires = "y")]
    x: Option<String>,
    /// The potentials, likewise
    #[arg(long, value_name = "NAME", requires = "x")]
    y: Option<String>,
    /// Length of a sample (ms) [default: 1000; in tables and arrays, the length that all sweeps have in common, but at
    /// most 1000 for a single sweep]
    #[arg(long, value_name = "MS")]
    duration_ms: Option<f64>,
    /// Time between two values of a sample (ms)
    #[arg(long, value_name = "MS", default_value_t = 1.0)]
    step_ms: f64,
    /// Values per second in arrays, and in a table without times (Hz) [default: one value for each step]
    #[arg(long, value_name = "HZ")]
    rate_hz: Option<f64>,
    /// Unit of currents in arrays, and in a column whose name has none
    #[arg(long, value_name = "UNIT", default_value = "pA")]
    x_unit: String,
    /// Unit of potentials in arrays, and in a column whose name has none
    #[arg(long, value_name = "UNIT", default_value = "mV")]
    y_unit: String,
    /// Number of samples at the end that become test samples (X_test and Y_test)
    #[arg(long, value_name = "N", default_value_t = 0)]
    test: usize,
    /// Keep samples in which the neuron spikes. By default these samples are dropped
    #[arg(long)]
    keep_spiking: bool,
    /// A neuron spikes in a sample if the potential reaches this value in it (mV)
    #[arg(long, value_name = "MV", default_value_t = 0.0, allow_negative_numbers = true)]
    spike_threshold_mv: f64,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// Recorded sweeps of a table or of arrays with one channel.
struct Sweeps {
    currents_pa: Vec<Vec<f64>>,
    potentials_mv: Vec<Vec<f64>>,
    interval_ms: f64,
}

/// What a source holds.
enum Contents {
    Sweeps(Sweeps),
    /// Samples with several channels, which are not cut.
    Samples(Array3<f64>, Array3<f64>),
}

impl Import {
    /// Reads a recording, and writes a data file.
    ///
    /// # Errors
    /// If the recording cannot be read or yields no samples, or the data file cannot be written.
    pub fn run(&self) -> Output {
        if self.out.exists() && !self.force {
            return Err(Error::file(&self.out, "it exists already", "give another name, or --force to replace it"));
        }
        let arrays =
            [("--x", &self.x), ("--y", &self.y)].map(|(option, name)| (option, name.as_deref().map(Path::new)));
        let read = [("FILE", self.file.as_deref())].into_iter().chain(arrays);
        let read: Vec<_> = read.filter_map(|(option, path)| Some((option, path?))).collect();
        check_different(&read, &[("--out", &self.out)])?;
        if let Some(rate) = self.rate_hz.filter(|rate| !(*rate > 0.0 && rate.is_finite())) {
            return Err(Error::parameter("rate_hz", rate, "give a rate above 0, in Hz"));
        }
        let (imported, test) = match (&self.file, &self.x, &self.y) {
            (None, Some(x), Some(y)) => {
                let (x, y) = (Path::new(x), Path::new(y));
                let source = format!("{}, {}", name_of(x), name_of(y));
                (self.samples(self.arrays(numpy::read_npy(x)?, numpy::read_npy(y)?)?, source)?, self.last())
            }
            (Some(file), x, y) => self.read(file, x.as_deref().zip(y.as_deref()))?,
            _ => return Err(Error::parameter("FILE", "none", "give a file, or --x and --y")),
        };
        let options = WriteOptions {
            test,
            step_ms: self.step_ms,
            attributes: imported.attributes.clone(),
            overwrite: self.force,
        };
        let written = dataset::write(&self.out, &imported.x, &imported.y, &options)?;
        let source = imported.attributes.iter().find(|(name, _)| name == "source").map(|(_, text)| text);
        let json = json!({
            "file": written.path,
            "shape": written.shape,
            "test_shape": written.test_shape,
            "sweeps": imported.sweeps,
            "dropped_samples": imported.dropped_samples,
            "notes": imported.notes,
            "source": source,
        });
        let source = source.map_or(String::new(), |source| format!("from {source}\n"));
        Ok((format!("{written}\n{source}{imported}"), json))
    }

    /// Reads a file, whose contents tell its format, with the test samples that it has. `names` are those of two arrays
    /// or columns.
    fn read(&self, file: &Path, names: Option<(&str, &str)>) -> Result<(Imported, TestSamples)> {
        let mut head = Vec::new();
        let cannot = |source| Error::Io { path: file.to_path_buf(), action: "open", source };
        File::open(file).and_then(|file| file.take(8).read_to_end(&mut head)).map_err(cannot)?;
        if head.starts_with(b"PK") {
            let mut npz = numpy::Npz::open(file)?;
            let (x, y) = names.unwrap_or(("X", "Y"));
            let source = format!("{}: arrays {x}, {y}", name_of(file));
            let samples = self.samples(self.arrays(npz.read(x)?, npz.read(y)?)?, source)?;
            let mut test = self.last();
            if self.test == 0 && names.is_none() && npz.has("X_test") && npz.has("Y_test") {
                let (x, y) = (npz.read("X_test")?, npz.read("Y_test")?);
                test = TestSamples::Given(self.test_array(x, self.x_factor()?)?, self.test_array(y, self.y_factor()?)?);
            }
            return Ok((samples, test));
        }
        if head.starts_with(b"\x93NUMPY") {
            let remedy = "give two: --x CURRENTS.npy --y POTENTIALS.npy";
            return Err(Error::file(file, "it is one array, without a name", remedy));
        }
        if head.starts_with(b"\x89HDF") || file.extension().is_some_and(|extension| extension == "nwb") {
            return Ok((read_nwb(file, &self.options(self.duration_ms.unwrap_or(1000.0)))?, self.last()));
        }
        let units = table::Units { x: &self.x_unit, y: &self.y_unit };
        let (sweeps, columns) = table::read(file, names, units, self.interval_ms(), self.rate_hz.is_some())?;
        Ok((self.samples(Contents::Sweeps(sweeps), format!("{}: {columns}", name_of(file)))?, self.last()))
    }

    fn last(&self) -> TestSamples {
        TestSamples::Last(self.test)
    }

    fn options(&self, duration_ms: f64) -> ImportOptions {
        ImportOptions {
            duration_ms,
            step_ms: self.step_ms,
            keep_spiking: self.keep_spiking,
            spike_threshold_mv: self.spike_threshold_mv,
            progress: Progress::Stderr,
        }
    }

    /// The time between two values of arrays.
    fn interval_ms(&self) -> f64 {
        self.rate_hz.map_or(self.step_ms, |rate| 1000.0 / rate)
    }

    fn x_factor(&self) -> Result<f64> {
        picoamperes_in(&self.x_unit)
            .ok_or_else(|| Error::parameter("x_unit", &self.x_unit, "give a unit of current, such as pA, nA or A"))
    }

    fn y_factor(&self) -> Result<f64> {
        millivolts_in(&self.y_unit)
            .ok_or_else(|| Error::parameter("y_unit", &self.y_unit, "give a unit of potential, such as mV or V"))
    }

    /// Currents and potentials in arrays of shape (steps), (samples, steps) or (samples, steps, channels).
    fn arrays(&self, x: Array3<f64>, y: Array3<f64>) -> Result<Contents> {
        let (x, y) = (x * self.x_factor()?, y * self.y_factor()?);
        if x.dim().2 != 1 || y.dim().2 != 1 {
            if self.rate_hz.is_some() || self.duration_ms.is_some() {
                let name = if self.rate_hz.is_some() { "rate_hz" } else { "duration_ms" };
                let remedy = "leave it out: arrays of several channels are taken as they are";
                return Err(Error::parameter(name, "given", remedy));
            }
            return Ok(Contents::Samples(x, y));
        }
        let rows = |values: &Array3<f64>| values.outer_iter().map(|row| row.iter().copied().collect()).collect();
        Ok(Contents::Sweeps(Sweeps { currents_pa: rows(&x), potentials_mv: rows(&y), interval_ms: self.interval_ms() }))
    }

    fn test_array(&self, values: Array3<f64>, factor: f64) -> Result<Array3<f64>> {
        if self.rate_hz.is_some() {
            let remedy = "the file has X_test and Y_test, which are taken as they are: name the arrays (--x X --y Y)";
            return Err(Error::parameter("rate_hz", "given", remedy));
        }
        Ok(values * factor)
    }

    /// Cuts sweeps into samples. `source` says where they come from.
    fn samples(&self, found: Contents, source: String) -> Result<Imported> {
        let mut imported = match found {
            Contents::Sweeps(Sweeps { currents_pa, potentials_mv, interval_ms }) => {
                let options =
                    self.options(self.duration_ms.unwrap_or_else(|| self.usual_duration_ms(&currents_pa, interval_ms)));
                cut(&currents_pa, &potentials_mv, interval_ms, &options)?
            }
            Contents::Samples(x, y) => self.without_spikes(x, y),
        };
        imported.attributes.push(("source".to_owned(), source));
        Ok(imported)
    }

    /// The length of the sweeps if they have one in common, but at most 1000 ms for a single sweep.
    fn usual_duration_ms(&self, sweeps: &[Vec<f64>], interval_ms: f64) -> f64 {
        const USUAL_MS: f64 = 1000.0;
        let length = sweeps.first().map_or(0, Vec::len);
        let whole_ms = (length as f64 * interval_ms / self.step_ms + 1e-6).floor().max(1.0) * self.step_ms;
        match sweeps.len() {
            1 => whole_ms.min(USUAL_MS),
            _ if sweeps.iter().all(|sweep| sweep.len() == length) => whole_ms,
            _ => USUAL_MS,
        }
    }

    /// Samples of several channels as they are, but for those with a spike.
    fn without_spikes(&self, x: Array3<f64>, y: Array3<f64>) -> Imported {
        let (samples, steps, _) = x.dim();
        let is_kept = |i: usize| {
            self.keep_spiking || i >= y.dim().0 || y.index_axis(Axis(0), i).iter().all(|&v| v < self.spike_threshold_mv)
        };
        let kept: Vec<usize> = (0..samples).filter(|&i| is_kept(i)).collect();
        let chosen = |values: &Array3<f64>| {
            if values.dim().0 == samples { values.select(Axis(0), &kept) } else { values.clone() }
        };
        Imported {
            x: chosen(&x),
            y: chosen(&y),
            options: self.options(steps as f64 * self.step_ms),
            sweeps: kept.len(),
            dropped_samples: samples - kept.len(),
            notes: Vec::new(),
            attributes: Vec::new(),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
