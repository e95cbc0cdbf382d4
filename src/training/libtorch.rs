//! The network on libtorch, with its automatic differentiation.

use tch::{Kind, Tensor};

use super::Executor;
use super::samples::{Part, Samples};
use crate::model::{Activation, NetworkLayer, forward, forward_with, from_tensor, to_tensor};
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
            for part in Tensor::f_run_backward(&[&error], &weights, false, false)? {
                gradient.extend(from_tensor(&part)?);
            }
            Ok((error.f_double_value(&[])?, gradient))
        };
        compute().map_err(Error::torch("compute loss and gradient"))
    }

    /// The output for a part.
    pub(super) fn libtorch_predict(&self, weights: &[f32], part: &Part) -> Result<Vec<f32>> {
        let compute = || {
            let (x, start) = self.with_surroundings(part)?;
            let y = forward(&self.network, &self.tensors(weights, false)?, &x)?;
            from_tensor(&y.f_narrow(1, start, part.steps.len() as i64)?)
        };
        compute().map_err(Error::torch("apply the model"))
    }

    /// Marks the units of each ReLU layer that are above 0 at any step of a part.
    pub(super) fn find_active(&self, weights: &[f32], part: &Part, active: &mut [Vec<bool>]) -> Result<()> {
        let mut compute = || {
            let (x, start) = self.with_surroundings(part)?;
            let (count, steps, _) = x.size3()?;
            let mut layers = active.iter_mut();
            let mut mark = |layer: &NetworkLayer, h: &Tensor| {
                if layer.activation != Activation::Relu {
                    return Ok(());
                }
                let h = h.f_reshape([-1, count, steps])?.f_narrow(2, start, part.steps.len() as i64)?;
                let largest = from_tensor(&h.f_amax([1, 2], false)?)?;
                let units = layers.next().into_iter().flatten();
                units.zip(largest).for_each(|(active, largest)| *active |= largest > 0.0);
                Ok(())
            };
            forward_with(&self.network, &self.tensors(weights, false)?, &x, &mut mark)
        };
        compute().map(|_| ()).map_err(Error::torch("apply the model"))
    }

    /// The input on which a part's output depends, and the position of the part in it: a stretch of a sample comes
    /// with the steps around it.
    fn with_surroundings(
        &self,
        Part { samples, rows, steps: wanted }: &Part,
    ) -> std::result::Result<(Tensor, i64), tch::TchError> {
        let Samples { steps, channels, .. } = **samples;
        let (before, after) = self.network.reach();
        let start = wanted.start.saturating_sub(before);
        let end = steps.min(wanted.end + after);
        let mut x = Vec::with_capacity(rows.len() * (end - start) * channels);
        for row in rows.iter() {
            x.extend(&samples.x[(row * steps + start) * channels..(row * steps + end) * channels]);
        }
        let x = to_tensor(&x, &[rows.len(), end - start, channels], self.device)?;
        Ok((x, (wanted.start - start) as i64))
    }

    fn tensors(&self, weights: &[f32], requires_grad: bool) -> std::result::Result<Vec<Tensor>, tch::TchError> {
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
