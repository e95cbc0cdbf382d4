//! Data larger than memory: seconds per sample and memory of a training from a file, beside one with all samples in
//! memory.
//!
//! `cargo bench --bench large` makes files of 10 000 and 100 000 samples of 1000 steps below `target` (1.8 GB); with
//! `-- --million` also one of 1 000 000 (16 GB, which should fit in the memory that the system caches files in); with
//! `-- --test` small ones, to show that it works. Each training is a process of its own, for its memory. Another one
//! alternates between short epochs from the file and from memory, as other programs on the machine come and go.

use std::ops::Range;
use std::path::Path;
use std::process::Command;

use hhnet::dataset::{GenerateOptions, H5Matrix, Opened, ReadSamples, Source, generate};
use hhnet::model::{Model, ModelOptions, generate_model};
use hhnet::ndarray::s;
use hhnet::stimulus::Stream;
use hhnet::training::FitOptions;

/// Samples at the end that are kept for validation.
const HELD_OUT: isize = 50;
/// 8 GB of numbers beside a file of 16 GB would be too much for most machines.
const MOST_IN_MEMORY: isize = 300_000;
/// Samples of a short epoch.
const SHORT: usize = 10_000;
/// Pairs of short epochs.
const PAIRS: usize = 41;

fn main() -> hhnet::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |argument: &str| arguments.iter().any(|given| given == argument);
    if let Some(i) = arguments.iter().position(|given| given == "--train") {
        let path = arguments[i + 1].as_ref();
        return if has("--compare") { compare(path) } else { train(path, has("--in-memory")) };
    }
    let sizes = match () {
        () if has("--test") => vec![200],
        () if has("--million") => vec![10_000, 100_000, 1_000_000],
        () => vec![10_000, 100_000],
    };
    let folder = tempfile::tempdir_in("target").map_err(|error| hhnet::Error::file("target", error, "build first"))?;
    println!("| samples | from | epochs | µs per sample | memory, MB |");
    println!("|---:|---|---:|---:|---:|");
    for samples in sizes {
        let path = folder.path().join(format!("{samples}.h5"));
        let options =
            GenerateOptions { samples, test_samples: 1, stream: Stream::Philox, ..GenerateOptions::default() };
        generate(&path, &options)?;
        run(&path, &[]);
        run(&path, &["--in-memory"]);
        run(&path, &["--compare"]);
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Runs a training in a process of its own.
fn run(path: &Path, arguments: &[&str]) {
    let program = std::env::current_exe().expect("the path of this program");
    let status = Command::new(program).arg("--train").arg(path).args(arguments).status();
    assert!(status.expect("a process").success());
}

fn train(path: &Path, in_memory: bool) -> hhnet::Result<()> {
    let (mut x, mut y) = (H5Matrix::open(path, "X")?, H5Matrix::open(path, "Y")?);
    if in_memory && x.shape().0 > MOST_IN_MEMORY as usize {
        (x, y) = (x.slice(..MOST_IN_MEMORY)?, y.slice(..MOST_IN_MEMORY)?);
    }
    let train = (x.slice(..-HELD_OUT)?, y.slice(..-HELD_OUT)?);
    let samples = train.0.shape().0;
    let epochs = (200_000 / samples).clamp(1, 10);
    let mut model = generate_model(&ModelOptions::default())?;
    let validation = (x.slice(-HELD_OUT..)?, y.slice(-HELD_OUT..)?);
    let seconds = match in_memory {
        true => fit(&mut model, &train.0.read_f32(..)?, &train.1.read_f32(..)?, Some(&validation), epochs)?,
        false => fit(&mut model, &train.0, &train.1, Some(&validation), epochs)?,
    };
    let from = if in_memory { "memory" } else { "the file" };
    let microseconds = 1e6 * seconds / samples as f64;
    println!("| {samples} | {from} | {epochs} | {microseconds:.2} | {} |", peak_mb());
    Ok(())
}

/// The fastest epoch, s.
fn fit(
    model: &mut Model,
    x: &dyn Source,
    y: &dyn Source,
    validation: Option<&(H5Matrix, H5Matrix)>,
    epochs: usize,
) -> hhnet::Result<f64> {
    let options = FitOptions { batch_size: 100, epochs, ..FitOptions::default() };
    let validation = validation.map(|(x, y)| (x as &dyn Source, y as &dyn Source));
    let history = model.fit(x, y, validation, &options)?;
    Ok(history.seconds.iter().copied().fold(f64::INFINITY, f64::min))
}

/// Compares the time of short epochs: from the file, with samples from all over it, and from memory.
fn compare(path: &Path) -> hhnet::Result<()> {
    let (x, y) = (H5Matrix::open(path, "X")?, H5Matrix::open(path, "Y")?);
    let samples = x.shape().0;
    let in_memory = samples.min(MOST_IN_MEMORY as usize);
    let memory = (x.read_f32(..in_memory as isize)?, y.read_f32(..in_memory as isize)?);
    let short = SHORT.min(in_memory);
    let stride = samples / short;
    let (x, y) = (Strided { matrix: &x, stride }, Strided { matrix: &y, stride });
    let mut model = generate_model(&ModelOptions::default())?;
    let mut speeds = Vec::new();
    for pair in 0..PAIRS {
        let first = (in_memory - short) * pair / PAIRS;
        let window = s![first..first + short, .., ..];
        let from_file = fit(&mut model, &x, &y, None, 1)?;
        let from_memory = fit(&mut model, &memory.0.slice(window), &memory.1.slice(window), None, 1)?;
        speeds.push(100.0 * from_memory / from_file);
    }
    speeds.sort_by(f64::total_cmp);
    let quartiles = [1, 2, 3].map(|quarter| speeds[quarter * PAIRS / 4]);
    println!(
        "{samples} samples: from the file {:.0} % of the speed in memory (quartiles {:.0} and {:.0} %)",
        quartiles[1], quartiles[0], quartiles[2]
    );
    Ok(())
}

/// Every `stride`th sample of a dataset.
struct Strided<'a> {
    matrix: &'a H5Matrix,
    stride: usize,
}

struct StridedReader<'a> {
    reader: Box<dyn ReadSamples + 'a>,
    stride: usize,
}

impl Source for Strided<'_> {
    fn shape(&self) -> (usize, usize, usize) {
        let (samples, steps, channels) = self.matrix.shape();
        (samples / self.stride, steps, channels)
    }

    fn open(&self, name: &str) -> hhnet::Result<Opened<'_>> {
        Ok(match self.matrix.open(name)? {
            Opened::File(reader) => Opened::File(Box::new(StridedReader { reader, stride: self.stride })),
            // So few that they are read as a whole.
            memory => memory,
        })
    }
}

impl ReadSamples for StridedReader<'_> {
    fn read(&self, samples: &[usize], steps: Range<usize>, values: &mut Vec<f32>) -> hhnet::Result<()> {
        let samples: Vec<usize> = samples.iter().map(|sample| sample * self.stride).collect();
        self.reader.read(&samples, steps, values)
    }

    fn is_concurrent(&self) -> bool {
        self.reader.is_concurrent()
    }
}

/// The most memory that this process has used, MB.
fn peak_mb() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.map_or("?".to_string(), |kilobytes| (kilobytes / 1000).to_string())
}
