//! The program `hhnet` as a process, for tests.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A process that does not outlive the test.
pub struct Writer(pub Child);

impl Writer {
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hhnet"));
        command.current_dir(directory).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
        Writer(command.spawn().unwrap())
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits until it has a file under a temporary name that is not one of `others`; the names of all such files.
    pub fn wait_for_its_file(&mut self, directory: &Path, others: &[String]) -> Vec<String> {
        loop {
            let found = unfinished(directory);
            if found.iter().any(|name| !others.contains(name)) {
                return found;
            }
            assert!(self.is_running(), "it ended before it wrote anything");
            sleep(Duration::from_millis(1));
        }
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the program to its end.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hhnet")).current_dir(directory).args(arguments).output().unwrap()
}

/// Names of files and directories that are being written, or were left so.
pub fn unfinished(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".part")).collect()
}

/// How often a test with chance in it is repeated: `cargo xtask faults` asks for more.
pub fn rounds() -> usize {
    std::env::var("HHNET_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// Numbers from 0 to 1 that look random, for delays.
pub struct Delays(pub u64);

impl Iterator for Delays {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        // Numerical Recipes' generator.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
