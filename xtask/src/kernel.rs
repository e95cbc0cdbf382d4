//! The Rust kernel, as Jupyter starts it.
//!
//! Jupyter runs the [`launcher`]. It makes a directory for this one kernel, a copy of [`cells`] that set-up has
//! compiled, and then becomes evcxr_jupyter, which builds the notebook's cells there. evcxr has rust-analyzer find the
//! types of variables; [`analyzer`] spares it what no cell can name.

pub mod analyzer;
pub mod cells;
pub mod launcher;
