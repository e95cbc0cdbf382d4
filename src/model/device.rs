//! Devices by name.

use tch::Device;

use crate::{Error, Result};

/// The device with the given name: `cpu`, `cuda`, `cuda:1`, ..., or `mps`.
///
/// # Errors
/// If the name is not one of these, or libtorch cannot use the device on this machine.
///
/// ```
/// use hhnet::model::{Device, device};
/// assert_eq!(device("cpu")?, Device::Cpu);
/// assert!(device("abacus").is_err());
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn device(name: &str) -> Result<Device> {
    let device = match name {
        "cpu" => Some(Device::Cpu),
        "mps" => Some(Device::Mps),
        "cuda" => Some(Device::Cuda(0)),
        _ => name.strip_prefix("cuda:").and_then(|index| index.parse().ok()).map(Device::Cuda),
    };
    let device = device.ok_or_else(|| Error::parameter("device", name, "give cpu, cuda, cuda:1 or mps"))?;
    check_device(device)?;
    Ok(device)
}

/// The devices that libtorch can use on this machine, named as for [`device`], with the number of cores of the CPU.
pub fn devices() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut found = vec![format!("cpu ({cores} cores)")];
    found.extend((0..tch::Cuda::device_count().max(0)).map(|index| format!("cuda:{index}")));
    if tch::utils::has_mps() {
        found.push("mps".to_owned());
    }
    found
}

pub(super) fn check_device(device: Device) -> Result<()> {
    let remedy = match device {
        Device::Cpu => return Ok(()),
        Device::Cuda(index) => {
            let count = tch::Cuda::device_count();
            if i64::try_from(index).is_ok_and(|index| index < count) {
                return Ok(());
            }
            format!(
                "this libtorch finds {count} CUDA devices; use cpu, or a libtorch with CUDA on a machine with a GPU"
            )
        }
        Device::Mps if tch::utils::has_mps() => return Ok(()),
        Device::Mps => "this libtorch has no MPS; use cpu".to_string(),
        Device::Vulkan => "Vulkan is not supported; use cpu".to_string(),
    };
    Err(Error::parameter("device", device_name(device), remedy))
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_string(),
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Mps => "mps".to_string(),
        Device::Vulkan => "vulkan".to_string(),
    }
}
