//! The part of the command line that reads files of other programs, and what its failures look like. It is a library, so
//! that it can be tested on many damaged files in one process.

pub mod failure;
pub mod import;

/// The result of a command, as text for people and as JSON for programs.
pub type Output = hhnet::Result<(String, serde_json::Value)>;
