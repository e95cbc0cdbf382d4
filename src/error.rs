//! The library's one error type.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of a fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about a panic, which no input should cause.
pub const REPORT: &str = "please report it, as docs/troubleshooting.md describes";

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
    /// HDF5 could not do something with a file.
    #[error("'{}': HDF5 cannot {action}: {reason}; check the disk and the file, and try again", path.display())]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What could not be done with it.
        action: String,
        /// The cause, in HDF5's or the operating system's words.
        reason: String,
        /// All that HDF5 says.
        source: hdf5::Error,
    },
    /// A training ended early, and some epochs were complete.
    #[cfg(feature = "model")]
    #[error("{source} (the training ended after epoch {}, whose weights the model has)", history.len())]
    Training {
        /// The epochs that were complete.
        history: Box<crate::training::History>,
        /// What ended it.
        source: Box<Error>,
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

    /// Creates an error about an array or weight of the wrong shape.
    pub(crate) fn shape(
        what: impl Into<String>,
        expected: impl fmt::Display,
        found: impl fmt::Display,
        remedy: impl Into<String>,
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Error::Shape { what: what.into(), expected, found, remedy: remedy.into() }
    }

    /// Creates an error about a number that is not finite.
    pub(crate) fn not_finite(
        what: impl Into<String>,
        value: impl Into<f64>,
        place: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Error::NotFinite { what: what.into(), value: value.into(), place: place.into(), remedy: remedy.into() }
    }

    /// What led to this error, the nearest cause first: all that HDF5 or the operating system said.
    ///
    /// ```
    /// use hhnet::dataset::describe;
    /// let error = describe("absent.h5").unwrap_err();
    /// assert_eq!(error.causes(), ["No such file or directory (os error 2)"]);
    /// ```
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            match cause.downcast_ref::<hdf5::Error>().and_then(hdf5::Error::stack) {
                Some(stack) => causes.extend(stack.iter().map(|frame| one_line(frame.description()))),
                None => causes.push(one_line(&cause.to_string())),
            }
            next = cause.source();
        }
        causes
    }

    /// For `map_err`: adds the path and the action to an [`io::Error`].
    pub(crate) fn io(path: impl AsRef<Path>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { path, action, source }
    }

    /// For `map_err`: adds the path and the action to an [`hdf5::Error`].
    pub(crate) fn hdf5(path: impl AsRef<Path>, action: impl Into<String>) -> impl FnOnce(hdf5::Error) -> Self {
        let (path, action) = (path.as_ref().to_path_buf(), action.into());
        move |source| Error::Hdf5 { path, action, reason: hdf5_reason(&source), source }
    }

    /// The epochs that were complete before a training failed.
    #[cfg(feature = "model")]
    pub fn history(&self) -> Option<&crate::training::History> {
        match self {
            Error::Training { history, .. } => Some(history),
            _ => None,
        }
    }

    /// For `map_err`: adds the action to a [`tch::TchError`].
    #[cfg(feature = "model")]
    pub(crate) fn torch(action: &'static str) -> impl FnOnce(tch::TchError) -> Self {
        move |source| Error::Torch { action, source }
    }
}

/// HDF5's message in one line. Of a failed call of the system, only what the system said.
pub(crate) fn hdf5_reason(error: &hdf5::Error) -> String {
    let text = error.to_string();
    let of_system = text.split_once("error message = '").and_then(|(_, rest)| rest.split_once('\''));
    of_system.map_or_else(|| one_line(&text), |(message, _)| message.to_owned())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn no_space() -> io::Error {
        io::Error::from_raw_os_error(28)
    }

    #[test]
    fn every_message_says_what_where_and_what_to_do() {
        let full = "file write failed: time = Thu\n, filename = 'd.h5', errno = 28, error message = 'No space left on \
                    device', buf = 0x1";
        #[cfg_attr(not(feature = "model"), allow(unused_mut))]
        let mut errors = vec![
            (Error::parameter("epochs", 0, "give 1 or more"), "epochs = 0: give 1 or more"),
            (
                Error::shape("y", "(3, 100, 1)", "(3, 99, 1)", "give as many steps as in x"),
                "y: expected shape (3, 100, 1), found (3, 99, 1); give as many steps as in x",
            ),
            (
                Error::not_finite("x", f64::NAN, "index (0, 1, 0)", "leave this sample out"),
                "x is NaN at index (0, 1, 0); leave this sample out",
            ),
            (
                Error::io("a b.csv", "write")(no_space()),
                "'a b.csv': cannot write: No space left on device (os error 28)",
            ),
            (
                Error::file("d.h5", "it exists already", "give another name"),
                "'d.h5': it exists already; give another name",
            ),
            (
                Error::hdf5("d.h5", "write 'X'")(full.into()),
                "'d.h5': HDF5 cannot write 'X': No space left on device; check the disk and the file, and try again",
            ),
            (
                Error::hdf5("d.h5", "read 'X'")("two\n lines".into()),
                "'d.h5': HDF5 cannot read 'X': two lines; check the disk and the file, and try again",
            ),
            (
                Error::Interrupted { what: "generate", kept: "'d.h5' was not written".into() },
                "generate was interrupted: 'd.h5' was not written",
            ),
            (Error::Figure("panel (0, 0) has no series".into()), "figure: panel (0, 0) has no series"),
        ];
        #[cfg(feature = "model")]
        {
            use crate::training::History;
            let history = Box::new(History { loss: vec![2.0, 1.0], ..History::default() });
            let source = Box::new(Error::io("w.keras", "write")(no_space()));
            errors.push((
                Error::Training { history, source },
                "'w.keras': cannot write: No space left on device (os error 28) (the training ended after epoch 2, \
                 whose weights the model has)",
            ));
            errors.push((
                Error::torch("create the model")(tch::TchError::Torch("no memory".into())),
                "libtorch cannot create the model: Internal torch error: no memory",
            ));
        }
        for (error, text) in errors {
            assert_eq!(error.to_string(), text);
            assert_eq!(format!("{error:?}"), text);
            // A new variant needs a place in the list above.
            let has_source = match error {
                Error::Parameter { .. } | Error::Shape { .. } | Error::NotFinite { .. } | Error::File { .. } => false,
                Error::Interrupted { .. } | Error::Figure(_) => false,
                Error::Io { .. } | Error::Hdf5 { .. } => true,
                #[cfg(feature = "model")]
                Error::Training { .. } | Error::Torch { .. } => true,
            };
            assert_eq!(error.source().is_some(), has_source, "{text}");
        }
    }
}
