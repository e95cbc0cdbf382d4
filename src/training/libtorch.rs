//! The network's arithmetic by libtorch, with its automatic differentiation.

use tch::{Kind, Tensor};

use super::{Arithmetic, Chunk, Samples};
use crate::model::{forward, from_tensor, to_tensor};
use crate::{Error, Result};

impl Arithmetic {
    /// Sum of squared errors of some series, and its gradient with respect to all weights.
    pub(super) fn libtorch_gradient(
        &self,
        weights: &[f32],
        samples: &Samples,
        rows: &[usize],
    ) -> Result<(f64, Vec<f32>)> {
        let gather = |values: &[f32], length: usize| -> Vec<f32> {
            rows.iter().flat_map(|&row| &values[row * length..(row + 1) * length]).copied().collect()
        };
        let Samples { steps, channels, .. } = *samples;
        let (x, y) = (gather(&samples.x, steps * channels), gather(&samples.y, steps));
        let compute = || {
            let weights = self.tensors(weights, true)?;
            let x = to_tensor(&x, &[rows.len(), steps, channels], self.device)?;
            let y = to_tensor(&y, &[rows.len(), steps, 1], self.device)?;
            let error = forward(&weights, &x)?.f_sub(&y)?.f_square()?.f_sum(Kind::Float)?;
            let mut gradient = Vec::new();
            for part in Tensor::f_run_backward(&[&error], &weights, false, false)? {
                gradient.extend(from_tensor(&part)?);
            }
            Ok((error.f_double_value(&[])?, gradient))
        };
        compute().map_err(Error::torch("compute loss and gradient"))
    }

    /// The output for a chunk. A stretch of a series is computed with the steps around it that its output depends on.
    pub(super) fn libtorch_predict(&self, weights: &[f32], samples: &Samples, chunk: &Chunk) -> Result<Vec<f32>> {
        let Samples { steps, channels, .. } = *samples;
        let (before, after) = self.reach();
        let start = chunk.steps.start.saturating_sub(before);
        let end = steps.min(chunk.steps.end + after);
        let mut x = Vec::with_capacity(chunk.series.len() * (end - start) * channels);
        for series in chunk.series.clone() {
            x.extend(&samples.x[(series * steps + start) * channels..(series * steps + end) * channels]);
        }
        let compute = || {
            let weights = self.tensors(weights, false)?;
            let x = to_tensor(&x, &[chunk.series.len(), end - start, channels], self.device)?;
            let y = forward(&weights, &x)?;
            from_tensor(&y.f_narrow(1, (chunk.steps.start - start) as i64, chunk.steps.len() as i64)?)
        };
        compute().map_err(Error::torch("apply the model"))
    }

    fn tensors(&self, weights: &[f32], requires_grad: bool) -> std::result::Result<Vec<Tensor>, tch::TchError> {
        self.variables
            .iter()
            .map(|variable| {
                let tensor = to_tensor(&weights[variable.range.clone()], &variable.shape, self.device)?;
                Ok(tensor.set_requires_grad(requires_grad))
            })
            .collect()
    }
}
