//! Programs that are killed at any moment: the old file or the new one stays, whole, and the next run goes on.

mod processes;

use hhnet::progress::Progress;
use hhnet::verify;
use processes::{Delays, Writer, rounds, run, unfinished};
use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The checksums of all samples in a file, which must fit.
fn contents(path: &Path) -> Vec<(String, String)> {
    verify(path, Progress::Silent).unwrap().datasets
}

fn succeeds(directory: &Path, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    let output = run(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    start.elapsed()
}

/// Runs the program and kills it after a while. Its status, if it ended before.
fn kill_after(directory: &Path, arguments: &[&str], delay: Duration) -> Option<ExitStatus> {
    let mut writer = Writer::start(directory, arguments);
    sleep(delay);
    let status = writer.0.try_wait().unwrap();
    writer.kill();
    status
}

/// Kills a command that replaces a file at random moments. `out` is the file.
fn killed_while_replacing(directory: &Path, command: &[&str], out: &str, seed: u64) {
    let path = directory.join(out);
    let old = contents(&path);
    fs::rename(&path, directory.join("old")).unwrap();
    let duration = succeeds(directory, command);
    let new = contents(&path);
    assert_ne!(old, new);
    let mut delays = Delays(seed);
    let mut killed = 0;
    while killed < rounds() {
        fs::copy(directory.join("old"), &path).unwrap();
        let status = kill_after(directory, command, duration.mul_f64(delays.next().unwrap()));
        killed += usize::from(status.is_none());
        let found = contents(&path);
        match status {
            Some(status) => assert!(status.success() && found == new),
            // A kill may come between the renaming and the end.
            None => assert!(found == old || found == new),
        }
    }
    succeeds(directory, command);
    assert_eq!(contents(&path), new);
    assert_eq!(unfinished(directory), Vec::<String>::new(), "the next run removes what is left");
}

#[test]
fn a_killed_generate_leaves_the_old_file_or_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    succeeds(directory, &["generate", "--out", "d.h5", "--samples", "20", "--seed", "1"]);
    let command = ["generate", "--out", "d.h5", "--force", "--samples", "3000", "--seed", "2"];
    killed_while_replacing(directory, &command, "d.h5", 1);
}

#[test]
fn a_killed_merge_leaves_the_old_file_or_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for (shard, out) in [("1/2", "a.h5"), ("2/2", "b.h5")] {
        let generate = ["generate", "--stream", "philox", "--samples", "3000", "--shard", shard, "--out", out];
        succeeds(directory, &generate);
    }
    succeeds(directory, &["generate", "--out", "d.h5", "--samples", "20"]);
    killed_while_replacing(directory, &["merge", "a.h5", "b.h5", "--copy", "--force", "--out", "d.h5"], "d.h5", 2);
}

#[test]
fn a_killed_import_leaves_the_old_file_or_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut table = String::from("sweep,time_ms,current_pA,potential_mV\n");
    for (sweep, time) in (0..20).flat_map(|sweep| (0..10_000).map(move |time| (sweep, time))) {
        table += &format!("{sweep},{time},{},{}\n", 10 * sweep, -65.0 + 0.001 * f64::from(time % 1000));
    }
    fs::write(directory.join("table.csv"), table).unwrap();
    succeeds(directory, &["generate", "--out", "d.h5", "--samples", "20"]);
    killed_while_replacing(directory, &["import", "table.csv", "--out", "d.h5", "--force"], "d.h5", 3);
}

#[cfg(feature = "model")]
#[test]
fn a_killed_training_goes_on_to_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    succeeds(directory, &["generate", "--out", "d.h5", "--samples", "100", "--duration-ms", "200"]);
    let train = |weights: &'static str, backup: &'static str, history: &'static str| {
        let files = ["train", "--data", "d.h5", "--weights", weights, "--backup", backup, "--history", history];
        let options = ["--epochs", "120", "--batch-size", "10", "--validation", "20", "--lr-decay", "0.99"];
        [&files[..], &options].concat()
    };
    let duration = succeeds(directory, &train("whole.safetensors", "whole.weights.h5", "whole.csv"));
    let command = train("w.safetensors", "b.weights.h5", "h.csv");
    let [weights, backup] = ["w.safetensors", "b.weights.h5"].map(|name| directory.join(name));
    let mut killed = 0;
    let mut delays = Delays(4);
    let mut is_complete = false;
    while !is_complete {
        is_complete = killed == rounds();
        if killed < rounds() {
            let delay = duration.mul_f64(0.5 * delays.next().unwrap());
            if kill_after(directory, &command, delay).is_none() && !weights.exists() {
                killed += 1;
                if backup.exists() {
                    verify(&backup, Progress::Silent).unwrap();
                }
                continue;
            }
        } else {
            succeeds(directory, &command);
        }
        assert!(fs::read(&weights).unwrap() == fs::read(directory.join("whole.safetensors")).unwrap());
        // All but the column of seconds.
        let rows = |name: &str| -> Vec<Vec<String>> {
            let text = fs::read_to_string(directory.join(name)).unwrap();
            let rows: Vec<Vec<String>> =
                text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
            let seconds = rows[0].iter().position(|column| column == "seconds").unwrap();
            rows.into_iter().map(|mut row| (row.remove(seconds), row).1).collect()
        };
        assert_eq!(rows("h.csv"), rows("whole.csv"));
        for name in ["w.safetensors", "b.weights.h5", "h.csv"] {
            let _ = fs::remove_file(directory.join(name));
        }
    }
    assert_eq!(unfinished(directory), Vec::<String>::new(), "the last run was not killed");
}
