//! Data sets: what is written, what is read, and what is refused.

use hhnet::dataset::{
    self, AttributeValue, GenerateOptions, H5Matrix, MergeOptions, Shard, WriteOptions, describe, generate, merge, save,
};
use hhnet::neuron::HhPscAlpha;
use hhnet::progress::Progress;
use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck, PhiloxRandom, Stream};
use ndarray::s;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

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
        assert!(all.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4), "{name}");
        let prefix = if name == "Y" { "Y" } else { "Y_test" };
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64;
        for (statistic, value) in [("mean", mean), ("var", variance)] {
            let expected: f64 = golden.attr(&format!("{prefix}_{statistic}")).unwrap().read_scalar().unwrap();
            assert!((value / expected - 1.0).abs() < 1e-6, "{prefix}_{statistic}: {value} {expected}");
        }
    }
}

/// Noise so strong that about half of the trials spike.
fn strong() -> OrnsteinUhlenbeck {
    OrnsteinUhlenbeck { sigma: 60.0, ..Default::default() }
}

const DATA: [&str; 4] = ["X", "Y", "X_test", "Y_test"];

fn list<T: hdf5::H5Type>(path: &Path, name: &str) -> Vec<T> {
    hdf5::File::open(path).unwrap().dataset(name).unwrap().read_raw().unwrap()
}

#[test]
fn data_do_not_depend_on_the_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    for (stream, keep_spiking) in [(Stream::Numpy, false), (Stream::Philox, false), (Stream::Philox, true)] {
        let make = |threads: usize| {
            let path = directory.path().join(format!("{threads}-{}-{keep_spiking}.h5", stream.name()));
            let options = GenerateOptions {
                samples: 70,
                threads: Some(threads),
                current: strong(),
                stream,
                keep_spiking,
                ..small()
            };
            let made = generate(&path, &options).unwrap();
            (DATA.map(|name| values(&path, name)), made.dropped_trials, made.spikes)
        };
        let one = make(1);
        assert_eq!(one.1.is_empty(), keep_spiking);
        assert_eq!(one.2 > 0, keep_spiking);
        for threads in [2, 3, 8] {
            assert!(one == make(threads), "{} {keep_spiking}, {threads} threads", stream.name());
        }
    }
}

#[test]
fn a_sample_of_philox_depends_on_seed_and_number_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let options = GenerateOptions { samples: 30, current: strong(), stream: Stream::Philox, ..small() };
    let made = generate(&path, &options).unwrap();
    assert_eq!(list::<usize>(&path, "dropped_trials"), made.dropped_trials);
    let (x, y) = (values(&path, "X"), values(&path, "Y"));
    let attempts = |sample: usize| made.dropped_trials.iter().filter(|&&dropped| dropped == sample).count();
    assert!((0..30).any(|sample| attempts(sample) > 1));
    for sample in 0..30 {
        // Drawn again until there is no spike.
        for attempt in 0..=attempts(sample) {
            let mut random = PhiloxRandom::trial(options.seed, 0, sample as u64, attempt as u32);
            let current = options.current.trace(100, &mut random);
            let response = &HhPscAlpha::default().simulate_many(std::slice::from_ref(&current), 1.0, 0.1).unwrap()[0];
            assert_eq!(response.spike_times_ms.is_empty(), attempt == attempts(sample));
            if attempt == attempts(sample) {
                let rows = sample * 100..(sample + 1) * 100;
                assert!(x[rows.clone()] == current && y[rows] == response.potential_mv, "sample {sample}");
            }
        }
    }
    let more = directory.path().join("more.h5");
    generate(&more, &GenerateOptions { samples: 41, test_samples: 5, ..options.clone() }).unwrap();
    for (name, values) in DATA.map(|name| (name, values(&path, name))) {
        assert!(self::values(&more, name).starts_with(&values), "{name}");
    }
}

#[test]
fn shards_joined_are_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let whole = directory.path().join("whole.h5");
    std::fs::create_dir(directory.path().join("shards")).unwrap();
    for keep_spiking in [false, true] {
        let options = GenerateOptions {
            samples: 33,
            current: strong(),
            stream: Stream::Philox,
            keep_spiking,
            overwrite: true,
            ..small()
        };
        generate(&whole, &options).unwrap();
        let shard = |index| {
            let path = directory.path().join(format!("shards/{index}.h5"));
            let shard = Some(Shard { index, count: 4 });
            generate(&path, &GenerateOptions { shard, ..options.clone() }).unwrap().path
        };
        // Four shards of two test samples: two shards have none.
        let shards: Vec<PathBuf> = [3, 1, 4, 2].map(shard).to_vec();
        let copies = [false, true].map(|copy| {
            let path = directory.path().join(if copy { "copied.h5" } else { "joined.h5" });
            merge(&path, &shards, &MergeOptions { copy, overwrite: true, ..MergeOptions::default() }).unwrap().path
        });
        for joined in &copies {
            assert!(DATA.iter().all(|name| values(joined, name) == values(&whole, name)), "{joined:?}");
            let mut lists = vec!["dropped_trials", "dropped_test_trials"];
            if keep_spiking {
                assert!(!list::<f64>(joined, "spikes/times").is_empty());
                lists.extend(["spikes/senders", "spikes/times", "spikes_test/senders", "spikes_test/times"]);
            }
            for name in lists {
                assert_eq!(list::<f64>(joined, name), list::<f64>(&whole, name), "{name}");
            }
            let expected = GenerateOptions { overwrite: false, ..options.clone() };
            assert_eq!(GenerateOptions::read(joined).unwrap(), expected);
        }
    }
    // A directory is moved as a whole; what is missing of it is told.
    let moved = directory.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    for name in ["shards", "joined.h5", "copied.h5"] {
        std::fs::rename(directory.path().join(name), moved.join(name)).unwrap();
    }
    assert!(values(&moved.join("joined.h5"), "Y") == values(&whole, "Y"));
    std::fs::remove_dir_all(moved.join("shards")).unwrap();
    assert!(values(&moved.join("copied.h5"), "Y") == values(&whole, "Y"));
    let text = message(H5Matrix::open(moved.join("joined.h5"), "X"));
    assert!(text.contains("'shards/1.h5' is missing") && text.contains("--copy"), "{text}");
}

#[test]
fn shards_that_do_not_fit_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let make = |name: &str, seed: u32, shard: Option<Shard>| -> PathBuf {
        let options = GenerateOptions { seed, shard, stream: Stream::Philox, ..small() };
        generate(directory.path().join(name), &options).unwrap().path
    };
    let part = |index| Some(Shard { index, count: 3 });
    let [first, second, third] = [1, 2, 3].map(|index| make(&format!("{index}.h5"), 1, part(index)));
    let (other, whole) = (make("other.h5", 2, part(3)), make("whole.h5", 1, None));
    let target = directory.path().join("joined.h5");
    let join = |shards: &[&PathBuf]| {
        let shards: Vec<PathBuf> = shards.iter().map(|&path| path.clone()).collect();
        merge(&target, &shards, &MergeOptions::default())
    };
    for (shards, expected) in [
        (&[&first, &third][..], "missing: 2/3"),
        (&[&first, &second, &third, &second], "give each shard once"),
        (&[&first, &second, &other], "--seed 2"),
        (&[&first, &whole], "whole data set"),
        (&[], "give the files of all shards"),
        (&[&directory.path().join("4.h5")], "4.h5"),
    ] {
        let text = message(join(shards));
        assert!(text.contains(expected), "{text}");
    }
    // Not even where files may be replaced.
    let overwrite = MergeOptions { overwrite: true, ..MergeOptions::default() };
    let text = message(merge(&second, &[first.clone(), second.clone(), third.clone()], &overwrite));
    assert!(text.contains("2.h5") && text.contains("it is one of the shards"), "{text}");
    // A part that was damaged after it was made.
    let file = hdf5::File::append(&third).unwrap();
    file.unlink("Y").unwrap();
    file.new_dataset::<f64>().shape((1, 100, 1)).create("Y").unwrap();
    file.close().unwrap();
    let text = message(join(&[&first, &second, &third]));
    assert!(text.contains("3.h5") && text.contains("'Y' has shape [1, 100, 1], not [2, 100, 1]"), "{text}");
    assert!(!target.exists() && leftovers(directory.path()).is_empty());

    let options = GenerateOptions { shard: part(1), ..small() };
    assert!(message(generate(&target, &options)).contains("give stream philox"));
    let options = GenerateOptions { shard: Some(Shard { index: 1, count: 6 }), stream: Stream::Philox, ..small() };
    assert!(message(generate(&target, &options)).contains("at most 5 shards"));
    for text in ["0/3", "4/3", "3", "a/b", "-1/3", "1/0"] {
        assert!(message(text.parse::<Shard>()).starts_with(&format!("shard = {text}")), "{text}");
    }
}

#[test]
fn spiking_trials_are_kept_with_their_spikes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let options = GenerateOptions { samples: 40, keep_spiking: true, current: strong(), ..small() };
    let made = generate(&path, &options).unwrap();
    let (senders, times) = (list::<usize>(&path, "spikes/senders"), list::<f64>(&path, "spikes/times"));
    let in_test = list::<f64>(&path, "spikes_test/times");
    assert_eq!((made.spikes, made.dropped_trials.len()), (times.len() + in_test.len(), 0));
    let (x, y) = (values(&path, "X"), values(&path, "Y"));
    assert!(y.iter().any(|&v| v > 0.0), "spikes are in the potentials");
    for (sample, current) in x.chunks(100).enumerate() {
        let expected = HhPscAlpha::default().simulate(current, 1.0, 0.1).unwrap().spike_times_ms;
        let found: Vec<f64> =
            senders.iter().zip(&times).filter(|(sender, _)| **sender == sample).map(|(_, time)| *time).collect();
        assert_eq!(found, expected, "sample {sample}");
    }
}

#[test]
fn every_parameter_stands_in_the_file_and_decides() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let current = OrnsteinUhlenbeck { theta: 0.02, mu: -3.0, sigma: 11.0, x0: 5.0, dt_ms: 0.5 };
    #[rustfmt::skip]
    let neuron = HhPscAlpha {
        C_m: 110.0, g_Na: 12_500.0, g_K: 3_700.0, g_L: 31.0, E_Na: 51.0, E_K: -78.0, E_L: -55.0, I_e: -7.0, t_ref: 2.5,
    };
    let options = GenerateOptions { seed: 9, current, neuron, resolution_ms: 0.05, keep_spiking: true, ..small() };
    generate(&path, &options).unwrap();
    assert_eq!(GenerateOptions::read(&path).unwrap(), options);
    let (x, y) = (values(&path, "X"), values(&path, "Y"));
    let expected = neuron.simulate(&x[..200], 0.5, 0.05).unwrap().potential_mv;
    assert!(y[..200].iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4));
    let text = message(GenerateOptions::read(GOLDEN));
    assert!(text.contains("parameters cannot be read"), "{text}");
}

/// A step that is too long is taken shorter where it must be, and never gives a number that is none.
#[test]
fn long_steps_are_shortened_and_runaways_reported() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    for resolution_ms in [0.25, 0.5, 1.0] {
        generate(&path, &GenerateOptions { resolution_ms, overwrite: true, ..small() }).unwrap();
        let expected = HhPscAlpha::default().simulate(&values(&path, "X")[..100], 1.0, resolution_ms).unwrap();
        let pairs = values(&path, "Y").into_iter().zip(expected.potential_mv);
        assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 0.01, "{resolution_ms} ms");
    }
    for stream in [Stream::Numpy, Stream::Philox] {
        let current = OrnsteinUhlenbeck { x0: 1e7, ..Default::default() };
        let text = message(generate(&path, &GenerateOptions { current, stream, overwrite: true, ..small() }));
        assert!(text.contains("in trial 0 for X") && text.contains("at t = 2."), "{text}");
    }
}

#[test]
fn dropped_trials_take_their_share_of_the_stream() {
    // With strong noise about half of the trials spike; what is kept must be what drawing one by one keeps.
    let current = strong();
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
fn other_programs_find_seed_and_units() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    generate(&path, &small()).unwrap();
    let file = hdf5::File::open(&path).unwrap();
    assert_eq!(file.attr("seed").unwrap().read_scalar::<u32>().unwrap(), 1234);
    assert_eq!(file.attr("ou_sigma_pA_per_sqrt_ms").unwrap().read_scalar::<f64>().unwrap(), 25.0);
    let units = |name: &str| -> hdf5::types::VarLenUnicode {
        file.dataset(name).unwrap().attr("units").unwrap().read_scalar().unwrap()
    };
    assert_eq!(["X", "Y", "X_test", "Y_test"].map(|name| units(name).to_string()), ["pA", "mV", "pA", "mV"]);
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

/// Names of what is written under a temporary name in a directory.
fn leftovers(directory: &Path) -> Vec<String> {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".part")).collect()
}

/// The command line's tests do the same with processes that are killed.
#[test]
fn only_what_no_writer_of_the_same_file_holds_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let make = |name: &str| {
        let part = directory.path().join(name);
        std::fs::create_dir(&part).unwrap();
        std::fs::write(part.join("data.h5"), "unfinished").unwrap();
        std::fs::File::create(part.join("lock")).unwrap()
    };
    let living = make(".data.h5.living.part");
    living.try_lock().unwrap();
    drop(make(".data.h5.killed.part"));
    let others = [".other.h5.killed.part", ".data.h5.part", ".data.h5.by-hand.part"];
    others.iter().for_each(|name| drop(make(name)));
    generate(&path, &small()).unwrap();
    let mut expected = [&others[..], &[".data.h5.living.part"]].concat();
    expected.sort_unstable();
    let mut found = leftovers(directory.path());
    found.sort_unstable();
    assert_eq!(found, expected);
    drop(living);
    generate(&path, &GenerateOptions { overwrite: true, ..small() }).unwrap();
    assert!(!directory.path().join(".data.h5.living.part").exists());
}

#[test]
fn a_new_file_has_usual_permissions_and_a_replaced_one_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    generate(&path, &small()).unwrap();
    std::fs::write(directory.path().join("usual"), "").unwrap();
    assert_eq!(mode(&path), mode(&directory.path().join("usual")));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let link = directory.path().join("link.h5");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    generate(&link, &GenerateOptions { samples: 6, overwrite: true, ..small() }).unwrap();
    assert!(link.is_symlink());
    assert_eq!((mode(&path), values(&path, "X").len()), (0o640, 600));
}

/// The message of a file that is not as it was written.
fn unverified(path: &Path) -> String {
    message(hhnet::verify(path, Progress::Silent))
}

#[test]
fn whatever_changes_in_a_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.h5");
    let made = generate(&path, &GenerateOptions { keep_spiking: true, current: strong(), ..small() }).unwrap();
    assert!(made.spikes > 0);
    let verified = hhnet::verify(&path, Progress::Silent).unwrap();
    assert_eq!(verified.program, concat!("hhnet ", env!("CARGO_PKG_VERSION")));
    assert_eq!(hhnet::written_by(&path).unwrap().as_deref(), Some(&*verified.program));
    for (name, digits) in &verified.datasets {
        let bytes: Vec<u8> = values(&path, name).iter().flat_map(|value| value.to_le_bytes()).collect();
        let expected: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((digits, verified.datasets.len()), (&expected, 4), "{name}");
    }
    let whole = std::fs::read(&path).unwrap();
    type Change = fn(&hdf5::File) -> hdf5::Result<()>;
    let changes: [(Change, &str); 8] = [
        (
            |file| file.dataset("Y")?.write_slice(&ndarray::arr1(&[-64.0]), s![1, 7..8, 0]),
            "the values of 'Y' have changed",
        ),
        (|file| file.attr("seed")?.write_scalar(&7_u32), "contents have changed"),
        (|file| file.attr("ou_sigma_pA_per_sqrt_ms")?.write_scalar(&1e-300), "contents have changed"),
        (|file| file.dataset("spikes/times")?.write_slice(&ndarray::arr1(&[1.5]), s![0..1]), "contents have changed"),
        (|file| file.unlink("dropped_trials"), "contents have changed"),
        (|file| file.relink("X_test", "X_tests"), "contents have changed"),
        (|file| file.create_group("more").map(|_| ()), "contents have changed"),
        (|file| file.delete_attr("sha256"), "it has no checksum"),
    ];
    for (i, (change, expected)) in changes.into_iter().enumerate() {
        std::fs::write(&path, &whole).unwrap();
        let file = hdf5::File::open_rw(&path).unwrap();
        change(&file).unwrap();
        file.close().unwrap();
        let message = unverified(&path);
        assert!(message.contains(expected) && message.contains("d.h5"), "change {i}: {message}");
    }
    let message = unverified(Path::new(GOLDEN));
    assert!(message.contains("it has no checksum"), "{message}");
    assert_eq!(hhnet::written_by(GOLDEN).unwrap(), None);
}

#[test]
fn shards_are_verified_with_the_file_that_refers_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let shard = |index: usize, seed: u32| {
        let path = folder.path().join(format!("{index}.h5"));
        let shard = Some(Shard { index, count: 2 });
        generate(path, &GenerateOptions { shard, seed, stream: Stream::Philox, overwrite: true, ..small() })
            .unwrap()
            .path
    };
    let shards = [shard(1, 1), shard(2, 1)];
    let path = folder.path().join("d.h5");
    for copy in [true, false] {
        merge(&path, &shards, &MergeOptions { copy, overwrite: true, ..MergeOptions::default() }).unwrap();
        let verified = hhnet::verify(&path, Progress::Silent).unwrap();
        assert_eq!((verified.shards.len(), verified.datasets.len()), if copy { (0, 4) } else { (2, 0) });
    }
    // Whole, but not what was merged.
    shard(2, 9);
    let message = unverified(&path);
    assert!(message.contains("2.h5': it is not the shard that was merged"), "{message}");
    std::fs::remove_file(&shards[1]).unwrap();
    assert!(unverified(&path).contains("2.h5"));
}

#[test]
fn shards_of_different_programs_are_not_joined() {
    let folder = tempfile::tempdir().unwrap();
    let shards = [1, 2].map(|index| {
        let shard = Some(Shard { index, count: 2 });
        let options = GenerateOptions { shard, stream: Stream::Philox, ..small() };
        generate(folder.path().join(format!("{index}.h5")), &options).unwrap().path
    });
    let file = hdf5::File::open_rw(&shards[1]).unwrap();
    let older: hdf5::types::VarLenUnicode = "hhnet 0.0.9".parse().unwrap();
    file.attr("program").unwrap().write_scalar(&older).unwrap();
    file.close().unwrap();
    let message = message(merge(folder.path().join("d.h5"), &shards, &MergeOptions::default()));
    assert!(message.contains("made by hhnet 0.0.9, but") && message.contains("the same version"), "{message}");
}

#[test]
fn a_file_that_was_never_closed_is_named() {
    const WRITES: &str = "HHNET_TEST_WRITES";
    if let Some(path) = std::env::var_os(WRITES) {
        let mut options = hdf5::File::with_options();
        options.with_fapl(|access| access.libver_latest());
        let file = options.create(path).unwrap();
        file.new_dataset::<f64>().shape(3).create("X").unwrap().write_raw(&[1.0; 3]).unwrap();
        file.flush().unwrap();
        std::process::abort();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.h5");
    let mut writer = std::process::Command::new(std::env::current_exe().unwrap());
    let test = ["a_file_that_was_never_closed_is_named", "--exact"];
    assert!(!writer.args(test).env(WRITES, &path).output().unwrap().status.success());
    let message = message(describe(&path));
    assert!(message.contains("has ended without closing it") && message.contains("h5clear -s"), "{message}");
}

#[test]
fn files_of_another_version_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.h5");
    generate(&path, &small()).unwrap();
    let file = hdf5::File::open_rw(&path).unwrap();
    let stream: hdf5::types::VarLenUnicode = "threefry".parse().unwrap();
    file.attr("stream").unwrap().write_scalar(&stream).unwrap();
    file.close().unwrap();
    let message = message(GenerateOptions::read(&path));
    assert!(message.contains("random stream is unknown to this version"), "{message}");
    // Its samples are read all the same.
    assert_eq!(values(&path, "X").len(), 500);
}

#[test]
fn threads_write_and_read_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let folder = folder.path();
            scope.spawn(move || {
                for round in 0..5 {
                    let path = folder.join(format!("{thread}-{round}.h5"));
                    let values = ndarray::Array3::from_elem((50, 20, 1), f64::from(10 * thread + round));
                    save(&path, "X", &values, "pA", false).unwrap();
                    assert_eq!(H5Matrix::open(&path, "X").unwrap().read(..).unwrap(), values);
                }
            });
        }
    });
}

#[test]
fn any_place_that_can_be_written_to_will_do() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let values = ndarray::Array3::zeros((2, 3, 1));
    let write = |name: &str| save(folder.path().join(name), "X", &values, "pA", true);
    for name in ["plain.h5", "with blanks.h5", "Größe – 膜電位.h5", "'quoted\".h5", "-dash.h5", ".hidden"] {
        write(name).unwrap();
        assert!(H5Matrix::open(folder.path().join(name), "X").is_ok(), "{name}");
    }
    symlink("plain.h5", folder.path().join("link.h5")).unwrap();
    write("link.h5").unwrap();
    assert!(folder.path().join("link.h5").is_symlink());
    assert!(message(write("absent/d.h5")).contains("its directory does not exist"));
    assert!(message(write("..")).contains("it is a directory"));
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Nothing is closed to root.
    if std::fs::File::create(closed.join("try")).is_err() {
        assert!(message(write("closed/d.h5")).contains("closed/d.h5': cannot create a temporary directory next to it"));
    }
}

#[test]
fn attributes_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let x = ndarray::Array3::zeros((3, 4, 1));
    for (names, expected) in [
        (vec!["sha256"], "\"sha256\""),
        (vec!["program"], "another attribute"),
        (vec!["lab", "lab"], "\"lab\": the file has another attribute"),
        (vec![""], "give a name"),
        (vec!["a\0"], "zero bytes"),
    ] {
        let attributes = names.iter().map(|name| (name.to_string(), String::new())).collect();
        let options = WriteOptions { attributes, ..WriteOptions::default() };
        let message = message(dataset::write(folder.path().join("d.h5"), &x, &x, &options));
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(leftovers(folder.path()), Vec::<String>::new());
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
        (GenerateOptions { resolution_ms: 0.3, ..small() }, "resolution_ms = 0.3"),
        (GenerateOptions { resolution_ms: 0.0, ..small() }, "resolution_ms = 0"),
        (GenerateOptions { current: OrnsteinUhlenbeck { dt_ms: 0.0, ..strong() }, ..small() }, "dt_ms = 0"),
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
    assert!(
        text.contains("no dataset 'Z'") && text.contains("X, X_test, Y, Y_test, dropped_test_trials, dropped_trials"),
        "{text}"
    );
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
}

/// A file that h5py wrote: see `tests/data/make_hdf5.py`.
fn foreign(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(format!("hdf5_{name}.h5"))
}

/// What the files of `make_hdf5.py` hold in many forms.
fn foreign_values() -> ndarray::Array3<f64> {
    ndarray::Array3::from_shape_fn((4, 10, 1), |(i, j, _)| (10 * i + j) as f64)
}

#[test]
fn every_type_shape_and_filter_of_h5py_is_read() {
    let (path, expected) = (foreign("types"), foreign_values());
    let names: Vec<String> = describe(&path).unwrap().datasets.into_iter().map(|dataset| dataset.name).collect();
    let of = |group: &'static str| names.iter().filter(move |name| name.starts_with(group));
    assert_eq!((of("types/").count(), of("filters/").count()), (20, 5));
    for name in of("types/").chain(of("filters/")) {
        let x = H5Matrix::open(&path, name).unwrap();
        assert_eq!(x.shape(), (4, 10, 1), "{name}");
        assert_eq!(x.read(..).unwrap(), expected, "{name}");
        assert_eq!(x.read(1..=2).unwrap(), expected.slice(ndarray::s![1..3, .., ..]), "{name}");
        assert_eq!(x.read_f32(-1..).unwrap().mapv(f64::from), expected.slice(ndarray::s![3.., .., ..]), "{name}");
        if let Some(dtype) = name.strip_prefix("types/") {
            assert_eq!(x.dtype(), dtype.trim_end_matches("_be"));
        }
    }
    let steps = H5Matrix::open(&path, "shapes/steps").unwrap();
    assert_eq!(steps.shape(), (1, 10, 1));
    assert_eq!(steps.read(..).unwrap(), expected.slice(ndarray::s![..1, .., ..]));
    assert!(message(steps.read(1..)).contains("it has 1 samples"));
    let flat = H5Matrix::open(&path, "shapes/samples_steps").unwrap();
    assert_eq!(flat.read(1..3).unwrap(), expected.slice(ndarray::s![1..3, .., ..]));
    let channels = H5Matrix::open(&path, "shapes/channels").unwrap().read(2..).unwrap();
    assert_eq!(channels.dim(), (2, 10, 2));
    assert_eq!((channels[(1, 4, 0)], channels[(1, 4, 1)]), (34.0, -34.0));
}

#[test]
fn the_files_of_the_trials_are_read() {
    for (name, dtype) in [("be", "float64"), ("i16", "int16"), ("d2", "float64"), ("attrlist", "float64")] {
        let [x, y] = ["X", "Y"].map(|dataset| H5Matrix::open(foreign(name), dataset).unwrap());
        assert_eq!((x.shape(), x.dtype()), ((8, 100, 1), dtype), "{name}");
        assert_eq!(y.read(..).unwrap(), ndarray::Array3::from_elem((8, 100, 1), -65.0), "{name}");
        assert_eq!(x.read_f32(..).unwrap(), x.read(..).unwrap().mapv(|value| value as f32), "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_explained() {
    let path = foreign("types");
    let open = |name: &str| message(H5Matrix::open(&path, name));
    for (name, dtype) in [
        ("text", "unicode (var len) of shape [2]"),
        ("complex", "compound (2 fields) of shape [4, 10, 1]"),
        ("boolean", "bool of shape"),
        ("table", "compound (2 fields)"),
        ("empty", "float64 of shape []"),
        ("no_samples", "float64 of shape [0, 10, 1]"),
        ("four_dimensions", "float64 of shape [1, 2, 3, 4]"),
        ("one_number", "float64 of shape []"),
    ] {
        let text = open(&format!("no_numbers/{name}"));
        assert!(text.contains(dtype) && text.contains("(samples, steps, channels), (samples, steps) or"), "{text}");
    }
    for (name, filter) in
        [("zstd", "filter 32015 (zstd)"), ("blosc", "filter 32001 (blosc)"), ("own", "filter 40000 (unknown to hhnet)")]
    {
        let text = open(&format!("missing/{name}"));
        assert!(text.contains(filter) && text.contains("h5repack") && !text.contains("lib/plugin"), "{text}");
    }
    let too_large = H5Matrix::open(&path, "no_numbers/too_large").unwrap();
    let text = message(too_large.read(..));
    assert!(text.contains(" samples needs ") && text.contains(" of memory, have "), "{text}");
    assert!(open("missing").contains("it is a group"), "{}", open("missing"));
    let text = open("X");
    assert!(text.contains("filters/fletcher32, filters/gzip_shuffle,") && text.ends_with(" more"), "{text}");
}

#[test]
fn values_that_are_not_finite_are_refused_or_kept() {
    let holes = H5Matrix::open(foreign("types"), "holes").unwrap();
    assert_eq!(holes.read(..2).unwrap().dim(), (2, 10, 1));
    assert!(message(holes.read(..)).contains("NaN at index (2, 5, 0)"));
    assert!(message(holes.read(1..)).contains("NaN at index (2, 5, 0)"));
    assert!(message(holes.read_f32(3..)).contains("-inf at index (3, 7, 0)"));
    let holes = holes.allow_nan();
    let values = holes.read(..).unwrap();
    assert!(values[(2, 5, 0)].is_nan() && values[(3, 7, 0)] == f64::NEG_INFINITY);
    assert_eq!(values.iter().filter(|value| !value.is_finite()).count(), 2);
    assert!(holes.read_f32(2..).unwrap()[(0, 5, 0)].is_nan());

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.h5");
    // Several blocks.
    let mut large = ndarray::Array3::zeros((70, 5000, 2));
    large[(66, 4321, 1)] = 1e300;
    save(&path, "Y", &large, "mV", false).unwrap();
    let y = H5Matrix::open(&path, "Y").unwrap();
    assert_eq!(y.read(..).unwrap(), large);
    assert!(message(y.read_f32(1..)).contains("inf at index (66, 4321, 1)"));
}

#[test]
fn links_are_followed_and_broken_ones_named() {
    let path = foreign("links");
    for name in ["data/X", "a_soft", "a_soft_group/X", "data/itself/itself/X", "external"] {
        assert_eq!(H5Matrix::open(&path, name).unwrap().read(..).unwrap(), foreign_values(), "{name}");
    }
    assert_eq!(H5Matrix::open(&path, "a_soft").unwrap().units(), Some("pA"));
    assert!(message(H5Matrix::open(&path, "broken_soft")).contains("'broken_soft' is a broken link"));
    let text = message(H5Matrix::open(&path, "broken_file/X"));
    assert!(text.contains("'broken_file' is a broken link") && text.contains("gone.h5"), "{text}");

    let contents = describe(&path).unwrap();
    let names: Vec<&str> = contents.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
    assert_eq!(names, ["a_soft", "data/X", "external"]);
    assert_eq!(contents.datasets[2].dtype, "int16");
    let broken: Vec<&str> = contents.broken_links.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(broken, ["broken_file", "broken_place", "broken_soft"]);
    assert!(contents.to_string().contains("broken_file: a broken link ("), "{contents}");
}

#[test]
fn every_attribute_is_shown() {
    use AttributeValue::{Boolean, Empty, Float, Integer, List, Other, Text};
    let contents = describe(foreign("attributes")).unwrap();
    let text = |value: &str| Text(value.to_owned());
    let other = |value: &str| Other(value.to_owned());
    let expected = [
        ("array", other("another type")),
        ("big_endian", List(vec![Integer(1), Integer(2)])),
        ("boolean", Boolean(true)),
        ("booleans", List(vec![Boolean(true), Boolean(false)])),
        ("complex", other("compound (2 fields)")),
        ("compound", other("compound (2 fields) of shape [1]")),
        ("empty", Empty),
        ("empty_text", Empty),
        ("enum", other("enum (uint8)")),
        ("fixed", text("pA")),
        ("fixed_list", List(vec![text("one"), text("three")])),
        ("fixed_utf8", text("µs")),
        ("float", Float(0.25)),
        ("float16", Float(0.5)),
        ("integer", Integer(-3)),
        ("latin1", text("\u{fffd}V")),
        ("list", List(vec![text("a"), text("b")])),
        ("long", other("string (len 1500)")),
        ("long_double", other("another type")),
        ("many", other("float16 of shape [1001]")),
        ("matrix", List([[1, 2, 3], [4, 5, 6]].map(|row| List(row.map(Integer).to_vec())).to_vec())),
        ("nan", Float(f64::NAN)),
        ("no_texts", List(vec![])),
        ("opaque", other("another type")),
        ("ragged", other("[int32] (var len) of shape [1]")),
        ("reference", other("reference (object)")),
        ("region", other("reference (region)")),
        ("text", text("µV")),
        ("unsigned", Integer(u64::MAX.into())),
    ];
    for ((name, value), (expected_name, expected)) in contents.attributes.iter().zip(&expected) {
        assert_eq!((name.as_str(), format!("{value:?}")), (*expected_name, format!("{expected:?}")));
    }
    assert_eq!(contents.attributes.len(), expected.len());
    let shown = contents.to_string();
    for line in ["matrix = [[1, 2, 3], [4, 5, 6]]", "list = [a, b]", "empty = (empty)", "enum = (enum (uint8))"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert_eq!(contents.datasets[0].units.as_deref(), Some("pA"));
    assert!(describe(foreign("attrlist")).unwrap().to_string().contains("channels = [a, b]"));
}

#[test]
fn headers_of_other_programs_and_the_latest_format_are_no_obstacle() {
    for name in ["userblock", "latest"] {
        for dataset in ["X", "chunked", "growing"] {
            assert_eq!(values(&foreign(name), dataset), foreign_values().into_raw_vec_and_offset().0, "{name}");
        }
        assert_eq!(H5Matrix::open(foreign(name), "X").unwrap().units(), Some("pA"));
    }
}
