//! Seconds per epoch of the original's training on random data: 9500 series of 1000 steps in batches of 100.
//!
//! `cargo bench --bench training` runs all; with `-- --test` it trains on 200 series, to show that it works.

use hhnet::model::{Engine, ModelOptions, generate_model};
use hhnet::ndarray::Array3;
use hhnet::training::FitOptions;
use rand_mt::Mt64;

fn main() -> hhnet::Result<()> {
    let series = if std::env::args().any(|argument| argument == "--test") { 200 } else { 9500 };
    let mut random = Mt64::new(1);
    let x = Array3::from_shape_simple_fn((series, 1000, 1), || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64);
    let y = x.mapv(|x| x * x);
    for (engine, threads) in [(Engine::Fused, 1), (Engine::Fused, 2), (Engine::Libtorch, 1), (Engine::Libtorch, 2)] {
        let mut model = generate_model(&ModelOptions { engine, ..ModelOptions::default() })?;
        let options = FitOptions { batch_size: 100, epochs: 3, threads: Some(threads), ..FitOptions::default() };
        let history = model.fit(&x, &y, None, &options)?;
        assert!(history.loss[2] < history.loss[0]);
        let seconds: Vec<String> = history.seconds.iter().map(|seconds| format!("{seconds:.2}")).collect();
        println!("{series} series, {engine:?}, {threads} threads: {} s per epoch", seconds.join(", "));
    }
    let model = generate_model(&ModelOptions::default())?;
    let long = Array3::zeros((10, 10_000, 1));
    for _ in 0..3 {
        let start = std::time::Instant::now();
        model.predict(&long)?;
        println!("10 series of 10000 steps: prediction in {:.1} ms", 1000.0 * start.elapsed().as_secs_f64());
    }
    Ok(())
}
