//! The network on tensors.

use tch::{Device, Kind, TchError, Tensor};

pub(crate) fn to_tensor(values: &[f32], shape: &[usize], device: Device) -> std::result::Result<Tensor, TchError> {
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    Tensor::f_from_slice(values)?.f_reshape(&shape)?.f_to_device(device)
}

pub(crate) fn from_tensor(tensor: &Tensor) -> std::result::Result<Vec<f32>, TchError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0.0; tensor.numel()];
    let length = values.len();
    tensor.f_copy_data(&mut values, length)?;
    Ok(values)
}

/// The network, from `x` (samples, steps, channels) to (samples, steps, 1), with `weights` in Keras' order and shapes.
///
/// Each convolution is one matrix product. Channels are the rows and all time steps of all samples the columns, so that
/// the long side is contiguous in memory: on a CPU this takes about half the time of libtorch's `conv1d`.
pub(crate) fn forward(weights: &[Tensor], x: &Tensor) -> std::result::Result<Tensor, TchError> {
    forward_with(weights, x, &mut |_| Ok(()))
}

/// The same. Calls `each` with the output of each convolution, shape (channels, samples * steps).
pub(crate) fn forward_with(
    weights: &[Tensor],
    x: &Tensor,
    each: &mut dyn FnMut(&Tensor) -> std::result::Result<(), TchError>,
) -> std::result::Result<Tensor, TchError> {
    let (samples, steps, channels) = x.size3()?;
    let columns = samples * steps;
    let mut h = x.f_permute([2, 0, 1])?.f_reshape([channels, columns])?;
    let (convolutions, linear) = weights.split_at(weights.len() - 2);
    for pair in convolutions.chunks(2) {
        let (kernel_size, input, output) = pair[0].size3()?;
        if kernel_size > 1 {
            let left = (kernel_size - 1) / 2;
            h = h
                .f_reshape([input, samples, steps])?
                .f_constant_pad_nd([left, kernel_size - 1 - left])?
                .f_unfold(2, kernel_size, 1)?
                .f_permute([3, 0, 1, 2])?
                .f_reshape([kernel_size * input, columns])?;
        }
        let kernel = pair[0].f_reshape([kernel_size * input, output])?.f_transpose(0, 1)?;
        h = pair[1].f_reshape([output, 1])?.f_addmm(&kernel, &h)?.f_relu()?;
        each(&h)?;
    }
    linear[1].f_reshape([1, 1])?.f_addmm(&linear[0].f_transpose(0, 1)?, &h)?.f_reshape([samples, steps, 1])
}
