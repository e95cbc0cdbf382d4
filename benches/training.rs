//! Seconds per epoch of the original's training on random data: 9500 series of 1000 steps in batches of 100.
//!
//! `cargo bench --bench training` runs all; with `-- --test` it trains on 200 series, to show that it works.

use hhnet::model::{ModelOptions, generate_model};
use hhnet::ndarray::Array3;
use hhnet::training::FitOptions;
use rand_mt::Mt64;

fn main() -> hhnet::Result<()> {
    let series = if std::env::args().any(|argument| argument == "--test") { 200 } else { 9500 };
    let mut random = Mt64::new(1);
    let x = Array3::from_shape_simple_fn((series, 1000, 1), || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64);
    let y = x.mapv(|x| x * x);
    for threads in [1, 2] {
        let mut model = generate_model(&ModelOptions::default())?;
        let options = FitOptions { batch_size: 100, epochs: 3, threads: Some(threads), ..FitOptions::default() };
        let history = model.fit(&x, &y, None, &options)?;
        assert!(history.loss[2] < history.loss[0]);
        let seconds: Vec<String> = history.seconds.iter().map(|seconds| format!("{seconds:.2}")).collect();
        println!("{series} series, {threads} threads: {} s per epoch", seconds.join(", "));
    }
    let start = std::time::Instant::now();
    generate_model(&ModelOptions::default())?.predict(&x)?;
    println!("{series} series: prediction in {:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
