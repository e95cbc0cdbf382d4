//! Neuron-seconds per second on one thread: the two scalar forms, and many neurons at once; then the whole data set.
//!
//! `cargo bench --bench generator` runs all; with `-- --test` it takes few trials, to show that it works.

use std::time::Instant;

use hhnet::dataset::{GenerateOptions, generate};
use hhnet::neuron::HhPscAlpha;
use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck};

fn main() -> hhnet::Result<()> {
    let trials = if std::env::args().any(|argument| argument == "--test") { 16 } else { 512 };
    let neuron = HhPscAlpha::default();
    let mut random = NumpyRandom::seed(1234);
    let start = Instant::now();
    let currents: Vec<Vec<f64>> = (0..trials).map(|_| OrnsteinUhlenbeck::default().trace(1000, &mut random)).collect();
    println!("noise: {:.1} ns per value", 1e6 * start.elapsed().as_secs_f64() / trials as f64);

    let few = &currents[..trials / 16];
    let start = Instant::now();
    for current in few {
        neuron.simulate(current, 1.0, 0.1)?;
    }
    println!("adaptive, scalar: {:.0} neuron-seconds per second", few.len() as f64 / start.elapsed().as_secs_f64());
    let start = Instant::now();
    let fixed = few.iter().map(|current| neuron.simulate_rk4(current, 1.0, 0.1)).collect::<hhnet::Result<Vec<_>>>()?;
    println!("fixed step, scalar: {:.0} neuron-seconds per second", few.len() as f64 / start.elapsed().as_secs_f64());
    for _ in 0..5 {
        let start = Instant::now();
        let many = neuron.simulate_many(&currents, 1.0, 0.1)?;
        println!("many at once: {:.0} neuron-seconds per second", trials as f64 / start.elapsed().as_secs_f64());
        assert!((many[0].potential_mv[999] - fixed[0].potential_mv[999]).abs() < 1e-9);
    }

    let file = std::env::temp_dir().join(format!("hhnet-bench-{}.h5", std::process::id()));
    for threads in [1, 2] {
        let options = GenerateOptions {
            samples: 20 * trials - 240,
            threads: Some(threads),
            overwrite: true,
            ..GenerateOptions::default()
        };
        println!("{threads} threads: {}", generate(&file, &options)?.to_string().lines().last().unwrap_or_default());
    }
    let _ = std::fs::remove_file(&file);
    Ok(())
}
