//! Where long work reports how far it is.

use std::fmt;

/// Where progress lines go. They are whole lines, at most about one a second, because a notebook shows nothing less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// Nowhere.
    #[default]
    Silent,
    /// To standard output: for notebooks, in which anything on standard error is a failure.
    Stdout,
    /// To standard error: for command lines, whose standard output is the result.
    Stderr,
}

impl Progress {
    /// Prints one line. A closed pipe is no reason to stop the work.
    pub fn line(self, text: fmt::Arguments<'_>) {
        use std::io::Write;
        let _ = match self {
            Progress::Silent => Ok(()),
            Progress::Stdout => writeln!(std::io::stdout().lock(), "{text}"),
            Progress::Stderr => writeln!(std::io::stderr().lock(), "{text}"),
        };
    }
}
