//! Many neurons at once, one in each lane of a vector, by the classical Runge-Kutta scheme of order 4.
//!
//! The [scalar form](super::HhPscAlpha::simulate_rk4) of the same scheme stands beside it. What differs is how the rates of
//! the gates are computed.
//!
//! 1. All six rates come from exp(-(V + 65) / 80) and exp(-(V + 65) / 18): the 4th and the 8th power of the first one are those
//!    with 20 and 10 mV.
//! 2. Within a step the potential moves by little, `move_mv`. So both exponentials are computed once for each value of the
//!    current, and brought from step to step and from stage to stage by the Taylor series of exp(-move_mv / 80) and
//!    exp(-move_mv / 18), which for the largest move hold to 1e-13.
//! 3. Three quotients share one division: of 1 by the product of their denominators. At -55 and -40 mV two of them are 0 / 0,
//!    but no fixed step comes near there.
//!
//! Where a lane's potential leaves the range of fixed steps, or moves too far in one, the
//! [adaptive scheme](super::HhPscAlpha::simulate) does that value of the current again, for that lane alone. So spikes are the
//! adaptive scheme's, and lanes know nothing of each other.

#![allow(clippy::needless_range_loop, reason = "lanes are counted, in several arrays at once")]

use super::{Adaptive, HhPscAlpha, INITIAL_POTENTIAL_MV, LARGEST_MOVE_MV, Spikes, State, Timing};
use crate::Result;
use crate::simd::{Exp2, Isa, Kernel, Pair, Vector};

const TWO_24: f64 = 16_777_216.0;
/// The widest vector, in trials.
const MAX_LANES: usize = 16;

/// Trials of one length.
pub(crate) struct Batch<'a, 'b> {
    pub neuron: &'a HhPscAlpha,
    pub timing: Timing,
    /// The currents, pA.
    pub currents: &'a [&'a [f64]],
    /// Where the potentials go, mV: as many as the currents have values.
    pub potentials: &'a mut [&'b mut [f64]],
    pub spikes: Spikes,
}

impl Kernel for Batch<'_, '_> {
    /// The spikes of each trial.
    type Output = Vec<Result<Vec<f64>>>;

    #[inline(always)]
    fn run<I: Isa>(mut self) -> Self::Output {
        let lanes = <Pair<I::F64> as Vector>::LANES;
        let potentials = std::mem::take(&mut self.potentials);
        let mut spikes = Vec::with_capacity(self.currents.len());
        for (currents, potentials) in self.currents.chunks(lanes).zip(potentials.chunks_mut(lanes)) {
            spikes.extend(if currents.len() <= I::F64::LANES {
                simulate::<I::F64>(&self, currents, potentials)
            } else {
                simulate::<Pair<I::F64>>(&self, currents, potentials)
            });
        }
        spikes
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
    fn new(neuron: &HhPscAlpha, step_ms: f64) -> Self {
        let per_c = 1.0 / neuron.C_m;
        Constants {
            g_na: V::splat(neuron.g_Na * per_c),
            g_k: V::splat(neuron.g_K * per_c),
            g_l: V::splat(neuron.g_L * per_c),
            e_na: V::splat(neuron.E_Na),
            e_k: V::splat(neuron.E_K),
            drive: V::splat((neuron.I_e + neuron.g_L * neuron.E_L) * per_c),
            per_c: V::splat(per_c),
            half: V::splat(step_ms / 2.0),
            whole: V::splat(step_ms),
            third: V::splat(step_ms / 3.0),
            sixth: V::splat(step_ms / 6.0),
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
    fn moved(self, move_mv: V) -> Self {
        let (a, b): (f64, f64) = (-1.0 / 80.0, -1.0 / 18.0);
        let (a2, a3, b2, b3, b4) = (a * a / 2.0, a * a * a / 6.0, b * b / 2.0, b * b * b / 6.0, b * b * b * b / 24.0);
        Exponentials {
            beta_n: self.beta_n * polynomial(move_mv, [a3 * a / 4.0, a3, a2, a, 1.0]),
            beta_m: self.beta_m * polynomial(move_mv, [b4 * b / 5.0, b4, b3, b2, b, 1.0]),
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
    /// The rates at potential `v`, which must not be -55 or -40 mV.
    #[inline(always)]
    fn at(v: V, exponentials: Exponentials<V>) -> Self {
        let one = V::splat(1.0);
        // exp(-(V + 65) / 20) / 2^12 and exp(-(V + 65) / 10) / 2^24.
        let by_40 = exponentials.beta_n * exponentials.beta_n;
        let by_20 = by_40 * by_40;
        let by_10 = by_20 * by_20;
        // The numerators of alpha_n and alpha_m; the denominators of these and of beta_h.
        let over_n = v.mul_add(V::splat(0.01), V::splat(0.55));
        let over_m = v.mul_add(V::splat(0.1), V::splat(4.0));
        let under_n = by_10.neg_mul_add(V::splat(TWO_24 * std::f64::consts::E), one);
        let under_m = by_10.neg_mul_add(V::splat(TWO_24 * 12.182_493_960_703_473), one);
        let under_h = by_10.mul_add(V::splat(TWO_24 * 20.085_536_923_187_668), one);
        let n_and_m = under_n * under_m;
        let all = one / (n_and_m * under_h);
        let n_or_m = all * under_h;
        Rates {
            alpha_m: over_m * (n_or_m * under_n),
            beta_m: exponentials.beta_m,
            alpha_h: V::splat(0.07 * 4096.0) * by_20,
            beta_h: all * n_and_m,
            alpha_n: over_n * (n_or_m * under_m),
            beta_n: exponentials.beta_n,
        }
    }
}

/// The slopes of states, given the exponentials at their potential and what moves it whatever it is, `drive` in mV/ms.
#[inline(always)]
fn slopes<V: Exp2<Element = f64>>(
    y: States<V>,
    exponentials: Exponentials<V>,
    drive: V,
    c: &Constants<V>,
) -> States<V> {
    let rates = Rates::at(y.v, exponentials);
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

/// One step, from the exponentials at its start; also how far the potential moves up to the last stage.
#[inline(always)]
fn step<V: Exp2<Element = f64>>(
    y: States<V>,
    exponentials: Exponentials<V>,
    drive: V,
    c: &Constants<V>,
) -> (States<V>, V) {
    let k1 = slopes(y, exponentials, drive, c);
    let y2 = y.moved(c.half, k1);
    let k2 = slopes(y2, exponentials.moved(y2.v - y.v), drive, c);
    let y3 = y.moved(c.half, k2);
    let k3 = slopes(y3, exponentials.moved(y3.v - y.v), drive, c);
    let y4 = y.moved(c.whole, k3);
    let move_mv = y4.v - y.v;
    let k4 = slopes(y4, exponentials.moved(move_mv), drive, c);
    (y.moved(c.sixth, k1).moved(c.third, k2).moved(c.third, k3).moved(c.sixth, k4), move_mv)
}

/// What happens in one lane: what the adaptive scheme remembers, or why the trial ended.
type Lane = Result<Adaptive>;

/// Simulates at most as many trials as the vector has lanes.
#[inline(always)]
fn simulate<V: Exp2<Element = f64>>(
    batch: &Batch,
    currents: &[&[f64]],
    potentials: &mut [&mut [f64]],
) -> Vec<Result<Vec<f64>>> {
    let timing = batch.timing;
    let c = &Constants::new(batch.neuron, timing.fixed_step_ms());
    let mut lanes: Vec<Lane> = currents.iter().map(|_| Ok(Adaptive::new(timing))).collect();
    let rest = State::steady(INITIAL_POTENTIAL_MV);
    let mut y = States::<V>::splat(rest);
    let mut drive = c.drive;
    let (lowest, highest) = timing.fixed_range_mv();
    let (centre, half_range) = (V::splat((highest + lowest) / 2.0), ((highest - lowest) / 2.0).max(0.0));
    let (largest_square, farthest_square) =
        (V::splat(LARGEST_MOVE_MV * LARGEST_MOVE_MV), V::splat(half_range * half_range));
    // The current changes `late_steps` into a value of the potential, to what it was `late_values` before.
    let span = timing.fixed_span();
    let (late_values, late_steps) =
        (timing.delay_steps / timing.steps_per_value, timing.delay_steps % timing.steps_per_value / span);
    for value in 0..currents.first().map_or(0, |current| current.len()) {
        let before = y;
        // Squares of the largest move and of the largest distance.
        let (mut largest, mut farthest) = (V::splat(0.0), V::splat(0.0));
        let mut exponentials = Exponentials::at(y.v);
        for step_in_value in 0..timing.steps_per_value / span {
            if step_in_value == late_steps && value >= late_values {
                let mut injected = [0.0; MAX_LANES];
                for (injected, current) in injected.iter_mut().zip(currents) {
                    *injected = current[value - late_values];
                }
                drive = V::load(&injected).mul_add(c.per_c, c.drive);
            }
            let (next, move_mv) = step(y, exponentials, drive, c);
            exponentials = exponentials.moved(next.v - y.v);
            y = next;
            let distance = y.v - centre;
            largest = largest.max(move_mv * move_mv);
            farthest = farthest.max(distance * distance);
        }
        let mut v = [0.0; MAX_LANES];
        y.v.store(&mut v);
        // Not a number is neither.
        let sound = V::splat(1.0).where_greater(largest_square, largest).where_greater(farthest_square, farthest);
        if V::splat(0.5).any_greater(sound) {
            let mut is_sound = [0.0; MAX_LANES];
            sound.store(&mut is_sound);
            for (lane, memory) in lanes.iter_mut().enumerate().filter(|&(lane, _)| is_sound[lane] < 0.5) {
                let redone = redo(batch, before.lane(lane), value, currents[lane], memory);
                // A trial that ended still has a lane.
                let state = redone.unwrap_or(rest);
                y.set_lane(lane, state);
                v[lane] = state.v;
            }
        }
        for (potential, &v) in potentials.iter_mut().zip(&v) {
            potential[value] = v;
        }
    }
    lanes.into_iter().map(|lane| lane.map(|adaptive| adaptive.spike_times_ms)).collect()
}

/// Does one value in one lane adaptively; nothing, if the trial ends or has ended.
fn redo(batch: &Batch, before: State, value: usize, current: &[f64], lane: &mut Lane) -> Option<State> {
    let adaptive = lane.as_mut().ok()?;
    if batch.spikes == Spikes::StopAtFirst && !adaptive.spike_times_ms.is_empty() {
        return None;
    }
    match batch.neuron.value_adaptively(before, value, batch.timing, current, adaptive) {
        Ok(state) => Some(state),
        Err(error) => {
            *lane = Err(error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::{alpha_h, alpha_m, alpha_n, beta_h, beta_m, beta_n};
    use crate::simd::{SimdLevel, dispatch_on};
    use crate::stimulus::{NumpyRandom, OrnsteinUhlenbeck};

    const STEPS: usize = 150;

    fn batch(level: SimdLevel, currents: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let neuron = HhPscAlpha::default();
        let slices: Vec<&[f64]> = currents.iter().map(Vec::as_slice).collect();
        let mut potentials = vec![vec![0.0; STEPS]; currents.len()];
        let mut rows: Vec<&mut [f64]> = potentials.iter_mut().map(Vec::as_mut_slice).collect();
        let spikes = neuron.batch(level, neuron.check(1.0, 0.1).unwrap(), &slices, &mut rows, Spikes::Keep);
        (potentials, spikes.into_iter().map(Result::unwrap).collect())
    }

    /// For every number of trials around that of the lanes. The second noise is strong: most of these neurons fire.
    #[test]
    fn every_lane_is_the_scalar_form_and_knows_no_other() {
        let mut random = NumpyRandom::seed(3);
        for (sigma, count) in (1..=2 * MAX_LANES + 1).map(|count| (25.0, count)).chain([(60.0, 40)]) {
            let noise = OrnsteinUhlenbeck { sigma, ..OrnsteinUhlenbeck::default() };
            let currents: Vec<Vec<f64>> = (0..count).map(|_| noise.trace(STEPS, &mut random)).collect();
            let best = batch(SimdLevel::best(), &currents);
            for level in SimdLevel::available() {
                let (potentials, spikes) = batch(level, &currents);
                // All that fuse multiplication and addition compute the same bits.
                assert!(level == SimdLevel::Portable || potentials == best.0, "{level:?}");
                for (trial, current) in currents.iter().enumerate() {
                    let expected = HhPscAlpha::default().simulate_rk4(current, 1.0, 0.1).unwrap();
                    assert_eq!(spikes[trial], expected.spike_times_ms, "{level:?}, {trial} of {count}");
                    // A spike magnifies the last bits.
                    let tolerance = if spikes[trial].is_empty() { 1e-9 } else { 1e-6 };
                    let pairs = expected.potential_mv.iter().zip(&potentials[trial]);
                    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(worst < tolerance, "{level:?}, {trial} of {count}: {worst:e}");
                }
                let last = count - 1;
                assert_eq!(batch(level, &currents[last..]).0[0], potentials[last], "{level:?}, {count}");
            }
        }
    }

    /// Step, delay and values of the current that do not fall together.
    #[test]
    fn timing_is_the_scalar_forms() {
        let neuron = HhPscAlpha::default();
        let current: Vec<f64> = (0..60).map(|i| 30.0 * f64::from(i % 7 - 3)).collect();
        for (dt_current_ms, resolution_ms) in [(0.3, 0.1), (0.5, 0.05), (2.0, 0.1), (1.0, 0.02)] {
            let many = neuron.simulate_many(std::slice::from_ref(&current), dt_current_ms, resolution_ms).unwrap();
            let one = neuron.simulate_rk4(&current, dt_current_ms, resolution_ms).unwrap();
            let differences = one.potential_mv.iter().zip(&many[0].potential_mv).map(|(a, b)| (a - b).abs());
            assert!(differences.fold(0.0, f64::max) < 1e-9, "{dt_current_ms} {resolution_ms}");
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
                let rates = Rates::at(vector, Exponentials::at(vector));
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
    fn rates_are_exact_within_the_range_of_fixed_steps() {
        let potentials: Vec<f64> = (0..=4 * 162).map(|i| -220.0 + f64::from(i) / 4.0).collect();
        for level in SimdLevel::available() {
            for (&v, found) in potentials.iter().zip(dispatch_on(level, AllRates(&potentials))) {
                let exact = [alpha_m(v), beta_m(v), alpha_h(v), beta_h(v), alpha_n(v), beta_n(v)];
                for (found, exact) in found.into_iter().zip(exact) {
                    assert!((found / exact - 1.0).abs() < 1e-12, "{level:?} at {v} mV: {found} {exact}");
                }
            }
        }
    }

    #[test]
    fn exponentials_move_with_the_potential() {
        for move_mv in [-LARGEST_MOVE_MV, -0.1, 1e-6, LARGEST_MOVE_MV] {
            let at = |v: f64| Exponentials::at(<crate::simd::Portable as Isa>::F64::splat(v));
            let (moved, exact) = (at(-65.0).moved(Vector::splat(move_mv)), at(-65.0 + move_mv));
            for (moved, exact) in [(moved.beta_n, exact.beta_n), (moved.beta_m, exact.beta_m)] {
                assert!((moved.sum() / exact.sum() - 1.0).abs() < 1e-13, "{move_mv} mV");
            }
        }
    }
}
