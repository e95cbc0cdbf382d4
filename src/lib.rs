//! crate
pub mod dataset;
pub mod error;
mod files;
pub mod neuron;
pub mod progress;
pub mod stimulus;
pub use error::{Error, Result};
pub use ndarray;
