//! Data sets: what is written, what is read, and what is refused.

use hhnet::dataset::{GenerateOptions, H5Matrix, generate};
use hhnet::stimulus::OrnsteinUhlenbeck;
use sha2::{Digest, Sha256};
use std::path::Path;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/original_seed1234.h5");

fn small() -> GenerateOptions {
    GenerateOptions { samples: 5, test_samples: 2, duration_ms: 100.0, test_duration_ms: 300.0, ..Default::default() }
}

fn values(path: &Path, name: &str) -> Vec<f64> {
    H5Matrix::open(path, name).unwrap().read(..).unwrap().into_raw_vec_and_offset().0
}

fn message<T: std::fmt::Debug>(result: hhnet::Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_full_data_set_is_the_originals() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("HodkinHuxleySubthresholdData.h5");
    let made = generate(&path, &GenerateOptions::default()).unwrap();

    let golden = hdf5::File::open(GOLDEN).unwrap();
    let rejected: Vec<usize> = golden.attr("rejected_trials").unwrap().read_raw().unwrap();
    assert_eq!(made.dropped_trials, rejected);
    assert!(made.dropped_test_trials.is_empty());
    for (name, attribute) in [("X", "X_sha256"), ("X_test", "X_test_sha256")] {
        let bytes: Vec<u8> = values(&path, name).iter().flat_map(|x| x.to_le_bytes()).collect();
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let expected: hdf5::types::VarLenUnicode = golden.attr(attribute).unwrap().read_scalar().unwrap();
        assert_eq!(hash, expected.as_str(), "{name}");
    }
    for (name, head) in [("Y", "Y_head"), ("Y_test", "Y_test_head")] {
        let expected: Vec<f64> = golden.dataset(head).unwrap().read_raw().unwrap();
        let all = values(&path, name);
        assert!(all.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{name}");
        let prefix = if name == "Y" { "Y" } else { "Y_test" };
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64;
        for (statistic, value) in [("mean", mean), ("var", variance)] {
            let expected: f64 = golden.attr(&format!("{prefix}_{statistic}")).unwrap().read_scalar().unwrap();
            assert!((value / expected - 1.0).abs() < 1e-7, "{prefix}_{statistic}: {value} {expected}");
        }
    }
}

#[test]
fn data_do_not_depend_on_the_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    let make = |threads: usize| {
        let path = directory.path().join(format!("{threads}.h5"));
        generate(&path, &GenerateOptions { threads: Some(threads), ..small() }).unwrap();
        ["X", "Y", "X_test", "Y_test"].map(|name| values(&path, name))
    };
    let one = make(1);
    for threads in [2, 3, 8] {
        assert_eq!(one, make(threads), "{threads} threads");
    }
}

#[test]
fn dropped_trials_take_their_share_of_the_stream() {
    // With strong noise about half of the trials spike; what is kept must be what drawing one by one keeps.
    use hhnet::neuron::HhPscAlpha;
    use hhnet::stimulus::NumpyRandom;
    let current = OrnsteinUhlenbeck { sigma: 60.0, ..Default::default() };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("strong.h5");
    let made = generate(&path, &GenerateOptions { current, samples: 20, seed: 7, ..small() }).unwrap();
    assert!(!made.dropped_trials.is_empty());

    let mut random = NumpyRandom::seed(7);
    let mut trial = || {
        let x = current.trace(100, &mut random);
        let spiked = !HhPscAlpha::default().simulate(&x, 1.0, 0.1).unwrap().spike_times_ms.is_empty();
        (x, spiked)
    };
    let trials: Vec<_> = (0..2 + 20 + made.dropped_trials.len()).map(|_| trial()).skip(2).collect();
    let kept: Vec<f64> = trials.iter().filter(|t| !t.1).flat_map(|t| t.0.clone()).collect();
    assert_eq!(values(&path, "X"), kept);
}

#[test]
fn parameters_stand_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    generate(&path, &small()).unwrap();
    let file = hdf5::File::open(&path).unwrap();
    assert_eq!(file.attr("seed").unwrap().read_scalar::<u32>().unwrap(), 1234);
    assert_eq!(file.attr("ou_sigma_pA_per_sqrt_ms").unwrap().read_scalar::<f64>().unwrap(), 25.0);
    let units: hdf5::types::VarLenUnicode = file.dataset("Y").unwrap().attr("units").unwrap().read_scalar().unwrap();
    assert_eq!(units.as_str(), "mV");
}

#[test]
fn an_existing_file_is_safe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    std::fs::write(&path, "precious").unwrap();
    let text = message(generate(&path, &small()));
    assert!(text.contains("exists already") && text.contains("--force"), "{text}");
    // A run that fails half-way leaves it as it was, and nothing beside it.
    let hopeless = OrnsteinUhlenbeck { mu: 3000.0, x0: 3000.0, ..Default::default() };
    let text = message(generate(&path, &GenerateOptions { current: hopeless, overwrite: true, ..small() }));
    assert!(text.contains("trials in a row"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    generate(&path, &GenerateOptions { overwrite: true, ..small() }).unwrap();
    assert_eq!(values(&path, "X").len(), 500);
}

#[test]
fn two_writers_of_one_file_do_not_disturb_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let part = directory.path().join("data.h5.part");
    let other = hdf5::File::create(&part).unwrap();
    let text = message(generate(&path, &small()));
    assert!(text.contains("data.h5.part") && text.contains("another run"), "{text}");
    assert!(part.exists() && !path.exists());
    drop(other);
    // A lock that nobody holds any more is what a killed run leaves.
    generate(&path, &small()).unwrap();
    assert!(path.exists() && !part.exists());
}

#[test]
fn bad_options_are_named_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let cases = [
        (GenerateOptions { samples: 0, ..small() }, "samples = 0"),
        (GenerateOptions { samples: usize::MAX, ..small() }, "samples = "),
        (GenerateOptions { test_samples: 0, ..small() }, "test_samples = 0"),
        (GenerateOptions { duration_ms: 0.5, ..small() }, "duration_ms = 0.5"),
        (GenerateOptions { test_duration_ms: f64::NAN, ..small() }, "test_duration_ms = NaN"),
        (GenerateOptions { dt_ms: 0.3, ..small() }, "dt_current_ms = 1"),
        (GenerateOptions { threads: Some(0), ..small() }, "threads = 0"),
    ];
    for (options, expected) in cases {
        let text = message(generate(&path, &options));
        assert!(text.contains(expected), "{text}");
    }
    let text = message(generate(directory.path().join("no/such/data.h5"), &small()));
    assert!(text.contains("directory does not exist"), "{text}");
    assert!(message(generate(directory.path(), &small())).contains("is a directory"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn ranges_count_from_the_end_as_in_python() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    generate(&path, &small()).unwrap();
    let x = H5Matrix::open(&path, "X").unwrap();
    let all = x.read(..).unwrap();
    assert_eq!(x.read(-2..).unwrap(), all.slice(ndarray::s![3.., .., ..]));
    assert_eq!(x.read(..-2).unwrap(), all.slice(ndarray::s![..3, .., ..]));
    assert_eq!(x.read(-2..=-1).unwrap(), all.slice(ndarray::s![3.., .., ..]));
    assert_eq!(x.read(-4..2).unwrap(), all.slice(ndarray::s![1..2, .., ..]));
    for (start, end) in [(2, 2), (3, 1), (0, 6), (-6, 5), (isize::MAX, isize::MIN)] {
        let text = message(x.read(start..end));
        assert!(text.contains("it has 5 samples"), "{text}");
    }
}

#[test]
fn files_of_other_programs_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.h5");
    let expected = ndarray::Array3::from_shape_fn((7, 50, 1), |(i, j, _)| (i * 50 + j) as f64 / 8.0);
    let file = hdf5::File::create(&path).unwrap();
    file.new_dataset::<f64>()
        .chunk((3, 20, 1))
        .deflate(4)
        .shape((7, 50, 1))
        .create("zipped")
        .unwrap()
        .write(&expected)
        .unwrap();
    file.new_dataset::<f64>()
        .chunk((7, 25, 1))
        .lzf()
        .shape((7, 50, 1))
        .create("lzf")
        .unwrap()
        .write(&expected)
        .unwrap();
    let single = expected.mapv(|v| v as f32);
    file.new_dataset::<f32>()
        .shuffle()
        .fletcher32()
        .chunk((2, 50, 1))
        .shape((7, 50, 1))
        .create("single")
        .unwrap()
        .write(&single)
        .unwrap();
    file.close().unwrap();
    for name in ["zipped", "lzf", "single"] {
        assert_eq!(H5Matrix::open(&path, name).unwrap().read(..).unwrap(), expected, "{name}");
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    generate(&path, &small()).unwrap();
    let open = |name: &str, dataset: &str| message(H5Matrix::open(directory.path().join(name), dataset));

    assert!(open("absent.h5", "X").contains("absent.h5"));
    assert!(open(".", "X").contains("not a regular file"));
    let text = open("data.h5", "Z");
    assert!(text.contains("no dataset 'Z'") && text.contains("X, X_test, Y, Y_test"), "{text}");
    std::fs::write(directory.path().join("text.h5"), "not HDF5 at all").unwrap();
    assert!(open("text.h5", "X").contains("not an HDF5 file"));
    std::fs::write(directory.path().join("empty.h5"), "").unwrap();
    assert!(open("empty.h5", "X").contains("0 bytes"));

    let bytes = std::fs::read(&path).unwrap();
    for length in [8, 95, 96, 2047, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(directory.path().join("cut.h5"), &bytes[..length]).unwrap();
        let result = H5Matrix::open(directory.path().join("cut.h5"), "X").and_then(|x| x.read(..));
        assert!(message(result).contains("cut.h5"), "{length}");
    }

    let file = hdf5::File::create(directory.path().join("odd.h5")).unwrap();
    file.new_dataset::<i32>().shape((2, 3, 1)).create("integers").unwrap();
    file.new_dataset::<f64>().shape((2, 3)).create("flat").unwrap();
    file.new_dataset::<f64>().shape((0, 3, 1)).create("nothing").unwrap();
    let holes = ndarray::arr3(&[[[0.0], [1.0]], [[2.0], [f64::NAN]]]);
    file.new_dataset::<f64>().shape((2, 2, 1)).create("holes").unwrap().write(&holes).unwrap();
    file.close().unwrap();
    for name in ["integers", "flat", "nothing"] {
        let text = open("odd.h5", name);
        assert!(text.contains("float32 or float64 of shape"), "{text}");
    }
    let holes = H5Matrix::open(directory.path().join("odd.h5"), "holes").unwrap();
    let text = message(holes.read(1..));
    assert!(text.contains("NaN at index (1, 1, 0)"), "{text}");
}
