//! `hhnet import`, as a script uses it, on files of NumPy, pynwb and text editors.

use hhnet::dataset::{H5Matrix, describe};
use hhnet::ndarray::Array3;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn data(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name);
    path.to_str().unwrap().to_owned()
}

fn hhnet(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hhnet")).current_dir(directory).args(arguments).output().unwrap()
}

/// Imports to `d.h5`, and returns the JSON.
fn import(directory: &Path, arguments: &[&str]) -> Value {
    let output = hhnet(directory, &[&["import", "--out", "d.h5", "--force", "--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fails(directory: &Path, arguments: &[&str], expected: &str) {
    let output = hhnet(directory, &[&["import", "--out", "none.h5"], arguments].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    assert!(message.starts_with("hhnet: ") && message.contains(expected), "{message}");
    assert!(!directory.join("none.h5").exists());
}

fn read(directory: &Path, name: &str) -> Array3<f64> {
    H5Matrix::open(directory.join("d.h5"), name).unwrap().read(..).unwrap()
}

/// The made-up sweeps of `tests/data/make_import.py`, pA and mV.
fn expected(k: usize, t_ms: usize) -> [f64; 2] {
    let (k, angle) = (k as f64, 2.0 * std::f64::consts::PI * t_ms as f64 / 1000.0);
    [10.0 * k + 100.0 * (5.0 * angle).sin(), -65.0 + k + 5.0 * (3.0 * angle).sin()]
}

fn assert_samples(directory: &Path, names: [&str; 2], first: usize, tolerance: f64) {
    for (quantity, name) in names.into_iter().enumerate() {
        for ((sample, step, _), value) in read(directory, name).indexed_iter() {
            let expected = expected(first + sample, step)[quantity];
            assert!((value - expected).abs() < tolerance, "{name}, sample {sample}, step {step}: {value} {expected}");
        }
    }
}

#[test]
fn recordings_of_pynwb_become_data_files() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let found = import(directory, &[&data("import_numbers.nwb"), "--duration-ms", "100", "--test", "2"]);
    assert_eq!(found["shape"], json!([3, 100, 1]));
    assert_eq!(found["test_shape"], json!([2, 100, 1]));
    assert_eq!(found["dropped_samples"], 1);
    assert_eq!(found["notes"].as_array().unwrap().len(), 3);
    assert_eq!(found["source"], "import_numbers.nwb (NWB)");
    let attributes = describe(directory.join("d.h5")).unwrap().attributes;
    for (name, text) in [("source", "import_numbers.nwb (NWB)"), ("duration_ms", "100"), ("keep_spiking", "false")] {
        assert!(attributes.iter().any(|(found, value)| found == name && value.to_string() == text), "{attributes:?}");
    }
    let text = hhnet(directory, &["import", &data("import_numbers.nwb"), "--out", "e.h5", "--duration-ms", "100"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in ["'e.h5': X, Y of shape [5, 100, 1]\n", "from import_numbers.nwb (NWB)\n", "note: left out: resting ("]
    {
        assert!(text.contains(part), "{text}");
    }
    // The data are such that all commands take them.
    #[cfg(feature = "model")]
    {
        let train = ["train", "--data", "d.h5", "--weights", "w.weights.h5", "--validation", "1", "--epochs", "1"];
        assert!(hhnet(directory, &train).status.success());
        let evaluate = ["evaluate", "--data", "d.h5", "--weights", "w.weights.h5", "--split", "test"];
        assert!(hhnet(directory, &evaluate).status.success());
    }
}

#[test]
fn arrays_of_numpy_become_data_files() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // Float32, big-endian, in Fortran's order; float64 of three dimensions.
    let found = import(directory, &["--x", &data("import_x.npy"), "--y", &data("import_y.npy"), "--test", "1"]);
    assert_eq!((&found["shape"], &found["test_shape"]), (&json!([3, 100, 1]), &json!([1, 100, 1])));
    assert_eq!(found["source"], "import_x.npy, import_y.npy");
    assert_samples(directory, ["X", "Y"], 0, 1e-4);
    assert_samples(directory, ["X_test", "Y_test"], 3, 1e-4);
    // Int16; the test samples are in the file.
    let npz = data("import.npz");
    let found = import(directory, &[&npz]);
    assert_eq!((&found["shape"], &found["test_shape"]), (&json!([4, 100, 1]), &json!([1, 100, 1])));
    assert_samples(directory, ["X", "Y"], 0, 0.51);
    assert_samples(directory, ["X_test", "Y_test"], 0, 1e-9);
    assert_eq!(import(directory, &[&npz, "--x", "X_test", "--y", "Y_test"])["shape"], json!([1, 100, 1]));
    // Units, rates and lengths.
    import(directory, &[&npz, "--x", "X", "--y", "Y", "--x-unit", "nA", "--y-unit", "V", "--keep-spiking"]);
    assert_eq!(read(directory, "X")[[1, 0, 0]], 10_000.0);
    assert_eq!(read(directory, "Y")[[0, 0, 0]], -65_000.0);
    let found = import(directory, &[&npz, "--x", "X", "--y", "Y", "--rate-hz", "500", "--step-ms", "4"]);
    assert_eq!(found["shape"], json!([4, 50, 1]));
    let found = import(directory, &[&npz, "--x", "X", "--y", "Y", "--duration-ms", "30"]);
    assert_eq!((&found["shape"], &found["sweeps"]), (&json!([12, 30, 1]), &json!(4)));

    fails(directory, &[&npz, "--x", "Z", "--y", "Y"], "there is no array 'Z'; it holds: X, X_test, Y, Y_test, names");
    fails(directory, &[&npz, "--x", "names", "--y", "Y"], "array 'names' is of type ");
    fails(directory, &[&data("import_x.npy")], "give two: --x CURRENTS.npy --y POTENTIALS.npy");
    fails(directory, &["--x", &data("import_x.npy"), "--y", &npz], "the array cannot be read");
    fails(directory, &[&npz, "--x-unit", "mV"], "--x-unit = mV: give a unit of current");
    fails(directory, &[&npz, "--rate-hz", "0"], "--rate-hz = 0: give a rate above 0");
    fails(directory, &[&npz, "--test", "4"], "--test = 4: there are 4 samples");
    // A file that claims more values than it has.
    let mut bytes = std::fs::read(data("import_y.npy")).unwrap();
    let place = bytes.windows(10).position(|window| window == b"(4, 100, 1").unwrap();
    bytes[place..place + 10].copy_from_slice(b"(4,9999999");
    std::fs::write(directory.join("claims.npy"), bytes).unwrap();
    fails(directory, &["--x", &data("import_x.npy"), "--y", "claims.npy"], "the array cannot be read");
}

/// A table of two sweeps, 40 ms each at 2 kHz.
fn table(header: &str, row: impl Fn(usize, f64, f64, f64) -> String) -> String {
    let rows = (0..160).map(|i| {
        let (k, t_ms) = (i / 80, (i % 80) as f64 / 2.0);
        row(k, t_ms, 10.0 * k as f64 + t_ms, -65.0 + k as f64 - t_ms / 100.0) + "\n"
    });
    format!("{header}\n{}", rows.collect::<String>())
}

#[test]
fn tables_become_data_files() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let write = |text: &str| std::fs::write(directory.join("t.csv"), text).unwrap();
    let check = |arguments: &[&str], source: &str| {
        let found = import(directory, &[&["t.csv"], arguments].concat());
        assert_eq!(found["source"], format!("t.csv: {source}"));
        assert_eq!(found["shape"], json!([2, 40, 1]), "{source}");
        let (x, y) = (read(directory, "X"), read(directory, "Y"));
        for k in 0..2 {
            let (x, y) = (x[[k, 20, 0]], y[[k, 20, 0]]);
            // In the middle, ramps are kept.
            assert!((x - 10.0 * k as f64 - 20.0).abs() < 0.1 && (y + 65.2 - k as f64).abs() < 0.01, "{x} {y}");
        }
    };
    write(&table("sample,time_ms,current_pA,potential_mV", |k, t, x, y| format!("{k},{t},{x},{y}")));
    let times = "times from column 'time_ms': one value every 0.5 ms";
    check(
        &[],
        &format!(
            "X from column 'current_pA' (pA), Y from column 'potential_mV' (mV), {times}, sweeps from column 'sample'"
        ),
    );
    // As a spreadsheet writes it: a byte order mark, semicolons, decimal commas, other units and names.
    let row = |k, t: f64, x: f64, y: f64| format!("{};{};{k};{}", y / 1000.0, t / 1000.0, x / 1000.0).replace('.', ",");
    write(&table("\u{feff}Vm (V);t (s);sweep;I (nA)", row));
    let times = "times from column 't (s)': one value every 0.5 ms";
    check(
        &[],
        &format!("X from column 'I (nA)' (nA), Y from column 'Vm (V)' (V), {times}, sweeps from column 'sweep'"),
    );
    // Without times, with comments, quotes, spaces and columns that must be named.
    let comment = "# amplifier: made up\n";
    write(&(comment.to_owned() + &table("\"a\"\tb [mV]\tc [mV]\ttrial", |k, _, x, y| format!("{x}\t {y}\t0\t{k}"))));
    let names = ["--x", "a", "--y", "b [mV]"];
    check(
        &[&names[..], &["--rate-hz", "2000"]].concat(),
        "X from column 'a' (pA), Y from column 'b [mV]' (mV), sweeps from column 'trial'",
    );
    fails(directory, &["t.csv"], "it has no column of currents; its columns are 'a', 'b [mV]', 'c [mV]', 'trial'");
    fails(directory, &["t.csv", "--x", "a", "--y", "e"], "it has no column 'e'");

    // One long sweep.
    write(&table("time_ms,I,V", |k, t, x, y| format!("{},{x},{y}", t + 40.0 * k as f64)));
    assert_eq!(import(directory, &["t.csv", "--duration-ms", "20"])["shape"], json!([4, 20, 1]));
    assert_eq!(import(directory, &["t.csv"])["shape"], json!([1, 80, 1]));
    fails(directory, &["t.csv", "--duration-ms", "100"], "sweep 0 (shorter than a sample, 100 ms)");
    let row = |k: usize, t: f64, x: f64, y: f64| format!("{},{x},{y}", t + 41.0 * k as f64);
    write(&table("time_ms,I,V", row));
    fails(directory, &["t.csv"], "sweep 0 has uneven times or a gap, at ");
    write(&table("time,I,V", row));
    fails(directory, &["t.csv"], "its column of times has no unit; name it time_ms or time_s");
    write(&table("time_ms,I,V,quality", row));
    fails(directory, &["t.csv"], "it is not a table: ");
    write("time_ms,I,V,U_mV\n1,2,3,4\n");
    fails(directory, &["t.csv"], "it has more than one column of potentials");
    write("time_ms,I,V\n0,1,-65\n1,1,-65\n2,one,-65\n");
    fails(directory, &["t.csv"], "line 4, column 'I': 'one' is not a number");
    for text in ["", "1,2\n3,4\n", "time_ms,I,V\n", "time_ms,I,V\n1,2,3\n"] {
        write(text);
        fails(directory, &["t.csv"], "'t.csv': ");
    }
}

#[test]
fn nothing_is_replaced_without_being_asked() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    import(directory, &[&data("import.npz")]);
    let output = hhnet(directory, &["import", &data("import.npz"), "--out", "d.h5"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("'d.h5': it exists already"));
    for wrong in [&["import", "--out", "e.h5"][..], &["import", "--out", "e.h5", "--x", "a.npy"], &["import", "a.npz"]]
    {
        assert_eq!(hhnet(directory, wrong).status.code(), Some(2), "{wrong:?}");
    }
    fails(directory, &["absent.csv"], "absent.csv");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1, "nothing but the data file is left");
}
