//! A disk that is full or fails: an error with the reason, and the old file.

#![cfg(target_os = "linux")]

mod processes;

use hhnet::progress::Progress;
use hhnet::verify;
use processes::{rounds, unfinished};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ENOLCK: i32 = 37;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn hhnet(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hhnet"));
    command.current_dir(directory);
    command
}

/// The message of a command that fails, without the name of the program. It must be the last line.
fn failure(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let line = message.lines().last().and_then(|line| line.strip_prefix("hhnet: "));
    line.unwrap_or_else(|| panic!("it is not the last line: {message}")).to_owned()
}

/// The library that lets a call fail.
fn fail_call(directory: &Path) -> PathBuf {
    let library = directory.join("fail_call.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fail_call.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    library
}

/// Commands that replace a file, each with the file.
fn commands() -> Vec<(Vec<&'static str>, &'static str)> {
    let mut commands = vec![
        (vec!["generate", "--out", "d.h5", "--samples", "300", "--seed", "5", "--force"], "d.h5"),
        (vec!["merge", "a.h5", "b.h5", "--out", "m.h5", "--copy", "--force"], "m.h5"),
        (vec!["merge", "a.h5", "b.h5", "--out", "m.h5", "--force"], "m.h5"),
        (vec!["import", "--x", "x.npy", "--y", "x.npy", "--keep-spiking", "--out", "i.h5", "--force"], "i.h5"),
    ];
    if cfg!(feature = "model") {
        let train = ["train", "--data", "a.h5", "--validation", "5", "--epochs", "2", "--force", "--weights"];
        for weights in ["w.weights.h5", "w.keras", "w.safetensors"] {
            commands.push(([&train[..], &[weights]].concat(), weights));
        }
        commands.push((vec!["predict", "--data", "a.h5", "--weights", "w.keras", "--out", "p.h5", "--force"], "p.h5"));
    }
    commands
}

/// Makes all files once.
fn prepare(directory: &Path) {
    for (shard, out) in [("1/2", "a.h5"), ("2/2", "b.h5")] {
        let made = hhnet(directory)
            .args(["generate", "--stream", "philox", "--samples", "40", "--test-samples", "2", "--shard", shard])
            .args(["--out", out])
            .output();
        assert!(made.unwrap().status.success());
    }
    // An array of zeros of shape (4, 500).
    let head = "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 500), }";
    let mut array = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    array.extend(format!("{head:<117}\n").bytes());
    array.extend([0; 4 * 500 * 8]);
    fs::write(directory.join("x.npy"), array).unwrap();
    for (command, _) in commands() {
        let output = hhnet(directory).args(&command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_call_that_fails_is_reported_and_the_old_file_stays() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let library = fail_call(directory);
    prepare(directory);
    for (command, out) in commands() {
        let old = fs::read(directory.join(out)).unwrap();
        for (call, errno, text) in [
            ("pwrite", ENOSPC, "No space left on device"),
            ("pwrite64", ENOSPC, "No space left on device"),
            ("write", ENOSPC, "No space left on device"),
            ("ftruncate", ENOSPC, "No space left on device"),
            ("ftruncate64", ENOSPC, "No space left on device"),
            ("fsync", EIO, "Input/output error"),
            ("fdatasync", EIO, "Input/output error"),
            ("rename", EIO, "Input/output error"),
        ] {
            // The first, the second, the fourth, ... call, until there are not so many.
            let last = if rounds() > 4 { 20 } else { 2 };
            for nth in (0..last).map(|power| 1 << power) {
                let output = hhnet(directory)
                    .args(&command)
                    .env("LD_PRELOAD", &library)
                    .envs([("FAIL_CALL", call), ("FAIL_NTH", &nth.to_string()), ("FAIL_ERRNO", &errno.to_string())])
                    .output()
                    .unwrap();
                if output.status.success() {
                    verify(directory.join(out), Progress::Silent).unwrap();
                    fs::write(directory.join(out), &old).unwrap();
                    break;
                }
                let message = failure(&output);
                // A model's archive is unpacked into a temporary file.
                let is_named = message.contains(out) || message.contains("model.weights.h5");
                assert!(message.contains(text) && is_named, "{call} {nth} of {command:?}: {message}");
                assert!(fs::read(directory.join(out)).unwrap() == old, "{call} {nth} of {command:?}");
                assert_eq!(unfinished(directory), Vec::<String>::new(), "{call} {nth} of {command:?}");
            }
        }
    }
}

#[test]
fn a_file_system_without_locks_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let library = fail_call(directory);
    prepare(directory);
    let mut command = hhnet(directory);
    command.args(["info", "d.h5"]).env("LD_PRELOAD", &library);
    command.envs([("FAIL_CALL", "flock"), ("FAIL_NTH", "1"), ("FAIL_ERRNO", &ENOLCK.to_string())]);
    let message = failure(&command.output().unwrap());
    assert!(message.contains("no locks") && message.contains("HDF5_USE_FILE_LOCKING=FALSE"), "{message}");
    assert!(command.env("HDF5_USE_FILE_LOCKING", "FALSE").output().unwrap().status.success());
}

#[test]
fn a_file_that_another_program_writes_is_named_with_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    prepare(directory);
    // What HDF5 does, but no process that another test starts inherits this lock.
    let writer = fs::File::open(directory.join("d.h5")).unwrap();
    writer.lock().unwrap();
    let message = failure(&hhnet(directory).args(["info", "d.h5"]).output().unwrap());
    let process = std::process::id().to_string();
    let is_told =
        fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.split_whitespace().any(|word| word == process));
    let expected = if is_told { format!("process {process} (") } else { "another program has it open".to_owned() };
    assert!(message.contains(&expected), "{message}");
    assert!(message.ends_with("close it there, or wait"), "{message}");
    drop(writer);
    assert!(hhnet(directory).args(["info", "d.h5"]).output().unwrap().status.success());
}

#[test]
fn more_than_fits_is_refused_before_any_work() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    prepare(directory);
    let old = fs::read(directory.join("d.h5")).unwrap();
    let generate = "generate --out d.h5 --force --samples 1000000000";
    let message = failure(&hhnet(directory).args(generate.split(' ')).output().unwrap());
    assert!(message.contains("'d.h5': it needs 16.0 TB, and") && message.contains("are free"), "{message}");

    // A limit on the size of files; the unit is 512 or 1024 bytes.
    let limited = |command: &[&str], units: u32| {
        let program = env!("CARGO_BIN_EXE_hhnet");
        let script = format!("ulimit -f {units}; exec {program} {}", command.join(" "));
        Command::new("sh").current_dir(directory).args(["-c", &script]).output().unwrap()
    };
    let command: Vec<&str> = "generate --out d.h5 --force --samples 10000".split(' ').collect();
    let message = failure(&limited(&command, 1000));
    assert!(message.contains("it needs 161.6 MB, and files may have") && message.contains("(ulimit -f)"), "{message}");
    assert!(fs::read(directory.join("d.h5")).unwrap() == old);
    // What is not foreseen, such as what HDF5 adds, fails where it is written.
    for (command, out) in commands() {
        let old = fs::read(directory.join(out)).unwrap();
        let message = failure(&limited(&command, 2));
        assert!(message.contains("files may have") || message.contains("File too large"), "{command:?}: {message}");
        assert!(fs::read(directory.join(out)).unwrap() == old, "{command:?}");
        assert_eq!(unfinished(directory), Vec::<String>::new());
    }
}

/// Needs the right to mount, which root has, and others on many systems in a namespace of their own.
#[test]
fn a_full_disk_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let program = env!("CARGO_BIN_EXE_hhnet");
    let script = format!(
        "mount -t tmpfs -o size=4m tmpfs {0} && cd {0} || exit 99
         {program} generate --out d.h5 --samples 20 --test-samples 2 || exit 98
         cp d.h5 old
         {program} generate --out d.h5 --samples 400 --force; test $? = 1 || exit 97
         cmp d.h5 old && {program} verify d.h5 || exit 96
         cmp d.h5 old && ! ls -d .*.part || exit 95",
        directory.display()
    );
    let output = Command::new("unshare").args(["--mount", "--map-root-user", "sh", "-c", &script]).output();
    let output = match output {
        Ok(output) if output.status.code() != Some(99) && output.status.code() != Some(1) => output,
        _ => return eprintln!("no disk can be mounted here: this was not tried"),
    };
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} {message}", output.status);
    assert!(message.contains("it needs") && message.contains("are free on its disk"), "{message}");
}
