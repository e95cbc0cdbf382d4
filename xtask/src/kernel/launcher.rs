//! The program that the kernelspec names: gives evcxr_jupyter a directory of its own and runs it, in a process group of its
//! own. A [`Relay`] is between it and Jupyter.
//!
//! Jupyter interrupts a kernel by a signal to this process or to its group, and ends it in the same way. An interrupt is for
//! the process in which evcxr runs cells, where the crate's long functions receive it (`src/interrupt.rs`); evcxr and cargo
//! would end. However this process ends, a shell that waits for that ends evcxr's group.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, getppid, kill_process};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::kernel::cells::{self, KernelDirectory, PREPARED};
use crate::kernel::environment;
use crate::kernel::relay::Relay;
use crate::paths::Paths;

/// Ends a process group when its standard input ends.
const WATCH: &str = r#"read -r _; kill -s KILL -- "-$0" 2> /dev/null"#;
/// How often to look whether Jupyter lives.
const INTERVAL: Duration = Duration::from_secs(1);

pub fn run(connection_file: &str) -> Result<()> {
    let paths = Paths::find()?;
    let interrupts = Signals::new([SIGINT])?;
    let mut evcxr = Command::new(&paths.evcxr);
    // What it prints to its standard output is for a terminal; cells print over the connection.
    evcxr.stdout(Stdio::null()).process_group(0);
    paths.with_libraries(environment::without_build_settings(&mut evcxr));
    // Its allocator, mimalloc, would take memory in advance, a quarter more than is used.
    evcxr.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    // Arrays get memory of their own, which the system has back with them. In glibc's heap, libraries of later cells would
    // settle between them, and it would grow with each run of a notebook.
    evcxr.env("MALLOC_MMAP_THRESHOLD_", "1048576");
    // evcxr replaces a kernelspec `rust` that it finds here, or else in the user's home, by one of its own.
    evcxr.env("JUPYTER_PATH", paths.home.join("jupyter/no-kernelspec"));
    // Its settings may change how cells are built.
    evcxr.env("EVCXR_CONFIG_DIR", paths.home.join("jupyter/no-evcxr-settings"));
    let mut own = None;
    if let Some(prepared) = env::var_os(PREPARED) {
        evcxr.env("EVCXR_TMPDIR", prepared).args(["--control_file", connection_file]);
    } else {
        // At once: until then another kernel may take the ports.
        let relay = Relay::listen(Path::new(connection_file))?;
        let directory = own.insert(KernelDirectory::new(&paths)?);
        evcxr.env("EVCXR_TMPDIR", directory.cells());
        relay.start(&directory.connection_file())?;
        evcxr.arg("--control_file").arg(directory.connection_file());
        // The kernel reads nothing from its standard input. The lock in its place holds until the kernel ends.
        evcxr.stdin(Stdio::from(directory.lock.try_clone()?.into_file()));
    }
    let evcxr = evcxr.spawn().context("evcxr_jupyter does not start: run `cargo xtask setup`")?;
    // Beside evcxr, as it may take a second. What fails is left to the next kernel.
    thread::spawn(move || cells::remove_ended(&paths));
    accompany(evcxr, interrupts)
}

/// Passes interrupts on, until evcxr or Jupyter has ended.
fn accompany(mut evcxr: Child, mut interrupts: Signals) -> Result<()> {
    let jupyter = getppid();
    let evcxr_id = evcxr.id();
    let mut watch = Command::new("sh");
    watch.args(["-c", WATCH, &evcxr_id.to_string()]).stdin(Stdio::piped()).process_group(0);
    let _watch = watch.spawn().context("cannot start the shell that ends evcxr_jupyter")?;
    thread::spawn(move || {
        for _ in interrupts.forever() {
            if let Some(cells) = cells_process(evcxr_id).filter(|cells| !is_idle(*cells)) {
                // It may have ended just now.
                let _ = kill_process(cells, Signal::INT);
            }
        }
    });
    thread::spawn(move || {
        while getppid() == jupyter {
            thread::sleep(INTERVAL);
        }
        process::exit(0);
    });
    let status = evcxr.wait()?;
    ensure!(status.success(), "evcxr_jupyter ended with {status}");
    Ok(())
}

/// The process in which evcxr runs cells: a child that runs evcxr's program again.
fn cells_process(evcxr: u32) -> Option<Pid> {
    let is_it = |(_, parent, name): &(i32, u32, String)| *parent == evcxr && name.starts_with("evcxr_jupyter");
    let (process, ..) = processes().into_iter().find(is_it)?;
    Pid::from_raw(process)
}

/// All processes: their numbers, those of their parents, and their programs' names.
#[cfg(target_os = "linux")]
fn processes() -> Vec<(i32, u32, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let processes = stats.filter_map(|stat| {
        let (process, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        Some((process.parse().ok()?, rest.split(' ').nth(1)?.parse().ok()?, name.to_string()))
    });
    processes.collect()
}

/// All processes: their numbers, those of their parents, and their programs' names.
#[cfg(not(target_os = "linux"))]
fn processes() -> Vec<(i32, u32, String)> {
    let output = Command::new("ps").args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "ucomm="]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let processes = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.to_string()))
    });
    processes.collect()
}

/// Whether it waits for a cell, reading from its standard input. Where that is not known, an interrupt ends it also then.
fn is_idle(cells: Pid) -> bool {
    const READ: [&str; 2] = if cfg!(target_arch = "aarch64") { ["63", "0x0"] } else { ["0", "0x0"] };
    let call = fs::read_to_string(format!("/proc/{}/syscall", cells.as_raw_nonzero())).unwrap_or_default();
    call.split_whitespace().take(2).eq(READ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Runs itself again, as evcxr does. The second process ends at an interrupt, and the first one then; an interrupt would end
    /// the first one with a failure.
    const EVCXR: &str = r#"#!/bin/sh
if [ "$1" = cells ]; then
    trap "touch interrupted; exit 0" INT
    touch ready
    while :; do sleep 0.05; done
fi
"$0" cells
exit $?
"#;

    #[test]
    fn an_interrupt_reaches_the_process_of_the_cells_alone() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("evcxr_jupyter");
        fs::write(&program, EVCXR).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let interrupts = Signals::new([SIGINT]).unwrap();
        let evcxr = Command::new(&program).current_dir(folder.path()).process_group(0).spawn().unwrap();
        let launcher = thread::spawn(move || accompany(evcxr, interrupts));
        while !folder.path().join("ready").exists() {
            thread::sleep(Duration::from_millis(5));
        }
        kill_process(rustix::process::getpid(), Signal::INT).unwrap();
        launcher.join().unwrap().unwrap();
        assert!(folder.path().join("interrupted").exists());
    }
}
