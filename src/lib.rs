//! Simulates how a neuron's membrane turns current into voltage, and trains a small convolutional network to do the
//! same.
//!
//! Data flow one way, and so do the modules:
//!
//! 1. [`stimulus`] draws noisy currents: Ornstein-Uhlenbeck processes from NumPy's legacy random stream or from a
//!    counter-based one;
//! 2. [`neuron`] injects them into a Hodgkin-Huxley neuron, the model `hh_psc_alpha` of NEST;
//! 3. [`dataset`] writes currents and potentials to HDF5 files and reads them; trials in which the neuron spikes are
//!    dropped;
//! 4. [`model`] builds and describes the network, and reads and writes Keras' weights files;
//! 5. [`training`] fits, evaluates and predicts, with the same results as Keras;
//! 6. [`figure`] draws figures of one or more panels as SVG or PNG, and shows a sequence of figures with a slider;
//! 7. [`notebook`] displays results in notebook cells.
//!
//! [`math`] has evenly spaced numbers, linear least squares and changes of a sampling rate.
//!
//! [`model`] and [`training`] need libtorch. They belong to the feature `model`, which is on by default. Without it
//! (`default-features = false`) all other modules build and run on a machine without libtorch.
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

// Without the feature, some modules that the documentation links to do not exist.
#![cfg_attr(not(feature = "model"), allow(rustdoc::broken_intra_doc_links))]

pub mod dataset;
pub mod error;
pub mod figure;
mod files;
mod heaps;
mod interrupt;
pub mod math;
mod memory;
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

mod verify;

pub use error::{Error, Result};
pub use ndarray;
pub use verify::{Verified, verify, written_by};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
