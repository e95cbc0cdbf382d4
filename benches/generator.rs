//! Neuron-seconds per second: the two scalar forms, many neurons at once with each set of instructions, and the whole
//! data set, on one thread and on all; the noise alone; and the share of what multiply-adds in the widest vectors could
//! do.
//!
//! `cargo bench --bench generator` runs all; with `-- --test` it takes few trials, to show that it works.

use std::hint::black_box;
use std::time::Instant;

use fearless_simd::prelude::*;
use hhnet::dataset::{GenerateOptions, generate};
use hhnet::neuron::HhPscAlpha;
use hhnet::simd::{Kernel, SimdLevel, dispatch_on};
use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck, PhiloxRandom};

/// Floating-point operations of a fixed step in `src/neuron/vector.rs`, a multiply-add counted as two: in each of four
/// stages 23 for the rates (one of them the division), 15 for the potential's slope and 9 for the gates'; 56 to move
/// the states; 84 to move the exponentials; 5 to check the step. What comes once for each value of the current is left
/// out.
const OPERATIONS_PER_STEP: f64 = 4.0 * (23.0 + 15.0 + 9.0) + 56.0 + 84.0 + 5.0;
/// Of 0.2 ms.
const STEPS_PER_SECOND: f64 = 5000.0;

fn main() -> hhnet::Result<()> {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let trials = if is_test { 16 } else { 512 };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let neuron = HhPscAlpha::default();
    println!(
        "a neuron-second is {:.1} million floating-point operations",
        OPERATIONS_PER_STEP * STEPS_PER_SECOND / 1e6
    );

    let mut random = NumpyRandom::seed(1234);
    let start = Instant::now();
    let currents: Vec<Vec<f64>> = (0..trials).map(|_| OrnsteinUhlenbeck::default().trace(1000, &mut random)).collect();
    let per_value = |start: Instant| 1e6 * start.elapsed().as_secs_f64() / trials as f64;
    println!("noise, numpy: {:.1} ns per value", per_value(start));
    let start = Instant::now();
    for trial in 0..trials {
        black_box(OrnsteinUhlenbeck::default().trace(1000, &mut PhiloxRandom::trial(1234, 0, trial as u64, 0)));
    }
    println!("noise, philox: {:.1} ns per value", per_value(start));

    let few = &currents[..trials / 16];
    let rate = |trials: usize, start: Instant| trials as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    for current in few {
        neuron.simulate(current, 1.0, 0.1)?;
    }
    println!("adaptive, scalar: {:.0} neuron-seconds per second", rate(few.len(), start));
    let start = Instant::now();
    let fixed = few.iter().map(|current| neuron.simulate_rk4(current, 1.0, 0.1)).collect::<hhnet::Result<Vec<_>>>()?;
    println!("fixed step, scalar: {:.0} neuron-seconds per second", rate(few.len(), start));
    let counts = if threads > 1 { vec![1, threads] } else { vec![1] };
    for &threads in &counts {
        let rounds = if is_test { 1000 } else { 10_000_000 };
        let peak = best(|| on_each(threads, || peak(rounds)));
        println!("peak, {threads} threads: {:.1} GFlop/s", peak / 1e9);
        for level in SimdLevel::available() {
            let rate = best(|| {
                on_each(threads, || {
                    let start = Instant::now();
                    let many = neuron.simulate_many_on(level, &currents, 1.0, 0.1).expect("the scalar form went well");
                    assert!((many[0].potential_mv[999] - fixed[0].potential_mv[999]).abs() < 1e-9);
                    rate(trials, start)
                })
            });
            let achieved = rate * OPERATIONS_PER_STEP * STEPS_PER_SECOND;
            println!(
                "many at once, {}, {threads} threads: {rate:.0} neuron-seconds per second, {:.1} GFlop/s: \
                 {:.0} % of the peak",
                level.name(),
                achieved / 1e9,
                100.0 * achieved / peak
            );
        }
    }

    let file = std::env::temp_dir().join(format!("hhnet-bench-{}.h5", std::process::id()));
    for threads in counts {
        for _ in 0..if is_test { 1 } else { 5 } {
            let options = GenerateOptions {
                samples: if is_test { 80 } else { 10_000 },
                threads: Some(threads),
                overwrite: true,
                ..GenerateOptions::default()
            };
            let made = generate(&file, &options)?;
            println!(
                "data set with its file, {threads} threads: {:.2} s, {:.0} neuron-seconds per second",
                made.elapsed.as_secs_f64(),
                made.neuron_seconds / made.elapsed.as_secs_f64()
            );
        }
    }
    let _ = std::fs::remove_file(&file);
    Ok(())
}

/// The best of five measurements: other programs can only slow it down.
fn best(measure: impl Fn() -> f64) -> f64 {
    (0..5).map(|_| measure()).fold(0.0, f64::max)
}

/// The sum of what several threads measure at the same time.
fn on_each(threads: usize, measure: impl Fn() -> f64 + Sync) -> f64 {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(&measure)).collect();
        running.into_iter().map(|thread| thread.join().expect("a measurement does not panic")).sum()
    })
}

/// Floating-point operations per second of multiply-adds that wait for nothing but the processor.
fn peak(rounds: usize) -> f64 {
    let start = Instant::now();
    let operations = dispatch_on(SimdLevel::best(), MultiplyAdds(rounds));
    operations / start.elapsed().as_secs_f64()
}

struct MultiplyAdds(usize);

impl Kernel for MultiplyAdds {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        // As many as there are to wait for: the latency of a multiply-add times the number that start in a cycle.
        const CHAINS: usize = 12;
        let (factor, addend) = (S::f64s::splat(simd, black_box(0.999)), S::f64s::splat(simd, black_box(0.001)));
        let mut sums = [addend; CHAINS];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, addend);
            }
        }
        for sum in sums {
            black_box(sum.reduce_sum());
        }
        (2 * CHAINS * S::f64s::LEN * self.0) as f64
    }
}
