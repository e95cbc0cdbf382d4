//! How a neuron's membrane turns current into voltage, and how a small convolutional network learns to do the same.
//!
//! Data flow one way, and so do the modules:
//!
//! 1. [`stimulus`] draws noisy currents (Ornstein-Uhlenbeck processes on NumPy's legacy random stream, or on a counter-based
//!    one);
//! 2. [`neuron`] injects them into a Hodgkin-Huxley neuron, NEST's `hh_psc_alpha`;
//! 3. [`dataset`] writes currents and potentials to HDF5, without the trials in which the neuron spiked, and reads them;
//! 4. [`model`] builds the network on libtorch, describes it, and reads and writes Keras' weight files;
//! 5. [`training`] fits, evaluates and predicts with Keras' arithmetic;
//! 6. [`figure`] draws lines and panels as SVG or PNG, and moves through figures with a slider;
//! 7. [`notebook`] displays results in a notebook cell.
//!
//! [`model`] and [`training`] need libtorch. They come with the feature `model`, which is on by default; without it
//! (`default-features = false`) everything else builds and runs on a machine that has no libtorch.
//!
//! ```
//! use hhnet::prelude::*;
//!
//! let current_pa = OrnsteinUhlenbeck::default().trace(1000, &mut NumpyRandom::seed(1234));
//! let response = HhPscAlpha::default().simulate(&current_pa, 1.0, 0.1)?;
//! assert!(response.spike_times_ms.is_empty());
//! assert!(response.potential_mv.iter().all(|v| (-80.0..-55.0).contains(v)));
//! # Ok::<(), hhnet::Error>(())
//! ```

// Without the feature some of the modules that the documentation names are not there.
#![cfg_attr(not(feature = "model"), allow(rustdoc::broken_intra_doc_links))]

pub mod dataset;
pub mod error;
pub mod figure;
mod files;
#[cfg(feature = "model")]
pub mod model;
pub mod neuron;
pub mod notebook;
pub mod prelude;
pub mod progress;
pub mod simd;
pub mod stimulus;
#[cfg(feature = "model")]
pub mod training;

pub use error::{Error, Result};
pub use ndarray;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
