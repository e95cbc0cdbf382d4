//! The network on libtorch, with its automatic differentiation.

use tch::{Kind, TchError, Tensor};

use super::Executor;
use super::samples::{Part, Samples, surroundings};
use crate::model::{forward, from_tensor, to_tensor};
use crate::{Error, Result};

impl Executor {
    /// The sum of squared errors of a part, whole samples, and its gradient with respect to all weights.
    pub(super) fn libtorch_gradient(
        &self,
        weights: &[f32],
        Part { samples, rows, .. }: &Part,
    ) -> Result<(f64, Vec<f32>)> {
        let Samples { steps, channels, outputs, .. } = **samples;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for &row in rows.iter() {
            x.extend(samples.sample(row).0);
            y.extend(samples.sample(row).1);
        }
        let compute = || {
            let weights = self.tensors(weights, true)?;
            let x = to_tensor(&x, &[rows.len(), steps, channels], self.device)?;
            let y = to_tensor(&y, &[rows.len(), steps, outputs], self.device)?;
            let error = forward(&self.network, &weights, &x)?.f_sub(&y)?.f_square()?.f_sum(Kind::Float)?;
            let mut gradient = Vec::new();
            for tensor in Tensor::f_run_backward(&[&error], &weights, false, false)? {
                gradient.extend(from_tensor(&tensor)?);
            }
            Ok((error.f_double_value(&[])?, gradient))
        };
        compute().map_err(Error::torch("compute loss and gradient"))
    }

    /// The output for a part. If this is a stretch of a sample, its output also depends on the steps around it.
    pub(super) fn libtorch_predict(&self, weights: &[f32], part: &Part) -> Result<Vec<f32>> {
        let Part { samples, rows, steps } = part;
        let (around, wanted) = surroundings(steps, samples.steps, self.network.reach());
        let mut x = Vec::with_capacity(rows.len() * around.len() * samples.channels);
        rows.iter().for_each(|&row| x.extend(samples.stretch(row, &around).0));
        let compute = || {
            let x = to_tensor(&x, &[rows.len(), around.len(), samples.channels], self.device)?;
            let y = forward(&self.network, &self.tensors(weights, false)?, &x)?;
            from_tensor(&y.f_narrow(1, wanted.start as i64, wanted.len() as i64)?)
        };
        compute().map_err(Error::torch("apply the model"))
    }

    fn tensors(&self, weights: &[f32], requires_grad: bool) -> Result<Vec<Tensor>, TchError> {
        let variables = self.network.variables();
        variables
            .iter()
            .map(|variable| {
                let tensor = to_tensor(&weights[variable.range.clone()], &variable.shape, self.device)?;
                Ok(tensor.set_requires_grad(requires_grad))
            })
            .collect()
    }
}
