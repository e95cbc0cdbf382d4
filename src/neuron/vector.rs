//! Many neurons at once, one in each lane of a vector, by the classical Runge-Kutta scheme of order 4.
//!
//! It differs from the [scalar form](super::HhPscAlpha::simulate_rk4) of the same scheme in how the rates of the gates
//! are computed:
//!
//! 1. All six rates derive from two exponentials, exp(-(V + 65) / 80) and exp(-(V + 65) / 18). The 4th and the 8th
//!    power of the first one are the exponentials with 20 and 10 mV.
//! 2. Within a step, the potential moves by a small `move_mv`. Both exponentials are therefore computed only once for
//!    each value of the potential. From there, they are updated from step to step and from stage to stage by the Taylor
//!    series of exp(-move_mv / 80) and exp(-move_mv / 18), which are accurate to 1e-13 for the largest move.
//! 3. Three quotients share one division, of 1 by the product of their denominators. At -55 and -40 mV, two of them
//!    are 0 / 0, but no fixed step comes near these potentials.
//!
//! If the potential of a lane leaves the range in which fixed steps are valid, or moves too far in one step, the
//! [adaptive scheme](super::HhPscAlpha::simulate) repeats that value of the potential, for that lane alone. Spikes are
//! therefore those of the adaptive scheme, and no lane depends on another.

use fearless_simd::prelude::*;

use super::{AdaptiveState, HhPscAlpha, INITIAL_POTENTIAL_MV, MAX_MOVE_MV, State, Timing};
use crate::Result;
use crate::simd::{Doubles, Kernel};

const TWO_24: f64 = 16_777_216.0;
/// The most lanes that are simulated together.
const MAX_LANES: usize = 16;

/// Trials of one length that are simulated together.
pub(crate) struct Trials<'a, 'b> {
    pub neuron: &'a HhPscAlpha,
    pub timing: Timing,
    /// The injected currents, pA.
    pub currents: &'a [&'a [f64]],
    /// Where the potentials are written, mV: for each current, as many as it has values.
    pub potentials: &'a mut [&'b mut [f64]],
    /// Whether a trial goes on after a spike. If not, its potentials from there on are meaningless.
    pub keep_spiking: bool,
}

impl Kernel for Trials<'_, '_> {
    /// The spikes of each trial.
    type Output = Vec<Result<Vec<f64>>>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let Trials { neuron, timing, currents, potentials, keep_spiking } = self;
        let mut results = Vec::with_capacity(currents.len());
        let lanes = Doubles::<S, 2>::LEN;
        for (currents, potentials) in currents.chunks(lanes).zip(potentials.chunks_mut(lanes)) {
            let trials = Trials { neuron, timing, currents, potentials, keep_spiking };
            results.extend(if currents.len() <= S::f64s::LEN {
                trials.simulate::<S, 1>(simd)
            } else {
                trials.simulate::<S, 2>(simd)
            });
        }
        results
    }
}

impl Trials<'_, '_> {
    /// Simulates at most as many trials as `N` vectors have lanes.
    #[inline(always)]
    fn simulate<S: Simd, const N: usize>(self, simd: S) -> Vec<Result<Vec<f64>>> {
        // For each trial, the state of the adaptive scheme, or the error that ended the trial.
        let mut adaptive: Vec<Result<AdaptiveState>> =
            self.currents.iter().map(|_| Ok(AdaptiveState::new(self.timing))).collect();
        let mut fixed = FixedSteps::<S, N>::new(simd, self.neuron, self.timing);
        let mut states = States::splat(simd, State::steady(INITIAL_POTENTIAL_MV));
        for value in 0..self.currents[0].len() {
            let before = states;
            let valid;
            (states, valid) = fixed.advance(before, self.currents, value);
            if valid != FixedSteps::<S, N>::ALL {
                self.redo(&mut adaptive, before, &mut states, valid, value);
            }
            let mut v = [0.0; MAX_LANES];
            states.v.store(&mut v);
            for (potential, &v) in self.potentials.iter_mut().zip(&v) {
                potential[value] = v;
            }
        }
        adaptive.into_iter().map(|adaptive| Ok(adaptive?.spike_times_ms)).collect()
    }

    /// Repeats one value of the potential by the adaptive scheme, in the lanes that are not `valid`.
    #[cold]
    fn redo<S: Simd, const N: usize>(
        &self,
        adaptive: &mut [Result<AdaptiveState>],
        before: States<S, N>,
        states: &mut States<S, N>,
        valid: u64,
        value: usize,
    ) {
        for (lane, adaptive) in adaptive.iter_mut().enumerate().filter(|(lane, _)| valid >> lane & 1 == 0) {
            // A trial that has ended keeps its lane.
            let state = self.redo_lane(adaptive, before.lane(lane), self.currents[lane], value);
            states.set_lane(lane, state.unwrap_or(State::steady(INITIAL_POTENTIAL_MV)));
        }
    }

    /// The same in one lane. Returns `None` if the trial ends or has already ended.
    fn redo_lane(
        &self,
        trial: &mut Result<AdaptiveState>,
        before: State,
        current: &[f64],
        value: usize,
    ) -> Option<State> {
        let adaptive = trial.as_mut().ok()?;
        if !self.keep_spiking && !adaptive.spike_times_ms.is_empty() {
            return None;
        }
        match self.neuron.value_adaptively(before, value, self.timing, current, adaptive) {
            Ok(state) => Some(state),
            Err(error) => {
                *trial = Err(error);
                None
            }
        }
    }
}

/// The scheme with a fixed step.
struct FixedSteps<S: Simd, const N: usize> {
    constants: Constants<S, N>,
    /// The part of dV/dt that does not depend on the state, mV/ms: from the leak, the constant current and the injected
    /// current.
    drive: Doubles<S, N>,
    steps_per_value: usize,
    /// On the way to value `i` of the potential, the injected current changes after `late_steps` steps, to its value
    /// `i - late_values`.
    late_values: usize,
    late_steps: usize,
    /// The range of potentials in which fixed steps are valid, mV.
    centre_mv: f64,
    half_range_mv: f64,
}

impl<S: Simd, const N: usize> FixedSteps<S, N> {
    /// The mask in which every lane is valid.
    const ALL: u64 = (1 << Doubles::<S, N>::LEN) - 1;

    #[inline(always)]
    fn new(simd: S, neuron: &HhPscAlpha, timing: Timing) -> Self {
        let constants = Constants::new(simd, neuron, timing.fixed_step_ms());
        let span = timing.fixed_span();
        let (lowest, highest) = timing.fixed_range_mv();
        FixedSteps {
            constants,
            drive: constants.drive,
            steps_per_value: timing.steps_per_value / span,
            late_values: timing.onset_steps / timing.steps_per_value,
            late_steps: timing.onset_steps % timing.steps_per_value / span,
            centre_mv: (highest + lowest) / 2.0,
            half_range_mv: ((highest - lowest) / 2.0).max(0.0),
        }
    }

    /// Advances to the next value of the potential. Also returns the lanes in which all steps were valid, as a mask.
    #[inline(always)]
    fn advance(&mut self, mut y: States<S, N>, currents: &[&[f64]], value: usize) -> (States<S, N>, u64) {
        let zero = y.v * 0.0;
        let (mut largest_square, mut farthest_square) = (zero, zero);
        let mut exponentials = Exponentials::at(y.v);
        for step_in_value in 0..self.steps_per_value {
            if step_in_value == self.late_steps && value >= self.late_values {
                self.inject(currents, value - self.late_values);
            }
            let (next, move_mv) = step(y, exponentials, self.drive, &self.constants);
            exponentials = exponentials.advanced(next.v - y.v);
            y = next;
            let distance = y.v - self.centre_mv;
            largest_square = largest_square.max(move_mv * move_mv);
            farthest_square = farthest_square.max(distance * distance);
        }
        let valid = largest_square.lanes_below(MAX_MOVE_MV * MAX_MOVE_MV)
            & farthest_square.lanes_below(self.half_range_mv * self.half_range_mv);
        (y, valid)
    }

    /// Sets the injected currents to those of index `value`.
    #[inline(always)]
    fn inject(&mut self, currents: &[&[f64]], value: usize) {
        let mut injected = [0.0; MAX_LANES];
        for (injected, current) in injected.iter_mut().zip(currents) {
            *injected = current[value];
        }
        let injected = Doubles::load(self.drive.token(), &injected);
        self.drive = injected.mul_add(self.constants.per_c, self.constants.drive);
    }
}

/// Membrane potential and gates of as many neurons as `N` vectors have lanes.
#[derive(Clone, Copy)]
struct States<S: Simd, const N: usize> {
    v: Doubles<S, N>,
    m: Doubles<S, N>,
    h: Doubles<S, N>,
    n: Doubles<S, N>,
}

impl<S: Simd, const N: usize> States<S, N> {
    #[inline(always)]
    fn splat(simd: S, State { v, m, h, n }: State) -> Self {
        let splat = |value| Doubles::splat(simd, value);
        States { v: splat(v), m: splat(m), h: splat(h), n: splat(n) }
    }

    /// The states after `time` (ms) with these slopes.
    #[inline(always)]
    fn advanced(self, time: Doubles<S, N>, slopes: Self) -> Self {
        States {
            v: time.mul_add(slopes.v, self.v),
            m: time.mul_add(slopes.m, self.m),
            h: time.mul_add(slopes.h, self.h),
            n: time.mul_add(slopes.n, self.n),
        }
    }

    fn lane(&self, lane: usize) -> State {
        State { v: self.v.lane(lane), m: self.m.lane(lane), h: self.h.lane(lane), n: self.n.lane(lane) }
    }

    fn set_lane(&mut self, lane: usize, state: State) {
        self.v.set_lane(lane, state.v);
        self.m.set_lane(lane, state.m);
        self.h.set_lane(lane, state.h);
        self.n.set_lane(lane, state.n);
    }
}

/// What is the same in all steps.
#[derive(Clone, Copy)]
struct Constants<S: Simd, const N: usize> {
    /// Conductances divided by the capacitance, 1/ms; that of the leak with its sign changed.
    g_na: Doubles<S, N>,
    g_k: Doubles<S, N>,
    minus_g_l: Doubles<S, N>,
    e_na: Doubles<S, N>,
    e_k: Doubles<S, N>,
    /// The part of dV/dt that comes from the leak and the constant current and does not depend on the state, mV/ms.
    drive: Doubles<S, N>,
    /// 1 / C_m, 1/pF.
    per_c: Doubles<S, N>,
    /// Half a step, a whole one, a third and a sixth of one, ms.
    half: Doubles<S, N>,
    whole: Doubles<S, N>,
    third: Doubles<S, N>,
    sixth: Doubles<S, N>,
}

impl<S: Simd, const N: usize> Constants<S, N> {
    #[inline(always)]
    fn new(simd: S, neuron: &HhPscAlpha, step_ms: f64) -> Self {
        let splat = |value| Doubles::splat(simd, value);
        let per_c = 1.0 / neuron.C_m;
        Constants {
            g_na: splat(neuron.g_Na * per_c),
            g_k: splat(neuron.g_K * per_c),
            minus_g_l: splat(-neuron.g_L * per_c),
            e_na: splat(neuron.E_Na),
            e_k: splat(neuron.E_K),
            drive: splat((neuron.I_e + neuron.g_L * neuron.E_L) * per_c),
            per_c: splat(per_c),
            half: splat(step_ms / 2.0),
            whole: splat(step_ms),
            third: splat(step_ms / 3.0),
            sixth: splat(step_ms / 6.0),
        }
    }
}

/// The two exponentials from which all rates derive, at one potential: scaled, they are the closing rates of n and m.
#[derive(Clone, Copy)]
struct Exponentials<S: Simd, const N: usize> {
    /// exp(-(V + 65) / 80) / 8
    beta_n: Doubles<S, N>,
    /// 4 exp(-(V + 65) / 18)
    beta_m: Doubles<S, N>,
}

impl<S: Simd, const N: usize> Exponentials<S, N> {
    #[inline(always)]
    fn at(v: Doubles<S, N>) -> Self {
        let below = -(v + 65.0);
        Exponentials { beta_n: exp(below * (1.0 / 80.0)) * 0.125, beta_m: exp(below * (1.0 / 18.0)) * 4.0 }
    }

    /// The exponentials at a potential that is higher by `move_mv`.
    #[inline(always)]
    fn advanced(self, move_mv: Doubles<S, N>) -> Self {
        let (a, b): (f64, f64) = (-1.0 / 80.0, -1.0 / 18.0);
        let (a2, a3, b2, b3, b4) = (a * a / 2.0, a * a * a / 6.0, b * b / 2.0, b * b * b / 6.0, b * b * b * b / 24.0);
        Exponentials {
            beta_n: self.beta_n * polynomial(move_mv, [a3 * a / 4.0, a3, a2, a, 1.0]),
            beta_m: self.beta_m * polynomial(move_mv, [b4 * b / 5.0, b4, b3, b2, b, 1.0]),
        }
    }
}

/// A polynomial by Horner's rule, with the coefficient of the highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize, const COUNT: usize>(
    x: Doubles<S, N>,
    coefficients: [f64; COUNT],
) -> Doubles<S, N> {
    let mut sum = Doubles::splat(x.token(), coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, coefficient);
    }
    sum
}

/// exp(x) for x from -700 to 700: the nearest whole power of 2, times the Taylor series of the remainder.
#[inline(always)]
fn exp<S: Simd, const N: usize>(x: Doubles<S, N>) -> Doubles<S, N> {
    // Adding and then subtracting 1.5 * 2^52 rounds to the nearest whole number.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let whole = x.mul_add(std::f64::consts::LOG2_E, ROUND) - ROUND;
    // ln 2 is split into two parts, so that the remainder is accurate.
    let rest = whole.mul_add(-0.693_147_180_369_123_8, x);
    let rest = whole.mul_add(-1.908_214_929_270_587_7e-10, rest);
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
struct Rates<S: Simd, const N: usize> {
    alpha_m: Doubles<S, N>,
    beta_m: Doubles<S, N>,
    alpha_h: Doubles<S, N>,
    beta_h: Doubles<S, N>,
    alpha_n: Doubles<S, N>,
    beta_n: Doubles<S, N>,
}

impl<S: Simd, const N: usize> Rates<S, N> {
    /// The rates at potential `v`, which must not be -55 or -40 mV.
    #[inline(always)]
    fn at(v: Doubles<S, N>, exponentials: Exponentials<S, N>) -> Self {
        let one = Doubles::splat(v.token(), 1.0);
        // exp(-(V + 65) / 20) / 2^12 and exp(-(V + 65) / 10) / 2^24.
        let by_40 = exponentials.beta_n * exponentials.beta_n;
        let by_20 = by_40 * by_40;
        let by_10 = by_20 * by_20;
        // The numerators of alpha_n and alpha_m, and the denominators of alpha_n, alpha_m and beta_h.
        let over_n = v.mul_add(0.01, 0.55);
        let over_m = v.mul_add(0.1, 4.0);
        let under_n = by_10.mul_add(-TWO_24 * std::f64::consts::E, one);
        let under_m = by_10.mul_add(-TWO_24 * 12.182_493_960_703_473, one);
        let under_h = by_10.mul_add(TWO_24 * 20.085_536_923_187_668, one);
        let n_and_m = under_n * under_m;
        let all = one / (n_and_m * under_h);
        let n_or_m = all * under_h;
        Rates {
            alpha_m: over_m * (n_or_m * under_n),
            beta_m: exponentials.beta_m,
            alpha_h: by_20 * (0.07 * 4096.0),
            beta_h: all * n_and_m,
            alpha_n: over_n * (n_or_m * under_m),
            beta_n: exponentials.beta_n,
        }
    }
}

/// The time derivatives of the states, given the exponentials at their potentials and the drive (mV/ms).
#[inline(always)]
fn slopes<S: Simd, const N: usize>(
    y: States<S, N>,
    exponentials: Exponentials<S, N>,
    drive: Doubles<S, N>,
    c: &Constants<S, N>,
) -> States<S, N> {
    let rates = Rates::at(y.v, exponentials);
    let na = c.g_na * y.m * (y.m * y.m) * y.h;
    let n2 = y.n * y.n;
    let k = c.g_k * n2 * n2;
    let dv = na.mul_add(c.e_na - y.v, drive);
    let dv = k.mul_add(c.e_k - y.v, dv);
    let dv = c.minus_g_l.mul_add(y.v, dv);
    States {
        v: dv,
        m: gate_slope(rates.alpha_m, rates.beta_m, y.m),
        h: gate_slope(rates.alpha_h, rates.beta_h, y.h),
        n: gate_slope(rates.alpha_n, rates.beta_n, y.n),
    }
}

/// alpha (1 - x) - beta x
#[inline(always)]
fn gate_slope<S: Simd, const N: usize>(alpha: Doubles<S, N>, beta: Doubles<S, N>, x: Doubles<S, N>) -> Doubles<S, N> {
    (-(alpha + beta)).mul_add(x, alpha)
}

/// One step, given the exponentials at its start. Also returns by how much the potential moves up to the last stage.
#[inline(always)]
fn step<S: Simd, const N: usize>(
    y: States<S, N>,
    exponentials: Exponentials<S, N>,
    drive: Doubles<S, N>,
    c: &Constants<S, N>,
) -> (States<S, N>, Doubles<S, N>) {
    let k1 = slopes(y, exponentials, drive, c);
    let y2 = y.advanced(c.half, k1);
    let k2 = slopes(y2, exponentials.advanced(y2.v - y.v), drive, c);
    let y3 = y.advanced(c.half, k2);
    let k3 = slopes(y3, exponentials.advanced(y3.v - y.v), drive, c);
    let y4 = y.advanced(c.whole, k3);
    let move_mv = y4.v - y.v;
    let k4 = slopes(y4, exponentials.advanced(move_mv), drive, c);
    let next = y.advanced(c.sixth, k1).advanced(c.third, k2).advanced(c.third, k3).advanced(c.sixth, k4);
    (next, move_mv)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neuron::{alpha_h, alpha_m, alpha_n, beta_h, beta_m, beta_n};
    use crate::simd::{SimdLevel, dispatch_on};
    use crate::stimulus::{NumpyRandom, OrnsteinUhlenbeck};

    const STEPS: usize = 150;

    fn simulate(level: SimdLevel, currents: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let neuron = HhPscAlpha::default();
        let slices: Vec<&[f64]> = currents.iter().map(Vec::as_slice).collect();
        let mut potentials = vec![vec![0.0; STEPS]; currents.len()];
        let mut rows: Vec<&mut [f64]> = potentials.iter_mut().map(Vec::as_mut_slice).collect();
        let timing = neuron.timing(1.0, 0.1).unwrap();
        let trials = Trials { neuron: &neuron, timing, currents: &slices, potentials: &mut rows, keep_spiking: true };
        let spikes = dispatch_on(level, trials);
        (potentials, spikes.into_iter().map(Result::unwrap).collect())
    }

    /// For any number of trials up to more than two full sets of lanes. The last case has strong noise: most of its
    /// neurons fire.
    #[test]
    fn every_lane_agrees_with_the_scalar_form_and_depends_on_no_other() {
        let mut random = NumpyRandom::seed(3);
        for (sigma, count) in (1..=2 * MAX_LANES + 1).map(|count| (25.0, count)).chain([(60.0, 40)]) {
            let noise = OrnsteinUhlenbeck { sigma, ..OrnsteinUhlenbeck::default() };
            let currents: Vec<Vec<f64>> = (0..count).map(|_| noise.trace(STEPS, &mut random)).collect();
            let best = simulate(SimdLevel::best(), &currents);
            for level in SimdLevel::available() {
                let (potentials, spikes) = simulate(level, &currents);
                // All levels with a fused multiply-add compute the same bits.
                assert!(level == SimdLevel::Portable || potentials == best.0, "{level:?}");
                for (trial, current) in currents.iter().enumerate() {
                    let expected = HhPscAlpha::default().simulate_rk4(current, 1.0, 0.1).unwrap();
                    assert_eq!(spikes[trial], expected.spike_times_ms, "{level:?}, {trial} of {count}");
                    // A spike amplifies rounding errors.
                    let tolerance = if spikes[trial].is_empty() { 1e-9 } else { 1e-6 };
                    let pairs = expected.potential_mv.iter().zip(&potentials[trial]);
                    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(worst < tolerance, "{level:?}, {trial} of {count}: {worst:e}");
                }
                let last = count - 1;
                assert_eq!(simulate(level, &currents[last..]).0[0], potentials[last], "{level:?}, {count}");
            }
        }
    }

    /// Also where the delay is not a whole number of values of the current, or a fixed step spans one of NEST's.
    #[test]
    fn timing_is_that_of_the_scalar_form() {
        let neuron = HhPscAlpha::default();
        let current: Vec<f64> = (0..60).map(|i| 30.0 * f64::from(i % 7 - 3)).collect();
        for (dt_current_ms, resolution_ms) in [(0.3, 0.1), (0.5, 0.05), (2.0, 0.1), (1.0, 0.02)] {
            let many = neuron.simulate_many(std::slice::from_ref(&current), dt_current_ms, resolution_ms).unwrap();
            let one = neuron.simulate_rk4(&current, dt_current_ms, resolution_ms).unwrap();
            let differences = one.potential_mv.iter().zip(&many[0].potential_mv).map(|(a, b)| (a - b).abs());
            assert!(differences.fold(0.0, f64::max) < 1e-9, "{dt_current_ms} {resolution_ms}");
        }
    }

    /// Far below rest, the gates are too fast for the fixed step: the adaptive scheme takes over.
    #[test]
    fn strong_hyperpolarising_currents_agree_with_the_reference() {
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

    /// The rates at many potentials, and the exponentials after a move of each length.
    struct Found<'a> {
        potentials_mv: &'a [f64],
        moves_mv: &'a [f64],
    }

    impl Kernel for Found<'_> {
        type Output = (Vec<[f64; 6]>, Vec<[f64; 4]>);

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let splat = |value| Doubles::<S, 2>::splat(simd, value);
            let rates = self.potentials_mv.iter().map(|&v| {
                let rates = Rates::at(splat(v), Exponentials::at(splat(v)));
                let all = [rates.alpha_m, rates.beta_m, rates.alpha_h, rates.beta_h, rates.alpha_n, rates.beta_n];
                all.map(|rate| rate.lane(0))
            });
            let moved = self.moves_mv.iter().map(|&move_mv| {
                let advanced = Exponentials::at(splat(-65.0)).advanced(splat(move_mv));
                let exact = Exponentials::at(splat(-65.0 + move_mv));
                [advanced.beta_n, exact.beta_n, advanced.beta_m, exact.beta_m].map(|rate| rate.lane(0))
            });
            (rates.collect(), moved.collect())
        }
    }

    #[test]
    fn rates_are_accurate_within_the_range_of_fixed_steps() {
        let potentials: Vec<f64> = (0..=4 * 162).map(|i| -220.0 + f64::from(i) / 4.0).collect();
        for level in SimdLevel::available() {
            let (rates, _) = dispatch_on(level, Found { potentials_mv: &potentials, moves_mv: &[] });
            for (&v, found) in potentials.iter().zip(rates) {
                let exact = [alpha_m(v), beta_m(v), alpha_h(v), beta_h(v), alpha_n(v), beta_n(v)];
                for (found, exact) in found.into_iter().zip(exact) {
                    assert!((found / exact - 1.0).abs() < 1e-12, "{level:?} at {v} mV: {found} {exact}");
                }
            }
        }
    }

    #[test]
    fn exponentials_move_with_the_potential() {
        let moves_mv = [-MAX_MOVE_MV, -0.1, 1e-6, MAX_MOVE_MV];
        for level in SimdLevel::available() {
            let (_, moved) = dispatch_on(level, Found { potentials_mv: &[], moves_mv: &moves_mv });
            for ([n, exact_n, m, exact_m], move_mv) in moved.into_iter().zip(moves_mv) {
                assert!((n / exact_n - 1.0).abs() < 1e-13, "{level:?}, {move_mv} mV");
                assert!((m / exact_m - 1.0).abs() < 1e-13, "{level:?}, {move_mv} mV");
            }
        }
    }
}
