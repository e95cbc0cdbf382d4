//! The Hodgkin-Huxley neuron: NEST's model `hh_psc_alpha`.
//!
//! The membrane potential V (mV) follows
//!
//! C_m dV/dt = I - g_Na m³ h (V - E_Na) - g_K n⁴ (V - E_K) - g_L (V - E_L),
//!
//! and each gate x of m, h, n follows dx/dt = alpha_x(V) (1 - x) - beta_x(V) x. With C_m in pF, conductances in nS,
//! potentials in mV and currents in pA, time comes out in ms.
//!
//! Source: A. L. Hodgkin and A. F. Huxley, J. Physiol. 117, 500 (1952), doi 10.1113/jphysiol.1952.sp004764, in the form
//! and with the values of the NEST simulator's `hh_psc_alpha`. NEST's model also has synapses (alpha-shaped currents).
//! Here only the injected current drives the neuron.

mod rates;
mod vector;

use crate::math::ln;
use crate::simd::{SimdLevel, dispatch_on};
use crate::{Error, Result};

pub use rates::{alpha_h, alpha_m, alpha_n, beta_h, beta_m, beta_n};
pub(crate) use vector::Trials;

/// Parameters of the neuron, with NEST's names and default values.
#[allow(non_snake_case)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HhPscAlpha {
    /// Membrane capacitance, pF.
    pub C_m: f64,
    /// Peak sodium conductance, nS.
    pub g_Na: f64,
    /// Peak potassium conductance, nS.
    pub g_K: f64,
    /// Leak conductance, nS.
    pub g_L: f64,
    /// Sodium reversal potential, mV.
    pub E_Na: f64,
    /// Potassium reversal potential, mV.
    pub E_K: f64,
    /// Leak reversal potential, mV.
    pub E_L: f64,
    /// Constant current in addition to the injected one, pA.
    pub I_e: f64,
    /// Refractory period after a spike, in which no further one is counted, ms. It does not clamp the potential.
    pub t_ref: f64,
}

impl Default for HhPscAlpha {
    fn default() -> Self {
        HhPscAlpha {
            C_m: 100.0,
            g_Na: 12_000.0,
            g_K: 3_600.0,
            g_L: 30.0,
            E_Na: 50.0,
            E_K: -77.0,
            E_L: -54.402,
            I_e: 0.0,
            t_ref: 2.0,
        }
    }
}

/// The neuron's response to an injected current.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Membrane potential, mV. Value `i` is that at time `(i + 1) * dt_ms`.
    pub potential_mv: Vec<f64>,
    /// Spike times, ms.
    pub spike_times_ms: Vec<f64>,
    /// Time between two values of the potential, ms: the simulation's `dt_current_ms`.
    pub dt_ms: f64,
}

impl Response {
    /// The time of each value of the potential, ms: `dt_ms`, `2 * dt_ms`, ..., rounded to 1e-9 ms as spike times are.
    ///
    /// ```
    /// use hhnet::prelude::*;
    /// let response = HhPscAlpha::default().simulate(&step_current(500.0, 0..100, 300), 0.1, 0.1)?;
    /// assert_eq!(response.time_ms()[..3], [0.1, 0.2, 0.3]);
    /// let mut figure = Figure::new();
    /// figure.axes(0, 0).plot(&response.time_ms(), &response.potential_mv, "V(t)").xlabel("t (ms)").ylabel("Vm (mV)");
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn time_ms(&self) -> Vec<f64> {
        (1..=self.potential_mv.len()).map(|steps| time_ms(steps, self.dt_ms)).collect()
    }
}

/// The neuron's response with the gates and the ionic currents behind it, all at the times of the potential.
///
/// An ionic current is positive when positive charge flows out of the cell, as in the [equation](self) of the potential,
/// where it is subtracted. Sodium's is negative up to `E_Na`, potassium's is positive above `E_K`.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Potential, spikes and times, the same as from [`HhPscAlpha::simulate`].
    pub response: Response,
    /// Sodium activation gate: the fraction that is open, 0 to 1.
    pub m: Vec<f64>,
    /// Sodium inactivation gate: the fraction that is open, 0 to 1.
    pub h: Vec<f64>,
    /// Potassium gate: the fraction that is open, 0 to 1.
    pub n: Vec<f64>,
    /// Sodium current g_Na m³ h (V - E_Na), pA.
    pub i_na_pa: Vec<f64>,
    /// Potassium current g_K n⁴ (V - E_K), pA.
    pub i_k_pa: Vec<f64>,
    /// Leak current g_L (V - E_L), pA.
    pub i_l_pa: Vec<f64>,
}

/// Membrane potential at the start of every simulation, mV. The gates start at their steady state for it.
pub const INITIAL_POTENTIAL_MV: f64 = -65.0;

/// NEST's default transmission delay, ms: a current stamped with time t acts from t + 1 ms on.
pub const DELAY_MS: f64 = 1.0;

/// Tolerated local error of a step, in mV for the potential and without unit for the gates: NEST's `gsl_error_tol`.
const ERROR_TOLERANCE: f64 = 1e-3;

/// Fehlberg's scheme: the weights of the slopes in stages 2 to 6, in the solution of order 5, and in the difference
/// between this solution and that of order 4.
const FEHLBERG_STAGES: [[f64; 5]; 5] = [
    [0.25, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 32.0, 9.0 / 32.0, 0.0, 0.0, 0.0],
    [1932.0 / 2197.0, -7200.0 / 2197.0, 7296.0 / 2197.0, 0.0, 0.0],
    [439.0 / 216.0, -8.0, 3680.0 / 513.0, -845.0 / 4104.0, 0.0],
    [-8.0 / 27.0, 2.0, -3544.0 / 2565.0, 1859.0 / 4104.0, -11.0 / 40.0],
];
const FEHLBERG_ORDER_5: [f64; 6] = [16.0 / 135.0, 0.0, 6656.0 / 12825.0, 28561.0 / 56430.0, -9.0 / 50.0, 2.0 / 55.0];
const FEHLBERG_DIFFERENCE: [f64; 6] = [1.0 / 360.0, 0.0, -128.0 / 4275.0, -2197.0 / 75240.0, 1.0 / 50.0, 2.0 / 55.0];

/// Fixed steps are valid below this potential, mV. On the way to a spike, steps must be shorter.
const HIGHEST_MV: f64 = -58.0;
/// Fixed steps are valid above this potential, mV. There, no exponential can overflow.
const LOWEST_MV: f64 = -220.0;
/// Fixed steps are valid where the closing rate of m times the step is below this. From 2.8 on, the scheme is unstable.
const MAX_RATE: f64 = 2.0;
/// Fixed steps are valid where the potential moves by less than this in a step, mV.
const MAX_MOVE_MV: f64 = 0.3;

/// The most steps of the grid within a value of the current, or within the delay.
const MAX_STEPS: usize = 100_000;
/// The most steps of the adaptive scheme within a step of the grid: a spike takes a few. What needs more would take days.
const MAX_ADAPTIVE_STEPS: usize = 10_000;

/// A membrane potential further from 0 mV than this has run away.
const POTENTIAL_LIMIT_MV: f64 = 1e3;

/// Membrane potential (mV) and gates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    v: f64,
    m: f64,
    h: f64,
    n: f64,
}

impl State {
    /// The steady state at potential `v`: each gate at alpha / (alpha + beta).
    fn steady(v: f64) -> Self {
        State {
            v,
            m: alpha_m(v) / (alpha_m(v) + beta_m(v)),
            h: alpha_h(v) / (alpha_h(v) + beta_h(v)),
            n: alpha_n(v) / (alpha_n(v) + beta_n(v)),
        }
    }

    /// The state after `dt` ms with a weighted sum of slopes.
    #[inline]
    fn advanced(self, dt: f64, weights: &[f64], slopes: &[State]) -> Self {
        weights.iter().zip(slopes).fold(self, |y, (&weight, &k)| State {
            v: y.v + dt * weight * k.v,
            m: y.m + dt * weight * k.m,
            h: y.h + dt * weight * k.h,
            n: y.n + dt * weight * k.n,
        })
    }
}

impl HhPscAlpha {
    /// The model's equations: the time derivative of each variable (mV/ms, 1/ms) under the injected current `i` (pA).
    fn derivative(&self, y: State, i: f64) -> State {
        let [i_na, i_k, i_l] = self.ionic_currents(y);
        let State { v, m, h, n } = y;
        State {
            v: (i + self.I_e - i_na - i_k - i_l) / self.C_m,
            m: alpha_m(v) * (1.0 - m) - beta_m(v) * m,
            h: alpha_h(v) * (1.0 - h) - beta_h(v) * h,
            n: alpha_n(v) * (1.0 - n) - beta_n(v) * n,
        }
    }

    /// The outward currents of sodium, potassium and the leak, pA.
    fn ionic_currents(&self, State { v, m, h, n }: State) -> [f64; 3] {
        [
            self.g_Na * m * m * m * h * (v - self.E_Na),
            self.g_K * n * n * n * n * (v - self.E_K),
            self.g_L * (v - self.E_L),
        ]
    }

    /// Advances the state by `resolution` ms under the injected current `i`, in as many Runge-Kutta-Fehlberg steps as
    /// the local error requires. `step` is the step size to try first, ms; on return, it is the one to try next.
    ///
    /// The step size control is that of the GNU Scientific Library's `odeiv_evolve` with `control_y`, which NEST uses.
    /// If the error estimate exceeds the tolerance by more than a tenth, the step is repeated with a smaller size. If
    /// the estimate is below half the tolerance, the next step is larger.
    ///
    /// Returns `None` if this takes too many steps: the equations are too fast for the resolution.
    fn advance(&self, mut y: State, i: f64, resolution: f64, step: &mut f64) -> Option<State> {
        let (mut t, mut steps) = (0.0, 0);
        while t < resolution {
            steps += 1;
            if steps > MAX_ADAPTIVE_STEPS {
                return None;
            }
            let last = *step > resolution - t;
            let length = if last { resolution - t } else { *step };
            let (next, error) = self.fehlberg(y, i, length);
            // A step so long that it overflows is repeated, too.
            let excess = if next.v.is_finite() { error / ERROR_TOLERANCE } else { f64::MAX };
            *step = length;
            if excess > 1.1 {
                let shorter = length * (0.9 / libm::exp(ln(excess) / 5.0)).max(0.2);
                if t + shorter != t {
                    *step = shorter;
                    continue;
                }
            } else if excess < 0.5 {
                *step *= (0.9 / libm::exp(ln(excess.max(f64::MIN_POSITIVE)) / 6.0)).clamp(1.0, 5.0);
            }
            (y, t) = (next, if last { resolution } else { t + length });
        }
        Some(y)
    }

    /// One step of the Runge-Kutta-Fehlberg scheme: the solution of order 5, and its largest difference from the
    /// solution of order 4, over all variables.
    ///
    /// Source: E. Fehlberg, Computing 6, 61 (1970), doi 10.1007/BF02241732.
    fn fehlberg(&self, y: State, i: f64, dt: f64) -> (State, f64) {
        let mut slopes = [self.derivative(y, i); 6];
        for (stage, weights) in (1..).zip(&FEHLBERG_STAGES) {
            slopes[stage] = self.derivative(y.advanced(dt, &weights[..stage], &slopes), i);
        }
        let error = State { v: 0.0, m: 0.0, h: 0.0, n: 0.0 }.advanced(dt, &FEHLBERG_DIFFERENCE, &slopes);
        let largest = error.v.abs().max(error.m.abs()).max(error.h.abs()).max(error.n.abs());
        (y.advanced(dt, &FEHLBERG_ORDER_5, &slopes), largest)
    }

    /// Simulates the response to an injected current, one neuron at a time: the scalar reference.
    ///
    /// `current_pa` holds one value for every `dt_current_ms`. `resolution_ms` is NEST's resolution, the time step of
    /// the simulation's grid. It must divide `dt_current_ms` and the delay of 1 ms. Below threshold, one integration
    /// step spans it; during a spike, integration steps are shorter.
    ///
    /// The timing is that of a NEST simulation in which a step current generator drives the neuron and a multimeter
    /// records it. Value `i` of the current is stamped `(i + 1) * dt_current_ms`. It acts from 1 ms later (NEST's
    /// default delay) until the next value does; before the first value, no current is injected. Potential `i` is
    /// recorded at `(i + 1) * dt_current_ms`. A spike is counted at the end of a time step if V is then at least 0 mV
    /// and falling, unless one was counted within the refractory period before.
    ///
    /// # Errors
    /// [`Error::Parameter`] if a parameter is outside its range, or if `resolution_ms` does not divide what it must;
    /// [`Error::NotFinite`] if a current is not finite, or if the potential runs away.
    ///
    /// ```
    /// use hhnet::neuron::HhPscAlpha;
    /// let rest = HhPscAlpha::default().simulate(&[0.0; 100], 1.0, 0.1)?;
    /// assert!(rest.spike_times_ms.is_empty() && (rest.potential_mv[99] + 65.0).abs() < 0.1);
    /// let strong = HhPscAlpha::default().simulate(&[1000.0; 100], 1.0, 0.1)?;
    /// assert!(strong.spike_times_ms.len() > 3);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn simulate(&self, current_pa: &[f64], dt_current_ms: f64, resolution_ms: f64) -> Result<Response> {
        let mut potential_mv = Vec::with_capacity(current_pa.len());
        let spike_times_ms = self.integrate(current_pa, dt_current_ms, resolution_ms, |y| potential_mv.push(y.v))?;
        Ok(Response { potential_mv, spike_times_ms, dt_ms: dt_current_ms })
    }

    /// Like [`simulate`](Self::simulate), and records the gates and the ionic currents at the times of the potential.
    ///
    /// For a smooth picture of a spike, give ten values of the current per millisecond.
    ///
    /// # Errors
    /// As for `simulate`.
    ///
    /// ```
    /// use hhnet::prelude::*;
    /// // A pulse of 2 ms, in values of 0.1 ms.
    /// let recording = HhPscAlpha::default().record(&step_current(800.0, 50..70, 300), 0.1, 0.1)?;
    /// assert_eq!(recording.response.spike_times_ms.len(), 1);
    /// let most_open = |gate: &[f64]| gate.iter().copied().fold(0.0, f64::max);
    /// assert!(most_open(&recording.m) > 0.98 && most_open(&recording.n) < 0.8);
    /// // Sodium flows into the cell, potassium out of it.
    /// assert!(recording.i_na_pa.iter().all(|&i| i < 0.0) && recording.i_k_pa.iter().all(|&i| i > 0.0));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn record(&self, current_pa: &[f64], dt_current_ms: f64, resolution_ms: f64) -> Result<Recording> {
        let mut states = Vec::with_capacity(current_pa.len());
        let spike_times_ms = self.integrate(current_pa, dt_current_ms, resolution_ms, |y| states.push(y))?;
        let each = |quantity: &dyn Fn(State) -> f64| states.iter().map(|&y| quantity(y)).collect();
        let ionic = |nth: usize| each(&|y| self.ionic_currents(y)[nth]);
        Ok(Recording {
            response: Response { potential_mv: each(&|y| y.v), spike_times_ms, dt_ms: dt_current_ms },
            m: each(&|y| y.m),
            h: each(&|y| y.h),
            n: each(&|y| y.n),
            i_na_pa: ionic(0),
            i_k_pa: ionic(1),
            i_l_pa: ionic(2),
        })
    }

    /// Integrates adaptively, and passes the state on at the time of each value. Returns the spike times.
    fn integrate(
        &self,
        current_pa: &[f64],
        dt_current_ms: f64,
        resolution_ms: f64,
        mut keep: impl FnMut(State),
    ) -> Result<Vec<f64>> {
        let timing = self.timing(dt_current_ms, resolution_ms)?;
        check_current(current_pa)?;
        let mut y = State::steady(INITIAL_POTENTIAL_MV);
        let mut adaptive = AdaptiveState::new(timing);
        for value in 0..current_pa.len() {
            y = self.value_adaptively(y, value, timing, current_pa, &mut adaptive)?;
            keep(y);
        }
        Ok(adaptive.spike_times_ms)
    }

    /// Like [`simulate`](Self::simulate), but by the classical Runge-Kutta scheme of order 4 with a fixed step. This is
    /// the scalar form of [`simulate_many`](Self::simulate_many).
    ///
    /// As in `simulate`, `resolution_ms` is NEST's resolution. The fixed step spans two of these: 0.2 ms at the usual
    /// resolution of 0.1 ms. If two do not divide both `dt_current_ms` and the delay, it spans one.
    ///
    /// From each value of the potential to the next, the potential must stay below -58 mV and above the limit that the
    /// fast gate m sets (about -81 mV for a step of 0.2 ms), and must move by less than 0.3 mV in each step. Otherwise,
    /// this interval is integrated as in `simulate`. The spikes are therefore those of `simulate`.
    ///
    /// Elsewhere, the two potentials differ by about 1e-5 mV at a resolution of 0.1 ms, and by a 16th of that with each
    /// halving of the resolution. A neuron that comes close to spiking amplifies earlier differences: in the 10 million
    /// values of the original study, the largest difference is 4e-3 mV, and 74 exceed 1e-4 mV.
    ///
    /// # Errors
    /// As for `simulate`.
    ///
    /// ```
    /// use hhnet::neuron::HhPscAlpha;
    /// let (neuron, current_pa) = (HhPscAlpha::default(), [50.0; 100]);
    /// let [adaptive, fixed] =
    ///     [neuron.simulate(&current_pa, 1.0, 0.1)?, neuron.simulate_rk4(&current_pa, 1.0, 0.1)?];
    /// assert!((adaptive.potential_mv[99] - fixed.potential_mv[99]).abs() < 1e-4);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn simulate_rk4(&self, current_pa: &[f64], dt_current_ms: f64, resolution_ms: f64) -> Result<Response> {
        let timing = self.timing(dt_current_ms, resolution_ms)?;
        check_current(current_pa)?;
        let (step_ms, span) = (timing.fixed_step_ms(), timing.fixed_span());
        let (lowest_mv, highest_mv) = timing.fixed_range_mv();
        let mut y = State::steady(INITIAL_POTENTIAL_MV);
        let mut adaptive = AdaptiveState::new(timing);
        let mut potential_mv = Vec::with_capacity(current_pa.len());
        for value in 0..current_pa.len() {
            let before = y;
            let mut is_valid = true;
            for step in (value * timing.steps_per_value..(value + 1) * timing.steps_per_value).step_by(span) {
                let i = timing.current_in_step(step, current_pa);
                let k1 = self.derivative(y, i);
                let k2 = self.derivative(y.advanced(step_ms, &[0.5], &[k1]), i);
                let k3 = self.derivative(y.advanced(step_ms, &[0.5], &[k2]), i);
                let y4 = y.advanced(step_ms, &[1.0], &[k3]);
                let k4 = self.derivative(y4, i);
                is_valid &= (y4.v - y.v).abs() < MAX_MOVE_MV;
                y = y.advanced(step_ms, &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0], &[k1, k2, k3, k4]);
                is_valid &= lowest_mv < y.v && y.v < highest_mv;
            }
            if !is_valid {
                y = self.value_adaptively(before, value, timing, current_pa, &mut adaptive)?;
            }
            potential_mv.push(y.v);
        }
        Ok(Response { potential_mv, spike_times_ms: adaptive.spike_times_ms, dt_ms: dt_current_ms })
    }

    /// Like [`simulate`](Self::simulate), for many currents of the same length. One SIMD vector holds several neurons,
    /// which makes this dozens of times as fast.
    ///
    /// The scheme is that of [`simulate_rk4`](Self::simulate_rk4); the potentials agree to within 1e-9 mV. The response
    /// to a current depends, to the last bit, neither on the other currents nor on their number.
    ///
    /// # Errors
    /// As for `simulate`, and [`Error::Shape`] if the currents differ in length.
    ///
    /// ```
    /// use hhnet::neuron::HhPscAlpha;
    /// let currents: Vec<Vec<f64>> = (0..20).map(|i| vec![10.0 * f64::from(i); 100]).collect();
    /// let responses = HhPscAlpha::default().simulate_many(&currents, 1.0, 0.1)?;
    /// assert!(responses[1].potential_mv[99] < responses[2].potential_mv[99]);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn simulate_many(
        &self,
        currents_pa: &[Vec<f64>],
        dt_current_ms: f64,
        resolution_ms: f64,
    ) -> Result<Vec<Response>> {
        self.simulate_many_on(SimdLevel::best(), currents_pa, dt_current_ms, resolution_ms)
    }

    /// Like [`simulate_many`](Self::simulate_many), at a given SIMD level, to compare speeds.
    ///
    /// # Errors
    /// As for `simulate_many`.
    pub fn simulate_many_on(
        &self,
        level: SimdLevel,
        currents_pa: &[Vec<f64>],
        dt_current_ms: f64,
        resolution_ms: f64,
    ) -> Result<Vec<Response>> {
        let timing = self.timing(dt_current_ms, resolution_ms)?;
        let length = currents_pa.first().map_or(0, Vec::len);
        if let Some(i) = currents_pa.iter().position(|current| current.len() != length) {
            let (expected, found) = (format!("({length},)"), format!("({},)", currents_pa[i].len()));
            return Err(Error::shape(format!("current {i}"), expected, found, "give currents of one length"));
        }
        currents_pa.iter().try_for_each(|current| check_current(current))?;
        let mut potentials = vec![vec![0.0; length]; currents_pa.len()];
        let currents: Vec<&[f64]> = currents_pa.iter().map(Vec::as_slice).collect();
        let mut slices: Vec<&mut [f64]> = potentials.iter_mut().map(Vec::as_mut_slice).collect();
        let trials = Trials { neuron: self, timing, currents: &currents, potentials: &mut slices, keep_spiking: true };
        let spikes = dispatch_on(level, trials);
        potentials
            .into_iter()
            .zip(spikes)
            .map(|(potential_mv, spikes)| Ok(Response { potential_mv, spike_times_ms: spikes?, dt_ms: dt_current_ms }))
            .collect()
    }

    /// Checks the parameters, and returns the timing.
    pub(crate) fn timing(&self, dt_current_ms: f64, resolution_ms: f64) -> Result<Timing> {
        self.validate()?;
        Timing::new(dt_current_ms, resolution_ms)
    }

    /// Simulates as NEST does, from state `y` to the state at which value number `value` of the potential is recorded.
    fn value_adaptively(
        &self,
        mut y: State,
        value: usize,
        timing: Timing,
        current_pa: &[f64],
        adaptive: &mut AdaptiveState,
    ) -> Result<State> {
        let Timing { resolution_ms, steps_per_value, .. } = timing;
        for step in value * steps_per_value..(value + 1) * steps_per_value {
            let i = timing.current_in_step(step, current_pa);
            let before = y.v;
            let place = || format!("t = {} ms", time_ms(step + 1, resolution_ms));
            let Some(next) = self.advance(y, i, resolution_ms, &mut adaptive.step_ms) else {
                let remedy = format!(
                    "the potential changes too fast to be followed at {}: give a larger capacitance or smaller \
                     conductances, or a resolution_ms below {resolution_ms} ms",
                    place()
                );
                return Err(Error::parameter("HhPscAlpha::C_m", self.C_m, remedy));
            };
            y = next;
            if y.v.is_nan() || y.v.abs() > POTENTIAL_LIMIT_MV {
                let remedy = format!(
                    "the current there is {i} pA: inject less, or give a resolution_ms below {resolution_ms} ms"
                );
                return Err(Error::not_finite("membrane potential (mV)", y.v, place(), remedy));
            }
            if step >= adaptive.ready_at && y.v >= 0.0 && before > y.v {
                adaptive.spike_times_ms.push(time_ms(step + 1, resolution_ms));
                adaptive.ready_at = (step + 1).saturating_add((self.t_ref / resolution_ms).round() as usize);
            }
        }
        Ok(y)
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<()> {
        let ranges = [
            ("C_m", self.C_m, f64::MIN_POSITIVE, f64::MAX, "give a capacitance above 0, in pF"),
            ("g_Na", self.g_Na, 0.0, f64::MAX, "give a conductance of 0 or more, in nS"),
            ("g_K", self.g_K, 0.0, f64::MAX, "give a conductance of 0 or more, in nS"),
            ("g_L", self.g_L, 0.0, f64::MAX, "give a conductance of 0 or more, in nS"),
            ("E_Na", self.E_Na, -1e3, 1e3, "give a potential from -1000 to 1000 mV"),
            ("E_K", self.E_K, -1e3, 1e3, "give a potential from -1000 to 1000 mV"),
            ("E_L", self.E_L, -1e3, 1e3, "give a potential from -1000 to 1000 mV"),
            ("I_e", self.I_e, f64::MIN, f64::MAX, "give a finite current, in pA"),
            ("t_ref", self.t_ref, 0.0, f64::MAX, "give a time of 0 or more, in ms"),
        ];
        for (name, value, low, high, remedy) in ranges {
            if !(low..=high).contains(&value) {
                return Err(Error::parameter(format!("HhPscAlpha::{name}"), value, remedy));
            }
        }
        Ok(())
    }
}

/// The timing of a simulation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// NEST's resolution, ms.
    resolution_ms: f64,
    /// Number of NEST's steps, each as long as the resolution, per value of the current.
    steps_per_value: usize,
    /// Number of NEST's steps before the first value of the current acts.
    onset_steps: usize,
}

impl Timing {
    fn new(dt_current_ms: f64, resolution_ms: f64) -> Result<Self> {
        check_time("dt_current_ms", dt_current_ms)?;
        let steps = [dt_current_ms, DELAY_MS].map(|duration_ms| whole_steps(duration_ms, resolution_ms));
        let [Some(steps_per_value), Some(delay_steps)] = steps else {
            let remedy = format!(
                "give a time step that divides dt_current_ms, the time between two values of the current \
                 ({dt_current_ms} ms), and the delay of {DELAY_MS} ms"
            );
            return Err(Error::parameter("resolution_ms", resolution_ms, remedy));
        };
        if delay_steps > MAX_STEPS {
            let shortest_ms = DELAY_MS / MAX_STEPS as f64;
            return Err(Error::parameter("resolution_ms", resolution_ms, format!("give {shortest_ms} ms or more")));
        }
        if steps_per_value > MAX_STEPS {
            let longest_ms = MAX_STEPS as f64 * resolution_ms;
            let remedy = format!("with a resolution_ms of {resolution_ms} ms, give {longest_ms} ms or less");
            return Err(Error::parameter("dt_current_ms", dt_current_ms, remedy));
        }
        Ok(Timing { resolution_ms, steps_per_value, onset_steps: steps_per_value + delay_steps })
    }

    /// The injected current (pA) during one of NEST's steps.
    fn current_in_step(self, step: usize, current_pa: &[f64]) -> f64 {
        if step < self.onset_steps { 0.0 } else { current_pa[(step - self.onset_steps) / self.steps_per_value] }
    }

    /// Number of NEST's steps that a fixed step spans.
    fn fixed_span(self) -> usize {
        if self.steps_per_value.is_multiple_of(2) && self.onset_steps.is_multiple_of(2) { 2 } else { 1 }
    }

    fn fixed_step_ms(self) -> f64 {
        self.fixed_span() as f64 * self.resolution_ms
    }

    /// The lowest and the highest potential between which fixed steps are valid, mV.
    fn fixed_range_mv(self) -> (f64, f64) {
        // Here the closing rate of m, 4 exp(-(V + 65) / 18), times the step is MAX_RATE.
        let lowest = -65.0 - 18.0 * ln(MAX_RATE / (4.0 * self.fixed_step_ms()));
        (lowest.max(LOWEST_MV), HIGHEST_MV)
    }
}

/// What the adaptive scheme keeps of a trial from one step to the next, and the spikes that it has counted.
#[derive(Debug, Clone)]
pub(crate) struct AdaptiveState {
    /// The step size to try next, ms.
    step_ms: f64,
    /// The first step at whose end a spike may be counted again.
    ready_at: usize,
    spike_times_ms: Vec<f64>,
}

impl AdaptiveState {
    fn new(timing: Timing) -> Self {
        AdaptiveState { step_ms: timing.resolution_ms, ready_at: 0, spike_times_ms: Vec::new() }
    }
}

fn check_current(current_pa: &[f64]) -> Result<()> {
    match current_pa.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => {
            Err(Error::not_finite("current", current_pa[i], format!("value {i}"), "give finite currents, in pA"))
        }
    }
}

/// The time after `steps` steps, ms, rounded to 1e-9 ms, so that three steps of 0.1 ms make 0.3 ms.
fn time_ms(steps: usize, resolution_ms: f64) -> f64 {
    (steps as f64 * resolution_ms * 1e9).round() / 1e9
}

/// Checks a time between values.
pub(crate) fn check_time(name: &str, ms: f64) -> Result<()> {
    if ms > 0.0 && ms.is_finite() { Ok(()) } else { Err(Error::parameter(name, ms, "give a time above 0, in ms")) }
}

/// The number of steps of `step_ms` in `duration_ms`; `None` unless it is a whole number of 1 or more.
pub(crate) fn whole_steps(duration_ms: f64, step_ms: f64) -> Option<usize> {
    let count = (duration_ms / step_ms).round();
    let whole =
        step_ms > 0.0 && (1.0..1e15).contains(&count) && (count * step_ms - duration_ms).abs() < 1e-9 * duration_ms;
    whole.then_some(count as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At -55 and -40 mV, rates are quotients of zeros. Reference: 4000 steps of the classical Runge-Kutta scheme and
    /// Richardson extrapolation in decimal arithmetic with 30 digits (mpmath), from the gates' steady state.
    #[test]
    fn the_adaptive_scheme_passes_the_singularities() {
        let gates = |m, h, n| [m, h, n];
        let (at_55, at_55_driven) = (
            (-57.472_589_760, gates(0.153_114_803, 0.263_167_114, 0.475_077_458)),
            (-57.200_225_278, gates(0.153_656_264, 0.263_109_368, 0.475_121_402)),
        );
        let (at_40, at_40_driven) = (
            (-55.015_329_304, gates(0.455_029_228, 0.052_314_671, 0.676_131_038)),
            (-54.807_284_935, gates(0.455_731_971, 0.052_287_188, 0.676_162_595)),
        );
        for (start, current, (v, gates)) in
            [(-55.0, 0.0, at_55), (-55.0, 300.0, at_55_driven), (-40.0, 0.0, at_40), (-40.0, 300.0, at_40_driven)]
        {
            for start in [start, f64::next_up(start), f64::next_down(start)] {
                let mut step = 0.1;
                let found = HhPscAlpha::default().advance(State::steady(start), current, 0.1, &mut step).unwrap();
                assert!(
                    (found.v - v).abs() < ERROR_TOLERANCE,
                    "from {start} mV with {current} pA: {} mV, not {v}",
                    found.v
                );
                for (found, expected) in [found.m, found.h, found.n].into_iter().zip(gates) {
                    assert!(
                        (found - expected).abs() < ERROR_TOLERANCE / 10.0,
                        "from {start} mV with {current} pA: {found}, not {expected}"
                    );
                }
            }
        }
    }
}
