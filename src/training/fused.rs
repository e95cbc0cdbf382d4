//! The network's arithmetic on a CPU, sample by sample: all layers forward, the error, all layers backward, while a sample's
//! numbers stay in the processor's cache.
//!
//! A sample is kept channel by channel, so that a vector holds consecutive time steps of one channel:
//!
//! ```text
//! |margin of zeros| step 0, 1, ... steps - 1 | zeros up to a whole number of vectors | margin of zeros|   channel 0
//! |margin of zeros| ...                                                                                   channel 1
//! ```
//!
//! Kernels then reach over both ends without a question, and 'same' padding is what the margins are. Everything is one of two
//! loops, which keep a block of results in registers:
//!
//! - [`convolve`]: output\[o\]\[t\] = sum over taps and channels of weight * input\[c\]\[t + tap\]. Backward it is used a second
//!   time, with mirrored kernels, to bring the error from a layer's outputs to its inputs.
//! - [`correlate`]: gradient\[tap, c, o\] = sum over t of input\[c\]\[t + tap\] * error\[o\]\[t\].
//!
//! The plain form of the same arithmetic is in [`reference`](super::reference).

#![allow(clippy::needless_range_loop, reason = "lanes and channels are counted, in several arrays at once")]

use std::sync::{Mutex, PoisonError};

use super::{Samples, Segment};
use crate::model::Variable;
use crate::simd::{Isa, Kernel, SimdLevel, Vector, dispatch_on};

/// Vectors of time steps that are worked on together, and channels.
const VECTORS: usize = 2;
const CHANNELS: usize = 4;
/// Rows of the gradient that are worked on together.
const ROWS: usize = 3;
/// Single-precision sums of the gradient run over at most so many steps; then they are added up in double precision.
const SUM_STEPS: usize = 960;

/// A convolution, or the linear layer, which is one with a kernel of one step.
#[derive(Debug, Clone)]
struct Layer {
    inputs: usize,
    outputs: usize,
    kernel_size: usize,
    /// Where kernel and bias are among all weights.
    kernel: std::ops::Range<usize>,
    bias: std::ops::Range<usize>,
}

impl Layer {
    /// Steps before the present one that the kernel reaches.
    fn left(&self) -> usize {
        (self.kernel_size - 1) / 2
    }
}

/// The layers, and memory for those who compute with them.
pub(super) struct Network {
    layers: Vec<Layer>,
    weights: usize,
    level: SimdLevel,
    /// Memory that nobody uses at the moment: asking the system for it anew each time would take as long as a sample.
    spare: Mutex<Vec<Memory>>,
}

/// Numbers in the places that a [`Shape`] gives them.
#[derive(Default)]
struct Memory {
    numbers: Vec<f32>,
    /// The number of steps of the samples it was used for, and whether with errors.
    used_for: Option<(usize, bool)>,
}

impl Network {
    pub(super) fn new(variables: &[Variable], level: SimdLevel) -> Self {
        let layer = |pair: &[Variable]| {
            let (kernel_size, inputs, outputs) = match pair[0].shape[..] {
                [kernel_size, inputs, outputs] => (kernel_size, inputs, outputs),
                _ => (1, pair[0].shape[0], pair[0].shape[1]),
            };
            Layer { inputs, outputs, kernel_size, kernel: pair[0].range.clone(), bias: pair[1].range.clone() }
        };
        let layers: Vec<Layer> = variables.chunks_exact(2).map(layer).collect();
        let weights = layers.last().map_or(0, |layer| layer.bias.end);
        Network { layers, weights, level, spare: Mutex::default() }
    }

    /// Sum of squared errors of some samples, and its gradient with respect to all weights.
    pub(super) fn gradient(&self, weights: &[f32], samples: &Samples, rows: &[usize]) -> (f64, Vec<f32>) {
        let mut gradient = vec![0.0; self.weights];
        let mut error = 0.0;
        let mut memory = self.memory();
        for &row in rows {
            let Samples { steps, channels, .. } = *samples;
            let x = &samples.x[row * steps * channels..(row + 1) * steps * channels];
            let y = &samples.y[row * steps..(row + 1) * steps];
            let work = Sample { network: self, weights, x, memory: &mut memory };
            error += dispatch_on(self.level, Gradient { sample: work, y, gradient: &mut gradient });
        }
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        (error, gradient.into_iter().map(|part| part as f32).collect())
    }

    /// The output for a segment. A stretch of a sample is computed with the steps around it that its output depends on.
    pub(super) fn predict(
        &self,
        weights: &[f32],
        samples: &Samples,
        segment: &Segment,
        reach: (usize, usize),
    ) -> Vec<f32> {
        let Samples { steps, channels, .. } = *samples;
        let start = segment.steps.start.saturating_sub(reach.0);
        let end = steps.min(segment.steps.end + reach.1);
        let mut memory = self.memory();
        let mut output = Vec::with_capacity(segment.samples.len() * segment.steps.len());
        for sample in segment.samples.clone() {
            let x = &samples.x[(sample * steps + start) * channels..(sample * steps + end) * channels];
            let wanted = segment.steps.start - start..segment.steps.end - start;
            let work = Sample { network: self, weights, x, memory: &mut memory };
            dispatch_on(self.level, Prediction { sample: work, wanted, output: &mut output });
        }
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        output
    }

    fn memory(&self) -> Memory {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

/// One sample, and the weights to apply to it.
struct Sample<'a> {
    network: &'a Network,
    weights: &'a [f32],
    /// The input, step by step.
    x: &'a [f32],
    memory: &'a mut Memory,
}

/// Adds to the gradient of the sum of squared errors, which it returns.
struct Gradient<'a> {
    sample: Sample<'a>,
    y: &'a [f32],
    gradient: &'a mut [f64],
}

impl Kernel for Gradient<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<I: Isa>(self) -> f64 {
        let Gradient { sample: Sample { network, weights, x, memory }, y, gradient } = self;
        let layers = &network.layers;
        let shape = Shape::new::<I::F32>(network, y.len());
        let (activations, errors) = shape.split(memory, network, true);
        forward::<I::F32>(network, weights, x, shape, activations);

        let output = shape.start_of(network, layers.len()) + shape.margin;
        let predicted = &activations[output..output + shape.steps];
        let squares = square_errors::<I::F32>(predicted, y, &mut errors[output..output + shape.steps]);
        let mut mirrored = Vec::new();
        for (i, layer) in layers.iter().enumerate().rev() {
            let (input, output) = (shape.start_of(network, i), shape.start_of(network, i + 1));
            let inputs = &activations[input..output];
            let (before, after) = errors.split_at_mut(output);
            correlate::<I::F32>(layer, shape, inputs, after, gradient);
            if i == 0 {
                break;
            }
            mirror(layer, &weights[layer.kernel.clone()], &mut mirrored);
            let left = layer.kernel_size - 1 - layer.left();
            let (sizes, masks) = ([layer.kernel_size, layer.outputs, layer.inputs, left], inputs);
            convolve::<I::F32>(sizes, shape, after, &mut before[input..], &mirrored, End::Mask(masks));
        }
        squares
    }
}

/// The sum of squared errors of a prediction, and its derivative with respect to each value.
#[inline(always)]
fn square_errors<V: Vector<Element = f32>>(predicted: &[f32], y: &[f32], derivative: &mut [f32]) -> f64 {
    let mut sum = 0.0;
    let whole = y.len() / V::LANES * V::LANES;
    for start in (0..whole).step_by(SUM_STEPS) {
        let mut squares = V::splat(0.0);
        for t in (start..whole.min(start + SUM_STEPS)).step_by(V::LANES) {
            let difference = V::load(&predicted[t..]) - V::load(&y[t..]);
            squares = difference.mul_add(difference, squares);
            (difference + difference).store(&mut derivative[t..]);
        }
        sum += f64::from(squares.sum());
    }
    for t in whole..y.len() {
        let difference = predicted[t] - y[t];
        sum += f64::from(difference * difference);
        derivative[t] = 2.0 * difference;
    }
    sum
}

/// Appends the wanted steps of the output.
struct Prediction<'a> {
    sample: Sample<'a>,
    wanted: std::ops::Range<usize>,
    output: &'a mut Vec<f32>,
}

impl Kernel for Prediction<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Prediction { sample: Sample { network, weights, x, memory }, wanted, output } = self;
        let channels = network.layers.first().map_or(1, |layer| layer.inputs);
        let shape = Shape::new::<I::F32>(network, x.len() / channels);
        let (activations, _) = shape.split(memory, network, false);
        forward::<I::F32>(network, weights, x, shape, activations);
        let start = shape.start_of(network, network.layers.len()) + shape.margin;
        output.extend_from_slice(&activations[start + wanted.start..start + wanted.end]);
    }
}

/// How a sample lies in memory.
#[derive(Debug, Clone, Copy)]
struct Shape {
    steps: usize,
    /// Steps rounded up to whole blocks of vectors.
    padded: usize,
    margin: usize,
    /// Numbers from one channel to the next.
    stride: usize,
}

impl Shape {
    fn new<V: Vector<Element = f32>>(network: &Network, steps: usize) -> Self {
        let padded = steps.next_multiple_of(VECTORS * V::LANES);
        let margin = network.layers.iter().map(|layer| layer.kernel_size).max().unwrap_or(1);
        let margin = margin.next_multiple_of(V::LANES);
        Shape { steps, padded, margin, stride: margin + padded + margin }
    }

    /// Where the channels of layer `i`'s input begin.
    fn start_of(&self, network: &Network, i: usize) -> usize {
        self.stride * network.layers[..i].iter().map(|layer| layer.inputs).sum::<usize>()
    }

    /// The activations of all layers, and the errors, with zeros in all places that are not written to. Memory that was used
    /// for samples of the same length has them already.
    fn split<'a>(&self, memory: &'a mut Memory, network: &Network, errors: bool) -> (&'a mut [f32], &'a mut [f32]) {
        let activations = self.start_of(network, network.layers.len()) + self.stride;
        let Memory { numbers, used_for } = memory;
        if used_for.replace((self.steps, errors)) != Some((self.steps, errors)) {
            numbers.clear();
            numbers.resize(if errors { 2 * activations } else { activations }, 0.0);
        }
        numbers.split_at_mut(activations)
    }
}

/// All layers' activations, from the input on.
#[inline(always)]
fn forward<V: Vector<Element = f32>>(
    network: &Network,
    weights: &[f32],
    x: &[f32],
    shape: Shape,
    activations: &mut [f32],
) {
    let channels = network.layers.first().map_or(1, |layer| layer.inputs);
    for channel in 0..channels {
        let row = &mut activations[channel * shape.stride + shape.margin..][..shape.steps];
        for (value, step) in row.iter_mut().zip(x.chunks_exact(channels)) {
            *value = step[channel];
        }
    }
    for (i, layer) in network.layers.iter().enumerate() {
        let output = shape.start_of(network, i + 1);
        let (before, after) = activations.split_at_mut(output);
        let input = &before[shape.start_of(network, i)..];
        let sizes = [layer.kernel_size, layer.inputs, layer.outputs, layer.left()];
        let bias = &weights[layer.bias.clone()];
        let end = if i + 1 < network.layers.len() { End::Relu(bias) } else { End::Linear(bias) };
        convolve::<V>(sizes, shape, input, after, &weights[layer.kernel.clone()], end);
        // Beyond the last step the next layer must find zeros.
        for channel in 0..layer.outputs {
            after[channel * shape.stride + shape.margin..][shape.steps..shape.padded].fill(0.0);
        }
    }
}

/// A layer's kernel for the way back: taps in reverse order, inputs and outputs exchanged.
fn mirror(layer: &Layer, kernel: &[f32], mirrored: &mut Vec<f32>) {
    mirrored.clear();
    for tap in (0..layer.kernel_size).rev() {
        for output in 0..layer.outputs {
            for input in 0..layer.inputs {
                mirrored.push(kernel[(tap * layer.inputs + input) * layer.outputs + output]);
            }
        }
    }
}

/// What becomes of a convolution's sums.
#[derive(Clone, Copy)]
enum End<'a> {
    /// A bias is added, and what is below 0 becomes 0.
    Relu(&'a [f32]),
    /// A bias is added.
    Linear(&'a [f32]),
    /// They stay where these activations are above 0, and become 0 elsewhere.
    Mask(&'a [f32]),
}

/// One convolution of all steps, from and to channels one after the other. `sizes`: taps, input channels, output channels, taps
/// before the present step.
#[inline(always)]
fn convolve<V: Vector<Element = f32>>(
    sizes: [usize; 4],
    shape: Shape,
    input: &[f32],
    output: &mut [f32],
    kernel: &[f32],
    end: End,
) {
    let outputs = sizes[2];
    for first in (0..outputs).step_by(CHANNELS) {
        match outputs - first {
            1 => convolve_block::<V, 1>(sizes, shape, input, output, kernel, end, first),
            2 => convolve_block::<V, 2>(sizes, shape, input, output, kernel, end, first),
            3 => convolve_block::<V, 3>(sizes, shape, input, output, kernel, end, first),
            _ => convolve_block::<V, CHANNELS>(sizes, shape, input, output, kernel, end, first),
        }
    }
}

/// The same for `N` output channels from `first` on.
#[inline(always)]
fn convolve_block<V: Vector<Element = f32>, const N: usize>(
    [taps, inputs, outputs, left]: [usize; 4],
    shape: Shape,
    input: &[f32],
    output: &mut [f32],
    kernel: &[f32],
    end: End,
    first: usize,
) {
    let zero = V::splat(0.0);
    for t in (0..shape.padded).step_by(VECTORS * V::LANES) {
        let mut sums = [[zero; VECTORS]; N];
        if let End::Relu(bias) | End::Linear(bias) = end {
            for (sums, &bias) in sums.iter_mut().zip(&bias[first..first + N]) {
                *sums = [V::splat(bias); VECTORS];
            }
        }
        let mut weight = first;
        for tap in 0..taps {
            let mut from = shape.margin + t + tap - left;
            for _ in 0..inputs {
                let values = &input[from..from + VECTORS * V::LANES];
                let weights = &kernel[weight..weight + N];
                let mut vectors = [zero; VECTORS];
                for i in 0..VECTORS {
                    vectors[i] = V::load(&values[i * V::LANES..]);
                }
                for o in 0..N {
                    let w = V::splat(weights[o]);
                    for i in 0..VECTORS {
                        sums[o][i] = vectors[i].mul_add(w, sums[o][i]);
                    }
                }
                from += shape.stride;
                weight += outputs;
            }
        }
        for o in 0..N {
            let at = (first + o) * shape.stride + shape.margin + t;
            for i in 0..VECTORS {
                let at = at + i * V::LANES;
                let sum = match end {
                    End::Relu(_) => sums[o][i].max(zero),
                    End::Linear(_) => sums[o][i],
                    End::Mask(activations) => sums[o][i].where_greater(V::load(&activations[at..]), zero),
                };
                sum.store(&mut output[at..]);
            }
        }
    }
}

/// Adds a layer's part of the gradient: of its kernel and its bias.
#[inline(always)]
fn correlate<V: Vector<Element = f32>>(
    layer: &Layer,
    shape: Shape,
    input: &[f32],
    error: &[f32],
    gradient: &mut [f64],
) {
    // A row of the gradient for each tap and input channel, and one for the bias.
    let rows = layer.kernel_size * layer.inputs;
    for start in (0..shape.padded).step_by(SUM_STEPS) {
        let steps = start..shape.padded.min(start + SUM_STEPS);
        for first in (0..layer.outputs).step_by(CHANNELS) {
            let work = Correlation { layer, shape, input, error, steps: steps.clone(), first };
            match layer.outputs - first {
                1 => work.rows::<V, 1>(rows, gradient),
                2 => work.rows::<V, 2>(rows, gradient),
                3 => work.rows::<V, 3>(rows, gradient),
                _ => work.rows::<V, CHANNELS>(rows, gradient),
            }
        }
    }
}

/// A layer's gradient over some steps, for the output channels from `first` on.
struct Correlation<'a> {
    layer: &'a Layer,
    shape: Shape,
    input: &'a [f32],
    error: &'a [f32],
    steps: std::ops::Range<usize>,
    first: usize,
}

impl Correlation<'_> {
    #[inline(always)]
    fn rows<V: Vector<Element = f32>, const N: usize>(&self, rows: usize, gradient: &mut [f64]) {
        for row in (0..rows).step_by(ROWS) {
            match rows - row {
                1 => self.block::<V, 1, N>(row, gradient),
                2 => self.block::<V, 2, N>(row, gradient),
                _ => self.block::<V, ROWS, N>(row, gradient),
            }
        }
        let mut sums = [V::splat(0.0); N];
        for t in self.steps.clone().step_by(V::LANES) {
            for o in 0..N {
                sums[o] = sums[o] + V::load(&self.error[self.error_at(o, t)..]);
            }
        }
        for o in 0..N {
            gradient[self.layer.bias.start + self.first + o] += f64::from(sums[o].sum());
        }
    }

    #[inline(always)]
    fn error_at(&self, o: usize, t: usize) -> usize {
        (self.first + o) * self.shape.stride + self.shape.margin + t
    }

    /// `R` rows from `row` on, for `N` output channels.
    #[inline(always)]
    fn block<V: Vector<Element = f32>, const R: usize, const N: usize>(&self, row: usize, gradient: &mut [f64]) {
        let Correlation { layer, shape, .. } = *self;
        let count = self.steps.len();
        let mut inputs: [&[f32]; R] = [&[]; R];
        for (r, input) in inputs.iter_mut().enumerate() {
            let (tap, channel) = ((row + r) / layer.inputs, (row + r) % layer.inputs);
            let at = channel * shape.stride + shape.margin + self.steps.start + tap - layer.left();
            *input = &self.input[at..at + count];
        }
        let mut errors: [&[f32]; N] = [&[]; N];
        for (o, error) in errors.iter_mut().enumerate() {
            let at = self.error_at(o, self.steps.start);
            *error = &self.error[at..at + count];
        }
        let mut sums = [[V::splat(0.0); N]; R];
        for t in (0..count).step_by(V::LANES) {
            // The sums, these inputs and one error at a time: no more than the processor has registers for.
            let mut vectors = [V::splat(0.0); R];
            for r in 0..R {
                vectors[r] = V::load(&inputs[r][t..]);
            }
            for o in 0..N {
                let error = V::load(&errors[o][t..]);
                for r in 0..R {
                    sums[r][o] = error.mul_add(vectors[r], sums[r][o]);
                }
            }
        }
        for r in 0..R {
            for o in 0..N {
                let at = layer.kernel.start + (row + r) * layer.outputs + self.first + o;
                gradient[at] += f64::from(sums[r][o].sum());
            }
        }
    }
}
