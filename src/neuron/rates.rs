//! Opening and closing rates of the gates, as functions of the membrane potential.

/// Exponents are limited to this: the exponential overflows from 709.8 on.
const MAX_EXPONENT: f64 = 700.0;

/// x / (1 - exp(-x)). Its limit at x = 0 is 1, where the plain quotient is 0 / 0.
///
/// `expm1` keeps the quotient accurate to the last bits for every other x, however small.
fn exp_linear(x: f64) -> f64 {
    let x = if x < -MAX_EXPONENT { -MAX_EXPONENT } else { x };
    if x == 0.0 { 1.0 } else { -x / libm::expm1(-x) }
}

/// exp(x), limited so that it does not overflow: rates are finite at every finite potential. NaN remains NaN.
fn exp(x: f64) -> f64 {
    libm::exp(if x > MAX_EXPONENT { MAX_EXPONENT } else { x })
}

/// Opening rate of the sodium activation gate m at potential `v` (mV), 1/ms: 0.1 (V + 40) / (1 - exp(-(V + 40) / 10)).
///
/// ```
/// use hhnet::neuron::alpha_m;
/// assert_eq!(alpha_m(-40.0), 1.0); // the limit, where the plain quotient is 0 / 0
/// ```
pub fn alpha_m(v: f64) -> f64 {
    exp_linear((v + 40.0) / 10.0)
}

/// Closing rate of the sodium activation gate m at potential `v` (mV), 1/ms: 4 exp(-(V + 65) / 18).
pub fn beta_m(v: f64) -> f64 {
    4.0 * exp(-(v + 65.0) / 18.0)
}

/// Opening rate of the sodium inactivation gate h at potential `v` (mV), 1/ms: 0.07 exp(-(V + 65) / 20).
pub fn alpha_h(v: f64) -> f64 {
    0.07 * exp(-(v + 65.0) / 20.0)
}

/// Closing rate of the sodium inactivation gate h at potential `v` (mV), 1/ms: 1 / (1 + exp(-(V + 35) / 10)).
pub fn beta_h(v: f64) -> f64 {
    1.0 / (1.0 + exp(-(v + 35.0) / 10.0))
}

/// Opening rate of the potassium gate n at potential `v` (mV), 1/ms: 0.01 (V + 55) / (1 - exp(-(V + 55) / 10)).
pub fn alpha_n(v: f64) -> f64 {
    0.1 * exp_linear((v + 55.0) / 10.0)
}

/// Closing rate of the potassium gate n at potential `v` (mV), 1/ms: 0.125 exp(-(V + 65) / 80).
pub fn beta_n(v: f64) -> f64 {
    0.125 * exp(-(v + 65.0) / 80.0)
}
