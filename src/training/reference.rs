//! The network by plain loops in double precision: what the engines are compared with.

use rand_mt::Mt64;

use super::{Executor, Samples, Segment, fused};
use crate::model::{Device, ModelOptions, Variable, variables};
use crate::simd::SimdLevel;

/// Output, sum of squared errors and its gradient for one sample of `x` (steps, channels) and `y` (steps).
fn reference(variables: &[Variable], weights: &[f64], x: &[f64], y: &[f64]) -> (Vec<f64>, f64, Vec<f64>) {
    let steps = y.len();
    let mut layers = vec![x.to_vec()];
    for pair in variables.chunks(2) {
        let (kernel_size, inputs, outputs, left) = sizes(&pair[0]);
        let (kernel, bias) = (&weights[pair[0].range.clone()], &weights[pair[1].range.clone()]);
        let h = &layers[layers.len() - 1];
        let mut next = vec![0.0; steps * outputs];
        for t in 0..steps {
            for o in 0..outputs {
                let mut sum = bias[o];
                for j in 0..kernel_size {
                    let Some(s) = (t + j).checked_sub(left).filter(|&s| s < steps) else { continue };
                    for c in 0..inputs {
                        sum += h[s * inputs + c] * kernel[(j * inputs + c) * outputs + o];
                    }
                }
                next[t * outputs + o] = if is_linear(&pair[0]) { sum } else { sum.max(0.0) };
            }
        }
        layers.push(next);
    }
    let output = layers[layers.len() - 1].clone();
    let error = output.iter().zip(y).map(|(p, y)| (p - y) * (p - y)).sum();

    let mut gradient = vec![0.0; weights.len()];
    let mut delta: Vec<f64> = output.iter().zip(y).map(|(p, y)| 2.0 * (p - y)).collect();
    for (i, pair) in variables.chunks(2).enumerate().rev() {
        let (kernel_size, inputs, outputs, left) = sizes(&pair[0]);
        let mut previous = vec![0.0; steps * inputs];
        for t in 0..steps {
            for o in 0..outputs {
                let d = delta[t * outputs + o];
                if !is_linear(&pair[0]) && layers[i + 1][t * outputs + o] <= 0.0 {
                    continue;
                }
                gradient[pair[1].range.start + o] += d;
                for j in 0..kernel_size {
                    let Some(s) = (t + j).checked_sub(left).filter(|&s| s < steps) else { continue };
                    for c in 0..inputs {
                        let k = pair[0].range.start + (j * inputs + c) * outputs + o;
                        gradient[k] += d * layers[i][s * inputs + c];
                        previous[s * inputs + c] += d * weights[k];
                    }
                }
            }
        }
        delta = previous;
    }
    (output, error, gradient)
}

fn sizes(kernel: &Variable) -> (usize, usize, usize, usize) {
    match kernel.shape[..] {
        [kernel_size, inputs, outputs] => (kernel_size, inputs, outputs, (kernel_size - 1) / 2),
        _ => (1, kernel.shape[0], kernel.shape[1], 0),
    }
}

fn is_linear(kernel: &Variable) -> bool {
    kernel.shape.len() == 2
}

/// Largest difference, relative to the largest value.
fn difference(found: impl Iterator<Item = f32>, expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(1e-3_f64, |scale, value| scale.max(value.abs()));
    found.zip(expected).map(|(f, e)| (f64::from(f) - e).abs()).fold(0.0, f64::max) / scale
}

/// The gradient above is that of the error above.
#[test]
fn gradient_is_the_difference_quotient() {
    let options = ModelOptions { layer_sizes: vec![3, 2], kernel_sizes: vec![4, 3], ..ModelOptions::default() };
    let variables = variables(&options);
    let mut random = Mt64::new(5);
    let mut draw = |_: usize| (random.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
    let params = variables[variables.len() - 1].range.end;
    let weights: Vec<f64> = (0..params).map(&mut draw).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = (0..20).map(|i| (draw(i), draw(i))).unzip();
    let (_, _, gradient) = reference(&variables, &weights, &x, &y);
    for i in 0..params {
        let error = |shift: f64| {
            let mut weights = weights.clone();
            weights[i] += shift;
            reference(&variables, &weights, &x, &y).1
        };
        let quotient = (error(1e-6) - error(-1e-6)) / 2e-6;
        assert!((quotient - gradient[i]).abs() < 1e-4, "weight {i}: {quotient} and {}", gradient[i]);
    }
}

/// Every engine and set of instructions, on random models and samples of every length around the vectors' and beyond.
#[test]
fn engines_agree_with_the_reference() {
    let mut random = Mt64::new(7);
    for case in 0..80 {
        let mut below = |n: u64| (random.next_u64() % n) as usize;
        let layers = 1 + case % 5;
        let options = ModelOptions {
            layer_sizes: (0..layers).map(|_| 1 + below(9)).collect(),
            kernel_sizes: (0..layers).map(|_| 1 + below(12)).collect(),
            input_channels: 1 + below(3),
            ..ModelOptions::default()
        };
        let (count, steps) = match case % 8 {
            0 => (1, 5000),
            1 => (130, 1 + below(20)),
            2 => (3, 1 + below(3)),
            _ => (1 + below(4), 1 + below(300)),
        };
        let variables = variables(&options);
        let params = variables[variables.len() - 1].range.end;
        let mut draws =
            |n: usize| -> Vec<f32> { (0..n).map(|_| (random.next_u64() >> 40) as f32 / 8_388_608.0 - 1.0).collect() };
        let weights = draws(params);
        let (x, y) = (draws(count * steps * options.input_channels), draws(count * steps));
        let samples = Samples { x, y, count, steps, channels: options.input_channels };
        // A third of the way in, to start and end within the sample as well.
        let segment = Segment { samples: 0..count, steps: steps / 3..steps };
        let rows: Vec<usize> = (0..count).rev().collect();

        let doubles = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
        let exact_weights = doubles(&weights);
        let (mut outputs, mut error_sum, mut gradient_sum) = (Vec::new(), 0.0, vec![0.0; params]);
        for i in 0..count {
            let x = doubles(&samples.x[i * steps * samples.channels..(i + 1) * steps * samples.channels]);
            let y = doubles(&samples.y[i * steps..(i + 1) * steps]);
            let (output, error, gradient) = reference(&variables, &exact_weights, &x, &y);
            outputs.extend_from_slice(&output[steps / 3..]);
            error_sum += error;
            gradient_sum.iter_mut().zip(gradient).for_each(|(sum, part)| *sum += part);
        }

        let libtorch = Executor { variables: variables.clone(), device: Device::Cpu, fused: None };
        let engines = SimdLevel::available().into_iter().map(|level| {
            let fused = Some(fused::Network::new(&variables, level));
            (level.name(), Executor { variables: variables.clone(), device: Device::Cpu, fused })
        });
        for (name, engine) in engines.chain([("libtorch", libtorch)]) {
            let what = format!("{name}: {options:?}, {count} samples of {steps} steps");
            // Twice: the second time in memory that has been used. The bits must be the same.
            let once = engine.gradient(&weights, &samples, &rows).unwrap();
            for _ in 0..2 {
                assert!(engine.gradient(&weights, &samples, &rows).unwrap() == once, "gradient again of {what}");
                let predicted = engine.predict(&weights, &samples, &segment).unwrap();
                let (error, gradient) = engine.gradient(&weights, &samples, &rows).unwrap();
                assert_eq!(predicted.len(), outputs.len(), "{what}");
                assert!(difference(predicted.into_iter(), &outputs) < 1e-5, "output of {what}");
                assert!((error - error_sum).abs() < 1e-5 * error_sum, "error of {what}: {error} and {error_sum}");
                let far = difference(gradient.into_iter(), &gradient_sum);
                assert!(far < 1e-5, "gradient of {what}: {far}");
            }
        }
    }
}
