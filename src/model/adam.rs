//! The optimiser.

/// Keras' defaults.
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-7;

/// Adam with its state, in Keras' form and precision.
///
/// The step is `w -= m * alpha / (sqrt(v) + epsilon)` with `alpha = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t)`: the form
/// before section 2.1 of Kingma and Ba (arXiv 1412.6980), whose epsilon (there called epsilon-hat) is added to the root
/// of the uncorrected second moment. libtorch's own Adam adds it to the corrected one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Adam {
    pub learning_rate: f32,
    /// Number of steps so far.
    pub iterations: u64,
    /// Running mean of the gradient, for all weights in order. Empty before the first step.
    pub momentum: Vec<f32>,
    /// Running mean of the squared gradient.
    pub velocity: Vec<f32>,
}

impl Adam {
    pub fn new(learning_rate: f64) -> Self {
        Adam { learning_rate: learning_rate as f32, iterations: 0, momentum: Vec::new(), velocity: Vec::new() }
    }

    /// The rate as a short decimal number: 0.001, not 0.0010000000474974513.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.to_string().parse().unwrap_or(f64::from(self.learning_rate))
    }

    pub fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate as f32;
    }

    /// Makes one step: changes `weights` in place.
    pub fn step(&mut self, weights: &mut [f32], gradient: &[f32]) {
        self.momentum.resize(weights.len(), 0.0);
        self.velocity.resize(weights.len(), 0.0);
        self.iterations += 1;
        let t = self.iterations as f32;
        let alpha = self.learning_rate * (1.0 - BETA_2.powf(t)).sqrt() / (1.0 - BETA_1.powf(t));
        // Keras subtracts in double precision before it rounds.
        let (rate_1, rate_2) = ((1.0 - 0.9_f64) as f32, (1.0 - 0.999_f64) as f32);
        let moments = self.momentum.iter_mut().zip(&mut self.velocity);
        for ((weight, &gradient), (momentum, velocity)) in weights.iter_mut().zip(gradient).zip(moments) {
            *momentum += (gradient - *momentum) * rate_1;
            *velocity += (gradient * gradient - *velocity) * rate_2;
            *weight -= *momentum * alpha / (velocity.sqrt() + EPSILON);
        }
    }
}
