//! The command line, as a script uses it.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn hhnet(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hhnet")).current_dir(directory).args(arguments).output().unwrap()
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let output = hhnet(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fails(directory: &Path, arguments: &[&str], expected: &str) {
    let output = hhnet(directory, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    let last = message.lines().last().unwrap();
    assert!(last.starts_with("hhnet: ") && last.contains(expected), "{message}");
}

#[rustfmt::skip]
const GENERATE: [&str; 11] = [
    "generate", "--out", "d.h5", "--samples", "30", "--test-samples", "2", "--duration-ms", "200",
    "--test-duration-ms", "400",
];

#[test]
fn sizes_that_no_machine_has_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let generate = |more: &[&'static str]| [&["generate", "--out", "d.h5"], more].concat();
    fails(directory, &generate(&["--duration-ms", "1e12"]), "--samples = 10000: with 1000000000000 ms each");
    let needs = "--duration-ms = 1000000000000: needs 32.0 TB of memory, have ";
    fails(directory, &generate(&["--duration-ms", "1e12", "--samples", "1"]), needs);
    fails(directory, &generate(&["--samples", "1000000000000000"]), "--samples = 1000000000000000: ");
    fails(
        directory,
        &generate(&["--threads", "18446744073709551615"]),
        "--threads = 18446744073709551615: give 1 to 1024",
    );
    assert_eq!(hhnet(directory, &generate(&["--samples", "1e15"])).status.code(), Some(2));
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
}

#[cfg(feature = "model")]
#[test]
fn from_data_to_predictions() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let made = json(directory, &[&GENERATE[..], &["--json"]].concat());
    assert_eq!(made["shape"], serde_json::json!([30, 200, 1]));

    #[rustfmt::skip]
    let train = [
        "train", "--data", "d.h5", "--weights", "w.weights.h5", "--history", "h.csv", "--epochs", "3",
        "--batch-size", "10", "--validation", "5", "--layer-sizes", "3,4", "--kernel-sizes", "4,1", "--l2", "0.1",
        "--padding", "causal", "--activation", "tanh", "--json",
    ];
    let trained = json(directory, &train);
    assert_eq!(trained["epochs"], 3);
    assert_eq!(std::fs::read_to_string(directory.join("h.csv")).unwrap().lines().count(), 4);

    let evaluate = ["evaluate", "--data", "d.h5", "--weights", "w.weights.h5", "--json"];
    let found = json(directory, &evaluate);
    assert_eq!(found["samples"], 5);
    assert_eq!(json(directory, &[&evaluate[..], &["--threads", "1"]].concat()), found);
    let more = [&evaluate[..], &["--validation", "6"]].concat();
    fails(directory, &more, "--validation = 6: 5 samples were kept for validation");
    let difference = found["mse"].as_f64().unwrap() / trained["val_mse"].as_f64().unwrap() - 1.0;
    assert!(difference.abs() < 1e-6, "{difference}");
    assert_eq!(json(directory, &[&evaluate[..], &["--split", "test"]].concat())["samples"], 2);
    assert_eq!(json(directory, &[&evaluate[..], &["--x", "X_test", "--y", "Y_test"]].concat())["samples"], 2);

    // Text states the error in the square of the unit of the data.
    for (y, unit) in [("Y_test", " mV²"), ("X_test", " pA²")] {
        let evaluate = ["evaluate", "--data", "d.h5", "--weights", "w.weights.h5", "--x", "X_test", "--y", y];
        let text = String::from_utf8(hhnet(directory, &evaluate).stdout).unwrap();
        assert!(text.trim_end().ends_with(unit), "{text}");
    }

    let predict = ["predict", "--data", "d.h5", "--weights", "w.weights.h5", "--out", "p.h5", "--json"];
    assert_eq!(json(directory, &predict)["shape"], serde_json::json!([2, 400, 1]));
    assert_eq!(
        json(directory, &[&predict[..], &["--force", "--x", "X"]].concat())["shape"],
        serde_json::json!([30, 200, 1])
    );

    let weights = json(directory, &["info", "w.weights.h5", "--json"]);
    assert_eq!(weights["layer_sizes"], serde_json::json!([3, 4]));
    assert_eq!(weights["kernel_sizes"], serde_json::json!([4, 1]));

    let rates = ["train", "--data", "d.h5", "--weights", "v.weights.h5", "--validation", "5", "--lr-decay", "0.9"];
    let rates = [&rates[..], &["--epochs", "1000000000000000"]].concat();
    fails(directory, &rates, "epochs = 1000000000000000: give at most 1000000 with --lr-decay");

    // Nothing existing is replaced without being asked.
    fails(directory, &train, "it exists already");
    fails(directory, &predict, "it exists already");
}

#[test]
fn data_are_made_and_described() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let made = json(directory, &[&GENERATE[..], &["--json"]].concat());
    assert_eq!(made["shape"], serde_json::json!([30, 200, 1]));
    let data = json(directory, &["info", "d.h5", "--json"]);
    let attributes = &data["attributes"];
    assert_eq!((&attributes["seed"], &attributes["keep_spiking"]), (&1234.into(), &false.into()));
    assert_eq!(attributes["stream"], "numpy");
    let foreign = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/hdf5_attributes.h5");
    let attributes = &json(directory, &["info", foreign, "--json"])["attributes"];
    assert_eq!(attributes["matrix"], serde_json::json!([[1, 2, 3], [4, 5, 6]]));
    assert_eq!(attributes["unsigned"], u64::MAX);
    assert_eq!((&attributes["empty"], &attributes["nan"]), (&serde_json::Value::Null, &"NaN".into()));
    let names: Vec<_> = data["datasets"].as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["X", "X_test", "Y", "Y_test", "dropped_test_trials", "dropped_trials"]);
    fails(directory, &GENERATE, "'d.h5': it exists already");
    assert!(hhnet(directory, &[&GENERATE[..], &["--force"]].concat()).status.success());
}

#[cfg(not(feature = "model"))]
#[test]
fn without_libtorch_weights_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["w.weights.h5", "w.safetensors"] {
        fails(directory.path(), &["info", name], "built without the feature `model`");
    }
    assert_eq!(hhnet(directory.path(), &["train", "--data", "d.h5"]).status.code(), Some(2));
    let help = String::from_utf8(hhnet(directory.path(), &["--help"]).stdout).unwrap();
    assert!(help.contains("without the feature `model`") && !help.contains("\n  train "), "{help}");
}

#[test]
fn shards_are_joined_and_info_shows_the_command_that_makes_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    #[rustfmt::skip]
    let options = [
        "--samples", "20", "--test-samples", "3", "--duration-ms", "100", "--test-duration-ms", "200.5", "--seed", "7",
        "--stream", "philox", "--keep-spiking", "--resolution-ms", "0.05", "--theta", "0.02", "--mu", "-20",
        "--sigma", "50", "--x0", "-5", "--current-dt-ms", "0.5", "--C_m", "101", "--g_Na", "12100", "--g_K", "3500",
        "--g_L", "29", "--E_Na", "49", "--E_K", "-76", "--E_L", "-55.5", "--I_e", "-1", "--t_ref", "3", "--json",
    ];
    for shard in ["1/2", "2/2"] {
        let out = format!("shard {}.h5", &shard[..1]);
        json(directory, &[&["generate", "--out", &out, "--shard", shard], &options[..]].concat());
        let info = json(directory, &["info", &out, "--json"]);
        assert_eq!(info["attributes"]["shard"], shard);
        let command = info["command"].as_str().unwrap();
        assert!(
            command.contains(&format!("--out '{out}'")) && command.contains(&format!("--shard {shard}")),
            "{command}"
        );
    }
    let merged = json(directory, &["merge", "shard 2.h5", "shard 1.h5", "--out", "joined.h5", "--json"]);
    assert_eq!(merged["shape"], serde_json::json!([20, 200, 1]));

    let info = json(directory, &["info", "joined.h5", "--json"]);
    let command = info["command"].as_str().unwrap().replace("joined", "whole");
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    json(directory, &[&arguments[..], &["--json"]].concat());
    let attributes = |info: &Value| {
        let mut attributes = info["attributes"].clone();
        // It covers how the samples are stored.
        attributes.as_object_mut().unwrap().remove("sha256").expect("a checksum");
        attributes
    };
    assert_eq!(attributes(&json(directory, &["info", "whole.h5", "--json"])), attributes(&info));
    let values =
        |file: &str, name: &str| hhnet::dataset::H5Matrix::open(directory.join(file), name).unwrap().read(..).unwrap();
    for name in ["X", "Y", "X_test", "Y_test"] {
        assert!(values("joined.h5", name) == values("whole.h5", name), "{name}");
    }
}

#[test]
fn failures_are_one_line_and_wrong_usage_is_another_status() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert!(hhnet(directory, &GENERATE).status.success());
    fails(directory, &["generate", "--out", "p.h5", "--shard", "1/3"], "give stream philox");
    for (option, value, message) in [
        ("--C_m", "-1", "give a capacitance above 0"),
        ("--theta", "-1", "give a rate of 0 or more"),
        ("--sigma", "NaN", "give a strength of 0 or more"),
        ("--current-dt-ms", "0", "give a time step above 0"),
        ("--resolution-ms", "0.3", "give a time step that divides"),
        ("--test-duration-ms", "10.5", "give a whole multiple"),
        ("--samples", "0", "give 1 or more"),
        ("--threads", "0", "give 1 to 1024"),
    ] {
        let arguments = ["generate", "--out", "p.h5", option, value];
        fails(directory, &arguments, &format!("hhnet: {option} = {value}: {message}"));
    }
    fails(directory, &["merge", "d.h5", "--out", "p.h5"], "whole data set");
    fails(directory, &["generate", "--out", "none/d.h5"], "directory does not exist");
    fails(directory, &["info", "absent.h5"], "absent.h5");
    // With --verbose, what led to it follows.
    let output = hhnet(directory, &["info", "absent.h5", "--verbose"]);
    let message = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].starts_with("hhnet: 'absent.h5': cannot open: "), "{message}");
    assert_eq!(lines[1..], ["  because: No such file or directory (os error 2)"]);
    for wrong in [
        &["generate"][..],
        &["generate", "--out", "x.h5", "--shard", "4/3"],
        &["merge", "--out", "x.h5"],
        &["fly"],
        &["generate", "--out", "x.h5", "--samples", "-1"],
    ] {
        assert_eq!(hhnet(directory, wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1, "nothing but the data file is left");
}

#[cfg(feature = "model")]
#[test]
fn failures_of_training_come_before_it_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert!(hhnet(directory, &GENERATE).status.success());
    let train = ["train", "--data", "d.h5", "--weights", "w.weights.h5"];
    fails(directory, &[&train[..], &["--validation", "30"]].concat(), "--validation = 30: the file has 30 samples");
    fails(directory, &[&train[..], &["--validation", "5", "--epochs", "0"]].concat(), "--epochs = 0");
    fails(directory, &["train", "--data", "d.h5", "--weights", "w.h5", "--validation", "5"], ".weights.h5");
    let reduce = ["--validation", "5", "--reduce-lr", "2", "--reduce-lr-factor", "3"];
    fails(directory, &[&train[..], &reduce].concat(), "hhnet: --reduce-lr-factor = 3: give");
    let device = ["--validation", "5", "--device", "cuda:99"];
    fails(directory, &[&train[..], &device].concat(), "--device = cuda:99: this libtorch finds");
    fails(directory, &["evaluate", "--data", "d.h5", "--weights", "d.h5"], "d.h5");
    assert_eq!(hhnet(directory, &["train", "--lr", "x"]).status.code(), Some(2));
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1, "nothing but the data file is left");
}

#[cfg(feature = "model")]
#[test]
fn no_command_replaces_what_it_reads_or_writes_twice_to_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert!(hhnet(directory, &GENERATE).status.success());
    let train =
        ["train", "--data", "d.h5", "--validation", "5", "--epochs", "1", "--force", "--weights", "w.weights.h5"];
    assert!(hhnet(directory, &train).status.success());
    let files = || ["d.h5", "w.weights.h5"].map(|name| std::fs::read(directory.join(name)).unwrap());
    let before = files();
    let absolute = directory.join("w.weights.h5");
    for (option, path) in
        [("--checkpoint", "./w.weights.h5"), ("--backup", "w.weights.h5"), ("--history", absolute.to_str().unwrap())]
    {
        let expected = format!("hhnet: {option} = {path}: --weights is the same file");
        fails(directory, &[&train[..], &[option, path]].concat(), &expected);
    }
    let predict = ["predict", "--data", "d.h5", "--weights", "w.weights.h5", "--force", "--out"];
    fails(directory, &[&predict[..], &["d.h5"]].concat(), "--out = d.h5: --data is the same file");
    fails(directory, &[&predict[..], &["w.weights.h5"]].concat(), "--weights is the same file");
    std::fs::write(directory.join("t.csv"), "I_pA,V_mV\n1,-65\n").unwrap();
    fails(directory, &["import", "t.csv", "--out", "t.csv", "--force"], "FILE is the same file");
    assert!(files() == before);
}

#[test]
fn a_file_is_verified_and_info_says_whose_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert!(hhnet(directory, &GENERATE).status.success());
    let program = concat!("hhnet ", env!("CARGO_PKG_VERSION"));
    assert_eq!(json(directory, &["info", "d.h5", "--json"])["program"], program);
    let verified = json(directory, &["verify", "d.h5", "--json"]);
    assert_eq!(verified["program"], program);
    assert_eq!(verified["sha256"]["Y_test"].as_str().unwrap().len(), 64);
    let text = String::from_utf8(hhnet(directory, &["verify", "d.h5"]).stdout).unwrap();
    assert!(text.starts_with(&format!("'d.h5': unchanged since {program} wrote it\n  X: SHA-256 ")), "{text}");

    let path = directory.join("d.h5");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    fails(directory, &["verify", "d.h5"], "changed");

    let foreign = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/original_seed1234.h5");
    assert!(json(directory, &["info", foreign, "--json"])["program"].is_null());
    fails(directory, &["verify", foreign], "it has no checksum");
}

#[test]
fn more_shards_are_merged_than_files_may_be_open() {
    // An emulator has files of its own open.
    if std::env::var_os("QEMU_CPU").is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let shards: Vec<String> = (1..=40).map(|shard| format!("{shard}.h5")).collect();
    for (i, out) in shards.iter().enumerate() {
        let shard = format!("{}/40", i + 1);
        let size =
            ["generate", "--samples", "40", "--test-samples", "40", "--duration-ms", "20", "--test-duration-ms", "20"];
        let output = hhnet(directory, &[&size[..], &["--stream", "philox", "--shard", &shard, "--out", out]].concat());
        assert!(output.status.success());
    }
    for how in ["", "--copy"] {
        let program = env!("CARGO_BIN_EXE_hhnet");
        let script = format!("ulimit -n 24; exec {program} merge {} --out d.h5 --force {how}", shards.join(" "));
        let output = Command::new("sh").current_dir(directory).args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(directory, &["verify", "d.h5", "--json"]);
    }
}

#[cfg(feature = "model")]
#[test]
fn a_killed_training_resumes_with_the_same_command() {
    use std::{process::Stdio, thread::sleep, time::Duration};
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    json(directory, &[&GENERATE[..], &["--json"]].concat());
    let train = |weights: &'static str, history: &'static str, backup: &'static str| {
        #[rustfmt::skip]
        let arguments = [
            "train", "--data", "d.h5", "--weights", weights, "--history", history, "--backup", backup,
            "--epochs", "150", "--batch-size", "10", "--validation", "5", "--reduce-lr", "3", "--lr", "0.01", "--json",
        ];
        arguments
    };
    json(directory, &train("whole.safetensors", "whole.csv", "whole.weights.h5"));
    let arguments = train("w.safetensors", "h.csv", "b.weights.h5");
    let rows = || std::fs::read_to_string(directory.join("h.csv")).map_or(0, |text| text.lines().count());
    for stop_at in [0, 20, 60] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hhnet"));
        let mut child = child.current_dir(directory).args(arguments).stderr(Stdio::null()).spawn().unwrap();
        while !directory.join("b.weights.h5").exists() || rows() < stop_at {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!directory.join("w.safetensors").exists());
    }
    let result = json(directory, &arguments);
    assert_eq!(result["epochs"], 150);
    assert_eq!(rows(), 151);
    let read = |name: &str| std::fs::read(directory.join(name)).unwrap();
    assert!(read("w.safetensors") == read("whole.safetensors"));
    assert_eq!(json(directory, &["info", "w.safetensors", "--json"])["params"], 219);
    assert!(!directory.join("b.weights.h5").exists());
    let rate = result["learning_rate"].as_f64().unwrap();
    assert!(rate < 0.01, "{result}");
}

#[cfg(feature = "model")]
#[test]
fn a_training_can_stop_early() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    json(directory, &[&GENERATE[..], &["--json"]].concat());
    #[rustfmt::skip]
    let train = [
        "train", "--data", "d.h5", "--weights", "w.weights.h5", "--checkpoint", "best.weights.h5", "--epochs", "500",
        "--batch-size", "10", "--validation", "5", "--early-stopping", "2", "--lr", "0.1", "--lr-decay", "0.99",
        "--json",
    ];
    let trained = json(directory, &train);
    assert!(trained["epochs"].as_u64().unwrap() < 500, "{trained}");
    assert!(trained["notes"][0].as_str().unwrap().starts_with("stopped after epoch"), "{trained}");
    let loss = |weights: &str| {
        json(directory, &["evaluate", "--data", "d.h5", "--weights", weights, "--validation", "5", "--json"])["loss"]
            .clone()
    };
    assert_eq!(loss("w.weights.h5"), loss("best.weights.h5"));
    let train = ["train", "--data", "d.h5", "--weights", "new.weights.h5", "--validation", "5"];
    fails(directory, &[&train[..], &["--lr-decay", "1.5"]].concat(), "--lr-decay = 1.5");
    fails(directory, &[&train[..], &["--checkpoint", "best.weights.h5"]].concat(), "exists already");
    fails(directory, &[&train[..], &["--backup", "b.h5"]].concat(), "ends in '.weights.h5'");
}

/// Samples go to the file while others are made: more of them need no more memory.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_samples() {
    use std::{process::Stdio, thread::sleep, time::Duration};
    let directory = tempfile::tempdir().unwrap();
    let peak_kb = |samples: &str| -> u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hhnet"))
            .current_dir(directory.path())
            .args(["generate", "--out", "d.h5", "--force", "--threads", "2", "--samples", samples])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let found =
                status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse().ok());
            peak = found.unwrap_or(peak);
            sleep(Duration::from_millis(1));
        }
        peak
    };
    let few = peak_kb("3000");
    assert!(few > 0);
    // 192 MB of samples beside 48.
    let many = peak_kb("12000");
    assert!(many < few + 16 * 1024, "{few} kB for 3000 samples, {many} kB for 12000");
}

#[cfg(all(feature = "model", target_os = "linux"))]
#[test]
fn a_training_has_no_more_threads_than_it_is_given() {
    use std::{process::Stdio, thread::sleep, time::Duration};
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    assert!(hhnet(directory, &GENERATE).status.success());
    for engine in ["fused", "libtorch"] {
        let weights = format!("{engine}.keras");
        let train = ["train", "--data", "d.h5", "--weights", &weights, "--validation", "5", "--epochs", "60"];
        let options = ["--threads", "2", "--batch-size", "5", "--engine", engine];
        let mut child = Command::new(env!("CARGO_BIN_EXE_hhnet"));
        child.current_dir(directory).args(train).args(options).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let threads = std::fs::read_dir(format!("/proc/{}/task", child.id()));
            most = most.max(threads.map_or(0, Iterator::count));
            sleep(Duration::from_millis(1));
        }
        // An emulator has a thread of its own.
        let emulated = usize::from(std::env::var_os("QEMU_CPU").is_some());
        assert!((2..=4 + emulated).contains(&most), "{engine}: {most} threads");
    }
}
