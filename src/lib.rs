//! crate
pub mod error;
pub mod model;
pub mod progress;
pub mod training;
pub use error::{Error, Result};
pub use ndarray;
