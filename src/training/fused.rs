//! The network on a CPU, one sample at a time: all layers forward, the error, all layers backward, while the sample's
//! numbers stay in the processor's cache.
//!
//! A sample is stored channel by channel, so that a vector holds consecutive time steps of one channel:
//!
//! ```text
//! |margin of zeros| step 0, 1, ... steps - 1 | zeros up to a whole number of vectors | margin of zeros|   channel 0
//! |margin of zeros| ...                                                                                   channel 1
//! ```
//!
//! The margins are the zeros of the padding, and let kernels read beyond both ends of a channel without a check.
//!
//! The computation consists of two loops, which keep a block of results in registers:
//!
//! - [`Convolution`]: output\[o\]\[t\] = sum over taps and channels of weight * input\[c\]\[t + tap\]. The taps are
//!   `dilation` steps apart. The backward pass uses it too, with flipped kernels, to propagate the error from a layer's
//!   outputs to its inputs.
//! - [`WeightGradient`]: gradient\[tap, c, o\] = sum over t of input\[c\]\[t + tap\] * error\[o\]\[t\].
//!
//! The module [`reference`](super::reference) has the same computation as plain loops.

#![allow(clippy::needless_range_loop, reason = "an index of a vector or channel applies to several arrays")]

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use fearless_simd::prelude::*;

use super::samples::{Part, surroundings};
use crate::model::{Activation, Network, NetworkLayer};
use crate::simd::{Kernel, SimdLevel, dispatch_on};

/// Number of vectors of time steps that are computed together.
const VECTORS: usize = 2;
/// Number of output channels that are computed together.
const CHANNELS: usize = 4;
/// Number of rows of the gradient that are computed together.
const ROWS: usize = 3;
/// Sums over time steps are sums of this many partial ones: step `t` belongs to number `t % LANES`. They are the lanes of
/// the widest vector. Narrower vectors take them in parts, so that rounding is the same for all widths.
const LANES: usize = 16;
/// Numbers in a cache line. Vectors that do not cross the border of one are read faster.
const ALIGNMENT: usize = 16;
/// Numbers after which places in the first-level cache repeat: 4 kB.
const CACHE_PERIOD: usize = 1024;
/// Single-precision sums run over at most this many steps. Then they are added to a sum in double precision.
const SUM_STEPS: usize = 960;

/// The network, and memory for the threads that compute with it.
pub(super) struct Fused {
    network: Network,
    pub(super) level: SimdLevel,
    /// Memory that is not in use. Allocating it again would take as long as computing a sample.
    spare: Mutex<Vec<Memory>>,
}

impl Fused {
    pub(super) fn new(network: &Network, level: SimdLevel) -> Self {
        Fused { network: network.clone(), level, spare: Mutex::default() }
    }

    /// The sum of squared errors of a part, whole samples, and its gradient with respect to all weights.
    pub(super) fn gradient(&self, weights: &[f32], Part { samples, rows, .. }: &Part) -> (f64, Vec<f32>) {
        let mut gradient = vec![0.0; self.network.params()];
        let mut error = 0.0;
        let mut memory = self.take_memory();
        for &row in rows.iter() {
            let (x, y) = samples.sample(row);
            let sample = Sample { network: &self.network, weights, x, memory: &mut memory };
            error += dispatch_on(self.level, Gradient { sample, y, gradient: &mut gradient });
        }
        self.give_back(memory);
        (error, gradient.into_iter().map(|value| value as f32).collect())
    }

    /// The output for a part. If this is a stretch of a sample, its output also depends on the steps around it.
    pub(super) fn predict(&self, weights: &[f32], part: &Part) -> Vec<f32> {
        let (around, wanted) = surroundings(&part.steps, part.samples.steps, self.network.reach());
        let mut memory = self.take_memory();
        let mut output = Vec::with_capacity(part.rows.len() * wanted.len() * self.network.outputs());
        for &row in &part.rows {
            let (x, _) = part.samples.stretch(row, &around);
            let wanted = wanted.clone();
            let sample = Sample { network: &self.network, weights, x, memory: &mut memory };
            dispatch_on(self.level, Prediction { sample, wanted, output: &mut output });
        }
        self.give_back(memory);
        output
    }

    /// Numbers that the activations of all layers take, for a sample of so many steps.
    pub(super) fn activations(&self, steps: usize) -> u128 {
        let (layers, reach) = (&self.network.layers, self.network.reach());
        let channels: u128 =
            layers.iter().map(|layer| layer.inputs as u128).sum::<u128>() + self.network.outputs() as u128;
        // At most: see `Layout`.
        channels * (steps as u128 + 2 * reach.0.max(reach.1) as u128 + 8 * ALIGNMENT as u128)
    }

    fn take_memory(&self) -> Memory {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, memory: Memory) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
    }
}

/// One sample, and what is needed to compute it.
struct Sample<'a> {
    network: &'a Network,
    weights: &'a [f32],
    /// The input, step by step.
    x: &'a [f32],
    memory: &'a mut Memory,
}

/// Returns the sum of squared errors of one sample, and adds its gradient to `gradient`.
struct Gradient<'a> {
    sample: Sample<'a>,
    y: &'a [f32],
    gradient: &'a mut [f64],
}

impl Kernel for Gradient<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let Gradient { sample: Sample { network, weights, x, memory }, y, gradient } = self;
        let outputs = network.outputs();
        let layout = Layout::new::<S>(network, y.len() / outputs);
        let (activations, errors) = memory.split(layout, network, true);
        forward(simd, network, weights, x, layout, activations);

        let mut squares = 0.0;
        for o in 0..outputs {
            let output = layout.output(network, o);
            // As it is, if there is one output.
            let channel: Vec<f32>;
            let expected = if outputs == 1 {
                y
            } else {
                channel = y.iter().skip(o).step_by(outputs).copied().collect();
                &channel
            };
            squares += square_errors(simd, &activations[output.clone()], expected, &mut errors[output]);
        }
        backward(simd, network, weights, layout, activations, errors, gradient);
        squares
    }
}

/// Appends the wanted steps of the output to `output`.
struct Prediction<'a> {
    sample: Sample<'a>,
    wanted: Range<usize>,
    output: &'a mut Vec<f32>,
}

impl Kernel for Prediction<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Prediction { sample: Sample { network, weights, x, memory }, wanted, output } = self;
        let steps = wanted.len();
        let layout = Layout::new::<S>(network, x.len() / network.inputs());
        let (activations, _) = memory.split(layout, network, false);
        forward(simd, network, weights, x, layout, activations);
        let first = layout.output(network, 0);
        let wanted = &activations[first.start + wanted.start..];
        match network.outputs() {
            1 => output.extend_from_slice(&wanted[..steps]),
            outputs => {
                for t in 0..steps {
                    output.extend((0..outputs).map(|o| wanted[o * layout.stride + t]));
                }
            }
        }
    }
}

/// The layout of a sample in memory.
#[derive(Debug, Clone, Copy)]
struct Layout {
    steps: usize,
    /// The number of steps, rounded up to whole blocks of vectors.
    padded: usize,
    margin: usize,
    /// The distance from one channel to the next.
    stride: usize,
}

impl Layout {
    fn new<S: Simd>(network: &Network, steps: usize) -> Self {
        let padded = steps.next_multiple_of(LANES.max(VECTORS * S::f32s::LEN));
        let margin = network.layers.iter().map(|layer| layer.left().max(layer.right())).max().unwrap_or(0);
        let margin = margin.next_multiple_of(ALIGNMENT);
        let mut stride = margin + padded + margin;
        // Channels a multiple of this apart would compete for the same few places in the processor's cache.
        if stride.is_multiple_of(CACHE_PERIOD / 2) {
            stride += ALIGNMENT;
        }
        Layout { steps, padded, margin, stride }
    }

    /// The position of an output channel.
    fn output(&self, network: &Network, channel: usize) -> Range<usize> {
        let start = self.start_of(network, network.layers.len()) + channel * self.stride + self.margin;
        start..start + self.steps
    }

    /// The position of the input of layer `i`.
    fn start_of(&self, network: &Network, i: usize) -> usize {
        self.stride * network.layers[..i].iter().map(|layer| layer.inputs).sum::<usize>()
    }
}

/// Memory for activations and errors, laid out by [`Layout`].
#[derive(Default)]
struct Memory {
    numbers: Vec<f32>,
    /// The number of steps of the samples that it was used for, and whether with errors.
    used_for: Option<(usize, bool)>,
}

impl Memory {
    /// The activations of all layers, and the errors. Whatever is never written to is 0; in memory that was used for
    /// samples of the same length, it already is.
    fn split(&mut self, layout: Layout, network: &Network, errors: bool) -> (&mut [f32], &mut [f32]) {
        let activations = layout.start_of(network, network.layers.len()) + network.outputs() * layout.stride;
        let length = if errors { 2 * activations } else { activations };
        if self.used_for.replace((layout.steps, errors)) != Some((layout.steps, errors)) {
            self.numbers.clear();
            self.numbers.resize(length + ALIGNMENT, 0.0);
        }
        let start = self.numbers.as_ptr().align_offset(ALIGNMENT * size_of::<f32>()).min(ALIGNMENT);
        self.numbers[start..start + length].split_at_mut(activations)
    }
}

/// Computes the activations of all layers, from the input on.
#[inline(always)]
fn forward<S: Simd>(simd: S, network: &Network, weights: &[f32], x: &[f32], layout: Layout, activations: &mut [f32]) {
    let channels = network.inputs();
    for channel in 0..channels {
        let row = &mut activations[channel * layout.stride + layout.margin..][..layout.steps];
        for (value, step) in row.iter_mut().zip(x.chunks_exact(channels)) {
            *value = step[channel];
        }
    }
    for (i, layer) in network.layers.iter().enumerate() {
        let (before, after) = activations.split_at_mut(layout.start_of(network, i + 1));
        let input = &before[layout.start_of(network, i)..];
        let bias = &weights[layer.bias.clone()];
        let convolution = Convolution {
            taps: layer.kernel_size,
            inputs: layer.inputs,
            outputs: layer.outputs,
            dilation: layer.dilation,
            left: layer.left(),
            kernel: &weights[layer.kernel.clone()],
            epilogue: if layer.activation == Activation::Relu { Epilogue::Relu(bias) } else { Epilogue::Linear(bias) },
        };
        convolution.apply(simd, layout, input, after);
        clear_beyond_last_step(layout, layer.outputs, after);
    }
}

/// The sum of squared errors of a prediction. Writes its derivative with respect to each value to `derivative`.
#[inline(always)]
fn square_errors<S: Simd>(simd: S, predicted: &[f32], y: &[f32], derivative: &mut [f32]) -> f64 {
    let mut sum = 0.0;
    let whole = y.len() / LANES * LANES;
    for start in (0..whole).step_by(SUM_STEPS) {
        let end = whole.min(start + SUM_STEPS);
        let [[squares]] = sum_lanes::<S, 1, 1>(
            #[inline(always)]
            |lane| {
                let mut squares = S::f32s::splat(simd, 0.0);
                for t in (start + lane..end).step_by(LANES) {
                    let difference = load(simd, predicted, t) - load(simd, y, t);
                    squares = difference.mul_add(difference, squares);
                    store(simd, difference + difference, derivative, t);
                }
                [[squares]]
            },
        );
        sum += f64::from(squares.reduce_sum());
    }
    for t in whole..y.len() {
        let difference = predicted[t] - y[t];
        sum += f64::from(difference * difference);
        derivative[t] = 2.0 * difference;
    }
    sum
}

/// Propagates the derivatives with respect to the last layer's output back through all layers, and adds those with
/// respect to all weights to the gradient.
#[inline(always)]
fn backward<S: Simd>(
    simd: S,
    network: &Network,
    weights: &[f32],
    layout: Layout,
    activations: &[f32],
    errors: &mut [f32],
    gradient: &mut [f64],
) {
    if network.layers.last().is_some_and(|layer| layer.activation == Activation::Relu) {
        for channel in 0..network.outputs() {
            let output = layout.output(network, channel);
            let activations = &activations[output.clone()];
            errors[output]
                .iter_mut()
                .zip(activations)
                .for_each(|(error, &h)| *error = if h <= 0.0 { 0.0 } else { *error });
        }
    }
    let mut flipped = Vec::new();
    for (i, layer) in network.layers.iter().enumerate().rev() {
        let (start, end) = (layout.start_of(network, i), layout.start_of(network, i + 1));
        let input = &activations[start..end];
        let (before, after) = errors.split_at_mut(end);
        weight_gradient(simd, layer, layout, input, after, gradient);
        if i == 0 {
            break;
        }
        flip_kernel(layer, &weights[layer.kernel.clone()], &mut flipped);
        let convolution = Convolution {
            taps: layer.kernel_size,
            inputs: layer.outputs,
            outputs: layer.inputs,
            dilation: layer.dilation,
            left: layer.right(),
            kernel: &flipped,
            epilogue: match network.layers[i - 1].activation {
                Activation::Relu => Epilogue::Mask(input),
                _ => Epilogue::Sum,
            },
        };
        convolution.apply(simd, layout, after, &mut before[start..]);
        // A mask has done so.
        if let Epilogue::Sum = convolution.epilogue {
            clear_beyond_last_step(layout, layer.inputs, &mut before[start..]);
        }
    }
}

/// Sets what is beyond the last step to 0, as the next layer must find it.
fn clear_beyond_last_step(layout: Layout, channels: usize, values: &mut [f32]) {
    for channel in 0..channels {
        values[channel * layout.stride + layout.margin..][layout.steps..layout.padded].fill(0.0);
    }
}

/// A layer's kernel for the backward pass: with the taps in reverse order, and inputs and outputs exchanged.
fn flip_kernel(layer: &NetworkLayer, kernel: &[f32], flipped: &mut Vec<f32>) {
    flipped.clear();
    for tap in (0..layer.kernel_size).rev() {
        for output in 0..layer.outputs {
            for input in 0..layer.inputs {
                flipped.push(kernel[(tap * layer.inputs + input) * layer.outputs + output]);
            }
        }
    }
}

/// What a convolution does with its sums. NaN passes through all of these, as in libtorch.
#[derive(Clone, Copy)]
enum Epilogue<'a> {
    /// Adds a bias, and replaces what is below 0 by 0.
    Relu(&'a [f32]),
    /// Adds a bias.
    Linear(&'a [f32]),
    /// Leaves the sums as they are.
    Sum,
    /// Replaces sums by 0 where these activations are 0: the derivative of the ReLU.
    Mask(&'a [f32]),
}

/// A convolution over all steps.
struct Convolution<'a> {
    taps: usize,
    inputs: usize,
    outputs: usize,
    /// Number of steps from one tap to the next.
    dilation: usize,
    /// Number of steps from the first tap to the current step.
    left: usize,
    /// Weights, indexed by tap, input and output.
    kernel: &'a [f32],
    epilogue: Epilogue<'a>,
}

impl Convolution<'_> {
    /// Computes all output channels.
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, layout: Layout, input: &[f32], output: &mut [f32]) {
        for first in (0..self.outputs).step_by(CHANNELS) {
            match self.outputs - first {
                1 => self.channels::<S, 1>(simd, layout, input, output, first),
                2 => self.channels::<S, 2>(simd, layout, input, output, first),
                3 => self.channels::<S, 3>(simd, layout, input, output, first),
                _ => self.channels::<S, CHANNELS>(simd, layout, input, output, first),
            }
        }
    }

    /// Computes `N` output channels from `first` on.
    #[inline(always)]
    fn channels<S: Simd, const N: usize>(
        &self,
        simd: S,
        layout: Layout,
        input: &[f32],
        output: &mut [f32],
        first: usize,
    ) {
        for t in (0..layout.padded).step_by(VECTORS * S::f32s::LEN) {
            let sums = self.sums::<S, N>(simd, layout, input, first, t);
            for o in 0..N {
                for i in 0..VECTORS {
                    let at = (first + o) * layout.stride + layout.margin + t + i * S::f32s::LEN;
                    store(simd, self.finish(simd, sums[o][i], at), output, at);
                }
            }
        }
    }

    /// The sums for `VECTORS` vectors of steps from `t` on.
    #[inline(always)]
    fn sums<S: Simd, const N: usize>(
        &self,
        simd: S,
        layout: Layout,
        input: &[f32],
        first: usize,
        t: usize,
    ) -> [[S::f32s; VECTORS]; N] {
        let mut sums = [[S::f32s::splat(simd, 0.0); VECTORS]; N];
        if let Epilogue::Relu(bias) | Epilogue::Linear(bias) = self.epilogue {
            for (sums, &bias) in sums.iter_mut().zip(&bias[first..first + N]) {
                *sums = [S::f32s::splat(simd, bias); VECTORS];
            }
        }
        let mut weight = first;
        for tap in 0..self.taps {
            let mut from = layout.margin + t + tap * self.dilation - self.left;
            for _ in 0..self.inputs {
                let values = &input[from..from + VECTORS * S::f32s::LEN];
                let weights = &self.kernel[weight..weight + N];
                let mut vectors = [S::f32s::splat(simd, 0.0); VECTORS];
                for i in 0..VECTORS {
                    vectors[i] = load(simd, values, i * S::f32s::LEN);
                }
                for o in 0..N {
                    for i in 0..VECTORS {
                        sums[o][i] = vectors[i].mul_add(weights[o], sums[o][i]);
                    }
                }
                from += layout.stride;
                weight += self.outputs;
            }
        }
        sums
    }

    /// Applies the epilogue to a vector of sums, whose position among the outputs is `at`.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, sum: S::f32s, at: usize) -> S::f32s {
        let zero = S::f32s::splat(simd, 0.0);
        match self.epilogue {
            Epilogue::Relu(_) => sum.simd_lt(zero).select(zero, sum),
            Epilogue::Linear(_) | Epilogue::Sum => sum,
            Epilogue::Mask(activations) => load(simd, activations, at).simd_le(zero).select(zero, sum),
        }
    }
}

/// Adds to the gradient of a layer's kernel and bias.
#[inline(always)]
fn weight_gradient<S: Simd>(
    simd: S,
    layer: &NetworkLayer,
    layout: Layout,
    input: &[f32],
    error: &[f32],
    gradient: &mut [f64],
) {
    for start in (0..layout.padded).step_by(SUM_STEPS) {
        let steps = start..layout.padded.min(start + SUM_STEPS);
        for first in (0..layer.outputs).step_by(CHANNELS) {
            let some = WeightGradient { layer, layout, input, error, steps: steps.clone(), first };
            match layer.outputs - first {
                1 => some.channels::<S, 1>(simd, gradient),
                2 => some.channels::<S, 2>(simd, gradient),
                3 => some.channels::<S, 3>(simd, gradient),
                _ => some.channels::<S, CHANNELS>(simd, gradient),
            }
        }
    }
}

/// A layer's gradient from some of the steps, for the output channels from `first` on.
struct WeightGradient<'a> {
    layer: &'a NetworkLayer,
    layout: Layout,
    input: &'a [f32],
    error: &'a [f32],
    steps: Range<usize>,
    first: usize,
}

impl WeightGradient<'_> {
    /// Adds to the gradient of kernel and bias for `N` output channels.
    #[inline(always)]
    fn channels<S: Simd, const N: usize>(&self, simd: S, gradient: &mut [f64]) {
        // There is one row for each tap and input channel.
        let rows = self.layer.kernel_size * self.layer.inputs;
        for row in (0..rows).step_by(ROWS) {
            match rows - row {
                1 => self.rows::<S, 1, N>(simd, row, gradient),
                2 => self.rows::<S, 2, N>(simd, row, gradient),
                _ => self.rows::<S, ROWS, N>(simd, row, gradient),
            }
        }
        let [sums] = sum_lanes::<S, 1, N>(
            #[inline(always)]
            |lane| {
                let mut sums = [S::f32s::splat(simd, 0.0); N];
                for t in self.steps.clone().skip(lane).step_by(LANES) {
                    for o in 0..N {
                        sums[o] += load(simd, self.error, self.error_at(o, t));
                    }
                }
                [sums]
            },
        );
        for o in 0..N {
            gradient[self.layer.bias.start + self.first + o] += f64::from(sums[o].reduce_sum());
        }
    }

    /// Adds to the gradient of `R` rows of the kernel from `row` on, for `N` output channels.
    #[inline(always)]
    fn rows<S: Simd, const R: usize, const N: usize>(&self, simd: S, row: usize, gradient: &mut [f64]) {
        let blocks = self.steps.len() / LANES;
        let mut inputs: [&[[f32; LANES]]; R] = [&[]; R];
        for r in 0..R {
            inputs[r] = &self.input[self.input_at(row + r)..].as_chunks().0[..blocks];
        }
        let mut errors: [&[[f32; LANES]]; N] = [&[]; N];
        for o in 0..N {
            errors[o] = &self.error[self.error_at(o, self.steps.start)..].as_chunks().0[..blocks];
        }
        let sums = sum_lanes::<S, R, N>(
            #[inline(always)]
            |lane| {
                let mut sums = [[S::f32s::splat(simd, 0.0); N]; R];
                for block in 0..blocks {
                    // The sums, these inputs and one error at a time fit into the processor's registers.
                    let mut vectors = [S::f32s::splat(simd, 0.0); R];
                    for r in 0..R {
                        vectors[r] = load(simd, &inputs[r][block], lane);
                    }
                    for o in 0..N {
                        let error = load(simd, &errors[o][block], lane);
                        for r in 0..R {
                            sums[r][o] = error.mul_add(vectors[r], sums[r][o]);
                        }
                    }
                }
                sums
            },
        );
        for r in 0..R {
            for o in 0..N {
                let at = self.layer.kernel.start + (row + r) * self.layer.outputs + self.first + o;
                gradient[at] += f64::from(sums[r][o].reduce_sum());
            }
        }
    }

    /// The position of a row's input at the first step.
    #[inline(always)]
    fn input_at(&self, row: usize) -> usize {
        let (tap, channel) = (row / self.layer.inputs, row % self.layer.inputs);
        channel * self.layout.stride + self.layout.margin + self.steps.start + tap * self.layer.dilation
            - self.layer.left()
    }

    /// The position of an output channel's error at step `t`.
    #[inline(always)]
    fn error_at(&self, o: usize, t: usize) -> usize {
        (self.first + o) * self.layout.stride + self.layout.margin + t
    }
}

/// `R` by `N` sums of [`LANES`] lanes. `sum_from` sums as many lanes as a vector has, from the given lane on. These are
/// added up as the halves of a wide vector are, when it is summed.
#[inline(always)]
fn sum_lanes<S: Simd, const R: usize, const N: usize>(
    mut sum_from: impl FnMut(usize) -> [[S::f32s; N]; R],
) -> [[S::f32s; N]; R] {
    let add = |mut a: [[S::f32s; N]; R], b: [[S::f32s; N]; R]| {
        for r in 0..R {
            for o in 0..N {
                a[r][o] += b[r][o];
            }
        }
        a
    };
    match LANES / S::f32s::LEN {
        1 => sum_from(0),
        2 => add(sum_from(0), sum_from(LANES / 2)),
        _ => {
            let even = add(sum_from(0), sum_from(LANES / 2));
            add(even, add(sum_from(LANES / 4), sum_from(3 * LANES / 4)))
        }
    }
}

#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32], at: usize) -> S::f32s {
    S::f32s::from_slice(simd, &from[at..at + S::f32s::LEN])
}

#[inline(always)]
fn store<S: Simd>(_: S, vector: S::f32s, to: &mut [f32], at: usize) {
    vector.store_slice(&mut to[at..at + S::f32s::LEN]);
}
