//! Training: agreement with Keras, independence of threads, bad data.

use hhnet::model::{Model, ModelOptions, generate_model};
use hhnet::ndarray::{Array3, ArrayD, Ix3, s};
use hhnet::training::{FitOptions, History};

const KERAS_WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keras_default.weights.h5");
const KERAS_VALUES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keras_default.h5");

fn keras(name: &str) -> ArrayD<f64> {
    hdf5::File::open(KERAS_VALUES).unwrap().dataset(name).unwrap().read_dyn().unwrap()
}

fn keras3(name: &str) -> Array3<f64> {
    keras(name).into_dimensionality::<Ix3>().unwrap()
}

/// Series with some structure: shifted waves and what a smooth function makes of them.
fn waves(series: usize, steps: usize) -> (Array3<f64>, Array3<f64>) {
    let x = Array3::from_shape_fn((series, steps, 1), |(i, t, _)| ((i * 37 + t) as f64 * 0.3).sin() + 0.01 * i as f64);
    let y = x.mapv(|x| x * x - 0.5 * x);
    (x, y)
}

/// Largest difference, relative to the largest value.
fn difference<'a>(found: impl IntoIterator<Item = &'a f64>, expected: impl IntoIterator<Item = &'a f64>) -> f64 {
    let (mut largest, mut scale) = (0.0_f64, 0.0_f64);
    for (found, expected) in found.into_iter().zip(expected) {
        largest = largest.max((found - expected).abs());
        scale = scale.max(expected.abs());
    }
    largest / scale
}

#[test]
fn the_numbers_are_those_of_keras() {
    let mut model = Model::load_weights(KERAS_WEIGHTS).unwrap();
    let (x, y) = (keras3("X"), keras3("Y"));
    assert!(difference(&model.predict(&x).unwrap(), &keras3("pred0")) < 1e-5);
    let evaluation = model.evaluate(&x, &y).unwrap();
    assert!(difference(&[evaluation.loss, evaluation.mse], &keras("eval0")) < 1e-6);

    let options = FitOptions { batch_size: 16, epochs: 10, ..FitOptions::default() };
    let history = model.fit(&x, &y, None, &options).unwrap();
    let losses = keras("train_losses");
    for (epoch, (loss, mse)) in history.loss.iter().zip(&history.mse).enumerate() {
        let error = difference(&[*loss, *mse], losses.slice(s![epoch, ..]));
        assert!(error < 1e-5, "step {epoch}: {error}");
    }
    for (i, weight) in model.get_weights().unwrap().iter().enumerate() {
        let error = difference(&weight.mapv(f64::from), &keras(&format!("w10/{i}")));
        assert!(error < 1e-4, "weight {i}: {error}");
    }
    let error = difference(&model.predict(&x).unwrap(), &keras3("pred_after"));
    assert!(error < 1e-4, "{error}");
}

#[test]
fn the_results_do_not_depend_on_the_number_of_threads() {
    let (x, y) = waves(37, 1000);
    let (x_val, y_val) = waves(13, 700);
    let run = |threads: usize| {
        let mut model = generate_model(&ModelOptions::default()).unwrap();
        let threads = Some(threads);
        let options = FitOptions { batch_size: 25, epochs: 2, threads, ..FitOptions::default() };
        let history = model.fit(&x, &y, Some((&x_val, &y_val)), &options).unwrap();
        // The time is the one thing that may differ.
        (History { seconds: Vec::new(), ..history }, model.get_weights().unwrap())
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one, "{threads} threads differ from 1");
    }
}

#[test]
fn training_goes_on_where_it_stopped() {
    let (x, y) = waves(10, 60);
    let fit = |model: &mut Model, epochs: usize| {
        let options = FitOptions { batch_size: 3, epochs, ..FitOptions::default() };
        model.fit(&x, &y, None, &options).unwrap().loss
    };
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let whole = fit(&mut model, 4);
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let mut parts = fit(&mut model, 1);
    parts.extend(fit(&mut model, 3));
    assert_eq!(parts, whole);
    assert_eq!(model.iterations(), 16);
}

#[test]
fn a_few_samples_are_learned() {
    // A wave, and the same one larger, a step later and below zero: what the network must do with currents.
    let wave = |i: usize, t: f64| (0.37 * i as f64 + 0.21 * t).sin();
    let x = Array3::from_shape_fn((16, 50, 1), |(i, t, _)| wave(i, t as f64));
    let y = Array3::from_shape_fn((16, 50, 1), |(i, t, _)| 2.0 * wave(i, t as f64 - 1.0) - 3.0);
    for seed in 1..=3 {
        let options = ModelOptions { lr: 0.01, l2: 0.0, seed, ..ModelOptions::default() };
        let mut model = generate_model(&options).unwrap();
        let options = FitOptions { batch_size: 4, epochs: 200, ..FitOptions::default() };
        let history = model.fit(&x, &y, None, &options).unwrap();
        let last = history.mse[history.len() - 1];
        assert!(last < 0.01 * history.mse[0], "seed {seed}: {history}");
        // The mean over the last epoch is close to what the weights at its end give.
        assert!(model.evaluate(&x, &y).unwrap().mse < 2.0 * last, "seed {seed}");
    }
}

#[test]
fn loss_is_error_plus_penalty() {
    let (x, y) = waves(5, 30);
    let penalized = generate_model(&ModelOptions::default()).unwrap();
    let free = generate_model(&ModelOptions { l2: 0.0, ..ModelOptions::default() }).unwrap();
    let (with, without) = (penalized.evaluate(&x, &y).unwrap(), free.evaluate(&x, &y).unwrap());
    assert_eq!(without.loss, without.mse);
    assert_eq!(with.mse, without.mse);
    let weights = penalized.get_weights().unwrap();
    // All but the linear unit's kernel and bias.
    let squares: f64 = weights[..6].iter().flatten().map(|&w| f64::from(w) * f64::from(w)).sum();
    assert!((with.loss - with.mse - 0.01 * squares).abs() < 1e-12);

    let predicted = penalized.predict(&x).unwrap();
    let mse = (&predicted - &y).mapv(|d| d * d).mean().unwrap();
    assert!((with.mse - mse).abs() < 1e-6 * mse);
}

#[test]
fn an_epochs_loss_is_the_mean_over_its_series() {
    // Nothing is learned at this rate, so the mean over batches of 4, 4 and 2 is the error over all.
    let (x, y) = waves(10, 40);
    let mut model = generate_model(&ModelOptions { lr: 1e-30, ..ModelOptions::default() }).unwrap();
    let before = model.evaluate(&x, &y).unwrap();
    let options = FitOptions { batch_size: 4, epochs: 1, ..FitOptions::default() };
    let history = model.fit(&x, &y, Some((&x, &y)), &options).unwrap();
    assert_eq!(model.iterations(), 3);
    for (found, expected) in [
        (history.loss[0], before.loss),
        (history.mse[0], before.mse),
        (history.val_loss[0], before.loss),
        (history.val_mse[0], before.mse),
    ] {
        assert!((found - expected).abs() < 1e-6 * expected, "{found} and {expected}");
    }
}

#[test]
fn shuffling_follows_the_seed() {
    let (x, y) = waves(9, 40);
    let run = |shuffle: bool, seed: u64| {
        let mut model = generate_model(&ModelOptions::default()).unwrap();
        let options = FitOptions { batch_size: 2, epochs: 2, shuffle, seed, ..FitOptions::default() };
        model.fit(&x, &y, None, &options).unwrap().loss
    };
    assert_eq!(run(true, 1), run(true, 1));
    assert_ne!(run(true, 1), run(true, 2));
    assert_eq!(run(false, 1), run(false, 2));
    assert_ne!(run(false, 1), run(true, 1));
}

#[test]
fn batches_of_any_size_are_trained() {
    let (x, y) = waves(7, 20);
    for (batch_size, steps) in [(1, 7), (2, 4), (6, 2), (7, 1), (100, 1), (usize::MAX, 1)] {
        let mut model = generate_model(&ModelOptions::default()).unwrap();
        model.fit(&x, &y, None, &FitOptions { batch_size, ..FitOptions::default() }).unwrap();
        assert_eq!(model.iterations(), steps, "batch size {batch_size}");
    }
}

#[test]
fn a_long_series_is_predicted_in_pieces() {
    // Longer than a shard, so that it is cut; the same steps alone give the same numbers, but for their borders.
    let options = ModelOptions { kernel_sizes: vec![12, 5, 4], ..ModelOptions::default() };
    let model = generate_model(&options).unwrap();
    let (x, _) = waves(2, 25_000);
    let whole = model.predict(&x).unwrap();
    assert_eq!(whole.dim(), (2, 25_000, 1));
    for start in [0, 9_900, 12_345, 19_950, 24_000] {
        let part = model.predict(&x.slice(s![.., start..start + 1000, ..]).to_owned()).unwrap();
        let border = 20;
        let error = difference(
            &part.slice(s![.., border..1000 - border, ..]).to_owned(),
            &whole.slice(s![.., start + border..start + 1000 - border, ..]).to_owned(),
        );
        assert!(error < 1e-5, "from step {start}: {error}");
    }
    assert_eq!(model.predict(&x.slice(s![..1, ..1, ..]).to_owned()).unwrap().dim(), (1, 1, 1));
}

#[test]
fn an_exploding_loss_stops_the_training() {
    let (x, y) = waves(8, 30);
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let options = FitOptions { batch_size: 2, epochs: 2, ..FitOptions::default() };
    model.fit(&x, &y, None, &options).unwrap();
    let (weights, iterations) = (model.get_weights().unwrap(), model.iterations());
    model.set_learning_rate(1e12).unwrap();
    let error = model.fit(&x, &y, None, &options).unwrap_err().to_string();
    for part in ["epoch 1", "batch 2", "learning rate 1000000000000", "lower the learning rate"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(model.get_weights().unwrap(), weights);
    assert_eq!(model.iterations(), iterations);
    // The validation finds it where the only batch ends well.
    let options = FitOptions { batch_size: 8, ..options };
    let error = model.fit(&x, &y, Some((&x, &y)), &options).unwrap_err().to_string();
    assert!(error.contains("val_loss") && error.contains("epoch 1, validation"), "{error}");
    assert_eq!(model.get_weights().unwrap(), weights);
    // The optimiser's state is unharmed as well.
    model.set_learning_rate(0.001).unwrap();
    model.fit(&x, &y, None, &options).unwrap();
}

#[test]
fn bad_data_is_named() {
    let (x, y) = waves(4, 20);
    let plant = |array: &Array3<f64>, value: f64| {
        let mut array = array.clone();
        array[[2, 7, 0]] = value;
        array
    };
    let no_series = Array3::zeros((0, 20, 1));
    let no_steps = Array3::zeros((4, 0, 1));
    type Case<'a> = (&'a str, Array3<f64>, Array3<f64>, &'a [&'a str]);
    let cases: [Case; 9] = [
        ("channels", Array3::zeros((4, 20, 2)), y.clone(), &["x: expected shape (series, steps, 1)", "(4, 20, 2)"]),
        ("fewer series", x.clone(), Array3::zeros((3, 20, 1)), &["y: expected shape (4, 20, 1)", "(3, 20, 1)"]),
        ("fewer steps", x.clone(), Array3::zeros((4, 19, 1)), &["y: expected shape (4, 20, 1)", "(4, 19, 1)"]),
        ("two outputs", x.clone(), Array3::zeros((4, 20, 2)), &["y: expected shape (4, 20, 1)", "(4, 20, 2)"]),
        ("no series", no_series.clone(), no_series, &["x: expected shape", "(0, 20, 1)"]),
        ("no steps", no_steps.clone(), no_steps, &["x: expected shape", "(4, 0, 1)"]),
        ("NaN in x", plant(&x, f64::NAN), y.clone(), &["x is NaN at index [2, 7, 0]"]),
        ("infinity in y", x.clone(), plant(&y, f64::NEG_INFINITY), &["y is -inf at index [2, 7, 0]"]),
        ("too large", plant(&x, 1e39), y.clone(), &["index [2, 7, 0]", "32-bit"]),
    ];
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let before = model.get_weights().unwrap();
    for (name, bad_x, bad_y, expected) in cases {
        let errors = [
            model.fit(&bad_x, &bad_y, None, &FitOptions::default()).expect_err(name).to_string(),
            model.evaluate(&bad_x, &bad_y).expect_err(name).to_string(),
            model.fit(&x, &y, Some((&bad_x, &bad_y)), &FitOptions::default()).expect_err(name).to_string(),
        ];
        for error in errors {
            for part in expected {
                assert!(error.contains(part), "{name}: {error}");
            }
        }
    }
    assert!(model.predict(&plant(&x, f64::NAN)).unwrap_err().to_string().contains("index [2, 7, 0]"));

    for (options, expected) in [
        (FitOptions { batch_size: 0, ..FitOptions::default() }, "batch_size = 0"),
        (FitOptions { epochs: 0, ..FitOptions::default() }, "epochs = 0"),
        (FitOptions { threads: Some(0), ..FitOptions::default() }, "threads = 0"),
        (FitOptions { threads: Some(1 << 40), ..FitOptions::default() }, "threads = "),
    ] {
        let error = model.fit(&x, &y, None, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(model.get_weights().unwrap(), before);
}

#[test]
fn libtorch_keeps_its_number_of_threads() {
    let (x, y) = waves(4, 20);
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    tch::set_num_threads(3);
    model.fit(&x, &y, None, &FitOptions::default()).unwrap();
    model.predict(&x).unwrap();
    assert_eq!(tch::get_num_threads(), 3);
}

#[test]
fn history_is_a_table_and_a_file() {
    let history = History {
        loss: (0..25).map(|i| 100.0 / (i + 1) as f64).collect(),
        mse: (0..25).map(|i| 1e-4 * (i + 1) as f64).collect(),
        val_loss: vec![2.5; 25],
        val_mse: vec![2.0; 25],
        seconds: vec![0.125; 25],
    };
    let table = history.to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 11, "{table}");
    let cells = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_string).collect() };
    assert_eq!(cells(lines[0]), ["epoch", "loss", "mse", "seconds", "val_loss", "val_mse"]);
    assert_eq!(cells(lines[1]), ["1", "100.0000", "1.0000e-4", "0.12", "2.5000", "2.0000"]);
    assert_eq!(cells(lines[10])[0], "25");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    history.save_csv(&path, false).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("epoch,loss,mse,seconds,val_loss,val_mse\n0,100,0.0001,0.125,2.5,2\n1,50,"), "{text}");
    assert_eq!(text.lines().count(), 26);
    assert!(history.save_csv(&path, false).unwrap_err().to_string().contains("exists already"));
    history.save_csv(&path, true).unwrap();

    let empty = History::default();
    assert!(empty.is_empty());
    assert_eq!(empty.to_csv(), "epoch\n");
    assert!(empty.to_string().contains("epoch"));
}
