//! The library's one error type.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What a fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, with what was wrong, where it was and what to do about it.
///
/// `Debug` prints the same sentence as `Display`: a notebook cell that ends in `?` and a test that unwraps show errors
/// through `Debug`, and both should read well.
///
/// ```
/// use hhnet::Error;
/// let error = Error::parameter("epochs", 0, "give 1 or more");
/// assert_eq!(format!("{error}"), "epochs = 0: give 1 or more");
/// assert_eq!(format!("{error:?}"), format!("{error}"));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is outside the values it may take.
    #[error("{name} = {value}: {remedy}")]
    Parameter {
        /// The parameter's name, as in the code and on the command line.
        name: String,
        /// The value it had.
        value: String,
        /// The allowed values, or what to do.
        remedy: String,
    },
    /// Arrays or weights do not have the shape that an operation needs.
    #[error("{what}: expected shape {expected}, found {found}; {remedy}")]
    Shape {
        /// The array, weight or dataset.
        what: String,
        /// The shape that is needed.
        expected: String,
        /// The shape that was given.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A number that must be finite is not.
    #[error("{what} is {value} at {place}; {remedy}")]
    NotFinite {
        /// The quantity.
        what: String,
        /// Its value.
        value: f64,
        /// Where it was met: trial and time, or index.
        place: String,
        /// What to do.
        remedy: String,
    },
    /// The operating system refused a file operation.
    #[error("'{}': cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done to it.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file is there but is not what it should be.
    #[error("'{}': {problem}; {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the dataset's or weight's name.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// libtorch refused an operation.
    #[cfg(feature = "model")]
    #[error("libtorch, while it was to {action}: {source}")]
    Torch {
        /// What was being done.
        action: &'static str,
        /// libtorch's reason.
        source: tch::TchError,
    },
    /// A figure could not be drawn.
    #[error("figure: {0}")]
    Figure(String),
}

impl Error {
    /// A parameter with a value that is not allowed.
    pub fn parameter(name: impl Into<String>, value: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Error::Parameter { name: name.into(), value: value.to_string(), remedy: remedy.into() }
    }

    /// A file that is not what it should be.
    pub fn file(path: impl AsRef<Path>, problem: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), problem: problem.to_string(), remedy: remedy.into() }
    }

    /// For `map_err`: adds the path and the action to an [`io::Error`].
    pub(crate) fn io(path: impl AsRef<Path>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { path, action, source }
    }

    /// For `map_err`: adds the action to a [`tch::TchError`].
    #[cfg(feature = "model")]
    pub(crate) fn torch(action: &'static str) -> impl FnOnce(tch::TchError) -> Self {
        move |source| Error::Torch { action, source }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
