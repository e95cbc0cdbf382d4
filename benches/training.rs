//! Seconds per epoch of the original's training, and the share of the processor's multiply-adds that this is: 9500
//! samples of 1000 steps in batches of 100, shuffled, and 500 samples for validation. Then the time of a prediction, and
//! that of training with denormal numbers.
//! Each is the fastest of several: the one that other programs disturbed least.
//!
//! `cargo bench --bench training` runs all; with `-- --test` it trains on 200 samples, to show that it works.

use std::hint::black_box;
use std::time::Instant;

use fearless_simd::prelude::*;
use hhnet::model::{Engine, ModelOptions, generate_model};
use hhnet::ndarray::Array3;
use hhnet::simd::{Kernel, SimdLevel, dispatch_on};
use hhnet::training::FitOptions;
use rand_mt::Mt64;

/// Multiply-adds per time step of the original's network: forward; forward and backward.
const FORWARD: f64 = 194.0;
const TRAINING: f64 = 560.0;

fn main() -> hhnet::Result<()> {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (samples, held_out, epochs) = if is_test { (200, 20, 3) } else { (9500, 500, 15) };
    let x = noise(samples);
    let x_val = noise(held_out);
    let target = |x: &Array3<f64>| x.mapv(|x| x * x);
    let (y, y_val) = (target(&x), target(&x_val));
    let work = 1000.0 * (samples as f64 * TRAINING + held_out as f64 * FORWARD);

    println!("| engine | threads | s per epoch | 10^9 multiply-adds per s | measured peak | share |");
    println!("|---|---:|---:|---:|---:|---:|");
    let fused = SimdLevel::available().into_iter().rev().map(|level| (Engine::Fused, level));
    for (engine, simd_level) in fused.chain([(Engine::Libtorch, SimdLevel::best())]) {
        let name = match engine {
            Engine::Libtorch => "libtorch".to_string(),
            _ => format!("fused, {}", simd_level.name()),
        };
        for threads in [1, 2] {
            let mut model = generate_model(&ModelOptions { engine, simd_level, ..ModelOptions::default() })?;
            let is_slow = engine == Engine::Libtorch || simd_level == SimdLevel::Portable;
            let epochs = if is_slow { 3 } else { epochs };
            model.set_threads(Some(threads))?;
            let options = FitOptions { batch_size: 100, epochs, ..FitOptions::default() };
            let history = model.fit(&x, &y, Some((&x_val, &y_val)), &options)?;
            assert!(history.loss[epochs - 1] < history.loss[0]);
            let seconds = fastest(&history.seconds);
            let rate = work / seconds * 1e-9;
            let peak = peak(if is_slow { SimdLevel::best() } else { simd_level }, threads);
            let share = 100.0 * rate / peak;
            println!("| {name} | {threads} | {seconds:.3} | {rate:.1} | {peak:.1} | {share:.0} % |");
        }
    }
    let long = Array3::<f64>::zeros((10, 10_000, 1));
    for engine in [Engine::Fused, Engine::Libtorch] {
        let model = generate_model(&ModelOptions { engine, ..ModelOptions::default() })?;
        let mut seconds = Vec::new();
        for _ in 0..9 {
            let start = Instant::now();
            black_box(model.predict(&long)?);
            seconds.push(start.elapsed().as_secs_f64());
        }
        println!("{engine:?}: predicts 10 samples of 10000 steps in {:.1} ms", 1000.0 * fastest(&seconds));
    }
    denormals(if is_test { 100 } else { 2000 })
}

/// Numbers so small that they have fewer digits take some processors a hundred times longer.
fn denormals(samples: usize) -> hhnet::Result<()> {
    let x = noise(samples);
    let mut ordinary = 0.0;
    for (name, input, weight) in
        [("ordinary numbers", 1.0, 1.0), ("denormal inputs", 1e-40, 1.0), ("denormal weights", 1.0, 1e-39)]
    {
        let mut model = generate_model(&ModelOptions { lr: 1e-38, ..ModelOptions::default() })?;
        let weights: Vec<_> = model.get_weights()?.iter().map(|values| values * (weight as f32)).collect();
        model.set_weights(&weights)?;
        let x = x.mapv(|x| x * input);
        let options = FitOptions { batch_size: 100, epochs: 7, ..FitOptions::default() };
        let seconds = fastest(&model.fit(&x, &x, None, &options)?.seconds);
        if ordinary == 0.0 {
            ordinary = seconds;
        }
        println!("{name}: {:.1} ms per epoch, {:.2} times the first", 1000.0 * seconds, seconds / ordinary);
    }
    Ok(())
}

/// Samples of 1000 numbers from 0 to 1.
fn noise(samples: usize) -> Array3<f64> {
    let mut random = Mt64::new(samples as u64);
    Array3::from_shape_simple_fn((samples, 1000, 1), || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64)
}

fn fastest(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The most multiply-adds that so many threads do in a second with these instructions, in 10^9.
fn peak(level: SimdLevel, threads: usize) -> f64 {
    let count = 1_000_000;
    let once = || {
        let start = Instant::now();
        let lanes = std::thread::scope(|scope| {
            let run = || black_box(dispatch_on(level, MultiplyAdds(black_box(count))));
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
            let lanes = run();
            others.into_iter().for_each(|thread| drop(thread.join()));
            lanes
        });
        (threads * lanes * count * CHAINS) as f64 / start.elapsed().as_secs_f64() * 1e-9
    };
    (0..20).map(|_| once()).fold(0.0, f64::max)
}

/// Results that wait for themselves only: enough for the processor never to wait.
const CHAINS: usize = 10;

/// Multiply-adds that need no memory, so many in each chain; returns the lanes of a vector.
struct MultiplyAdds(usize);

impl Kernel for MultiplyAdds {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let (factor, addend) = (S::f32s::splat(simd, black_box(0.5)), S::f32s::splat(simd, black_box(0.25)));
        let mut chains = [addend; CHAINS];
        for _ in 0..self.0 {
            for chain in &mut chains {
                *chain = chain.mul_add(factor, addend);
            }
        }
        let sum = chains.into_iter().fold(addend, |sum, chain| sum + chain).reduce_sum();
        assert!(black_box(sum).is_finite());
        S::f32s::LEN
    }
}
