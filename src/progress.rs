//! Lines of progress during long work.

use std::fmt;
use std::time::{Duration, Instant};

/// Where to print lines of progress. These are whole lines, at most about one a second, because a notebook shows output
/// line by line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// Nowhere.
    #[default]
    Silent,
    /// To standard output, for notebooks, which show standard error as a failure.
    Stdout,
    /// To standard error, for command lines, whose standard output is the result.
    Stderr,
}

impl Progress {
    /// Prints one line. Failures are ignored: a closed pipe does not stop the work.
    pub fn line(self, text: fmt::Arguments<'_>) {
        use std::io::Write;
        let _ = match self {
            Progress::Silent => Ok(()),
            Progress::Stdout => writeln!(std::io::stdout().lock(), "{text}"),
            Progress::Stderr => writeln!(std::io::stderr().lock(), "{text}"),
        };
    }
}

/// Prints at most about one line a second.
pub(crate) struct Lines {
    last: Instant,
    to: Progress,
}

impl Lines {
    pub fn new(to: Progress) -> Self {
        Lines { last: Instant::now(), to }
    }

    pub fn line(&mut self, text: fmt::Arguments<'_>) {
        if self.last.elapsed() >= Duration::from_secs(1) {
            self.last = Instant::now();
            self.to.line(text);
        }
    }
}
