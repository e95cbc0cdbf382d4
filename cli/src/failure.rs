//! What a failure looks like: one line.

use clap::{Arg, Command};
use hhnet::error::REPORT;
use hhnet::{Error, Result};
use std::fmt;
use std::io::Write;
use std::panic::set_hook;
use std::path::{Path, PathBuf};

/// The library's parameters whose options have other names.
const OTHER_NAMES: [(&str, &str); 3] =
    [("OrnsteinUhlenbeck::dt_ms", "current_dt_ms"), ("factor", "reduce_lr_factor"), ("schedule", "lr_decay")];

/// Names the option that the user gave instead of the library's parameter, such as `--sigma` instead of
/// `OrnsteinUhlenbeck::sigma`.
pub fn with_option(error: Error, command: &Command) -> Error {
    let Error::Parameter { name, value, remedy } = error else { return error };
    // Of `callbacks[0].factor`, the last part; of `kernel_sizes[1]`, what precedes the index.
    let last = name.rsplit(['.', ':']).next().unwrap_or(&name);
    let last = last.split('[').next().unwrap_or(last);
    let others = OTHER_NAMES.iter().find(|(library, _)| *library == name || *library == last);
    let id = others.map_or(last, |(_, id)| id);
    let long = command.get_arguments().find(|argument| argument.get_id() == id).and_then(Arg::get_long);
    Error::Parameter { name: long.map_or(name, |long| format!("--{long}")), value, remedy }
}

/// Prints the message in one line, and if wanted what led to the failure.
pub fn report(error: &Error, is_verbose: bool) {
    print(format_args!("hhnet: {}", error.to_string().replace('\n', " ")));
    if is_verbose {
        error.causes().iter().for_each(|cause| print(format_args!("  because: {cause}")));
    }
}

/// Prints a line to standard error. `eprintln!` would panic where that is a file on a full disk.
fn print(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Has a panic print one line, with the place to report it.
pub fn report_panics() {
    set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("unknown").replace('\n', " ");
        let place = info.location().map_or(String::new(), |location| format!(" ({location})"));
        print(format_args!("hhnet: this is a bug in the program: {message}{place}; {REPORT}"));
    }));
}

/// Has a write beyond the limit on the size of files (`ulimit -f`) fail, instead of ending the process.
pub fn survive_limit_on_files() {
    // SAFETY: no handler is given.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Checks that a command does not replace a file that it reads, nor write two results to one file. Each file has the
/// name of its option.
pub fn check_different(read: &[(&str, &Path)], written: &[(&str, &Path)]) -> Result<()> {
    for (i, (option, path)) in written.iter().enumerate() {
        let same = |(_, other): &&(&str, &Path)| place(other) == place(path);
        if let Some((other, _)) = read.iter().chain(&written[..i]).find(same) {
            let remedy = format!("{other} is the same file: give another one");
            return Err(Error::parameter(*option, path.display(), remedy));
        }
    }
    Ok(())
}

/// The full path of a file, which need not be there.
fn place(path: &Path) -> PathBuf {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new = || Some(directory.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(new).unwrap_or_else(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    #[test]
    fn a_panic_is_one_line_that_says_where_to_report_it() {
        const PANICS: &str = "HHNET_TEST_PANICS";
        if std::env::var_os(PANICS).is_some() {
            super::report_panics();
            panic!("two\nlines");
        }
        let name = "failure::tests::a_panic_is_one_line_that_says_where_to_report_it";
        let test = std::env::current_exe().unwrap();
        let output = Command::new(test).args([name, "--exact", "--nocapture"]).env(PANICS, "1").output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        let line = message.lines().find(|line| line.starts_with("hhnet: ")).expect(&message);
        assert!(line.starts_with("hhnet: this is a bug in the program: two lines (cli/src/failure.rs:"), "{message}");
        assert!(line.ends_with("please report it, as docs/troubleshooting.md describes"), "{message}");
        assert!(!output.status.success() && !message.contains("stack backtrace"), "{message}");
    }
}
