//! Many neurons at once, one in each lane of a vector, by the classical Runge-Kutta scheme of order 4.
//!
//! The [scalar form](super::HhPscAlpha::simulate_rk4) of the same scheme stands beside it. What differs is how the rates of
//! the gates are computed.
//!
//! 1. All six rates come from exp(-(V + 65) / 80) and exp(-(V + 65) / 18): the 4th and the 8th power of the first one are those
//!    with 20 and 10 mV.
//! 2. Within a step the potential moves by little, `move_mv`. So both exponentials are computed once, and brought to each stage
//!    by the Taylor series of exp(-move_mv / 80) and exp(-move_mv / 18).
//! 3. Three quotients share one division: of 1 by the product of their denominators.
//! 4. At -55 and -40 mV two of the quotients are 0 / 0. A step that begins near there takes them from the series of
//!    x / (1 - exp(-x)). Such a step, and one in which the potential of any lane moves far, is a `CAREFUL` one.
//!
//! A lane in which the potential moves too fast even for that, or comes near a spike, goes on in the
//! [adaptive reference](super::HhPscAlpha::simulate), with the state that it had at the start of that value of the current. So
//! spikes are the reference's alone.

#![allow(clippy::needless_range_loop, reason = "lanes are counted, in several arrays at once")]

use super::{HhPscAlpha, INITIAL_POTENTIAL_MV, State, Timing};
use crate::simd::{Exp2, Isa, Kernel, Pair, Vector};

/// The largest move of the potential within a step, mV, for which the Taylor series hold to 1e-12: the short ones, and those
/// of careful steps.
const SMALL_MOVE_MV: f64 = 0.1;
const LARGEST_MOVE_MV: f64 = 0.5;
/// Above this potential the adaptive reference goes on: spikes are counted there, mV.
const HIGHEST_MV: f64 = -20.0;
/// The same below this one, mV: no exponential can overflow above it.
const LOWEST_MV: f64 = -220.0;
/// And the same where the closing rate of m times the step is more than this: from 2.8 on the scheme is unstable.
const LARGEST_RATE: f64 = 2.0;
/// The exponentials are computed anew after so many steps, lest rounding errors add up.
const RENEW_STEPS: usize = 10;
/// For x up to this distance from 0 the series of x / (1 - exp(-x)) is used: beyond, the quotient is exact to 1e-14.
const NEAR: f64 = 0.1;
const TWO_24: f64 = 16_777_216.0;
/// The widest vector, in trials.
const MAX_LANES: usize = 16;

/// Trials of one length for a vector of neurons.
pub(crate) struct Batch<'a, 'b> {
    pub neuron: &'a HhPscAlpha,
    pub timing: Timing,
    /// The currents, pA.
    pub currents: &'a [&'a [f64]],
    /// Where the potentials go, mV: as many as the currents have values.
    pub potentials: &'a mut [&'b mut [f64]],
}

/// Where the reference goes on with a trial: before which value of the current, and the state there.
pub(crate) type HandedOver = (usize, State);

impl Kernel for Batch<'_, '_> {
    type Output = Vec<Option<HandedOver>>;

    #[inline(always)]
    fn run<I: Isa>(self) -> Self::Output {
        let Batch { neuron, timing, currents, potentials } = self;
        let constants = Constants::<Pair<I::F64>>::new(neuron, timing.dt_ms);
        let lanes = <Pair<I::F64> as Vector>::LANES;
        let mut handed_over = Vec::with_capacity(currents.len());
        for (currents, potentials) in currents.chunks(lanes).zip(potentials.chunks_mut(lanes)) {
            simulate(&constants, timing, currents, potentials, &mut handed_over);
        }
        handed_over
    }
}

/// Potential and gates of as many neurons as a vector has lanes.
#[derive(Clone, Copy)]
struct States<V> {
    v: V,
    m: V,
    h: V,
    n: V,
}

impl<V: Vector<Element = f64>> States<V> {
    #[inline(always)]
    fn splat(State { v, m, h, n }: State) -> Self {
        States { v: V::splat(v), m: V::splat(m), h: V::splat(h), n: V::splat(n) }
    }

    /// These states moved along slopes for a time.
    #[inline(always)]
    fn moved(self, time: V, slopes: States<V>) -> Self {
        States {
            v: time.mul_add(slopes.v, self.v),
            m: time.mul_add(slopes.m, self.m),
            h: time.mul_add(slopes.h, self.h),
            n: time.mul_add(slopes.n, self.n),
        }
    }

    fn lane(&self, lane: usize) -> State {
        let value = |vector: V| {
            let mut values = [0.0; MAX_LANES];
            vector.store(&mut values);
            values[lane]
        };
        State { v: value(self.v), m: value(self.m), h: value(self.h), n: value(self.n) }
    }

    fn set_lane(&mut self, lane: usize, state: State) {
        let set = |vector: &mut V, value: f64| {
            let mut values = [0.0; MAX_LANES];
            vector.store(&mut values);
            values[lane] = value;
            *vector = V::load(&values);
        };
        set(&mut self.v, state.v);
        set(&mut self.m, state.m);
        set(&mut self.h, state.h);
        set(&mut self.n, state.n);
    }
}

/// What stays the same in all steps.
#[derive(Clone, Copy)]
struct Constants<V> {
    /// Conductances divided by the capacitance, 1/ms.
    g_na: V,
    g_k: V,
    g_l: V,
    e_na: V,
    e_k: V,
    /// What the leak and the constant current add to the potential's slope, mV/ms.
    drive: V,
    /// 1 / C_m, 1/pF.
    per_c: V,
    /// A half and a whole step, a third and a sixth of it, ms.
    half: V,
    whole: V,
    third: V,
    sixth: V,
}

impl<V: Vector<Element = f64>> Constants<V> {
    #[inline(always)]
    fn new(neuron: &HhPscAlpha, dt_ms: f64) -> Self {
        let per_c = 1.0 / neuron.C_m;
        Constants {
            g_na: V::splat(neuron.g_Na * per_c),
            g_k: V::splat(neuron.g_K * per_c),
            g_l: V::splat(neuron.g_L * per_c),
            e_na: V::splat(neuron.E_Na),
            e_k: V::splat(neuron.E_K),
            drive: V::splat((neuron.I_e + neuron.g_L * neuron.E_L) * per_c),
            per_c: V::splat(per_c),
            half: V::splat(dt_ms / 2.0),
            whole: V::splat(dt_ms),
            third: V::splat(dt_ms / 3.0),
            sixth: V::splat(dt_ms / 6.0),
        }
    }
}

/// The exponentials that all rates come from, at one potential: the two rates that are nothing else.
#[derive(Clone, Copy)]
struct Exponentials<V> {
    /// exp(-(V + 65) / 80) / 8
    beta_n: V,
    /// 4 exp(-(V + 65) / 18)
    beta_m: V,
}

impl<V: Exp2<Element = f64>> Exponentials<V> {
    #[inline(always)]
    fn at(v: V) -> Self {
        let above = V::splat(-65.0) - v;
        Exponentials {
            beta_n: V::splat(0.125) * exp(above * V::splat(1.0 / 80.0)),
            beta_m: V::splat(4.0) * exp(above * V::splat(1.0 / 18.0)),
        }
    }

    /// Those at a potential that is higher by `move_mv`.
    #[inline(always)]
    fn moved<const CAREFUL: bool>(self, move_mv: V) -> Self {
        let (a, b): (f64, f64) = (-1.0 / 80.0, -1.0 / 18.0);
        let (a2, a3, b2, b3, b4) = (a * a / 2.0, a * a * a / 6.0, b * b / 2.0, b * b * b / 6.0, b * b * b * b / 24.0);
        let (a4, b5, b6) = (a3 * a / 4.0, b4 * b / 5.0, b4 * b * b / 30.0);
        if CAREFUL {
            Exponentials {
                beta_n: self.beta_n * polynomial(move_mv, [a4, a3, a2, a, 1.0]),
                beta_m: self.beta_m * polynomial(move_mv, [b6, b5, b4, b3, b2, b, 1.0]),
            }
        } else {
            Exponentials {
                beta_n: self.beta_n * polynomial(move_mv, [a4, a3, a2, a, 1.0]),
                beta_m: self.beta_m * polynomial(move_mv, [b5, b4, b3, b2, b, 1.0]),
            }
        }
    }
}

/// A polynomial by Horner's rule, the highest coefficient first.
#[inline(always)]
fn polynomial<V: Vector<Element = f64>, const N: usize>(x: V, coefficients: [f64; N]) -> V {
    let mut sum = V::splat(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, V::splat(coefficient));
    }
    sum
}

/// exp(x) for x from -700 to 700: 2 to the nearest whole power, times a Taylor series of the rest.
#[inline(always)]
fn exp<V: Exp2<Element = f64>>(x: V) -> V {
    // Added and taken away, it leaves the nearest whole number.
    let round = V::splat(6_755_399_441_055_744.0);
    let whole = x.mul_add(V::splat(std::f64::consts::LOG2_E), round) - round;
    // ln 2 in two parts, so that the rest is exact.
    let rest = whole.mul_add(V::splat(-0.693_147_180_369_123_8), x);
    let rest = whole.mul_add(V::splat(-1.908_214_929_270_587_7e-10), rest);
    let mut series = [1.0; 13];
    let mut factorial = 1.0;
    for i in 1..13 {
        factorial *= i as f64;
        series[12 - i] = 1.0 / factorial;
    }
    polynomial(rest, series) * whole.exp2_whole()
}

/// Opening and closing rates of the gates, 1/ms.
#[derive(Clone, Copy)]
struct Rates<V> {
    alpha_m: V,
    beta_m: V,
    alpha_h: V,
    beta_h: V,
    alpha_n: V,
    beta_n: V,
}

impl<V: Exp2<Element = f64>> Rates<V> {
    /// The rates at potential `v`. `CAREFUL` is needed where `v` may be near -55 or -40 mV.
    #[inline(always)]
    fn at<const CAREFUL: bool>(v: V, exponentials: Exponentials<V>) -> Self {
        let one = V::splat(1.0);
        // exp(-(V + 65) / 20) / 2^12 and exp(-(V + 65) / 10) / 2^24.
        let by_40 = exponentials.beta_n * exponentials.beta_n;
        let by_20 = by_40 * by_40;
        let by_10 = by_20 * by_20;
        // (V + 55) / 100 and (V + 40) / 10; the denominators of alpha_n, alpha_m and beta_h.
        let x_n = v.mul_add(V::splat(0.01), V::splat(0.55));
        let x_m = v.mul_add(V::splat(0.1), V::splat(4.0));
        let mut under_n = by_10.neg_mul_add(V::splat(TWO_24 * std::f64::consts::E), one);
        let mut under_m = by_10.neg_mul_add(V::splat(TWO_24 * 12.182_493_960_703_473), one);
        let under_h = by_10.mul_add(V::splat(TWO_24 * 20.085_536_923_187_668), one);
        let (square_n, square_m, near) = (V::splat(100.0) * x_n * x_n, x_m * x_m, V::splat(NEAR * NEAR));
        if CAREFUL {
            under_n = either(near, square_n, one, under_n);
            under_m = either(near, square_m, one, under_m);
        }
        let n_and_m = under_n * under_m;
        let all = one / (n_and_m * under_h);
        let n_or_m = all * under_h;
        let mut over_n = x_n * (n_or_m * under_m);
        let mut over_m = x_m * (n_or_m * under_n);
        if CAREFUL {
            over_n = either(near, square_n, exp_linear_series(V::splat(10.0) * x_n, square_n) * V::splat(0.1), over_n);
            over_m = either(near, square_m, exp_linear_series(x_m, square_m), over_m);
        }
        Rates {
            alpha_m: over_m,
            beta_m: exponentials.beta_m,
            alpha_h: V::splat(0.07 * 4096.0) * by_20,
            beta_h: all * n_and_m,
            alpha_n: over_n,
            beta_n: exponentials.beta_n,
        }
    }
}

/// `x` in the lanes in which `a > b`, `y` in the others.
#[inline(always)]
fn either<V: Vector<Element = f64>>(a: V, b: V, x: V, y: V) -> V {
    x.where_greater(a, b) + (y - y.where_greater(a, b))
}

/// x / (1 - exp(-x)) = 1 + x/2 + x^2/12 - x^4/720 + x^6/30240 - ...
#[inline(always)]
fn exp_linear_series<V: Vector<Element = f64>>(x: V, square: V) -> V {
    let even = polynomial(square, [1.0 / 30_240.0, -1.0 / 720.0, 1.0 / 12.0, 1.0]);
    x.mul_add(V::splat(0.5), even)
}

/// The slopes of states, given the exponentials at their potential and what moves it whatever it is, `drive` in mV/ms.
#[inline(always)]
fn slopes<V: Exp2<Element = f64>, const CAREFUL: bool>(
    y: States<V>,
    exponentials: Exponentials<V>,
    drive: V,
    c: &Constants<V>,
) -> States<V> {
    let rates = Rates::at::<CAREFUL>(y.v, exponentials);
    let na = c.g_na * y.m * (y.m * y.m) * y.h;
    let n2 = y.n * y.n;
    let k = c.g_k * n2 * n2;
    let dv = na.mul_add(c.e_na - y.v, drive);
    let dv = k.mul_add(c.e_k - y.v, dv);
    let dv = c.g_l.neg_mul_add(y.v, dv);
    States {
        v: dv,
        m: gate_slope(rates.alpha_m, rates.beta_m, y.m),
        h: gate_slope(rates.alpha_h, rates.beta_h, y.h),
        n: gate_slope(rates.alpha_n, rates.beta_n, y.n),
    }
}

/// alpha (1 - x) - beta x
#[inline(always)]
fn gate_slope<V: Vector<Element = f64>>(alpha: V, beta: V, x: V) -> V {
    (alpha + beta).neg_mul_add(x, alpha)
}

/// Where a step begins, and what drives it.
#[derive(Clone, Copy)]
struct Start<V> {
    v: V,
    exponentials: Exponentials<V>,
    drive: V,
}

/// The slopes at a stage of a step.
#[inline(always)]
fn slopes_from<V: Exp2<Element = f64>, const CAREFUL: bool>(
    start: Start<V>,
    c: &Constants<V>,
    y: States<V>,
) -> States<V> {
    slopes::<V, CAREFUL>(y, start.exponentials.moved::<CAREFUL>(y.v - start.v), start.drive, c)
}

/// One step; also the square of the potential's largest move in it.
#[inline(always)]
fn step<V: Exp2<Element = f64>, const CAREFUL: bool>(
    y: States<V>,
    exponentials: Exponentials<V>,
    drive: V,
    c: &Constants<V>,
) -> (States<V>, V) {
    let start = Start { v: y.v, exponentials, drive };
    let k1 = slopes::<V, CAREFUL>(y, exponentials, drive, c);
    let k2 = slopes_from::<V, CAREFUL>(start, c, y.moved(c.half, k1));
    let k3 = slopes_from::<V, CAREFUL>(start, c, y.moved(c.half, k2));
    let y4 = y.moved(c.whole, k3);
    let k4 = slopes_from::<V, CAREFUL>(start, c, y4);
    let next = y.moved(c.sixth, k1).moved(c.third, k2).moved(c.third, k3).moved(c.sixth, k4);
    let (move_4, move_all) = (y4.v - y.v, next.v - y.v);
    (next, (move_4 * move_4).max(move_all * move_all))
}

/// Simulates at most as many trials as the vector has lanes.
#[inline(always)]
fn simulate<V: Exp2<Element = f64>>(
    c: &Constants<V>,
    timing: Timing,
    currents: &[&[f64]],
    potentials: &mut [&mut [f64]],
    handed_over: &mut Vec<Option<HandedOver>>,
) {
    let rest = State::steady(INITIAL_POTENTIAL_MV);
    let first = handed_over.len();
    handed_over.resize(first + currents.len(), None);
    let handed_over = &mut handed_over[first..];
    let values = currents.first().map_or(0, |current| current.len());
    let mut y = States::<V>::splat(rest);
    let mut exponentials = Exponentials::at(y.v);
    let mut drive = c.drive;
    let mut step_count = 0;
    // Where 4 exp(-(V + 65) / 18) is LARGEST_RATE per step.
    let lowest = LOWEST_MV.max(-65.0 - 18.0 * (LARGEST_RATE / (4.0 * timing.dt_ms)).ln());
    let (centre, half_range) = ((HIGHEST_MV + lowest) / 2.0, ((HIGHEST_MV - lowest) / 2.0).max(0.0));
    let careful_below = (NEAR + LARGEST_MOVE_MV / 10.0) * (NEAR + LARGEST_MOVE_MV / 10.0);
    for value in 0..values {
        let before = y;
        // Squares of the largest move and of the largest distance.
        let (mut fastest, mut farthest) = (V::splat(0.0), V::splat(0.0));
        for in_value in 0..timing.steps_per_value {
            let acting = (value * timing.steps_per_value + in_value).checked_sub(timing.delay_steps);
            if let Some(acting) = acting.filter(|step| step % timing.steps_per_value == 0) {
                let mut injected = [0.0; MAX_LANES];
                for (injected, current) in injected.iter_mut().zip(currents) {
                    *injected = current[acting / timing.steps_per_value];
                }
                drive = V::load(&injected).mul_add(c.per_c, c.drive);
            }
            if step_count % RENEW_STEPS == 0 {
                exponentials = Exponentials::at(y.v);
            }
            step_count += 1;
            let x_n = y.v.mul_add(V::splat(0.1), V::splat(5.5));
            let x_m = x_n - V::splat(1.5);
            let mut is_careful = V::splat(careful_below).any_greater((x_n * x_n).min(x_m * x_m));
            let (mut next, mut square) = (y, V::splat(0.0));
            if !is_careful {
                (next, square) = step::<V, false>(y, exponentials, drive, c);
                is_careful = square.any_greater(V::splat(SMALL_MOVE_MV * SMALL_MOVE_MV));
            }
            if is_careful {
                (next, square) = step::<V, true>(y, exponentials, drive, c);
                exponentials = exponentials.moved::<true>(next.v - y.v);
            } else {
                exponentials = exponentials.moved::<false>(next.v - y.v);
            }
            y = next;
            fastest = fastest.max(square);
            let distance = y.v - V::splat(centre);
            farthest = farthest.max(distance * distance);
        }
        let (mut v, mut fast, mut far) = ([0.0; MAX_LANES], [0.0; MAX_LANES], [0.0; MAX_LANES]);
        y.v.store(&mut v);
        fastest.store(&mut fast);
        farthest.store(&mut far);
        for lane in 0..currents.len() {
            let is_sound = v[lane].is_finite()
                && fast[lane] <= LARGEST_MOVE_MV * LARGEST_MOVE_MV
                && far[lane] <= half_range * half_range;
            if !is_sound {
                if handed_over[lane].is_none() {
                    handed_over[lane] = Some((value, before.lane(lane)));
                }
                // It still has a lane: let it do no harm there.
                y.set_lane(lane, rest);
                exponentials = Exponentials::at(y.v);
            }
            potentials[lane][value] = v[lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::{Spikes, alpha_h, alpha_m, alpha_n, beta_h, beta_m, beta_n};
    use crate::simd::{Level, dispatch_on};
    use crate::stimulus::{NumpyRandom, OrnsteinUhlenbeck};

    #[test]
    fn every_lane_is_the_scalar_form() {
        let neuron = HhPscAlpha::default();
        let mut random = NumpyRandom::seed(3);
        // The second noise is strong: most of these neurons fire, and the others come close to it.
        for (sigma, count) in (1..=2 * MAX_LANES + 1).map(|count| (25.0, count)).chain([(60.0, 40)]) {
            let noise = OrnsteinUhlenbeck { sigma, ..OrnsteinUhlenbeck::default() };
            let currents: Vec<Vec<f64>> = (0..count).map(|_| noise.trace(150, &mut random)).collect();
            let slices: Vec<&[f64]> = currents.iter().map(Vec::as_slice).collect();
            let timing = neuron.check(1.0, 0.1).unwrap();
            for level in Level::available() {
                let mut potentials = vec![vec![0.0; 150]; count];
                let mut rows: Vec<&mut [f64]> = potentials.iter_mut().map(Vec::as_mut_slice).collect();
                let spikes = neuron.batch(level, timing, &slices, &mut rows, Spikes::Keep);
                for (trial, (current, spikes)) in currents.iter().zip(spikes).enumerate() {
                    let adaptive = neuron.simulate(current, 1.0, 0.1).unwrap();
                    assert_eq!(spikes.unwrap().len(), adaptive.spike_times_ms.len(), "{level:?}, {trial} of {count}");
                    // With the strong noise lanes change to adaptive steps; with the weak one none does.
                    let (expected, tolerance) = match sigma {
                        60.0 => (adaptive, 1e-4),
                        _ => (neuron.simulate_rk4(current, 1.0, 0.1).unwrap(), 1e-9),
                    };
                    if expected.spike_times_ms.is_empty() {
                        let pairs = expected.potential_mv.iter().zip(&potentials[trial]);
                        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                        assert!(worst < tolerance, "{level:?}, {trial} of {count}: {worst:e}");
                    }
                }
            }
        }
    }

    /// Step, delay and values of the current that do not fall together.
    #[test]
    fn timing_is_the_scalar_forms() {
        let neuron = HhPscAlpha::default();
        let current: Vec<f64> = (0..60).map(|i| 30.0 * f64::from(i % 7 - 3)).collect();
        for (dt_current_ms, dt_ms) in [(0.3, 0.1), (0.5, 0.05), (2.0, 0.1), (1.0, 0.02)] {
            let many = neuron.simulate_many(std::slice::from_ref(&current), dt_current_ms, dt_ms).unwrap();
            let one = neuron.simulate_rk4(&current, dt_current_ms, dt_ms).unwrap();
            let differences = one.potential_mv.iter().zip(&many[0].potential_mv).map(|(a, b)| (a - b).abs());
            assert!(differences.fold(0.0, f64::max) < 1e-9, "{dt_current_ms} {dt_ms}");
        }
    }

    /// Far below rest the gates are too fast for the fixed step: the lane goes on adaptively.
    #[test]
    fn strong_currents_out_of_the_cell_are_the_references() {
        let neuron = HhPscAlpha::default();
        for amplitude in [-300.0, -1000.0, -5000.0] {
            let current = vec![amplitude; 60];
            let many = neuron.simulate_many(std::slice::from_ref(&current), 1.0, 0.1).unwrap();
            let one = neuron.simulate(&current, 1.0, 0.1).unwrap();
            let differences = one.potential_mv.iter().zip(&many[0].potential_mv).map(|(a, b)| (a - b).abs());
            let worst = differences.fold(0.0, f64::max);
            assert!(worst < 1e-4, "{amplitude} pA: {worst:e}");
        }
    }

    /// The rates in each lane at many potentials.
    struct AllRates<'a>(&'a [f64]);

    impl Kernel for AllRates<'_> {
        type Output = Vec<[f64; 6]>;

        #[inline(always)]
        fn run<I: Isa>(self) -> Self::Output {
            let mut found = Vec::new();
            for &v in self.0 {
                let vector = Pair::<I::F64>::splat(v);
                let rates = Rates::at::<true>(vector, Exponentials::at(vector));
                let mut lanes = [0.0; MAX_LANES];
                let all = [rates.alpha_m, rates.beta_m, rates.alpha_h, rates.beta_h, rates.alpha_n, rates.beta_n];
                found.push(all.map(|rate| {
                    rate.store(&mut lanes);
                    lanes[0]
                }));
            }
            found
        }
    }

    #[test]
    fn rates_are_exact_everywhere() {
        let offsets = (0..15).map(|exponent| 10f64.powi(-exponent)).chain([0.0]);
        let near = offsets.flat_map(|x| [-55.0 + x, -55.0 - x, -40.0 + x, -40.0 - x]);
        let potentials: Vec<f64> = near.chain((-220..=-20).map(f64::from)).collect();
        for level in Level::available() {
            for (&v, found) in potentials.iter().zip(dispatch_on(level, AllRates(&potentials))) {
                let exact = [alpha_m(v), beta_m(v), alpha_h(v), beta_h(v), alpha_n(v), beta_n(v)];
                for (found, exact) in found.into_iter().zip(exact) {
                    assert!((found / exact - 1.0).abs() < 1e-12, "{level:?} at {v} mV: {found} {exact}");
                }
            }
        }
    }
}
