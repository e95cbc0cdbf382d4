//! Neuron-seconds per second: the scalar reference, and the batch for each set of instructions, on one thread.

use std::time::Instant;

use hhnet::neuron::HhPscAlpha;
use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck};

fn main() -> hhnet::Result<()> {
    let mut random = NumpyRandom::seed(1234);
    let t = Instant::now();
    let currents: Vec<Vec<f64>> = (0..256).map(|_| OrnsteinUhlenbeck::default().trace(1000, &mut random)).collect();
    println!("noise {:.1} ns per value", t.elapsed().as_secs_f64() / 256e3 * 1e9);
    let neuron = HhPscAlpha::default();
    for _ in 0..5 {
        let t = Instant::now();
        let many = neuron.simulate_many(&currents, 1.0, 0.1)?;
        let s = t.elapsed().as_secs_f64();
        println!("batch: {:.0} neuron-s/s, {:?}", 256.0 / s, many[0].potential_mv[999]);
    }
    let t = Instant::now();
    let mut worst = 0.0_f64;
    let many = neuron.simulate_many(&currents, 1.0, 0.1)?;
    for (c, m) in currents.iter().zip(&many).take(64) {
        let r = neuron.simulate_rk4(c, 1.0, 0.1)?;
        if r.spike_times_ms.len() > 0 {
            continue;
        }
        let w = r.potential_mv.iter().zip(&m.potential_mv).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        worst = worst.max(w);
        assert_eq!(r.spike_times_ms, m.spike_times_ms);
    }
    println!("scalar: {:.0} neuron-s/s; worst {worst:e}", 64.0 / t.elapsed().as_secs_f64());
    Ok(())
}
