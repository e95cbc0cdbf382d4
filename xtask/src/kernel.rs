//! The Rust kernel, as Jupyter starts it.
//!
//! Jupyter runs the [`launcher`]. It makes a directory for this one kernel, a copy of [`cells`] that set-up has
//! compiled, and runs evcxr_jupyter, which builds the notebook's cells there, without what in the [`environment`] would
//! have them built otherwise. evcxr has rust-analyzer find the types of variables. Both ask the kernel's [`cargo`], which
//! spares rust-analyzer what no cell can name. A [`relay`] connects Jupyter and evcxr.

pub mod cargo;
pub mod cells;
pub mod environment;
pub mod launcher;
pub mod relay;
