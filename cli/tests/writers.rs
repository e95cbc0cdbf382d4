//! Several processes that write one file, and such as are killed.

mod processes;

use hhnet::dataset::H5Matrix;
use hhnet::ndarray::Array3;
use processes::{Writer, rounds, run, unfinished};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

fn dataset(path: &Path, name: &str) -> Array3<f64> {
    H5Matrix::open(path, name).unwrap().read(..).unwrap()
}

fn samples(path: &Path) -> [Array3<f64>; 2] {
    ["X", "Y"].map(|name| dataset(path, name))
}

#[test]
fn of_two_programs_that_write_one_file_each_is_whole_or_fails() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let arguments = |out, seed| vec!["generate", "--samples", "2000", "--out", out, "--seed", seed];
    let expected = ["1", "2"].map(|seed| {
        assert!(run(directory, &arguments("own.h5", seed)).status.success());
        let samples = samples(&directory.join("own.h5"));
        fs::remove_file(directory.join("own.h5")).unwrap();
        samples
    });
    let path = directory.join("data.h5");
    let mut overlapped = 0;
    for round in 0..2 * rounds() as u64 {
        let is_forced = round % 2 == 0;
        let mut writers = ["1", "2"].map(|seed| {
            let arguments = [arguments("data.h5", seed), if is_forced { vec!["--force"] } else { vec![] }].concat();
            // The later rounds give the first one a start.
            sleep(Duration::from_millis(20 * (round % 8) * u64::from(seed == "2")));
            Writer::start(directory, &arguments)
        });
        loop {
            let running = writers.iter_mut().map(Writer::is_running).filter(|&running| running).count();
            if path.exists() {
                let y = dataset(&path, "Y");
                assert!(expected.iter().any(|[_, of_one]| *of_one == y), "round {round}: a mixture or unfinished");
            }
            overlapped += usize::from(unfinished(directory).len() == 2);
            if running == 0 {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        let successes = writers.each_mut().map(|writer| writer.0.wait().unwrap().success());
        let found = samples(&path);
        let is_one_of_the_successful =
            successes.iter().zip(&expected).any(|(success, of_it)| *success && found == *of_it);
        assert!(is_one_of_the_successful, "round {round}: success was reported, but the file is another");
        assert_eq!(successes.iter().filter(|&&success| success).count(), 1 + usize::from(is_forced), "round {round}");
        assert_eq!(unfinished(directory), Vec::<String>::new(), "round {round}");
        fs::remove_file(&path).unwrap();
    }
    assert!(overlapped > 0, "no two of them were at work at the same time");
}

#[test]
fn a_killed_run_leaves_the_old_file_and_the_next_run_removes_what_it_had_begun() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let short = ["generate", "--out", "d.h5", "--force", "--samples", "30", "--test-samples", "2"];
    // Killed long before it is done.
    let long = ["generate", "--out", "d.h5", "--force", "--samples", "200000"];
    assert!(run(directory, &short).status.success());
    let old = fs::read(directory.join("d.h5")).unwrap();
    let mut left = Vec::new();
    for delay in [0, 100, 300] {
        let mut writer = Writer::start(directory, &long);
        let found = writer.wait_for_its_file(directory, &left);
        assert!(!left.iter().any(|name| found.contains(name)), "{left:?} is still there, killed before {delay} ms");
        sleep(Duration::from_millis(delay));
        writer.kill();
        assert!(fs::read(directory.join("d.h5")).unwrap() == old, "killed after {delay} ms");
        left = unfinished(directory);
        assert_eq!(left.len(), 1);
    }

    let mut living = Writer::start(directory, &long);
    let of_living = living.wait_for_its_file(directory, &left);
    let new = [&short[..], &["--seed", "5"]].concat();
    let output = run(directory, &new);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(living.is_running());
    assert_eq!(unfinished(directory), of_living, "what a living program writes stays");
    assert_ne!(fs::read(directory.join("d.h5")).unwrap(), old);
    living.kill();
    let output = run(directory, &short);
    assert!(output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("removed an unfinished file of an earlier run"), "{message}");
    assert_eq!(unfinished(directory), Vec::<String>::new());
}

#[test]
fn ctrl_c_ends_a_program_with_one_line() {
    // Programs that a script starts in the background ignore it, these tests included.
    // SAFETY: no handler is given.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let interrupted = |mut writer: Writer, times: usize| {
        for _ in 0..times {
            let process = writer.0.id().to_string();
            assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
        }
        let mut message = String::new();
        writer.0.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        assert_eq!(writer.0.wait().unwrap().code(), Some(130), "{message}");
        assert_eq!(unfinished(directory), Vec::<String>::new());
        message
    };
    let mut writer = Writer::start(directory, &["generate", "--out", "d.h5", "--samples", "1000000"]);
    writer.wait_for_its_file(directory, &[]);
    let message = interrupted(writer, 1);
    assert!(message.ends_with("hhnet: generate was interrupted: 'd.h5' was not written\n"), "{message}");
    assert!(!directory.join("d.h5").exists());

    if cfg!(feature = "model") {
        assert!(run(directory, &["generate", "--out", "d.h5", "--samples", "200"]).status.success());
        let train = ["train", "--data", "d.h5", "--validation", "20"];
        let until_row = |arguments: &[&str], rows: &dyn Fn() -> usize| {
            let mut writer = Writer::start(directory, &[&train[..], arguments].concat());
            while rows() < 4 {
                assert!(writer.is_running());
                sleep(Duration::from_millis(1));
            }
            // People press twice.
            interrupted(writer, 2)
        };
        let rows_of = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default().lines().count();
        let rows = || rows_of("h.csv");
        let message = until_row(&["--weights", "w.weights.h5", "--history", "h.csv", "--epochs", "100000"], &rows);
        let epochs = (rows() - 1).to_string();
        let end = format!("hhnet: train was interrupted: 'w.weights.h5' has the weights of epoch {epochs}\n");
        assert!(message.ends_with(&end), "{message}");
        assert!(
            run(directory, &[&train[..], &["--weights", "same.weights.h5", "--epochs", &epochs]].concat())
                .status
                .success()
        );
        let evaluate = |weights| run(directory, &["evaluate", "--data", "d.h5", "--weights", weights, "--json"]).stdout;
        assert_eq!(evaluate("w.weights.h5"), evaluate("same.weights.h5"));

        let backup = ["--weights", "b.weights.h5", "--backup", "state.weights.h5", "--history", "b.csv", "--epochs"];
        let message = until_row(&[&backup[..], &["100000"]].concat(), &|| rows_of("b.csv"));
        assert!(message.ends_with("the same command continues from 'state.weights.h5'\n"), "{message}");
        assert!(!directory.join("b.weights.h5").exists());
    }
}
