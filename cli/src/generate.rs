//! `generate` and `merge`, and the command that makes a file.

use crate::Output;
use clap::Args;
use hhnet::dataset::{GenerateOptions, MergeOptions, Shard, generate, merge};
use hhnet::neuron::HhPscAlpha;
use hhnet::progress::Progress;
use hhnet::stimulus::{OrnsteinUhlenbeck, Stream};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Generate {
    /// The HDF5 file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Number of training and validation samples (X and Y)
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    samples: usize,
    /// Length of a training or validation sample (ms)
    #[arg(long, value_name = "MS", default_value_t = 1000.0)]
    duration_ms: f64,
    /// Number of test samples (X_test and Y_test)
    #[arg(long, value_name = "N", default_value_t = 10)]
    test_samples: usize,
    /// Length of a test sample (ms)
    #[arg(long, value_name = "MS", default_value_t = 10_000.0)]
    test_duration_ms: f64,
    /// Seed of the random stream
    #[arg(long, default_value_t = 1234)]
    seed: u32,
    /// Random stream: NumPy's legacy stream, as in the original study, or a counter-based one
    #[arg(long, default_value = "numpy", value_parser = ["numpy", "philox"])]
    stream: String,
    /// Generate only one shard of the data set: 3/16 is the third of sixteen. Needs `--stream philox`; see `hhnet
    /// merge`
    #[arg(long)]
    shard: Option<Shard>,
    /// Keep trials in which the neuron spikes and record the spikes. By default these trials are dropped
    #[arg(long)]
    keep_spiking: bool,
    /// Time step of the simulation grid (ms)
    #[arg(long, value_name = "MS", default_value_t = 0.1)]
    resolution_ms: f64,
    /// Number of threads; the data do not depend on it [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    #[command(flatten, next_help_heading = "Current (Ornstein-Uhlenbeck process)")]
    current: Current,
    #[command(flatten, next_help_heading = "Neuron (hh_psc_alpha)")]
    neuron: Neuron,
}

#[derive(Args)]
struct Current {
    /// Rate of return to the mean (1/ms)
    #[arg(long, default_value_t = OrnsteinUhlenbeck::default().theta, allow_negative_numbers = true)]
    theta: f64,
    /// Mean (pA)
    #[arg(long, default_value_t = OrnsteinUhlenbeck::default().mu, allow_negative_numbers = true)]
    mu: f64,
    /// Strength of the noise (pA/sqrt(ms))
    #[arg(long, default_value_t = OrnsteinUhlenbeck::default().sigma, allow_negative_numbers = true)]
    sigma: f64,
    /// First value (pA)
    #[arg(long, default_value_t = OrnsteinUhlenbeck::default().x0, allow_negative_numbers = true)]
    x0: f64,
    /// Time between two values of the current (ms)
    #[arg(long, default_value_t = OrnsteinUhlenbeck::default().dt_ms, allow_negative_numbers = true)]
    current_dt_ms: f64,
}

#[allow(non_snake_case, reason = "a symbol keeps its name")]
#[derive(Args)]
struct Neuron {
    /// Membrane capacitance (pF)
    #[arg(long = "C_m", default_value_t = HhPscAlpha::default().C_m, allow_negative_numbers = true)]
    C_m: f64,
    /// Peak sodium conductance (nS)
    #[arg(long = "g_Na", default_value_t = HhPscAlpha::default().g_Na, allow_negative_numbers = true)]
    g_Na: f64,
    /// Peak potassium conductance (nS)
    #[arg(long = "g_K", default_value_t = HhPscAlpha::default().g_K, allow_negative_numbers = true)]
    g_K: f64,
    /// Leak conductance (nS)
    #[arg(long = "g_L", default_value_t = HhPscAlpha::default().g_L, allow_negative_numbers = true)]
    g_L: f64,
    /// Sodium reversal potential (mV)
    #[arg(long = "E_Na", default_value_t = HhPscAlpha::default().E_Na, allow_negative_numbers = true)]
    E_Na: f64,
    /// Potassium reversal potential (mV)
    #[arg(long = "E_K", default_value_t = HhPscAlpha::default().E_K, allow_negative_numbers = true)]
    E_K: f64,
    /// Leak reversal potential (mV)
    #[arg(long = "E_L", default_value_t = HhPscAlpha::default().E_L, allow_negative_numbers = true)]
    E_L: f64,
    /// Constant current in addition to the injected one (pA)
    #[arg(long = "I_e", default_value_t = HhPscAlpha::default().I_e, allow_negative_numbers = true)]
    I_e: f64,
    /// Time after a spike in which no further spike is counted (ms)
    #[arg(long = "t_ref", default_value_t = HhPscAlpha::default().t_ref, allow_negative_numbers = true)]
    t_ref: f64,
}

impl Generate {
    pub fn run(&self) -> Output {
        let Current { theta, mu, sigma, x0, current_dt_ms } = self.current;
        let Neuron { C_m, g_Na, g_K, g_L, E_Na, E_K, E_L, I_e, t_ref } = self.neuron;
        let made = generate(
            &self.out,
            &GenerateOptions {
                samples: self.samples,
                duration_ms: self.duration_ms,
                test_samples: self.test_samples,
                test_duration_ms: self.test_duration_ms,
                seed: self.seed,
                stream: self.stream.parse::<Stream>()?,
                shard: self.shard,
                current: OrnsteinUhlenbeck { theta, mu, sigma, x0, dt_ms: current_dt_ms },
                neuron: HhPscAlpha { C_m, g_Na, g_K, g_L, E_Na, E_K, E_L, I_e, t_ref },
                resolution_ms: self.resolution_ms,
                keep_spiking: self.keep_spiking,
                threads: self.threads,
                overwrite: self.force,
                progress: Progress::Stderr,
            },
        )?;
        let json = json!({
            "file": made.path,
            "shape": made.shape,
            "test_shape": made.test_shape,
            "dropped_trials": made.dropped_trials,
            "dropped_test_trials": made.dropped_test_trials,
            "spikes": made.spikes,
            "seconds": made.elapsed.as_secs_f64(),
        });
        Ok((made.to_string(), json))
    }
}

#[derive(Args)]
pub struct Merge {
    /// The files of all shards, in any order
    #[arg(required = true, value_name = "SHARD")]
    shards: Vec<PathBuf>,
    /// The HDF5 file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Copy the samples. By default the new file refers to the shards, which must be kept
    #[arg(long)]
    copy: bool,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Merge {
    pub fn run(&self) -> Output {
        let options = MergeOptions { copy: self.copy, overwrite: self.force, progress: Progress::Stderr };
        let merged = merge(&self.out, &self.shards, &options)?;
        let json = json!({
            "file": merged.path,
            "shape": merged.shape,
            "test_shape": merged.test_shape,
            "shards": merged.shards,
            "copied": merged.copied,
        });
        Ok((merged.to_string(), json))
    }
}

/// The command line that makes the data file again, if `generate` or `merge` made it.
pub fn command_line(file: &Path) -> Option<String> {
    let options = GenerateOptions::read(file).ok()?;
    let name = file.to_string_lossy();
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    let name = if is_plain { name.into_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) };
    Some([vec!["hhnet generate --out".to_owned(), name], options.arguments()].concat().join(" "))
}
