//! Data larger than memory: seconds per sample and memory of a training from a file, beside one with all samples in
//! memory.
//!
//! `cargo bench --bench large` makes files of 10 000 and 100 000 samples of 1000 steps below `target` (1.8 GB); with
//! `-- --million` also one of 1 000 000 (16 GB, which should fit in the memory that the system caches files in); with
//! `-- --test` small ones, to show that it works. Each training is a process of its own, for its memory.

use std::path::Path;
use std::process::Command;

use hhnet::dataset::{GenerateOptions, H5Matrix, Source, generate};
use hhnet::model::{ModelOptions, generate_model};
use hhnet::stimulus::Stream;
use hhnet::training::FitOptions;

/// Samples at the end that are kept for validation.
const HELD_OUT: isize = 50;
/// 8 GB of numbers beside a file of 16 GB would be too much for most machines.
const MOST_IN_MEMORY: isize = 500_000;

fn main() -> hhnet::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |argument: &str| arguments.iter().any(|given| given == argument);
    if let Some(i) = arguments.iter().position(|given| given == "--train") {
        return train(arguments[i + 1].as_ref(), has("--in-memory"));
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
        // Alternating, because other programs come and go.
        for _ in 0..3 {
            run(&path, &[]);
            run(&path, &["--in-memory"]);
        }
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
    let options = FitOptions { batch_size: 100, epochs, ..FitOptions::default() };
    let mut model = generate_model(&ModelOptions::default())?;
    let (x_val, y_val) = (x.slice(-HELD_OUT..)?, y.slice(-HELD_OUT..)?);
    let mut fit = |x: &dyn Source, y: &dyn Source| model.fit(x, y, Some((&x_val, &y_val)), &options);
    let history = match in_memory {
        true => fit(&train.0.read_f32(..)?, &train.1.read_f32(..)?)?,
        false => fit(&train.0, &train.1)?,
    };
    let fastest = history.seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let from = if in_memory { "memory" } else { "the file" };
    let microseconds = 1e6 * fastest / samples as f64;
    println!("| {samples} | {from} | {epochs} | {microseconds:.2} | {} |", peak_mb());
    Ok(())
}

/// The most memory that this process has used, MB.
fn peak_mb() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.map_or("?".to_string(), |kilobytes| (kilobytes / 1000).to_string())
}
