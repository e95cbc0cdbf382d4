//! The library's one error type.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of a fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. Messages name what is wrong, where it is, and what to do about it.
///
/// `Debug` prints the same sentence as `Display`, because a notebook cell that ends in `?` and a test that unwraps show
/// errors through `Debug`.
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
    /// A parameter is outside its range.
    #[error("{name} = {value}: {remedy}")]
    Parameter {
        /// The parameter's name, as in the code and on the command line.
        name: String,
        /// Its value.
        value: String,
        /// The allowed values, or what to do.
        remedy: String,
    },
    /// An array or weight does not have the required shape.
    #[error("{what}: expected shape {expected}, found {found}; {remedy}")]
    Shape {
        /// The array, weight or dataset.
        what: String,
        /// The required shape.
        expected: String,
        /// The given shape.
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
        /// Where it occurred: trial and time, index, or epoch.
        place: String,
        /// What to do.
        remedy: String,
    },
    /// The operating system refused a file operation.
    #[error("'{}': cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What could not be done with it.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file exists, but is not as expected.
    #[error("'{}': {problem}; {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the name of the dataset or weight.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// An operation of libtorch failed.
    #[cfg(feature = "model")]
    #[error("libtorch cannot {action}: {source}")]
    Torch {
        /// What could not be done.
        action: &'static str,
        /// libtorch's reason.
        source: tch::TchError,
    },
    /// The user has ended the work: by Ctrl+C, or by the stop button of a notebook.
    #[error("{what} was interrupted: {kept}")]
    Interrupted {
        /// The work.
        what: &'static str,
        /// What has become of its files.
        kept: String,
    },
    /// A figure could not be drawn.
    #[error("figure: {0}")]
    Figure(String),
}

impl Error {
    /// Creates an error about a parameter outside its range.
    pub fn parameter(name: impl Into<String>, value: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Error::Parameter { name: name.into(), value: value.to_string(), remedy: remedy.into() }
    }

    /// Creates an error about a file that is not as expected.
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
