//! crate
pub mod error;
pub mod progress;
pub use error::{Error, Result};
pub use ndarray;
