//! The optimiser.

use crate::{Error, Result};

/// The optimiser Adam with its state, in Keras' form and precision. The defaults are Keras': `beta_1` 0.9, `beta_2` 0.999,
/// `epsilon` 1e-7.
///
/// The step is `w -= m * alpha / (sqrt(v) + epsilon)` with `alpha = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t)`: the form
/// before section 2.1 of Kingma and Ba (arXiv 1412.6980), whose epsilon (there called epsilon-hat) is added to the root
/// of the uncorrected second moment. libtorch's own Adam adds it to the corrected one.
///
/// ```
/// use hhnet::model::Adam;
/// let optimizer = Adam::new(0.001).beta_1(0.95);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    pub(crate) learning_rate: f32,
    pub(super) beta_1: f64,
    pub(super) beta_2: f64,
    pub(super) epsilon: f64,
    /// Number of steps so far.
    pub(crate) iterations: u64,
    /// Running mean of the gradient, for all weights in order. Empty before the first step.
    pub(crate) momentum: Vec<f32>,
    /// Running mean of the squared gradient.
    pub(crate) velocity: Vec<f32>,
}

impl Adam {
    /// An optimiser with this learning rate, before its first step.
    pub fn new(learning_rate: f64) -> Self {
        Adam {
            learning_rate: learning_rate as f32,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            iterations: 0,
            momentum: Vec::new(),
            velocity: Vec::new(),
        }
    }

    /// Sets how much of the mean gradient each step keeps, 0 or more and below 1.
    pub fn beta_1(self, beta_1: f64) -> Self {
        Adam { beta_1, ..self }
    }

    /// Sets how much of the mean squared gradient each step keeps, 0 or more and below 1.
    pub fn beta_2(self, beta_2: f64) -> Self {
        Adam { beta_2, ..self }
    }

    /// Sets the number, above 0, that keeps steps finite where the gradient is 0.
    pub fn epsilon(self, epsilon: f64) -> Self {
        Adam { epsilon, ..self }
    }

    pub(super) fn check(&self) -> Result<()> {
        check_learning_rate("Adam: learning_rate", f64::from(self.learning_rate))?;
        for (name, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            if !(0.0..1.0).contains(&(beta as f32)) {
                return Err(Error::parameter(format!("Adam: {name}"), beta, "give 0 or more and less than 1"));
            }
        }
        if !is_positive_f32(self.epsilon) {
            return Err(Error::parameter("Adam: epsilon", self.epsilon, "give a small number above 0, such as 1e-7"));
        }
        Ok(())
    }

    /// The rate as a short decimal number: 0.001, not 0.0010000000474974513.
    pub(crate) fn learning_rate(&self) -> f64 {
        self.learning_rate.to_string().parse().unwrap_or(f64::from(self.learning_rate))
    }

    /// Sets the rate. The rest of the state stays.
    pub(super) fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        check_learning_rate("Adam: learning_rate", rate)?;
        self.learning_rate = rate as f32;
        Ok(())
    }

    /// Makes one step: changes `weights` in place.
    pub(crate) fn step(&mut self, weights: &mut [f32], gradient: &[f32]) {
        self.momentum.resize(weights.len(), 0.0);
        self.velocity.resize(weights.len(), 0.0);
        self.iterations += 1;
        // By libm, which has the same bits on every machine.
        let power = |beta: f64| libm::pow(f64::from(beta as f32), self.iterations as f64) as f32;
        let alpha = self.learning_rate * (1.0 - power(self.beta_2)).sqrt() / (1.0 - power(self.beta_1));
        let epsilon = self.epsilon as f32;
        // Keras subtracts in double precision before it rounds.
        let (rate_1, rate_2) = ((1.0 - self.beta_1) as f32, (1.0 - self.beta_2) as f32);
        let moments = self.momentum.iter_mut().zip(&mut self.velocity);
        for ((weight, &gradient), (momentum, velocity)) in weights.iter_mut().zip(gradient).zip(moments) {
            *momentum += (gradient - *momentum) * rate_1;
            *velocity += (gradient * gradient - *velocity) * rate_2;
            *weight -= *momentum * alpha / (velocity.sqrt() + epsilon);
        }
    }
}

pub(super) fn check_learning_rate(name: &str, rate: f64) -> Result<()> {
    if is_positive_f32(rate) {
        return Ok(());
    }
    Err(Error::parameter(name, rate, "give a learning rate above 0, such as 0.001"))
}

/// Whether Adam can use the rate. It is used as a 32-bit number, in which very small numbers are 0 and very large ones
/// infinite.
pub(crate) fn is_positive_f32(rate: f64) -> bool {
    (rate as f32).is_finite() && rate as f32 > 0.0
}
