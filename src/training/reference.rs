//! The network as plain loops in double precision: the reference that the engines are tested against.

use std::ops::Range;

use rand_mt::Mt64;

use super::{Executor, Samples, Segment, fused};
use crate::model::{Device, ModelOptions, Variable, variables};
use crate::simd::SimdLevel;

/// What the network computes of one or more samples.
struct Computed {
    output: Vec<f64>,
    /// The sum of squared errors.
    error: f64,
    gradient: Vec<f64>,
}

/// Computes one sample of `x` (steps, channels) and `y` (steps).
fn reference(variables: &[Variable], weights: &[f64], x: &[f64], y: &[f64]) -> Computed {
    let layers: Vec<Layer> = variables.chunks(2).map(|pair| Layer::new(&pair[0], &pair[1])).collect();
    let mut activations = vec![x.to_vec()];
    for (i, layer) in layers.iter().enumerate() {
        activations.push(layer.forward(weights, &activations[i]));
    }
    let output = activations[layers.len()].clone();
    let error = output.iter().zip(y).map(|(p, y)| (p - y) * (p - y)).sum();

    let mut gradient = vec![0.0; weights.len()];
    let mut delta: Vec<f64> = output.iter().zip(y).map(|(p, y)| 2.0 * (p - y)).collect();
    for (i, layer) in layers.iter().enumerate().rev() {
        delta = layer.backward(weights, &activations[i], &activations[i + 1], &delta, &mut gradient);
    }
    Computed { output, error, gradient }
}

/// A convolution with a ReLU, or the linear layer, which is one with a kernel of one step and without a ReLU.
struct Layer {
    kernel_size: usize,
    inputs: usize,
    outputs: usize,
    /// The positions of kernel and bias among all weights.
    kernel: Range<usize>,
    bias: Range<usize>,
    is_linear: bool,
}

impl Layer {
    fn new(kernel: &Variable, bias: &Variable) -> Self {
        let (kernel_size, inputs, outputs, is_linear) = match kernel.shape[..] {
            [kernel_size, inputs, outputs] => (kernel_size, inputs, outputs, false),
            _ => (1, kernel.shape[0], kernel.shape[1], true),
        };
        Layer { kernel_size, inputs, outputs, kernel: kernel.range.clone(), bias: bias.range.clone(), is_linear }
    }

    /// The taps of the kernel at step `t`, each with the step of the input that it weights.
    fn taps(&self, t: usize, steps: usize) -> impl Iterator<Item = (usize, usize)> {
        let left = (self.kernel_size - 1) / 2;
        (0..self.kernel_size).filter_map(move |tap| Some((tap, (t + tap).checked_sub(left).filter(|&s| s < steps)?)))
    }

    /// The position of a kernel's weight among all weights.
    fn weight(&self, tap: usize, input: usize, output: usize) -> usize {
        self.kernel.start + (tap * self.inputs + input) * self.outputs + output
    }

    fn forward(&self, weights: &[f64], input: &[f64]) -> Vec<f64> {
        let steps = input.len() / self.inputs;
        let mut output = vec![0.0; steps * self.outputs];
        for t in 0..steps {
            for o in 0..self.outputs {
                let mut sum = weights[self.bias.start + o];
                for (tap, s) in self.taps(t, steps) {
                    for c in 0..self.inputs {
                        sum += input[s * self.inputs + c] * weights[self.weight(tap, c, o)];
                    }
                }
                output[t * self.outputs + o] = if self.is_linear { sum } else { sum.max(0.0) };
            }
        }
        output
    }

    /// From the derivatives with respect to the output, `delta`, to those with respect to the input. Adds those with
    /// respect to the weights to the gradient.
    fn backward(
        &self,
        weights: &[f64],
        input: &[f64],
        output: &[f64],
        delta: &[f64],
        gradient: &mut [f64],
    ) -> Vec<f64> {
        let steps = input.len() / self.inputs;
        let mut previous = vec![0.0; input.len()];
        for t in 0..steps {
            for o in 0..self.outputs {
                let d = delta[t * self.outputs + o];
                if !self.is_linear && output[t * self.outputs + o] <= 0.0 {
                    continue;
                }
                gradient[self.bias.start + o] += d;
                for (tap, s) in self.taps(t, steps) {
                    for c in 0..self.inputs {
                        let k = self.weight(tap, c, o);
                        gradient[k] += d * input[s * self.inputs + c];
                        previous[s * self.inputs + c] += d * weights[k];
                    }
                }
            }
        }
        previous
    }
}

/// A random model, random samples, and the part of them that is predicted.
struct Case {
    options: ModelOptions,
    variables: Vec<Variable>,
    weights: Vec<f32>,
    samples: Samples,
    segment: Segment,
}

impl Case {
    /// Case number `case`: few or many samples, of any length around that of a vector and beyond.
    fn random(case: usize, random: &mut Mt64) -> Self {
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
        let mut draws =
            |n: usize| -> Vec<f32> { (0..n).map(|_| (random.next_u64() >> 40) as f32 / 8_388_608.0 - 1.0).collect() };
        let (variables, channels) = (variables(&options), options.input_channels);
        let weights = draws(count_weights(&variables));
        let (x, y) = (draws(count * steps * channels), draws(count * steps));
        let samples = Samples { x, y, count, steps, channels };
        // This starts a third of the way into each sample.
        let segment = Segment { samples: 0..count, steps: steps / 3..steps };
        Case { options, variables, weights, samples, segment }
    }

    /// The output for the segment, and the sum of squared errors of all samples with its gradient.
    fn reference(&self) -> Computed {
        let doubles = |values: &[f32]| -> Vec<f64> { values.iter().map(|&value| f64::from(value)).collect() };
        let Samples { count, steps, channels, .. } = self.samples;
        let weights = doubles(&self.weights);
        let mut sum = Computed { output: Vec::new(), error: 0.0, gradient: vec![0.0; weights.len()] };
        for i in 0..count {
            let x = doubles(&self.samples.x[i * steps * channels..(i + 1) * steps * channels]);
            let y = doubles(&self.samples.y[i * steps..(i + 1) * steps]);
            let one = reference(&self.variables, &weights, &x, &y);
            sum.output.extend_from_slice(&one.output[self.segment.steps.clone()]);
            sum.error += one.error;
            sum.gradient.iter_mut().zip(one.gradient).for_each(|(sum, part)| *sum += part);
        }
        sum
    }

    fn check(&self, name: &str, engine: &Executor, expected: &Computed) {
        let Case { options, weights, samples, segment, .. } = self;
        let rows: Vec<usize> = (0..samples.count).rev().collect();
        let what = format!("{name}: {options:?}, {} samples of {} steps", samples.count, samples.steps);
        // Twice: the second time in memory that has been used. The bits must be the same.
        let once = engine.gradient(weights, samples, &rows).unwrap();
        for _ in 0..2 {
            assert!(engine.gradient(weights, samples, &rows).unwrap() == once, "gradient again of {what}");
            let predicted = engine.predict(weights, samples, segment).unwrap();
            let (error, gradient) = engine.gradient(weights, samples, &rows).unwrap();
            assert_eq!(predicted.len(), expected.output.len(), "{what}");
            assert!(difference(predicted.into_iter(), &expected.output) < 1e-5, "output of {what}");
            let far = (error - expected.error).abs() / expected.error;
            assert!(far < 1e-5, "error of {what}: {far}");
            let far = difference(gradient.into_iter(), &expected.gradient);
            assert!(far < 1e-5, "gradient of {what}: {far}");
        }
    }
}

fn count_weights(variables: &[Variable]) -> usize {
    variables[variables.len() - 1].range.end
}

/// Every engine, with its name: the fused one at each SIMD level that the processor supports, and libtorch.
fn engines(variables: &[Variable]) -> Vec<(&'static str, Executor)> {
    let executor = |fused| Executor { variables: variables.to_vec(), device: Device::Cpu, fused };
    let fused = |level: SimdLevel| (level.name(), executor(Some(fused::Network::new(variables, level))));
    SimdLevel::available().into_iter().map(fused).chain([("libtorch", executor(None))]).collect()
}

/// The largest difference, relative to the largest value.
fn difference(found: impl Iterator<Item = f32>, expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(1e-3_f64, |scale, value| scale.max(value.abs()));
    found.zip(expected).map(|(f, e)| (f64::from(f) - e).abs()).fold(0.0, f64::max) / scale
}

/// The reference's gradient is that of its error.
#[test]
fn gradient_is_the_difference_quotient() {
    let options = ModelOptions { layer_sizes: vec![3, 2], kernel_sizes: vec![4, 3], ..ModelOptions::default() };
    let variables = variables(&options);
    let mut random = Mt64::new(5);
    let mut draw = |_: usize| (random.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
    let weights: Vec<f64> = (0..count_weights(&variables)).map(&mut draw).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = (0..20).map(|i| (draw(i), draw(i))).unzip();
    let gradient = reference(&variables, &weights, &x, &y).gradient;
    for i in 0..weights.len() {
        let error = |shift: f64| {
            let mut weights = weights.clone();
            weights[i] += shift;
            reference(&variables, &weights, &x, &y).error
        };
        let quotient = (error(1e-6) - error(-1e-6)) / 2e-6;
        assert!((quotient - gradient[i]).abs() < 1e-4, "weight {i}: {quotient} and {}", gradient[i]);
    }
}

#[test]
fn engines_agree_with_the_reference() {
    let mut random = Mt64::new(7);
    for case in 0..80 {
        let case = Case::random(case, &mut random);
        let expected = case.reference();
        for (name, engine) in engines(&case.variables) {
            case.check(name, &engine, &expected);
        }
    }
}

/// The larger of 0 and NaN would be 0.
#[test]
fn nan_passes_through_the_relu_in_every_engine() {
    let options = ModelOptions { layer_sizes: vec![5, 3], kernel_sizes: vec![3, 4], ..ModelOptions::default() };
    let variables = variables(&options);
    let weights: Vec<f32> = (0..count_weights(&variables)).map(|i| if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
    let (count, steps) = (1, 40);
    let mut x = vec![1.0; steps];
    x[20] = f32::NAN;
    let samples = Samples { x, y: Vec::new(), count, steps, channels: 1 };
    let segment = Segment { samples: 0..count, steps: 0..steps };
    for (name, engine) in engines(&variables) {
        let output = engine.predict(&weights, &samples, &segment).unwrap();
        let nan: Vec<usize> = (0..steps).filter(|&t| output[t].is_nan()).collect();
        // The steps whose output depends on that one through kernels of 3 and 4 steps.
        assert_eq!(nan, (17..=22).collect::<Vec<_>>(), "{name}");
    }
}
