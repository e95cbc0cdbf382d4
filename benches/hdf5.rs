//! Time to read a dataset of an HDF5 file into memory.
//!
//! `cargo bench --bench hdf5 -- DATASET FILE [FILE ...]` reads the whole dataset of each file, as float64 and as
//! float32, and prints the seconds, each the better one of two; `benches/peers/hdf5.py` takes turns with h5py. Without
//! arguments it reads a file that it writes.

use hhnet::dataset::{H5Matrix, save};
use hhnet::ndarray::Array3;
use std::hint::black_box;
use std::time::Instant;

fn main() -> hhnet::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let [dataset, files @ ..] = &arguments[..] else {
        let is_test = std::env::args().any(|argument| argument == "--test");
        let file = std::env::temp_dir().join(format!("hhnet-bench-{}.h5", std::process::id()));
        save(&file, "X", &Array3::ones((if is_test { 10 } else { 25_000 }, 1000, 1)), "pA", true)?;
        let measured = measure(&file.to_string_lossy(), "X");
        let _ = std::fs::remove_file(&file);
        return measured;
    };
    files.iter().try_for_each(|file| measure(file, dataset))
}

fn measure(file: &str, dataset: &str) -> hhnet::Result<()> {
    let data = H5Matrix::open(file, dataset)?;
    let float64 = seconds(|| data.read(..))?;
    println!("{file} {float64:.4} {:.4}", seconds(|| data.read_f32(..))?);
    Ok(())
}

/// The faster one of two reads.
fn seconds<T>(read: impl Fn() -> hhnet::Result<T>) -> hhnet::Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..2 {
        let start = Instant::now();
        black_box(read()?);
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    Ok(fastest)
}
