//! The Rust kernel, as Jupyter starts it.
//!
//! Jupyter runs the [`launcher`]. It makes a directory for this one kernel, a copy of [`cells`] that set-up has
//! compiled, and runs evcxr_jupyter, which builds the notebook's cells there, without what in the [`environment`] would
//! have them built otherwise. evcxr has rust-analyzer find the types of variables; [`analyzer`] spares it what no cell
//! can name. Both ask the kernel's [`cargo`]. A [`relay`] connects Jupyter and evcxr.

pub mod analyzer;
pub mod cargo;
pub mod cells;
pub mod environment;
pub mod launcher;
pub mod relay;
