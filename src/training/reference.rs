//! The network by plain loops in double precision: what the engines are compared with.

use std::borrow::Cow;

use rand_mt::Mt64;

use super::Executor;
use super::fused::Fused;
use super::samples::{Part, Samples};
use crate::model::{
    Activation, Conv1D, Dense, Device, InputLayer, Layer, Network, NetworkLayer, Padding, TimeDistributed,
};
use crate::simd::SimdLevel;

/// What the network computes of one or more samples.
struct Computed {
    output: Vec<f64>,
    /// The sum of squared errors.
    error: f64,
    gradient: Vec<f64>,
    /// The smallest sum that a ReLU was applied to, relative to its terms. Rounding can move a sum near 0 to the other
    /// side, where the gradient is another one.
    nearest_to_kink: f64,
}

/// Computes one sample of `x` (steps, channels) and `y` (steps, outputs).
fn reference(network: &Network, weights: &[f64], x: &[f64], y: &[f64]) -> Computed {
    let mut layers = vec![x.to_vec()];
    let mut nearest_to_kink = f64::INFINITY;
    for layer in &network.layers {
        layers.push(forward(layer, weights, &layers[layers.len() - 1], &mut nearest_to_kink));
    }
    let output = layers[layers.len() - 1].clone();
    let error = output.iter().zip(y).map(|(p, y)| (p - y) * (p - y)).sum();

    let mut gradient = vec![0.0; weights.len()];
    let mut delta: Vec<f64> = output.iter().zip(y).map(|(p, y)| 2.0 * (p - y)).collect();
    for (i, layer) in network.layers.iter().enumerate().rev() {
        delta = backward(layer, weights, &layers[i], &layers[i + 1], &delta, &mut gradient);
    }
    Computed { output, error, gradient, nearest_to_kink }
}

/// The output (steps, outputs) of a layer, from its input (steps, inputs).
fn forward(layer: &NetworkLayer, weights: &[f64], input: &[f64], nearest_to_kink: &mut f64) -> Vec<f64> {
    let (inputs, outputs, steps) = (layer.inputs, layer.outputs, input.len() / layer.inputs);
    let (kernel, bias) = (&weights[layer.kernel.clone()], &weights[layer.bias.clone()]);
    let mut output = vec![0.0; steps * outputs];
    for t in 0..steps {
        for o in 0..outputs {
            let (mut sum, mut size) = (bias[o], bias[o].abs());
            for (j, s) in taps(layer, t, steps) {
                for c in 0..inputs {
                    let term = input[s * inputs + c] * kernel[(j * inputs + c) * outputs + o];
                    sum += term;
                    size += term.abs();
                }
            }
            if layer.activation == Activation::Relu {
                *nearest_to_kink = nearest_to_kink.min(sum.abs() / size);
            }
            output[t * outputs + o] = match layer.activation {
                Activation::Linear => sum,
                Activation::Relu => sum.max(0.0),
                Activation::Tanh => sum.tanh(),
                Activation::Sigmoid => 1.0 / (1.0 + (-sum).exp()),
            };
        }
    }
    output
}

/// From the derivatives with respect to a layer's output to those with respect to its input. Those with respect to its
/// weights are added to `gradient`.
fn backward(
    layer: &NetworkLayer,
    weights: &[f64],
    input: &[f64],
    output: &[f64],
    delta: &[f64],
    gradient: &mut [f64],
) -> Vec<f64> {
    let (inputs, outputs, steps) = (layer.inputs, layer.outputs, input.len() / layer.inputs);
    let mut previous = vec![0.0; input.len()];
    for t in 0..steps {
        for o in 0..outputs {
            let h = output[t * outputs + o];
            let slope = match layer.activation {
                Activation::Linear => 1.0,
                Activation::Relu => f64::from(h > 0.0),
                Activation::Tanh => 1.0 - h * h,
                Activation::Sigmoid => h * (1.0 - h),
            };
            let d = delta[t * outputs + o] * slope;
            gradient[layer.bias.start + o] += d;
            for (j, s) in taps(layer, t, steps) {
                for c in 0..inputs {
                    let k = layer.kernel.start + (j * inputs + c) * outputs + o;
                    gradient[k] += d * input[s * inputs + c];
                    previous[s * inputs + c] += d * weights[k];
                }
            }
        }
    }
    previous
}

/// The taps of a kernel that lie within a sample at step `t`, each with the step that it covers.
fn taps(layer: &NetworkLayer, t: usize, steps: usize) -> impl Iterator<Item = (usize, usize)> {
    let (left, dilation) = (layer.left(), layer.dilation);
    let covered = move |j: usize| Some((j, (t + j * dilation).checked_sub(left).filter(|&s| s < steps)?));
    (0..layer.kernel_size).filter_map(covered)
}

/// Largest difference, relative to the largest value.
fn difference(found: impl Iterator<Item = f32>, expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(1e-3_f64, |scale, value| scale.max(value.abs()));
    found.zip(expected).map(|(f, e)| (f64::from(f) - e).abs()).fold(0.0, f64::max) / scale
}

/// Random numbers.
struct Draw(Mt64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Numbers from -1 to 1.
    fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| (self.0.next_u64() >> 40) as f32 / 8_388_608.0 - 1.0).collect()
    }

    /// A network of so many layers, with any of these activations.
    fn network(&mut self, layers: usize, activations: &[Activation]) -> Network {
        let mut found: Vec<Layer> = vec![InputLayer::new(1 + self.below(3)).into()];
        for nth in 0..layers {
            let (outputs, activation) = (1 + self.below(9), self.one_of(activations));
            if nth + 1 == layers || self.below(8) == 0 {
                found.push(TimeDistributed(Dense::new(outputs).activation(activation)).into());
                continue;
            }
            let layer = Conv1D::new(outputs, 1 + self.below(12)).dilation_rate(1 + self.below(3));
            let padding = self.one_of(&[Padding::Same, Padding::Causal]);
            found.push(layer.padding(padding).activation(activation).into());
        }
        Network::new(&found)
    }
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// The gradient above is that of the error above.
#[test]
fn gradient_is_the_difference_quotient() {
    let mut draw = Draw(Mt64::new(5));
    for activation in [Activation::Linear, Activation::Relu, Activation::Tanh, Activation::Sigmoid] {
        let network = draw.network(3, &[activation]);
        let weights = doubles(&draw.floats(network.params()));
        let x = doubles(&draw.floats(20 * network.inputs()));
        let y = doubles(&draw.floats(20 * network.outputs()));
        let gradient = reference(&network, &weights, &x, &y).gradient;
        for i in 0..weights.len() {
            let error = |shift: f64| {
                let mut weights = weights.clone();
                weights[i] += shift;
                reference(&network, &weights, &x, &y).error
            };
            let quotient = (error(1e-6) - error(-1e-6)) / 2e-6;
            let far = (quotient - gradient[i]).abs();
            assert!(far < 1e-4 * gradient[i].abs().max(1.0), "{network:?}, weight {i}: {quotient} and {}", gradient[i]);
        }
    }
}

/// A network, its weights and data, and what the reference computes of them.
struct Case {
    network: Network,
    weights: Vec<f32>,
    samples: Samples<'static>,
    /// The step from which on the output is compared.
    start: usize,
    /// The output from there on, error and gradient of all samples.
    expected: Computed,
}

impl Samples<'_> {
    fn count(&self) -> usize {
        self.x.len() / (self.steps * self.channels)
    }
}

impl Case {
    /// `count` samples of `steps` steps, for which all engines should find the same gradient.
    fn new(network: Network, count: usize, steps: usize, draw: &mut Draw) -> Self {
        let (channels, outputs) = (network.inputs(), network.outputs());
        // A third of the way in, to start and end within the sample as well.
        let start = steps / 3;
        loop {
            let weights = draw.floats(network.params());
            let (x, y) = (draw.floats(count * steps * channels), draw.floats(count * steps * outputs));
            let samples = Samples { x: x.into(), y: y.into(), steps, channels, outputs };
            let expected = Case::expected(&network, &weights, &samples, start);
            if expected.nearest_to_kink > 1e-6 {
                return Case { network, weights, samples, start, expected };
            }
        }
    }

    /// The reference's result for all samples, with their outputs from the step `start` on.
    fn expected(network: &Network, weights: &[f32], samples: &Samples, start: usize) -> Computed {
        let outputs = samples.outputs;
        let gradient = vec![0.0; network.params()];
        let mut sum = Computed { output: Vec::new(), error: 0.0, gradient, nearest_to_kink: f64::INFINITY };
        for i in 0..samples.count() {
            let (x, y) = samples.sample(i);
            let (x, y) = (doubles(x), doubles(y));
            let found = reference(network, &doubles(weights), &x, &y);
            sum.output.extend_from_slice(&found.output[start * outputs..]);
            sum.error += found.error;
            sum.gradient.iter_mut().zip(found.gradient).for_each(|(sum, part)| *sum += part);
            sum.nearest_to_kink = sum.nearest_to_kink.min(found.nearest_to_kink);
        }
        sum
    }

    /// All levels that fuse multiplication and addition compute the same bits.
    fn check_equal_bits(&self) {
        let Case { network, weights, samples, .. } = self;
        let rows: Vec<usize> = (0..samples.count()).collect();
        let part = Part { samples: Cow::Borrowed(samples), rows: rows.clone(), steps: 0..samples.steps };
        let gradients = engines(network).into_iter().filter(|(name, _)| !["libtorch", "portable"].contains(name));
        let found: Vec<_> = gradients.map(|(_, engine)| engine.gradient(weights, &part).unwrap()).collect();
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{network:?}");
    }

    /// Compares an engine with the reference, `what` being its name.
    fn check(&self, what: &str, engine: &Executor) {
        let Case { network, weights, samples, start, expected } = self;
        let what = format!("{what}: {network:?}, {} samples of {} steps", samples.count(), samples.steps);
        let rows: Vec<usize> = (0..samples.count()).collect();
        let reversed: Vec<usize> = (0..samples.count()).rev().collect();
        let whole = Part { samples: Cow::Borrowed(samples), rows: reversed, steps: 0..samples.steps };
        let end = Part { samples: Cow::Borrowed(samples), rows: rows.clone(), steps: *start..samples.steps };
        // Twice: the second time in memory that has been used. The bits must be the same.
        let once = engine.gradient(weights, &whole).unwrap();
        for _ in 0..2 {
            assert!(engine.gradient(weights, &whole).unwrap() == once, "gradient again of {what}");
            let predicted = engine.predict(weights, &end).unwrap();
            let (error, gradient) = engine.gradient(weights, &whole).unwrap();
            assert_eq!(predicted.len(), expected.output.len(), "{what}");
            assert!(difference(predicted.into_iter(), &expected.output) < 1e-5, "output of {what}");
            let sum = expected.error;
            assert!((error - sum).abs() < 1e-5 * sum, "error of {what}: {error} and {sum}");
            let far = difference(gradient.into_iter(), &expected.gradient);
            assert!(far < 1e-5, "gradient of {what}: {far}");
        }
    }
}

/// Every engine and set of instructions, on random networks and samples of every length around the vectors' and beyond.
#[test]
fn engines_agree_with_the_reference() {
    let mut draw = Draw(Mt64::new(7));
    for nth in 0..120 {
        let all = [Activation::Relu, Activation::Linear, Activation::Tanh, Activation::Sigmoid];
        // Every third one for libtorch alone.
        let network = draw.network(1 + nth % 6, if nth % 3 == 0 { &all } else { &all[..2] });
        let (count, steps) = match nth % 8 {
            0 => (1, 5000),
            1 => (130, 1 + draw.below(20)),
            2 => (3, 1 + draw.below(3)),
            _ => (1 + draw.below(4), 1 + draw.below(300)),
        };
        let case = Case::new(network, count, steps, &mut draw);
        for (name, engine) in engines(&case.network) {
            case.check(name, &engine);
        }
        case.check_equal_bits();
    }
}

/// All that can compute a network: libtorch, and the fused engine with each set of instructions.
fn engines(network: &Network) -> Vec<(&'static str, Executor)> {
    let executor = |fused| Executor { network: network.clone(), device: Device::Cpu, fused };
    let mut engines = vec![("libtorch", executor(None))];
    if network.not_fused().is_none() {
        let fused = |level: SimdLevel| (level.name(), executor(Some(Fused::new(network, level))));
        engines.extend(SimdLevel::available().into_iter().map(fused));
    }
    engines
}

/// The larger of 0 and NaN would be 0.
#[test]
fn nan_passes_through_the_relu_in_every_engine() {
    let layers = [
        InputLayer::new(1).into(),
        Conv1D::new(5, 3).activation(Activation::Relu).into(),
        Conv1D::new(3, 4).activation(Activation::Relu).into(),
        TimeDistributed(Dense::new(1)).into(),
    ];
    let network = Network::new(&layers);
    let weights: Vec<f32> = (0..network.params()).map(|i| if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
    let steps = 40;
    let mut x = vec![1.0; steps];
    x[20] = f32::NAN;
    let samples = Samples { x: x.into(), y: Cow::default(), steps, channels: 1, outputs: 1 };
    let part = Part { samples: Cow::Borrowed(&samples), rows: vec![0], steps: 0..steps };
    for (name, engine) in engines(&network) {
        let output = engine.predict(&weights, &part).unwrap();
        let nan: Vec<usize> = (0..steps).filter(|&t| output[t].is_nan()).collect();
        // The steps whose output depends on that one through kernels of 3 and 4 steps.
        assert_eq!(nan, (17..=22).collect::<Vec<_>>(), "{name}");
    }
}
