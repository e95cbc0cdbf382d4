//! Own data: arrays written as data files, and recordings cut into samples.

use hhnet::dataset::{
    self, H5Matrix, ImportOptions, Imported, TestSamples, WriteOptions, cut, describe, millivolts_in, picoamperes_in,
    read_nwb, write_nwb,
};
use hhnet::ndarray::{Array3, s};
use hhnet::neuron::HhPscAlpha;
use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck, step_current};
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Options for samples of `duration_ms` at 1 ms.
fn of(duration_ms: f64) -> ImportOptions {
    ImportOptions { duration_ms, ..ImportOptions::default() }
}

/// The made-up sweeps of `tests/data/make_import.py`, pA and mV.
fn expected(k: usize, t_ms: f64) -> [f64; 2] {
    let (k, angle) = (k as f64, 2.0 * std::f64::consts::PI * t_ms / 1000.0);
    [10.0 * k + 100.0 * (5.0 * angle).sin(), -65.0 + k + 5.0 * (3.0 * angle).sin()]
}

/// Checks that the samples are those of the sweeps `(k, ms from the start of the sweep)`.
fn assert_samples(found: &Imported, sweeps: &[(usize, f64)]) {
    assert_eq!(found.x.dim().0, sweeps.len(), "{found}");
    assert_eq!(found.x.dim(), found.y.dim());
    for (sample, &(k, start_ms)) in sweeps.iter().enumerate() {
        for step in 0..found.x.dim().1 {
            let [x, y] = expected(k, start_ms + step as f64 * found.options.step_ms);
            let (dx, dy) = (found.x[[sample, step, 0]] - x, found.y[[sample, step, 0]] - y);
            // 1 pA is the rounding of one of the files. At its ends, a sweep is mirrored.
            assert!(dx.abs() < 2.5 && dy.abs() < 0.06, "sample {sample}, sweep {k}, step {step}: off by {dx}, {dy}");
        }
    }
}

fn assert_notes(found: &Imported, expected: &[&str]) {
    assert_eq!(found.notes.len(), expected.len(), "{:#?}", found.notes);
    for part in expected {
        assert!(found.notes.iter().any(|note| note.contains(part)), "{part}: {:#?}", found.notes);
    }
}

#[test]
fn recordings_of_pynwb_are_paired_by_the_table() {
    let found = read_nwb(data("import_table.nwb"), &of(50.0)).unwrap();
    let sweeps: Vec<_> = [(0, 4), (1, 4), (2, 2), (3, 3)]
        .iter()
        .flat_map(|&(k, samples)| (0..samples).map(move |nth| (k, 50.0 * f64::from(nth))))
        .collect();
    assert_samples(&found, &sweeps);
    assert_eq!((found.sweeps, found.dropped_samples), (4, 0));
    assert_notes(&found, &["lonely (the table has no current for it)", "clamped (VoltageClampSeries: only current"]);
}

#[test]
fn recordings_of_pynwb_are_paired_by_sweep_number_and_electrode() {
    let found = read_nwb(data("import_numbers.nwb"), &of(100.0)).unwrap();
    // In sweep 2 the neuron spikes at 150 ms. In sweep 3 values at 20 ms are NaN.
    assert_samples(&found, &[(0, 0.0), (0, 100.0), (1, 0.0), (2, 0.0), (3, 100.0)]);
    assert_eq!((found.sweeps, found.dropped_samples), (4, 1));
    assert_notes(
        &found,
        &[
            "resting (IZeroClampSeries: only current clamp is read)",
            "potential_003 (samples with values that are not numbers)",
            "potential_004 (shorter than a sample, 100 ms)",
        ],
    );
    let kept = read_nwb(data("import_numbers.nwb"), &ImportOptions { keep_spiking: true, ..of(100.0) }).unwrap();
    assert_eq!((kept.x.dim().0, kept.dropped_samples), (6, 0));
    let high = ImportOptions { spike_threshold_mv: 60.0, ..of(100.0) };
    assert_eq!(read_nwb(data("import_numbers.nwb"), &high).unwrap().y, kept.y);
}

#[test]
fn recordings_of_pynwb_are_paired_by_start_or_name() {
    let found = read_nwb(data("import_order.nwb"), &of(75.0)).unwrap();
    let starts = [0.0, 75.0];
    assert_samples(&found, &[0, 1, 2, 3].map(|k| starts.map(|start| (k, start))).concat());
    assert_notes(
        &found,
        &[
            "'gap_current' has uneven timestamps: 0.101000 s before value 51",
            "values 2.5 ms apart; give a step of 2.5 ms",
        ],
    );
    // At a step of 2.5 ms it is read, too.
    let slow = read_nwb(data("import_order.nwb"), &ImportOptions { step_ms: 2.5, ..of(75.0) }).unwrap();
    assert_eq!(slow.x.dim(), (11, 30, 1));
    assert_notes(&slow, &["gap_potential"]);
}

#[test]
fn files_that_yield_nothing_say_why() {
    let error = |name: &str, options: &ImportOptions| read_nwb(data(name), options).unwrap_err().to_string();
    let message = error("import_numbers.nwb", &of(1000.0));
    assert!(message.contains("yields no samples") && message.contains("shorter than a sample, 1000 ms"), "{message}");
    let message = error("import_table.nwb", &ImportOptions { spike_threshold_mv: -100.0, ..of(50.0) });
    assert!(message.contains("13 samples were dropped") && message.contains("--keep-spiking"), "{message}");
    let message = error("keras_even.h5", &of(50.0));
    assert!(message.contains("not an NWB 2 file: it has no attribute nwb_version"), "{message}");
    assert!(error("import_x.npy", &of(50.0)).contains("not an HDF5 file"));
    assert!(error("absent.nwb", &of(50.0)).contains("absent.nwb"));
    for (options, start) in [
        (of(50.5), "duration_ms = 50.5: give a whole multiple"),
        (ImportOptions { step_ms: 0.0, ..of(50.0) }, "step_ms = 0:"),
        (ImportOptions { spike_threshold_mv: f64::NAN, ..of(50.0) }, "spike_threshold_mv = NaN:"),
    ] {
        let message = error("import_table.nwb", &options);
        assert!(message.starts_with(start), "{message}");
    }
}

/// Every byte of a small file in turn is damaged: reading must fail or succeed, but never crash.
#[test]
fn damaged_recordings_do_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.nwb");
    let whole = std::fs::read(data("import_table.nwb")).unwrap();
    for nth in 0..60 {
        let mut bytes = whole.clone();
        let place = nth * bytes.len() / 60;
        bytes[place] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        let _ = read_nwb(&path, &of(50.0));
        std::fs::write(&path, &whole[..place]).unwrap();
        assert!(read_nwb(&path, &of(50.0)).is_err(), "cut off at {place}");
    }
}

/// A file that claims more values than it can hold: no memory is taken for them.
#[test]
fn claims_of_a_file_are_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("claims.nwb");
    let currents = [vec![1.0; 2000]];
    let responses = HhPscAlpha::default().simulate_many(&currents, 0.1, 0.1).unwrap();
    write_nwb(&path, &currents, &responses, false).unwrap();
    let file = hdf5::File::append(&path).unwrap();
    let group = file.group("acquisition/potential_0000").unwrap();
    group.unlink("data").unwrap();
    group.new_dataset::<i16>().shape(1_usize << 40).chunk(1 << 16).create("data").unwrap();
    file.close().unwrap();
    let message = read_nwb(&path, &of(100.0)).unwrap_err().to_string();
    assert!(message.contains("claims 1099511627776 values"), "{message}");
}

#[test]
fn simulated_recordings_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording.nwb");
    let noise = OrnsteinUhlenbeck { dt_ms: 0.1, ..OrnsteinUhlenbeck::default() };
    let mut currents: Vec<_> = (0..4).map(|seed| noise.trace(5000, &mut NumpyRandom::seed(seed))).collect();
    currents.push(step_current(1500.0, 2500..3000, 5000));
    let responses = HhPscAlpha::default().simulate_many(&currents, 0.1, 0.1).unwrap();
    assert!(responses[..4].iter().all(|response| response.spike_times_ms.is_empty()));
    assert!(!responses[4].spike_times_ms.is_empty());
    write_nwb(&path, &currents, &responses, false).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);

    let found = read_nwb(&path, &of(250.0)).unwrap();
    assert_eq!((found.x.dim(), found.sweeps, found.dropped_samples), ((9, 250, 1), 5, 1));
    assert!(found.notes.is_empty());
    // The same samples, without the file between.
    let potentials: Vec<_> = responses.iter().map(|response| response.potential_mv.clone()).collect();
    let direct = cut(&currents, &potentials, 0.1, &of(250.0)).unwrap();
    let distance = |a: &Array3<f64>, b: &Array3<f64>| (a - b).iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    assert!(distance(&found.x, &direct.x) < 0.05 && distance(&found.y, &direct.y) < 0.003);
    // At the recorded step, nothing is filtered.
    let raw = read_nwb(&path, &ImportOptions { step_ms: 0.1, keep_spiking: true, ..of(500.0) }).unwrap();
    assert!((0..5000).all(|i| (raw.y[[4, i, 0]] - responses[4].potential_mv[i]).abs() < 0.003));

    let refused = write_nwb(&path, &currents, &responses, false).unwrap_err().to_string();
    assert!(refused.contains("exists already"), "{refused}");
    write_nwb(&path, &currents[..1], &responses[..1], true).unwrap();
    for (currents, responses, part) in [
        (&currents[..0], &responses[..0], "currents_pa = none"),
        (&currents[..2], &responses[..1], "responses: expected shape (2,), found (1,)"),
        (&[vec![0.0; 3]][..], &responses[..1], "response 0: expected shape (3,), found (5000,)"),
        (&[vec![f64::NAN; 5000]][..], &responses[..1], "current is NaN at value 0 of sweep 0"),
    ] {
        let message = write_nwb(&path, currents, responses, true).unwrap_err().to_string();
        assert!(message.starts_with(part), "{message}");
    }
}

/// A long sweep is read in several blocks, which must fit together.
#[test]
fn long_sweeps_are_cut_as_short_ones_are() {
    // 100 s at 50 kHz.
    let length = 5_000_000;
    let value = |i: usize| (i as f64 * 2e-5 * 40.0).sin();
    let current: Vec<f64> = (0..length).map(value).collect();
    let potential: Vec<f64> = current.iter().map(|x| x - 65.0).collect();
    let found = cut(&[current], &[potential], 0.02, &of(1000.0)).unwrap();
    assert_eq!(found.x.dim(), (100, 1000, 1));
    for sample in 1..99 {
        for step in 0..1000 {
            let expected = value((sample * 1000 + step) * 50);
            let x = found.x[[sample, step, 0]];
            assert!((x - expected).abs() < 1e-3, "{sample} {step}");
            assert!((found.y[[sample, step, 0]] - x + 65.0).abs() < 1e-9);
        }
    }
}

#[test]
fn arrays_become_data_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let x = Array3::from_shape_fn((6, 20, 2), |(i, j, k)| (100 * i + 10 * j + k) as f64);
    let y = Array3::from_shape_fn((6, 20, 1), |(i, j, _)| -(i as f64) - j as f64);
    let read = |name: &str| H5Matrix::open(&path, name).unwrap().read(..).unwrap();

    let options = WriteOptions { test: TestSamples::Last(2), step_ms: 0.5, ..WriteOptions::default() };
    let written = dataset::write(&path, &x, &y, &options).unwrap();
    assert_eq!((written.shape, written.test_shape), ([4, 20, 2], Some([2, 20, 2])));
    assert_eq!(read("X"), x.slice(s![..4, .., ..]));
    assert_eq!(read("X_test"), x.slice(s![4.., .., ..]));
    assert_eq!(read("Y"), y.slice(s![..4, .., ..]));
    assert_eq!(read("Y_test"), y.slice(s![4.., .., ..]));
    assert_eq!(H5Matrix::open(&path, "X_test").unwrap().units(), Some("pA"));
    assert_eq!(H5Matrix::open(&path, "Y").unwrap().units(), Some("mV"));

    let refused = dataset::write(&path, &x, &y, &options).unwrap_err().to_string();
    assert!(refused.contains("exists already"), "{refused}");
    let options = WriteOptions { overwrite: true, ..WriteOptions::default() };
    dataset::write(&path, &x, &y, &options).unwrap();
    assert_eq!(describe(&path).unwrap().datasets.iter().map(|d| &d.name[..]).collect::<Vec<_>>(), ["X", "Y"]);

    // Arrays need not be in the usual order in memory. Test samples may be longer.
    let (reversed, long) = (x.clone().reversed_axes(), Array3::ones((1, 50, 2)));
    let source = ("source".to_owned(), "a calculation".to_owned());
    let options = WriteOptions {
        test: TestSamples::Given(long.clone(), Array3::zeros((1, 50, 1))),
        attributes: vec![source.clone()],
        ..options
    };
    dataset::write(&path, &reversed, &Array3::zeros((2, 20, 1)), &options).unwrap();
    assert_eq!(read("X"), reversed);
    assert_eq!(read("X_test"), long);
    let attributes = describe(&path).unwrap().attributes;
    assert!(attributes.iter().any(|(name, value)| (name, value.to_string()) == (&source.0, source.1.clone())));
}

#[test]
fn arrays_that_do_not_fit_are_refused_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.h5");
    let zeros = Array3::<f64>::zeros;
    let mut bad = zeros((3, 4, 1));
    bad[[2, 1, 0]] = f64::NAN;
    let write = |x: &Array3<f64>, y: &Array3<f64>, test: TestSamples, step_ms: f64| {
        let options = WriteOptions { test, step_ms, ..WriteOptions::default() };
        dataset::write(&path, x, y, &options).unwrap_err().to_string()
    };
    use TestSamples::{Given, Last};
    let (x, none) = (zeros((3, 4, 1)), Last(0));
    let given = |x: usize, y: usize| Given(zeros((x, 9, 1)), zeros((y, 9, 1)));
    for (message, expected) in [
        (write(&x, &zeros((3, 5, 1)), none.clone(), 1.0), "y: expected shape (3, 4, 1), found (3, 5, 1);"),
        (write(&x, &zeros((2, 4, 1)), none.clone(), 1.0), "y: expected shape (3, 4, 1), found (2, 4, 1);"),
        (write(&zeros((0, 4, 1)), &zeros((0, 4, 1)), none.clone(), 1.0), "x: expected shape (1 or more"),
        (write(&x, &bad, none.clone(), 1.0), "y is NaN at index (2, 1, 0);"),
        (write(&x, &x, Last(3), 1.0), "test = 3: there are 3 samples"),
        (write(&x, &x, given(2, 1), 1.0), "y_test: expected shape (2, 9, 1), found (1, 9, 1)"),
        (write(&x, &x, none, 0.0), "step_ms = 0:"),
    ] {
        assert!(message.starts_with(expected), "{message}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn sweeps_that_do_not_fit_are_refused() {
    let error = |x: &[Vec<f64>], y: &[Vec<f64>], interval: f64, options: &ImportOptions| {
        cut(x, y, interval, options).unwrap_err().to_string()
    };
    let sweep = |length: usize| vec![vec![0.0; length]];
    let y = vec![vec![-65.0; 100]];
    assert!(
        error(&sweep(100), &sweep(99), 1.0, &of(10.0)).starts_with("potential 0: expected shape (100,), found (99,)")
    );
    assert!(error(&sweep(100), &[], 1.0, &of(10.0)).starts_with("list of potentials: expected shape (1,)"));
    assert!(error(&sweep(100), &y, 2.0, &of(10.0)).contains("values 2 ms apart"));
    assert!(error(&sweep(100), &y, 0.0, &of(10.0)).starts_with("interval_ms = 0"));
    assert!(error(&[], &[], 1.0, &of(10.0)).contains("there is no recording"));
    assert!(error(&sweep(100), &y, 1.0, &of(1000.0)).contains("sweep 0 (shorter than a sample"));
}

#[test]
fn units_are_known_by_symbol_and_word() {
    let units = ["A", "amperes", "Amperes", "mA", "uA", "µA", "nA", " pA ", "fA", "picoamperes"];
    let values = [1e12, 1e12, 1e12, 1e9, 1e6, 1e6, 1e3, 1.0, 1e-3, 1.0];
    assert_eq!(units.map(picoamperes_in), values.map(Some));
    assert_eq!(["V", "volts", "mV", "millivolts", "uV"].map(millivolts_in), [1e3, 1e3, 1.0, 1.0, 1e-3].map(Some));
    for unit in ["", "a", "v", "MA", "xA", "pa", "kV", "Ohm", "é", "éV"] {
        assert_eq!((picoamperes_in(unit), millivolts_in(unit)), (None, None), "{unit}");
    }
}
