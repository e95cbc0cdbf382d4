//! crate
pub mod error;
pub mod progress;
pub mod stimulus;
pub mod neuron;
pub use error::{Error, Result};
pub use ndarray;
