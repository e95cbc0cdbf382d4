//! Injected currents: steps, and Ornstein-Uhlenbeck noise with random numbers from NumPy's legacy stream or from a
//! counter-based one.

mod philox;

pub use philox::{PhiloxRandom, philox4x32};

use std::ops::Range;

use crate::math::ln;
use crate::memory;
use crate::{Error, Result};
use rand_mt::Mt;

/// The source of a data set's random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stream {
    /// NumPy's legacy stream, as in the original study. Trials draw their numbers from it one after the other
    /// ([`NumpyRandom`]).
    #[default]
    Numpy,
    /// A counter-based stream. Each sample has its own numbers, so any part of the data can be generated on any machine
    /// ([`PhiloxRandom`]).
    Philox,
}

impl Stream {
    /// The stream's name on the command line and in the data file.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Numpy => "numpy",
            Stream::Philox => "philox",
        }
    }
}

impl std::str::FromStr for Stream {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Stream::Numpy, Stream::Philox]
            .into_iter()
            .find(|stream| stream.name() == name)
            .ok_or_else(|| Error::parameter("stream", name, "give numpy or philox"))
    }
}

/// A current of `amplitude_pa` (pA) at the values in `on`, and of 0 pA elsewhere: `steps` values.
///
/// Values are counted from 0. What `on` has beyond `steps` is cut off. A simulation stamps value `i` with
/// `(i + 1) * dt_current_ms`, and it acts from 1 ms later. At one value per millisecond, values 20 to 119 act from 22 to
/// 122 ms.
///
/// ```
/// use hhnet::prelude::*;
/// let current_pa = step_current(150.0, 20..120, 160);
/// assert_eq!((&current_pa[19..21], &current_pa[119..121]), (&[0.0, 150.0][..], &[150.0, 0.0][..]));
/// let response = HhPscAlpha::default().simulate(&current_pa, 1.0, 0.1)?;
/// assert!(response.potential_mv[119] > response.potential_mv[19]);
/// # Ok::<(), hhnet::Error>(())
/// ```
///
/// # Panics
/// If there is not enough memory for so many values.
pub fn step_current(amplitude_pa: f64, on: Range<usize>, steps: usize) -> Vec<f64> {
    let mut values = memory::with_capacity("steps", steps);
    values.extend((0..steps).map(|step| if on.contains(&step) { amplitude_pa } else { 0.0 }));
    values
}

/// A source of numbers from the standard normal distribution.
pub trait StandardNormal {
    /// The next number.
    fn standard_normal(&mut self) -> f64;
}

/// NumPy's legacy generator, seeded as by `numpy.random.seed(seed)`: the Mersenne Twister MT19937, and the polar method
/// for normal deviates. Its numbers are those of `numpy.random.random_sample` and `numpy.random.randn` with glibc on a
/// processor with fused multiply-add, bit for bit, and are the same on every platform.
///
/// Sources: M. Matsumoto and T. Nishimura, ACM Trans. Model. Comput. Simul. 8, 3 (1998), doi 10.1145/272991.272995;
/// G. Marsaglia and T. A. Bray, SIAM Review 6, 260 (1964), doi 10.1137/1006063.
///
/// ```
/// use hhnet::stimulus::NumpyRandom;
/// let mut random = NumpyRandom::seed(1234);
/// assert_eq!(random.standard_normal(), 0.47143516373249306); // numpy.random.seed(1234); numpy.random.randn()
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NumpyRandom {
    twister: Mt,
    /// The bits of the second of the two deviates that the polar method makes at a time, until it is drawn.
    spare: Option<u64>,
}

impl NumpyRandom {
    /// The generator in the state that `numpy.random.seed(seed)` sets.
    pub fn seed(seed: u32) -> Self {
        NumpyRandom { twister: Mt::new(seed), spare: None }
    }

    /// The next number from the uniform distribution on [0, 1), with 53 random bits: `numpy.random.random_sample()`.
    #[inline]
    pub fn random_sample(&mut self) -> f64 {
        let high = f64::from(self.twister.next_u32() >> 5);
        let low = f64::from(self.twister.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// The next number from the standard normal distribution: `numpy.random.randn()`.
    pub fn standard_normal(&mut self) -> f64 {
        if let Some(bits) = self.spare.take() {
            return f64::from_bits(bits);
        }
        loop {
            let x1 = 2.0 * self.random_sample() - 1.0;
            let x2 = 2.0 * self.random_sample() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * ln(r2) / r2).sqrt();
                self.spare = Some((f * x1).to_bits());
                return f * x2;
            }
        }
    }
}

impl StandardNormal for NumpyRandom {
    fn standard_normal(&mut self) -> f64 {
        NumpyRandom::standard_normal(self)
    }
}

/// An Ornstein-Uhlenbeck process: noise that returns to a mean value.
///
/// dx = theta (mu - x) dt + sigma dW, in steps of `dt_ms` by the Euler-Maruyama scheme,
///
/// x\[i\] = x\[i-1\] + theta (mu - x\[i-1\]) dt + sigma sqrt(dt) r\[i\], with x\[0\] = x0 and r standard normal.
///
/// The stationary standard deviation is about sigma / sqrt(2 theta), and the correlation time is 1 / theta. With the
/// default values, which are those of the original study, these are 177 pA and 100 ms.
///
/// Source: G. E. Uhlenbeck and L. S. Ornstein, Phys. Rev. 36, 823 (1930), doi 10.1103/PhysRev.36.823.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OrnsteinUhlenbeck {
    /// Rate of return to the mean, 1/ms.
    pub theta: f64,
    /// Mean current, pA.
    pub mu: f64,
    /// Strength of the noise, pA/sqrt(ms).
    pub sigma: f64,
    /// First value, pA.
    pub x0: f64,
    /// Time between two values, ms.
    pub dt_ms: f64,
}

impl Default for OrnsteinUhlenbeck {
    fn default() -> Self {
        OrnsteinUhlenbeck { theta: 0.01, mu: 0.0, sigma: 25.0, x0: 0.0, dt_ms: 1.0 }
    }
}

impl OrnsteinUhlenbeck {
    /// Draws `n` values, pA. Value `i` is stamped `(i + 1) * dt_ms`. This takes `n - 1` normal deviates.
    ///
    /// ```
    /// use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck};
    /// let current_pa = OrnsteinUhlenbeck::default().trace(1000, &mut NumpyRandom::seed(1234));
    /// assert_eq!(current_pa.len(), 1000);
    /// assert_eq!(current_pa[..2], [0.0, 25.0 * 0.47143516373249306]);
    /// ```
    ///
    /// # Panics
    /// If there is not enough memory for so many values.
    pub fn trace(&self, n: usize, random: &mut dyn StandardNormal) -> Vec<f64> {
        let mut trace = memory::with_capacity("n", n);
        trace.resize(n, 0.0);
        self.fill(&mut trace, random);
        trace
    }

    /// Draws as many values as `trace` holds.
    pub(crate) fn fill(&self, trace: &mut [f64], random: &mut (impl StandardNormal + ?Sized)) {
        let mut x = self.x0;
        for (i, value) in trace.iter_mut().enumerate() {
            if i > 0 {
                // From left to right, as in the original study: another order of operations changes the last bits.
                x = x
                    + self.theta * (self.mu - x) * self.dt_ms
                    + self.sigma * self.dt_ms.sqrt() * random.standard_normal();
            }
            *value = x;
        }
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one that is not a finite number in its range. `theta * dt_ms` must be below
    /// 2: from 2 on, the scheme is unstable.
    pub fn validate(&self) -> Result<()> {
        let ranges = [
            ("theta", self.theta, 0.0, f64::MAX, "give a rate of 0 or more, in 1/ms"),
            ("mu", self.mu, f64::MIN, f64::MAX, "give a finite current, in pA"),
            ("sigma", self.sigma, 0.0, f64::MAX, "give a strength of 0 or more, in pA/sqrt(ms)"),
            ("x0", self.x0, f64::MIN, f64::MAX, "give a finite current, in pA"),
            ("dt_ms", self.dt_ms, f64::MIN_POSITIVE, f64::MAX, "give a time step above 0, in ms"),
        ];
        for (name, value, low, high, remedy) in ranges {
            if !(low..=high).contains(&value) {
                return Err(Error::parameter(format!("OrnsteinUhlenbeck::{name}"), value, remedy));
            }
        }
        if self.theta * self.dt_ms >= 2.0 {
            let remedy = format!("with theta = {} /ms give a time step below {} ms", self.theta, 2.0 / self.theta);
            return Err(Error::parameter("OrnsteinUhlenbeck::dt_ms", self.dt_ms, remedy));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_cut_at_the_end_of_the_current() {
        assert_eq!(step_current(2.0, 1..3, 5), [0.0, 2.0, 2.0, 0.0, 0.0]);
        assert_eq!(step_current(-2.0, 2..usize::MAX, 4), [0.0, 0.0, -2.0, -2.0]);
        for on in [7..9, 2..2, Range { start: 3, end: 1 }] {
            assert_eq!(step_current(2.0, on, 4), [0.0; 4]);
        }
        assert!(step_current(2.0, 0..3, 0).is_empty());
    }
}
