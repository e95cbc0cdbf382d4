//! Any numbers, in every option and for every shape: a result, or an error that names what is wrong. Never a panic, and
//! no memory before it is known that there is so much.

use std::ops::Range;
use std::panic::catch_unwind;

use hhnet::Error;
use hhnet::dataset::{
    GenerateOptions, H5Matrix, ImportOptions, Shard, TestSamples, WriteOptions, cut, generate, millivolts_in,
    picoamperes_in, read_nwb, save, write, write_nwb,
};
use hhnet::figure::{Figure, Share, Slider, subplots};
use hhnet::math::{least_squares, linspace, resample};
use hhnet::ndarray::{Array2, Array3};
use hhnet::neuron::{HhPscAlpha, Response, alpha_h, alpha_m, alpha_n, beta_h, beta_m, beta_n};
use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck, PhiloxRandom, Stream, step_current};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The cases are the same in each run.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() }
}

/// A number that nobody expects, or a usual one.
fn wild() -> impl Strategy<Value = f64> {
    let limits = [0.0, -0.0, 5e-324, f64::MIN_POSITIVE, f64::EPSILON, f64::MAX, f64::INFINITY, f64::NAN];
    let usual = [1e-300, 1e-12, 1e-3, 0.1, 0.5, 1.0, 2.0, 10.0, 1e3, 1e6, 1e12, 1e15, 1e18, 1e300];
    let some = prop::sample::select([&limits[..], &usual[..]].concat());
    prop_oneof![some.clone(), some.prop_map(|x| -x), any::<f64>(), -1e3..1e3]
}

/// A number of things that nobody expects, or a small one.
fn wild_count() -> impl Strategy<Value = usize> {
    let limits = [1 << 16, 1 << 31, 1 << 32, 1 << 40, 1 << 53, usize::MAX / 8, usize::MAX / 2, usize::MAX - 1];
    prop_oneof![0..5_usize, 0..5_usize, prop::sample::select(limits.to_vec()), Just(usize::MAX), any::<usize>()]
}

/// The default, or something else in one of four cases.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    default: T,
    other: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    prop_oneof![3 => Just(default), 1 => other].boxed()
}

#[allow(non_snake_case, reason = "a symbol keeps its name")]
fn neurons() -> impl Strategy<Value = HhPscAlpha> {
    let d = HhPscAlpha::default();
    let of = |default| mostly(default, wild());
    let conductances = (of(d.g_Na), of(d.g_K), of(d.g_L));
    let potentials = (of(d.E_Na), of(d.E_K), of(d.E_L));
    (of(d.C_m), conductances, potentials, of(d.I_e), of(d.t_ref)).prop_map(
        |(C_m, (g_Na, g_K, g_L), (E_Na, E_K, E_L), I_e, t_ref)| HhPscAlpha {
            C_m,
            g_Na,
            g_K,
            g_L,
            E_Na,
            E_K,
            E_L,
            I_e,
            t_ref,
        },
    )
}

fn noises() -> impl Strategy<Value = OrnsteinUhlenbeck> {
    let d = OrnsteinUhlenbeck::default();
    let of = |default| mostly(default, wild());
    (of(d.theta), of(d.mu), of(d.sigma), of(d.x0), of(d.dt_ms))
        .prop_map(|(theta, mu, sigma, x0, dt_ms)| OrnsteinUhlenbeck { theta, mu, sigma, x0, dt_ms })
}

/// The parameter that an error names must be one of these.
fn assert_named(error: &Error, names: &[&str]) -> std::result::Result<(), TestCaseError> {
    let Error::Parameter { name, .. } = error else { return Ok(()) };
    prop_assert!(names.iter().any(|known| name == known || name.ends_with(&format!("::{known}"))), "{}", error);
    Ok(())
}

const NEURON: [&str; 11] =
    ["C_m", "g_Na", "g_K", "g_L", "E_Na", "E_K", "E_L", "I_e", "t_ref", "dt_current_ms", "resolution_ms"];
const NOISE: [&str; 5] = ["theta", "mu", "sigma", "x0", "dt_ms"];

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_neuron_responds_or_says_why_not(
        neuron in neurons(),
        current_pa in vec(mostly(10.0, wild()), 0..3),
        dt_ms in mostly(1.0, wild()),
        resolution_ms in mostly(0.5, wild()),
    ) {
        let many = neuron.simulate_many(std::slice::from_ref(&current_pa), dt_ms, resolution_ms);
        let all = [
            neuron.simulate(&current_pa, dt_ms, resolution_ms),
            neuron.simulate_rk4(&current_pa, dt_ms, resolution_ms),
            neuron.record(&current_pa, dt_ms, resolution_ms).map(|recording| recording.response),
            many.map(|mut responses| responses.remove(0)),
        ];
        for found in all {
            match found {
                Ok(Response { potential_mv, spike_times_ms, .. }) => {
                    prop_assert_eq!(potential_mv.len(), current_pa.len());
                    prop_assert!(potential_mv.iter().all(|v| v.abs() <= 1e3), "{:?}", potential_mv);
                    prop_assert!(spike_times_ms.iter().all(|t| t.is_finite()));
                }
                Err(error) => assert_named(&error, &NEURON)?,
            }
        }
    }

    #[test]
    fn rates_are_numbers_at_all_potentials(v in wild()) {
        for (nth, rate) in [alpha_m, beta_m, alpha_h, beta_h, alpha_n, beta_n].into_iter().enumerate() {
            prop_assert_eq!(rate(v).is_nan(), v.is_nan(), "{}", nth);
            prop_assert!(v.is_nan() || v.is_infinite() || rate(v) >= 0.0 && rate(v).is_finite(), "{}", nth);
        }
    }

    #[test]
    fn noise_is_drawn_or_its_parameter_named(noise in noises(), n in 0..30_usize, seed: u32) {
        match noise.validate() {
            Ok(()) => prop_assert_eq!(noise.trace(n, &mut NumpyRandom::seed(seed)).len(), n),
            Err(error) => assert_named(&error, &NOISE)?,
        }
    }

    /// Whatever the seed is, the same one gives the same numbers, and its neighbour others.
    #[test]
    fn seeds_decide(seed: u32, split: u32, sample: u64, attempt: u32) {
        let numpy = |seed| NumpyRandom::seed(seed).standard_normal();
        prop_assert!(numpy(seed).is_finite() && numpy(seed) == numpy(seed));
        prop_assert_ne!(numpy(seed), numpy(seed.wrapping_add(1)));
        let philox = |seed, split, sample, attempt| PhiloxRandom::trial(seed, split, sample, attempt).standard_normal();
        let first = philox(seed, split, sample, attempt);
        prop_assert!(first.is_finite() && first == philox(seed, split, sample, attempt));
        prop_assert_ne!(first, philox(seed.wrapping_add(1), split, sample, attempt));
        prop_assert_ne!(first, philox(seed, split, sample.wrapping_add(1), attempt));
        prop_assert_ne!(first, philox(seed, split, sample, attempt.wrapping_add(1)));
    }

    #[test]
    fn spaces_between_numbers_are_even_whatever_they_are(start in wild(), stop in wild(), num in 0..20_usize) {
        prop_assert_eq!(linspace(start, stop, num).len(), num);
        prop_assert_eq!(step_current(start, num..3, 5).len(), 5);
    }

    #[test]
    fn values_are_resampled_or_the_places_refused(
        values in vec(-100.0..100.0_f64, 0..60),
        first in mostly(0.0, wild()),
        step in mostly(1.7, wild()),
        count in mostly(3, wild_count()),
    ) {
        match resample(&values, first, step, count) {
            Ok(found) => prop_assert!(found.len() == count && found.iter().all(|value| value.is_finite())),
            Err(error) => assert_named(&error, &["step", "count"])?,
        }
    }

    #[test]
    fn weights_of_least_squares_are_finite(
        (columns, a) in (0..4_usize).prop_flat_map(|columns| (Just(columns), vec(mostly(1.0, wild()), columns * 6))),
        rows in 0..7_usize,
        b in vec(mostly(2.0, wild()), 0..7),
    ) {
        let a = Array2::from_shape_fn((rows.min(6), columns), |(row, column)| a[row * columns + column]);
        if let Ok(weights) = least_squares(&a, &b) {
            prop_assert!(weights.len() == columns && weights.iter().all(|weight| weight.is_finite()));
        }
    }

    #[test]
    fn recordings_are_cut_or_refused(
        lengths in vec((0..80_usize, 0..80_usize), 0..3),
        value in mostly(-65.0, wild()),
        interval_ms in mostly(1.0, wild()),
        duration_ms in mostly(20.0, wild()),
        step_ms in mostly(1.0, wild()),
        spike_threshold_mv in mostly(0.0, wild()),
        keep_spiking: bool,
    ) {
        let same = lengths.iter().all(|lengths| lengths.0 % 4 != 0);
        let rows = |row: fn(&(usize, usize)) -> usize| lengths.iter().map(|lengths| vec![value; row(lengths)]).collect();
        let currents_pa: Vec<Vec<f64>> = rows(|lengths| lengths.0);
        let potentials_mv: Vec<Vec<f64>> = if same { currents_pa.clone() } else { rows(|lengths| lengths.1) };
        let options = ImportOptions { duration_ms, step_ms, keep_spiking, spike_threshold_mv, ..ImportOptions::default() };
        match cut(&currents_pa, &potentials_mv, interval_ms, &options) {
            Ok(found) => {
                prop_assert_eq!(found.x.dim(), found.y.dim());
                prop_assert!(!found.x.is_empty() && found.x.iter().chain(&found.y).all(|value| value.is_finite()));
            }
            Err(error) => assert_named(&error, &["interval_ms", "duration_ms", "step_ms", "spike_threshold_mv"])?,
        }
    }

    #[test]
    fn texts_are_units_shards_and_streams_or_not(text in ".{0,12}", index: usize, count: usize) {
        let factors = [picoamperes_in(&text), millivolts_in(&text)];
        prop_assert!(factors.into_iter().flatten().all(|factor| factor > 0.0));
        if let Err(error) = text.parse::<Stream>() {
            assert_named(&error, &["stream"])?;
        }
        for text in [text, format!("{index}/{count}")] {
            match text.parse::<Shard>() {
                Ok(shard) => prop_assert!((1..=shard.count).contains(&shard.index)),
                Err(error) => assert_named(&error, &["shard"])?,
            }
        }
    }
}

fn generate_options() -> impl Strategy<Value = GenerateOptions> {
    let shard = (wild_count(), wild_count()).prop_map(|(index, count)| Some(Shard { index, count }));
    let lengths = (mostly(2, wild_count()), mostly(20.0, wild()), mostly(1, wild_count()), mostly(30.0, wild()));
    let rest = (
        mostly(1.0, wild()),
        mostly(None, wild_count().prop_map(Some)),
        mostly(None, shard),
        any::<(u32, bool, bool)>(),
    );
    (lengths, noises(), mostly(HhPscAlpha::default(), neurons()), rest).prop_map(
        |(
            (samples, duration_ms, test_samples, test_duration_ms),
            current,
            neuron,
            (resolution_ms, threads, shard, (seed, numpy, keep_spiking)),
        )| {
            GenerateOptions {
                samples,
                duration_ms,
                test_samples,
                test_duration_ms,
                seed,
                stream: if numpy { Stream::Numpy } else { Stream::Philox },
                shard,
                current,
                neuron,
                resolution_ms,
                keep_spiking,
                threads,
                ..GenerateOptions::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(cases(120))]

    /// Sizes that are allowed, but take long, are not tried.
    #[test]
    fn a_data_set_is_generated_or_nothing_is_written(options in generate_options()) {
        const OPTIONS: [&str; 7] =
            ["samples", "duration_ms", "test_samples", "test_duration_ms", "threads", "shard", "resolution_ms"];
        let names = [&OPTIONS[..], &NEURON, &NOISE].concat();
        if let Err(error) = options.validate() {
            assert_named(&error, &names)?;
        } else {
            let values = |samples: usize, duration_ms: f64| samples as f64 * duration_ms / options.current.dt_ms;
            let values = values(options.samples, options.duration_ms) + values(options.test_samples, options.test_duration_ms);
            // The second is more than any machine has, for a single trial.
            let largest_ms = options.duration_ms.max(options.test_duration_ms);
            if values > 1e4 && largest_ms / options.current.dt_ms < 1e13 {
                return Ok(());
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.h5");
        match generate(&path, &options) {
            Ok(made) => {
                for (name, shape) in [("X", made.shape), ("Y", made.shape), ("X_test", made.test_shape)] {
                    if shape[0] > 0 {
                        let found = H5Matrix::open(&path, name).unwrap().read(..).unwrap();
                        prop_assert_eq!(found.shape(), &shape[..]);
                    }
                }
                prop_assert_eq!(GenerateOptions::read(&path).unwrap().samples, options.samples);
            }
            Err(error) => {
                assert_named(&error, &names)?;
                prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{}", error);
            }
        }
    }

    #[test]
    fn arrays_of_any_shape_are_written_or_refused(
        shape in (0..4_usize, 0..4_usize, 0..3_usize),
        y_shape in (0..4_usize, 0..4_usize, 0..3_usize),
        same: bool,
        value in mostly(1.0, wild()),
        last in mostly(0, wild_count()),
        given: bool,
        step_ms in mostly(1.0, wild()),
        name in prop_oneof![Just("X".to_owned()), ".{0,6}"],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (x, y) = (Array3::from_elem(shape, value), Array3::from_elem(if same { shape } else { y_shape }, 1.0));
        let test = if given { TestSamples::Given(y.clone(), x.clone()) } else { TestSamples::Last(last) };
        let options = WriteOptions { test, step_ms, attributes: vec![(name.clone(), name.clone())], overwrite: false };
        if let Ok(written) = write(folder.path().join("written.h5"), &x, &y, &options) {
            let found = H5Matrix::open(&written.path, "X").unwrap().read(..).unwrap();
            prop_assert_eq!(found.shape(), &written.shape[..]);
        }
        let path = folder.path().join("saved.h5");
        if save(&path, &name, &x, &name, false).is_ok()
            && let Ok(found) = H5Matrix::open(&path, &name).and_then(|matrix| matrix.read(..))
        {
            prop_assert_eq!(found, x);
        }
    }

    #[test]
    fn ranges_of_samples_are_read_or_refused(start: isize, end: isize, near in -6..6_isize, other in -6..6_isize) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.h5");
        save(&path, "X", &Array3::zeros((4, 2, 1)), "pA", false).unwrap();
        let matrix = H5Matrix::open(&path, "X").unwrap();
        for range in [Range { start, end }, Range { start: near, end: other }, Range { start: near, end }] {
            if let Ok(found) = matrix.read(range.clone()) {
                prop_assert!((1..=4).contains(&found.dim().0), "{:?}", range);
            }
            _ = matrix.slice(range.start..=range.end);
            _ = matrix.slice((std::ops::Bound::Excluded(range.start), std::ops::Bound::Unbounded));
        }
    }

    #[test]
    fn simulated_recordings_are_written_or_refused(
        lengths in vec((0..4_usize, 0..4_usize), 0..3),
        value in mostly(-65.0, wild()),
        dt_ms in mostly(1.0, wild()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording.nwb");
        let currents: Vec<Vec<f64>> = lengths.iter().map(|lengths| vec![value; lengths.0]).collect();
        let response = |length: usize| Response { potential_mv: vec![value; length], spike_times_ms: vec![], dt_ms };
        let responses: Vec<Response> = lengths.iter().map(|lengths| response(lengths.1.max(lengths.0 / 2 * 2))).collect();
        if write_nwb(&path, &currents, &responses, false).is_ok() {
            _ = read_nwb(&path, &ImportOptions { duration_ms: 2.0, ..ImportOptions::default() });
        } else {
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}

/// Something that is plotted into a panel.
#[derive(Debug, Clone)]
struct Call {
    kind: u8,
    x: Vec<f64>,
    y: Vec<f64>,
    a: f64,
    b: f64,
    count: usize,
    text: String,
}

impl Call {
    fn plot(&self, figure: &mut Figure) {
        let Call { kind, x, y, a, b, count, text } = self;
        let axes = figure.axes(if *kind < 40 { 0 } else { *count }, 0);
        match kind % 20 {
            0 => axes.plot(x, y, text).markers(),
            1 => axes.plot_y(y, text),
            2 => axes.semilogy(x, y, text),
            3 => axes.semilogx(x, y, text),
            4 => axes.loglog(x, y, text),
            5 => axes.scatter(x, y, text),
            6 => axes.errorbar(x, y, x, text),
            7 => axes.fill_between(x, y, x, text),
            8 => axes.hist(y, *count, text),
            9 => axes.vlines(x, *a, *b, text),
            10 => axes.hlines(y, *a, *b, text),
            11 => axes.axhline(*a, text),
            12 => axes.axvline(*b, text),
            13 => axes.text(*a, *b, text),
            14 => axes.xlim(*a, *b).linewidth(*a),
            15 => axes.ylim(*a, *b).linestyle(text),
            16 => axes.plot(x, x, text).color(text),
            17 => axes.title(text).xlabel(text).ylabel(text),
            _ => axes.grid().legend(),
        };
        if kind % 20 == 19 {
            figure.figsize(*a, *b);
        }
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let values = || vec(mostly(1.5, wild()), 0..6);
    let call = (0..42_u8, values(), values(), wild(), wild(), wild_count(), ".{0,8}")
        .prop_map(|(kind, x, y, a, b, count, text)| Call { kind, x, y, a, b, count, text });
    vec(call, 0..4)
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_figure_is_drawn_or_the_mistake_told(calls in calls(), rows in mostly(1, wild_count()), columns in mostly(1, wild_count())) {
        let mut figure = subplots(rows, columns, Share::XAllYColumn);
        calls.iter().for_each(|call| call.plot(&mut figure));
        if let Ok(svg) = figure.to_svg() {
            let is_number = |text: &str| !text.contains("NaN") && !text.contains("inf");
            let attributes = svg.as_str().split('<').filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag);
            prop_assert!(attributes.into_iter().all(is_number), "{}", svg.as_str());
        }
        let mut slider = Slider::new("");
        slider.frame("1", figure);
        _ = slider.to_html();
    }
}

/// Within 1 to 1e9 units in the last place of the points where the plain quotient is 0 / 0, and further away.
#[test]
fn rates_near_their_singular_points_are_exact_to_1e_12() {
    for (v, expected) in ALPHA_M {
        assert!((alpha_m(v) / expected - 1.0).abs() < 1e-12, "alpha_m({v:e}) = {:e}", alpha_m(v));
    }
    for (v, expected) in ALPHA_N {
        assert!((alpha_n(v) / expected - 1.0).abs() < 1e-12, "alpha_n({v:e}) = {:e}", alpha_n(v));
    }
}

/// What takes more memory than any machine has is refused before any is taken, with what it needs and what there is.
#[test]
fn sizes_that_no_machine_has_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.h5");
    let default = GenerateOptions::default;
    for (options, parts) in [
        (GenerateOptions { duration_ms: 1e12, ..default() }, &["samples = 10000: ", "2^50"][..]),
        (
            GenerateOptions { duration_ms: 1e12, samples: 1, ..default() },
            &["duration_ms = 1000000000000: needs 32.0 TB"],
        ),
        (
            GenerateOptions { test_duration_ms: 1e13, test_samples: 1, stream: Stream::Philox, ..default() },
            &["test_duration_ms = 10000000000000: needs 320.0 TB of memory, have "],
        ),
        (GenerateOptions { samples: 1_000_000_000_000_000, ..default() }, &["samples = 1000000000000000"]),
        (GenerateOptions { threads: Some(1 << 40), ..default() }, &["threads = 1099511627776: give 1 to 1024"]),
    ] {
        let error = generate(&path, &options).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// What returns its values as they are can only panic, but does not end the process.
#[test]
fn lengths_that_no_machine_has_do_not_end_the_process() {
    let message = |panic: Box<dyn std::any::Any + Send>| *panic.downcast::<String>().unwrap();
    for length in [1 << 42, usize::MAX] {
        let found = catch_unwind(|| linspace(0.0, 1.0, length));
        assert!(message(found.unwrap_err()).starts_with(&format!("num = {length}: needs ")));
        let found = catch_unwind(|| step_current(1.0, 0..1, length));
        assert!(message(found.unwrap_err()).starts_with(&format!("steps = {length}: needs ")));
        let found = catch_unwind(|| OrnsteinUhlenbeck::default().trace(length, &mut NumpyRandom::seed(1)));
        assert!(message(found.unwrap_err()).starts_with(&format!("n = {length}: needs ")));
    }
}

/// One case for each field.
#[test]
fn every_field_out_of_range_is_named_with_its_value() {
    type Set<T> = fn(&mut T, f64);
    let fields: [(&str, Set<HhPscAlpha>, &[f64]); 9] = [
        ("C_m", |n, x| n.C_m = x, &[0.0, -1.0]),
        ("g_Na", |n, x| n.g_Na = x, &[-1.0]),
        ("g_K", |n, x| n.g_K = x, &[-1.0]),
        ("g_L", |n, x| n.g_L = x, &[-1.0]),
        ("E_Na", |n, x| n.E_Na = x, &[1001.0, -1001.0]),
        ("E_K", |n, x| n.E_K = x, &[1001.0, -1001.0]),
        ("E_L", |n, x| n.E_L = x, &[1001.0, -1001.0]),
        ("I_e", |n, x| n.I_e = x, &[]),
        ("t_ref", |n, x| n.t_ref = x, &[-1.0]),
    ];
    for (name, set, bad) in fields {
        for &bad in bad.iter().chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
            let mut neuron = HhPscAlpha::default();
            set(&mut neuron, bad);
            let error = neuron.simulate(&[0.0], 1.0, 0.1).unwrap_err().to_string();
            assert!(error.starts_with(&format!("HhPscAlpha::{name} = {bad}: give ")), "{error}");
        }
    }
    let fields: [(&str, Set<OrnsteinUhlenbeck>, &[f64]); 5] = [
        ("theta", |n, x| n.theta = x, &[-1.0]),
        ("mu", |n, x| n.mu = x, &[]),
        ("sigma", |n, x| n.sigma = x, &[-1.0]),
        ("x0", |n, x| n.x0 = x, &[]),
        ("dt_ms", |n, x| n.dt_ms = x, &[0.0, -1.0, 200.0]),
    ];
    for (name, set, bad) in fields {
        for &bad in bad.iter().chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
            let mut current = OrnsteinUhlenbeck::default();
            set(&mut current, bad);
            let error = GenerateOptions { current, ..GenerateOptions::default() }.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("OrnsteinUhlenbeck::{name} = {bad}: ")), "{error}");
        }
    }
    let too_fast = HhPscAlpha { C_m: 2e-5, ..HhPscAlpha::default() }.simulate(&[0.0; 3], 1.0, 0.1).unwrap_err();
    let too_fast = too_fast.to_string();
    assert!(too_fast.starts_with("HhPscAlpha::C_m = 0.00002: the potential changes too fast"), "{too_fast}");
    let error = |dt_ms, resolution_ms| HhPscAlpha::default().simulate(&[0.0; 3], dt_ms, resolution_ms).unwrap_err();
    assert_eq!(error(1.0, 1e-9).to_string(), "resolution_ms = 0.000000001: give 0.00001 ms or more");
    let expected = "dt_current_ms = 1000000: with a resolution_ms of 0.1 ms, give 10000 ms or less";
    assert_eq!(error(1e6, 0.1).to_string(), expected);
}

#[cfg(feature = "model")]
mod model {
    use super::*;
    use hhnet::model::{
        Activation, Adam, Conv1D, Dense, Engine, InputLayer, Loss, ModelOptions, Padding, Sequential, TimeDistributed,
        device, generate_model, l2, trained_model,
    };
    use hhnet::training::{Callback, EarlyStopping, FitOptions, LearningRateScheduler, Monitor, ReduceLrOnPlateau};

    /// Sizes of layers: few, or more than are allowed. Those between are allowed, but take long.
    fn sizes() -> impl Strategy<Value = usize> {
        prop_oneof![4 => 1..4_usize, 1 => prop::sample::select(vec![0, 65_537, 1 << 32, usize::MAX])]
    }

    fn assert_predicts(model: &hhnet::model::Model, channels: usize) -> std::result::Result<(), TestCaseError> {
        for (samples, steps) in [(0, 3), (1, 0), (1, 1), (2, 5)] {
            let x = Array3::<f64>::ones((samples, steps, channels));
            match model.predict(&x) {
                Ok(found) => prop_assert_eq!((found.dim().0, found.dim().1), (samples, steps)),
                Err(Error::Shape { what, .. }) => prop_assert!(samples * steps == 0 && what == "x"),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(cases(60))]

        #[test]
        fn a_model_is_built_or_its_option_named(
            layer_sizes in vec(sizes(), 0..4),
            kernel_sizes in vec(sizes(), 0..4),
            same: bool,
            lr in mostly(0.001, wild()),
            penalty in mostly(0.01, wild()),
            input_channels in sizes(),
            seed: u64,
            libtorch: bool,
        ) {
            let kernel_sizes = if same { layer_sizes.clone() } else { kernel_sizes };
            let engine = if libtorch { Engine::Libtorch } else { Engine::Auto };
            let options =
                ModelOptions { lr, layer_sizes, kernel_sizes, input_channels, l2: penalty, seed, engine, ..ModelOptions::default() };
            match generate_model(&options) {
                Ok(model) => assert_predicts(&model, options.input_channels)?,
                Err(Error::Parameter { name, .. }) => {
                    let names = ["lr", "l2", "layer_sizes", "kernel_sizes", "input_channels", "model"];
                    prop_assert!(names.iter().any(|known| name.starts_with(known)), "{}", name);
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }

        #[test]
        fn layers_and_optimisers_are_taken_or_named(
            layers in vec((sizes(), sizes(), sizes(), wild(), 0..5_u8), 0..4),
            channels in sizes(),
            rate in mostly(0.01, wild()),
            beta_1 in mostly(0.9, wild()),
            beta_2 in mostly(0.999, wild()),
            epsilon in mostly(1e-7, wild()),
        ) {
            let mut model = Sequential::new(1);
            model.add(InputLayer::new(channels));
            for (filters, kernel_size, dilation_rate, penalty, kind) in layers {
                let layer = Conv1D::new(filters, kernel_size).dilation_rate(dilation_rate);
                match kind {
                    0 => model.add(layer.padding(Padding::Causal).activation(Activation::Tanh)),
                    1 => model.add(layer.activation(Activation::Relu).kernel_regularizer(l2(penalty))),
                    2 => model.add(TimeDistributed(Dense::new(filters).activation(Activation::Sigmoid))),
                    3 => model.add(layer),
                    _ => model.add(TimeDistributed(Dense::new(1))),
                };
            }
            let adam = Adam::new(rate).beta_1(beta_1).beta_2(beta_2).epsilon(epsilon);
            if let Ok(mut model) = model.compile(adam, Loss::Mse) {
                assert_predicts(&model, channels)?;
                let x = Array3::<f64>::ones((3, 4, channels));
                let y = model.predict(&x).unwrap();
                match model.fit(&x, &y, None, &FitOptions { batch_size: 2, ..FitOptions::default() }) {
                    Ok(history) => prop_assert!(history.loss[0].is_finite()),
                    Err(error) => prop_assert!(matches!(error, Error::NotFinite { .. }), "{}", error),
                }
            }
        }

        #[test]
        fn a_training_ends_or_its_option_is_named(
            count in 0..4_usize,
            value in mostly(1.0, wild()),
            batch_size in mostly(2, wild_count()),
            epochs in mostly(2, wild_count()),
            seed: u64,
            numbers in (mostly(0.5, wild()), mostly(0.0, wild()), mostly(0.0, wild())),
            patience in wild_count(),
            schedule in vec(mostly(0.01, wild()), 0..3),
            kind in 0..4_u8,
        ) {
            let (factor, min_delta, min_lr) = numbers;
            let (monitor, x) = (Monitor::Loss, Array3::from_elem((count, 3, 1), value));
            let plateau = ReduceLrOnPlateau { monitor, factor, patience, min_delta, min_lr, cooldown: patience };
            // Whatever the number of epochs is, this one ends after the second.
            let stopping = EarlyStopping { monitor, min_delta: f64::INFINITY, ..EarlyStopping::default() };
            let callbacks = vec![
                match kind {
                    0 => Callback::ReduceLrOnPlateau(plateau),
                    1 => Callback::LearningRateScheduler(LearningRateScheduler { schedule }),
                    2 => Callback::EarlyStopping(EarlyStopping {
                        monitor,
                        patience,
                        min_delta,
                        baseline: Some(factor),
                        start_from_epoch: patience,
                        restore_best_weights: true,
                    }),
                    _ => Callback::TerminateOnNan,
                },
                Callback::EarlyStopping(stopping),
            ];
            let options = FitOptions { batch_size, epochs, seed, callbacks, ..FitOptions::default() };
            let mut model = trained_model().unwrap();
            match model.fit(&x, &x, Some((&x, &x)), &options) {
                Ok(history) => prop_assert!(history.loss.iter().all(|loss| loss.is_finite())),
                Err(Error::Parameter { name, .. }) => {
                    prop_assert!(["batch_size", "epochs"].contains(&&*name) || name.starts_with("callbacks[0]."), "{}", name);
                }
                Err(error) => prop_assert!(matches!(error, Error::NotFinite { .. } | Error::Shape { .. }), "{}", error),
            }
            prop_assert!(model.get_weights().unwrap().iter().flatten().all(|weight| weight.is_finite()));
        }

        #[test]
        fn single_traces_rates_and_devices(values in vec(mostly(1.0, wild()), 0..5), rate in wild(), name in ".{0,8}") {
            let mut model = trained_model().unwrap();
            match model.predict_trace(&values) {
                Ok(found) => prop_assert_eq!(found.len(), values.len()),
                Err(error) => prop_assert!(matches!(error, Error::NotFinite { .. } | Error::Shape { .. }), "{}", error),
            }
            if let Err(error) = model.set_learning_rate(rate) {
                prop_assert!(error.to_string().starts_with("Adam: learning_rate = "));
            }
            if let Err(error) = device(&name) {
                assert_named(&error, &["device"])?;
            }
        }
    }

    /// A kernel that reaches far and many channels: no weights to speak of, but activations that no machine can hold.
    #[test]
    fn memory_for_a_model_at_work_is_checked() {
        let mut model = Sequential::new(1);
        model.add(InputLayer::new(1)).add(Conv1D::new(1, 65_536)).add(TimeDistributed(Dense::new(65_536)));
        model.add(TimeDistributed(Dense::new(1)));
        let mut model = model.compile(Adam::new(0.001), Loss::Mse).unwrap();
        model.set_threads(Some(1024)).unwrap();
        let x = Array3::<f64>::ones((1, 10, 1));
        let errors = [
            model.predict(&x).map(|_| ()).unwrap_err(),
            model.evaluate(&x, &x).map(|_| ()).unwrap_err(),
            model.fit(&x, &x, None, &FitOptions::default()).map(|_| ()).unwrap_err(),
        ];
        for error in errors.map(|error| error.to_string()) {
            let is_explained = error.contains("1024 threads this needs ") && error.contains(" TB of memory, have ");
            assert!(
                error.starts_with("x = samples of 10 steps: with InputLayer(1), Conv1D(1, 65536") && is_explained,
                "{error}"
            );
        }
    }
}

/// Potentials (mV) as doubles, and the rates there (1/ms). Python's `decimal` with 90 digits has made them: `u / (1 - (-u).exp())`
/// with `u = (Decimal(v) + 40) / 10`, and a tenth of that with 55 in place of 40.
#[rustfmt::skip]
const ALPHA_M: [(f64, f64); 29] = [
    (-40.0, 1.0),
    (-39.99999999999999, 1.0000000000000004),
    (-40.00000000000001, 0.9999999999999997),
    (-39.9999999999999, 1.0000000000000049),
    (-40.0000000000001, 0.999999999999995),
    (-39.999999999999, 1.0000000000000502),
    (-40.000000000001, 0.9999999999999499),
    (-39.99999999999, 1.0000000000004998),
    (-40.00000000001, 0.9999999999995002),
    (-39.9999999999, 1.000000000005),
    (-40.0000000001, 0.9999999999949999),
    (-39.999999999, 1.0000000000499998),
    (-40.000000001, 0.9999999999500002),
    (-39.99999999, 1.0000000005),
    (-40.00000001, 0.9999999995),
    (-39.9999999, 1.000000005),
    (-40.0000001, 0.9999999949999999),
    (-39.999999, 1.0000000500000008),
    (-40.000001, 0.999999950000001),
    (-39.99999, 1.0000005000000836),
    (-40.00001, 0.9999995000000832),
    (-39.999, 1.0000500008333333),
    (-40.001, 0.9999500008333334),
    (-39.9, 1.0050083333194446),
    (-40.1, 0.9950083333194444),
    (-10.0, 3.157187089473768),
    (-70.0, 0.15718708947376786),
    (460.0, 50.0),
    (-340.0, 2.807286890652315e-12),
];

#[rustfmt::skip]
const ALPHA_N: [(f64, f64); 29] = [
    (-55.0, 0.1),
    (-54.99999999999999, 0.10000000000000003),
    (-55.00000000000001, 0.09999999999999996),
    (-54.9999999999999, 0.10000000000000049),
    (-55.0000000000001, 0.0999999999999995),
    (-54.999999999999, 0.10000000000000502),
    (-55.000000000001, 0.099999999999995),
    (-54.99999999999, 0.10000000000005),
    (-55.00000000001, 0.09999999999995002),
    (-54.9999999999, 0.10000000000050001),
    (-55.0000000001, 0.09999999999949999),
    (-54.999999999, 0.10000000000499998),
    (-55.000000001, 0.09999999999500002),
    (-54.99999999, 0.10000000005000001),
    (-55.00000001, 0.09999999995),
    (-54.9999999, 0.1000000005),
    (-55.0000001, 0.09999999949999999),
    (-54.999999, 0.10000000500000007),
    (-55.000001, 0.09999999500000009),
    (-54.99999, 0.10000005000000835),
    (-55.00001, 0.09999995000000832),
    (-54.999, 0.10000500008333332),
    (-55.001, 0.09999500008333334),
    (-54.9, 0.10050083333194446),
    (-55.1, 0.09950083333194444),
    (-25.0, 0.3157187089473768),
    (-85.0, 0.015718708947376786),
    (445.0, 5.0),
    (-355.0, 2.807286890652315e-13),
];
