//! The parameters of a data set. They are stored in its file, and can be read from it.

use super::description::{AttributeValue, attribute, text};
use crate::files::{open_hdf5, write_text_attribute};
use crate::neuron::{HhPscAlpha, whole_steps};
use crate::progress::Progress;
use crate::stimulus::{OrnsteinUhlenbeck, Stream};
use crate::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

/// More threads would work, but each costs memory.
const MAX_THREADS: usize = 1024;

/// The data set to generate. The default is that of the original study.
///
/// Everything that the data depend on is stored in the file, and can be [`read`](Self::read) from it.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Number of training and validation samples (`X`, `Y`).
    pub samples: usize,
    /// Length of each, ms.
    pub duration_ms: f64,
    /// Number of test samples (`X_test`, `Y_test`).
    pub test_samples: usize,
    /// Length of each, ms.
    pub test_duration_ms: f64,
    /// Seed of the random stream.
    pub seed: u32,
    /// The random stream.
    pub stream: Stream,
    /// The shard to generate, for [`merge`](super::merge) to join; `None` generates the whole data set. Shards need
    /// [`Stream::Philox`].
    pub shard: Option<Shard>,
    /// The injected current.
    pub current: OrnsteinUhlenbeck,
    /// The neuron.
    pub neuron: HhPscAlpha,
    /// Resolution of the simulation, ms. It must divide the time between two values of the current, and 1 ms.
    pub resolution_ms: f64,
    /// Whether to keep trials in which the neuron spikes, and to record all spikes. Otherwise these trials are dropped.
    pub keep_spiking: bool,
    /// Number of threads; `None` uses one per core. The data do not depend on it.
    pub threads: Option<usize>,
    /// Whether an existing file may be replaced.
    pub overwrite: bool,
    /// Where to print lines of progress.
    pub progress: Progress,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions {
            samples: 10_000,
            duration_ms: 1000.0,
            test_samples: 10,
            test_duration_ms: 10_000.0,
            seed: 1234,
            stream: Stream::Numpy,
            shard: None,
            current: OrnsteinUhlenbeck::default(),
            neuron: HhPscAlpha::default(),
            resolution_ms: 0.1,
            keep_spiking: false,
            threads: None,
            overwrite: false,
            progress: Progress::Silent,
        }
    }
}

/// One of several parts of a data set, generated separately: "3/16" is the third of sixteen.
///
/// ```
/// use hhnet::dataset::Shard;
/// assert_eq!("3/16".parse::<Shard>()?, Shard { index: 3, count: 16 });
/// assert!("17/16".parse::<Shard>().is_err());
/// # Ok::<(), hhnet::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Number of this shard, counted from 1.
    pub index: usize,
    /// Number of shards in the data set.
    pub count: usize,
}

const SHARD_REMEDY: &str = "give two numbers such as 3/16: the shard, counted from 1, and the number of shards";

impl Shard {
    /// The samples of this shard, if the data set has `total`.
    pub(super) fn samples(self, total: usize) -> Range<usize> {
        let until = |shards: usize| (shards as u128 * total as u128 / self.count as u128) as usize;
        until(self.index - 1)..until(self.index)
    }

    fn is_valid(self) -> bool {
        (1..=self.count).contains(&self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse =
            |(index, count): (&str, &str)| Some(Shard { index: index.parse().ok()?, count: count.parse().ok()? });
        let shard = text.split_once('/').and_then(parse).filter(|shard| shard.is_valid());
        shard.ok_or_else(|| Error::parameter("shard", text, SHARD_REMEDY))
    }
}

/// A parameter that is a number: its attribute in the file, its option on the command line, and its value.
type NumericParameter<'a> = (&'static str, &'static str, &'a mut f64);

impl GenerateOptions {
    /// All parameters that are numbers with a unit.
    fn numbers(&mut self) -> [NumericParameter<'_>; 17] {
        let OrnsteinUhlenbeck { theta, mu, sigma, x0, dt_ms } = &mut self.current;
        let HhPscAlpha { C_m, g_Na, g_K, g_L, E_Na, E_K, E_L, I_e, t_ref } = &mut self.neuron;
        [
            ("duration_ms", "--duration-ms", &mut self.duration_ms),
            ("test_duration_ms", "--test-duration-ms", &mut self.test_duration_ms),
            ("resolution_ms", "--resolution-ms", &mut self.resolution_ms),
            ("ou_theta_per_ms", "--theta", theta),
            ("ou_mu_pA", "--mu", mu),
            ("ou_sigma_pA_per_sqrt_ms", "--sigma", sigma),
            ("ou_x0_pA", "--x0", x0),
            ("ou_dt_ms", "--current-dt-ms", dt_ms),
            ("C_m_pF", "--C_m", C_m),
            ("g_Na_nS", "--g_Na", g_Na),
            ("g_K_nS", "--g_K", g_K),
            ("g_L_nS", "--g_L", g_L),
            ("E_Na_mV", "--E_Na", E_Na),
            ("E_K_mV", "--E_K", E_K),
            ("E_L_mV", "--E_L", E_L),
            ("I_e_pA", "--I_e", I_e),
            ("t_ref_ms", "--t_ref", t_ref),
        ]
    }

    /// Checks every option.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first option outside its range, with its value and the allowed ones.
    pub fn validate(&self) -> Result<()> {
        self.current.validate()?;
        self.neuron.timing(self.current.dt_ms, self.resolution_ms)?;
        self.shapes()?;
        if let Some(threads) = self.threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            return Err(Error::parameter("threads", threads, format!("give 1 to {MAX_THREADS}")));
        }
        if let Some(shard) = self.shard {
            if !shard.is_valid() {
                return Err(Error::parameter("shard", shard, SHARD_REMEDY));
            }
            if self.stream == Stream::Numpy {
                let remedy = "the stream numpy is one sequence, and cannot generate a shard alone: give stream philox";
                return Err(Error::parameter("shard", shard, remedy));
            }
            if shard.count > self.samples {
                return Err(Error::parameter(
                    "shard",
                    shard,
                    format!("give at most {} shards, one for each sample", self.samples),
                ));
            }
        }
        Ok(())
    }

    /// Shapes (samples, steps, 1) of `X` and `X_test` in the whole data set.
    pub(super) fn shapes(&self) -> Result<[[usize; 3]; 2]> {
        let shape = |name: &str, samples: usize, duration_name: &str, duration_ms: f64| {
            let dt_ms = self.current.dt_ms;
            let steps = whole_steps(duration_ms, dt_ms).ok_or_else(|| {
                let remedy = format!("give a whole multiple of the time between two values of the current, {dt_ms} ms");
                Error::parameter(duration_name, duration_ms, remedy)
            })?;
            if samples == 0 {
                return Err(Error::parameter(name, samples, "give 1 or more"));
            }
            let bytes = samples.checked_mul(steps).and_then(|n| n.checked_mul(16));
            if bytes.is_none_or(|bytes| bytes > 1 << 50) {
                let remedy = format!(
                    "with {duration_ms} ms each they need more than 2^50 bytes: give fewer samples or shorter ones"
                );
                return Err(Error::parameter(name, samples, remedy));
            }
            Ok([samples, steps, 1])
        };
        Ok([
            shape("samples", self.samples, "duration_ms", self.duration_ms)?,
            shape("test_samples", self.test_samples, "test_duration_ms", self.test_duration_ms)?,
        ])
    }

    /// The options of `hhnet generate` for the same data: those that differ from the defaults.
    ///
    /// ```
    /// use hhnet::dataset::GenerateOptions;
    /// let options = GenerateOptions { samples: 50, resolution_ms: 0.05, ..GenerateOptions::default() };
    /// assert_eq!(options.arguments(), ["--samples", "50", "--resolution-ms", "0.05"]);
    /// ```
    pub fn arguments(&self) -> Vec<String> {
        let mut default = GenerateOptions::default();
        let mut arguments = Vec::new();
        let mut add = |option: &str, value: String, default: String| {
            if value != default {
                arguments.extend([option.to_owned(), value]);
            }
        };
        add("--samples", self.samples.to_string(), default.samples.to_string());
        add("--test-samples", self.test_samples.to_string(), default.test_samples.to_string());
        add("--seed", self.seed.to_string(), default.seed.to_string());
        add("--stream", self.stream.name().to_owned(), default.stream.name().to_owned());
        add("--shard", self.shard.map_or(String::new(), |shard| shard.to_string()), String::new());
        for ((_, option, value), (_, _, default)) in self.clone().numbers().into_iter().zip(default.numbers()) {
            add(option, value.to_string(), default.to_string());
        }
        if self.keep_spiking {
            arguments.push("--keep-spiking".to_owned());
        }
        arguments
    }

    /// Writes everything that the data depend on as attributes.
    pub(super) fn write(&self, file: &hdf5::File) -> hdf5::Result<()> {
        write_text_attribute(file, "model", "hh_psc_alpha")?;
        write_text_attribute(file, "stream", self.stream.name())?;
        file.new_attr::<u32>().create("seed")?.write_scalar(&self.seed)?;
        for (name, count) in [("samples", self.samples), ("test_samples", self.test_samples)] {
            file.new_attr::<u64>().create(name)?.write_scalar(&(count as u64))?;
        }
        for (name, _, value) in self.clone().numbers() {
            file.new_attr::<f64>().create(name)?.write_scalar(value)?;
        }
        file.new_attr::<bool>().create("keep_spiking")?.write_scalar(&self.keep_spiking)?;
        self.shard.map_or(Ok(()), |shard| write_text_attribute(file, "shard", &shard.to_string()))
    }

    /// Reads the options with which a data file was generated. Threads, progress and overwrite have their defaults.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if the file cannot be opened, or was not written by
    /// [`generate`](super::generate).
    ///
    /// ```
    /// use hhnet::dataset::{GenerateOptions, generate};
    /// let directory = tempfile::tempdir().unwrap();
    /// let options = GenerateOptions { samples: 2, test_samples: 1, seed: 5, ..GenerateOptions::default() };
    /// generate(directory.path().join("data.h5"), &options)?;
    /// assert_eq!(GenerateOptions::read(directory.path().join("data.h5"))?, options);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = open_hdf5(path)?;
        let mut options = GenerateOptions::default();
        let mut read = || -> hdf5::Result<Option<String>> {
            options.seed = file.attr("seed")?.read_scalar()?;
            options.samples = file.attr("samples")?.read_scalar()?;
            options.test_samples = file.attr("test_samples")?.read_scalar()?;
            options.keep_spiking = match attribute(&file, "keep_spiking") {
                AttributeValue::Boolean(keep_spiking) => keep_spiking,
                _ => return Err("keep_spiking is no truth value".into()),
            };
            for (name, _, value) in options.numbers() {
                *value = file.attr(name)?.read_scalar()?;
            }
            options.stream = match text(&file, "stream").unwrap_or_default().parse() {
                Ok(stream) => stream,
                Err(_) => return Err("its random stream is unknown to this version".into()),
            };
            let has_shard = file.attr_names()?.iter().any(|name| name == "shard");
            Ok(has_shard.then(|| text(&file, "shard").unwrap_or_default()))
        };
        let shard = read().map_err(|reason| {
            let problem = format!("its parameters cannot be read: {reason}");
            Error::file(path, problem, "use a data file made by `hhnet generate` of this version")
        })?;
        options.shard = shard.map(|shard| shard.parse()).transpose()?;
        options.validate()?;
        Ok(options)
    }
}
