//! crate
pub mod error;
pub mod figure;
pub mod progress;
pub use error::{Error, Result};
pub use ndarray;
