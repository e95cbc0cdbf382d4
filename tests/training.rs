//! Training: agreement with Keras, independence of threads, bad data.

use std::fs;
use std::ops::Range;
use std::path::Path;

use hhnet::Result;
use hhnet::dataset::{H5Matrix, Opened, ReadSamples, Source};
use hhnet::model::{
    Activation, Adam, Conv1D, Dense, Engine, InputLayer, Loss, Model, ModelOptions, Padding, Sequential,
    TimeDistributed, generate_model, l2,
};
use hhnet::ndarray::{Array3, ArrayD, Ix3, s};
use hhnet::training::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, FitOptions, History, LearningRateScheduler, ModelCheckpoint,
    Monitor, ReduceLrOnPlateau,
};

const ENGINES: [Engine; 2] = [Engine::Fused, Engine::Libtorch];

/// A file that Keras wrote: see the folder's README.
fn keras_file(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn keras_model(name: &str, engine: Engine) -> Model {
    let path = keras_file(name);
    let options = ModelOptions { engine, ..ModelOptions::from_weights(&path).unwrap() };
    let mut model = generate_model(&options).unwrap();
    model.load_weights(&path).unwrap();
    model
}

/// Samples with some structure: shifted waves and what a smooth function makes of them.
fn waves(count: usize, steps: usize) -> (Array3<f64>, Array3<f64>) {
    let x = Array3::from_shape_fn((count, steps, 1), |(i, t, _)| ((i * 37 + t) as f64 * 0.3).sin() + 0.01 * i as f64);
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

/// The models of the reference files, as `make_keras.py` builds them.
fn keras_models(engine: Engine) -> Vec<(&'static str, Result<Model>)> {
    let original = |options: ModelOptions| generate_model(&ModelOptions { engine, ..options });
    let even = ModelOptions {
        layer_sizes: vec![3, 5, 4, 7],
        kernel_sizes: vec![4, 2, 3, 6],
        input_channels: 2,
        lr: 0.003,
        ..ModelOptions::default()
    };
    let mut causal = Sequential::new(1);
    let layer = |filters, kernel_size| Conv1D::new(filters, kernel_size).padding(Padding::Causal);
    causal.engine(engine).add(InputLayer::new(2));
    causal.add(layer(4, 3).activation(Activation::Relu).kernel_regularizer(l2(0.02)));
    causal.add(layer(3, 2).dilation_rate(2).bias_regularizer(l2(0.005)));
    let last = layer(5, 3).dilation_rate(4).activation(Activation::Relu);
    causal.add(last.kernel_regularizer(l2(0.02)).bias_regularizer(l2(0.02)));
    causal.add(TimeDistributed(Dense::new(2)));

    let mut mixed = Sequential::new(1);
    mixed.engine(engine).add(InputLayer::new(1));
    mixed.add(Conv1D::new(3, 4).dilation_rate(3).activation(Activation::Tanh).kernel_regularizer(l2(0.01)));
    mixed.add(Conv1D::new(4, 5).activation(Activation::Sigmoid));
    mixed.add(Conv1D::new(2, 2).dilation_rate(2).activation(Activation::Relu));
    mixed.add(TimeDistributed(Dense::new(4).activation(Activation::Tanh))).add(TimeDistributed(Dense::new(3)));
    let adam = Adam::new(0.002).beta_1(0.8).beta_2(0.99).epsilon(1e-5);
    vec![
        ("keras_default", original(ModelOptions::default())),
        ("keras_even", original(even)),
        ("keras_causal", causal.compile(Adam::new(0.003), Loss::Mse)),
        ("keras_mixed", mixed.compile(adam, Loss::Mse)),
    ]
}

#[test]
fn the_numbers_are_those_of_keras() {
    for engine in [Engine::Auto, Engine::Fused, Engine::Libtorch] {
        for (name, model) in keras_models(engine) {
            if (name, engine) == ("keras_mixed", Engine::Fused) {
                let expected = "engine = fused: it does not compute conv1d, whose activation is tanh; \
                                use auto or libtorch";
                assert_eq!(model.unwrap_err().to_string(), expected);
                continue;
            }
            compare_with_keras(name, engine, model.unwrap());
        }
    }
}

/// Compares predictions, loss and ten steps of training.
fn compare_with_keras(name: &str, engine: Engine, mut model: Model) {
    let file = hdf5::File::open(keras_file(&format!("{name}.h5"))).unwrap();
    let keras = |name: &str| -> ArrayD<f64> { file.dataset(name).unwrap().read_dyn().unwrap() };
    let keras3 = |name: &str| keras(name).into_dimensionality::<Ix3>().unwrap();
    model.load_weights(keras_file(&format!("{name}.weights.h5"))).unwrap();
    let (x, y) = (keras3("X"), keras3("Y"));
    let error = difference(&model.predict(&x).unwrap(), &keras3("pred0"));
    assert!(error < 1e-5, "{name}, {engine:?}: {error}");
    let evaluation = model.evaluate(&x, &y).unwrap();
    let error = difference(&[evaluation.loss, evaluation.mse], &keras("eval0"));
    assert!(error < 1e-6, "{name}, {engine:?}: {error}");

    let options = FitOptions { batch_size: x.dim().0, epochs: 10, ..FitOptions::default() };
    let history = model.fit(&x, &y, None, &options).unwrap();
    let losses = keras("train_losses");
    for (epoch, (loss, mse)) in history.loss.iter().zip(&history.mse).enumerate() {
        let error = difference(&[*loss, *mse], losses.slice(s![epoch, ..]));
        assert!(error < 1e-5, "{name}, {engine:?}, step {epoch}: {error}");
    }
    for (i, weight) in model.get_weights().unwrap().iter().enumerate() {
        let error = difference(&weight.mapv(f64::from), &keras(&format!("w10/{i}")));
        assert!(error < 1e-4, "{name}, {engine:?}, weight {i}: {error}");
    }
    let error = difference(&model.predict(&x).unwrap(), &keras3("pred_after"));
    assert!(error < 1e-4, "{name}, {engine:?}: {error}");
}

#[test]
fn files_of_the_original_models_are_recognised() {
    for (name, model) in keras_models(Engine::Auto).into_iter().take(2) {
        let found = ModelOptions::from_weights(keras_file(&format!("{name}.weights.h5"))).unwrap();
        assert_eq!(generate_model(&found).unwrap().sequential(), model.unwrap().sequential());
    }
}

#[test]
fn training_goes_on_from_kerass_optimizer() {
    let file = hdf5::File::open(keras_file("keras_even.h5")).unwrap();
    let keras = |name: &str| -> ArrayD<f64> { file.dataset(name).unwrap().read_dyn().unwrap() };
    let [x, y] = ["X", "Y"].map(|name| keras(name).into_dimensionality::<Ix3>().unwrap());
    for engine in ENGINES {
        let mut model = keras_model("keras_even_10.weights.h5", engine);
        assert_eq!(model.iterations(), 10);
        model.fit(&x, &y, None, &FitOptions { epochs: 5, ..FitOptions::default() }).unwrap();
        for (i, weight) in model.get_weights().unwrap().iter().enumerate() {
            let error = difference(&weight.mapv(f64::from), &keras(&format!("w15/{i}")));
            assert!(error < 1e-4, "{engine:?}, weight {i}: {error}");
        }
    }
}

#[test]
fn the_results_do_not_depend_on_the_number_of_threads() {
    let (x, y) = waves(37, 1000);
    let (x_val, y_val) = waves(13, 700);
    for engine in ENGINES {
        let run = |threads: usize| {
            let mut model = generate_model(&ModelOptions { engine, ..ModelOptions::default() }).unwrap();
            model.set_threads(Some(threads)).unwrap();
            let options = FitOptions { batch_size: 25, epochs: 2, ..FitOptions::default() };
            let history = model.fit(&x, &y, Some((&x_val, &y_val)), &options).unwrap();
            // The time is the one thing that may differ.
            (History { seconds: Vec::new(), ..history }, model.get_weights().unwrap())
        };
        let one = run(1);
        for threads in [1, 2, 3, 8] {
            assert!(run(threads) == one, "{engine:?}: {threads} threads differ from 1");
        }
    }
}

/// Samples in memory that pretend to be in a file.
struct InFile<'a>(&'a Array3<f64>);

impl Source for InFile<'_> {
    fn shape(&self) -> (usize, usize, usize) {
        self.0.dim()
    }

    fn open(&self, _: &str) -> Result<Opened<'_>> {
        Ok(Opened::File(Box::new(InFile(self.0))))
    }
}

impl ReadSamples for InFile<'_> {
    fn read(&self, samples: &[usize], steps: Range<usize>, values: &mut Vec<f32>) -> Result<()> {
        for &sample in samples {
            let row = self.0.slice(s![sample, steps.clone(), ..]);
            if row.iter().any(|value| !value.is_finite()) {
                return Err(hhnet::Error::file("data.h5", format!("sample {sample} is not finite"), "repair it"));
            }
            values.extend(row.iter().map(|&value| value as f32));
        }
        Ok(())
    }
}

#[test]
fn samples_from_a_file_give_the_same_bits_as_in_memory() {
    let (x, y) = waves(37, 1000);
    // More than one portion, and samples of more than one segment.
    let (x_val, y_val) = waves(130, 9000);
    let x_32 = x.mapv(|x| x as f32);
    for engine in ENGINES {
        let run = |x: &dyn Source, y: &dyn Source, x_val: &dyn Source, y_val: &dyn Source| {
            let mut model = generate_model(&ModelOptions { engine, ..ModelOptions::default() }).unwrap();
            let options = FitOptions { batch_size: 25, epochs: 2, ..FitOptions::default() };
            let history = model.fit(x, y, Some((x_val, y_val)), &options).unwrap();
            let weights = model.get_weights().unwrap();
            let dead = model.dead_units(x_val).unwrap();
            let history = History { seconds: Vec::new(), ..history };
            (history, weights, model.evaluate(x_val, y_val).unwrap(), model.predict(x_val).unwrap(), dead)
        };
        let expected = run(&x, &y, &x_val, &y_val);
        let file = InFile;
        assert!(run(&file(&x), &file(&y), &file(&x_val), &file(&y_val)) == expected, "{engine:?}: files");
        if engine == Engine::Fused {
            assert!(run(&x, &y, &file(&x_val), &file(&y_val)) == expected, "validation from a file");
            assert!(run(&file(&x), &y, &x_val, &file(&y_val)) == expected, "files and arrays");
            assert!(run(&x_32.view(), &y.view(), &x_val, &y_val) == expected, "views, 32-bit numbers");
        }
    }
}

#[test]
fn a_fault_in_a_file_ends_the_training_and_keeps_the_model() {
    let (mut x, y) = waves(40, 100);
    x[[31, 5, 0]] = f64::NAN;
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let before = model.get_weights().unwrap();
    let options = FitOptions { batch_size: 2, epochs: 3, ..FitOptions::default() };
    let error = model.fit(&InFile(&x), &InFile(&y), None, &options).unwrap_err().to_string();
    assert!(error.contains("sample 31"), "{error}");
    assert_eq!(model.get_weights().unwrap(), before);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prediction.h5");
    model.predict_to(&InFile(&y), &path, "Y_pred", "mV", false).unwrap();
    let error = model.predict_to(&InFile(&x), &path, "Y_pred", "mV", true).unwrap_err().to_string();
    assert!(error.contains("sample 31"), "{error}");
    let written = H5Matrix::open(&path, "Y_pred").unwrap();
    assert_eq!(written.read(..).unwrap(), model.predict(&y).unwrap());
    assert_eq!(written.units(), Some("mV"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn nan_that_may_be_read_is_not_trained_on() {
    let (x, mut y) = waves(4, 100);
    y[[2, 7, 0]] = f64::NAN;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("y.h5");
    hhnet::dataset::save(&path, "Y", &y, "mV", false).unwrap();
    let y = H5Matrix::open(&path, "Y").unwrap().allow_nan();
    assert!(y.read(..).is_ok());
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let error = model.fit(&x, &y, None, &FitOptions::default()).unwrap_err().to_string();
    assert!(error.contains("NaN at index (2, 7, 0)"), "{error}");
}

#[test]
fn a_large_file_is_told_from_another_by_evenly_spaced_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.weights.h5");
    let (x, y) = waves(10_001, 1);
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let mut fit = |y: &Array3<f64>| {
        let backup = BackupAndRestore { path: path.clone(), delete_checkpoint: false };
        let callbacks = vec![Callback::BackupAndRestore(backup)];
        model.fit(&InFile(&x), &InFile(y), None, &FitOptions { batch_size: 5000, callbacks, ..FitOptions::default() })
    };
    fit(&y).unwrap();
    fit(&y).unwrap();
    assert!(fit(&(&y + 1.0)).unwrap_err().to_string().contains("backup of another run"));
}

#[test]
fn training_continues_where_it_stopped() {
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
fn an_epochs_loss_is_the_mean_over_its_samples() {
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
fn a_long_sample_is_predicted_in_pieces() {
    // Longer than a segment, so that it is cut; the same steps alone give the same numbers, but for their borders.
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
fn a_sample_has_the_same_prediction_alone_and_among_others() {
    let (x, _) = waves(33, 500);
    for engine in ENGINES {
        let model = generate_model(&ModelOptions { engine, ..ModelOptions::default() }).unwrap();
        let together = model.predict(&x).unwrap();
        for sample in [0, 7, 32] {
            let alone = model.predict(&x.slice(s![sample..=sample, .., ..]).to_owned()).unwrap();
            let error = difference(&alone, &together.slice(s![sample..=sample, .., ..]).to_owned());
            assert!(error < 1e-5, "{engine:?}, sample {sample}: {error}");
        }
    }
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
    // Epochs that ended well before it are not lost.
    let schedule = vec![0.001, 0.001, 1e12];
    let callbacks = vec![Callback::LearningRateScheduler(LearningRateScheduler { schedule })];
    let error = model.fit(&x, &y, None, &FitOptions { epochs: 4, callbacks, ..options.clone() }).unwrap_err();
    assert_eq!(error.history().unwrap().len(), 2);
    assert_eq!((model.iterations(), model.learning_rate() as f32), (iterations + 8, 0.001));
    model.set_learning_rate(1e12).unwrap();
    let weights = model.get_weights().unwrap();
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
fn with_a_callback_an_exploding_loss_ends_the_training() {
    let (x, y) = waves(8, 30);
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    // The rate of the third epoch is too high.
    let schedule = vec![0.001, 0.001, 1e12];
    let callbacks = vec![Callback::TerminateOnNan, Callback::LearningRateScheduler(LearningRateScheduler { schedule })];
    let options = FitOptions { batch_size: 2, epochs: 5, callbacks, ..FitOptions::default() };
    let history = model.fit(&x, &y, None, &options).unwrap();
    assert_eq!((history.len(), model.iterations()), (2, 8));
    assert!(history.notes[0].starts_with("stopped: ") && history.notes[0].contains("epoch 3, batch 2"), "{history}");
    assert!(model.evaluate(&x, &y).unwrap().loss.is_finite());
}

#[test]
fn a_schedule_gives_the_learning_rates() {
    let (x, y) = waves(6, 30);
    let schedule = vec![0.01, 0.002];
    let callbacks = vec![Callback::LearningRateScheduler(LearningRateScheduler { schedule })];
    let options = FitOptions { epochs: 4, callbacks, ..FitOptions::default() };
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let history = model.fit(&x, &y, None, &options).unwrap();
    assert_eq!(history.learning_rate, [0.01, 0.002, 0.002, 0.002]);
    assert!(history.to_csv().starts_with("epoch,learning_rate,loss,mse,seconds\n1,0.01,"));

    let mut other = generate_model(&ModelOptions { lr: 0.01, ..ModelOptions::default() }).unwrap();
    other.fit(&x, &y, None, &FitOptions::default()).unwrap();
    other.set_learning_rate(0.002).unwrap();
    other.fit(&x, &y, None, &FitOptions { epochs: 3, ..FitOptions::default() }).unwrap();
    assert_eq!(other.get_weights().unwrap(), model.get_weights().unwrap());
}

/// What is the same for the same training: the history but for its times, weights and optimiser.
fn bits(model: &Model, history: &History, folder: &std::path::Path) -> (History, Vec<u8>) {
    let path = folder.join("bits.safetensors");
    model.save(&path, true).unwrap();
    (History { seconds: Vec::new(), ..history.clone() }, fs::read(path).unwrap())
}

#[test]
fn a_backup_makes_up_for_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.weights.h5");
    let log = folder.path().join("log.csv");
    let best = folder.path().join("best.weights.h5");
    let (x, y) = waves(11, 40);
    let (x_val, y_val) = waves(5, 40);
    let fit = |model: &mut Model, epochs: usize, with_backup: bool| {
        let mut callbacks = vec![
            // Such that each has something to remember across the interruption.
            Callback::EarlyStopping(EarlyStopping {
                patience: 4,
                restore_best_weights: true,
                ..EarlyStopping::default()
            }),
            Callback::ReduceLrOnPlateau(ReduceLrOnPlateau {
                patience: 2,
                cooldown: 1,
                factor: 0.5,
                ..Default::default()
            }),
        ];
        if with_backup {
            let delete_checkpoint = epochs == 40;
            callbacks.push(Callback::BackupAndRestore(BackupAndRestore { path: backup.clone(), delete_checkpoint }));
            callbacks.push(Callback::CsvLogger(CsvLogger { filename: log.clone(), ..CsvLogger::default() }));
            let filepath = best.clone();
            callbacks.push(Callback::ModelCheckpoint(ModelCheckpoint {
                filepath,
                save_best_only: true,
                ..Default::default()
            }));
        } else {
            // As many, for the states to have the same numbers.
            callbacks.extend([Callback::TerminateOnNan]);
        }
        let options = FitOptions { batch_size: 3, epochs, callbacks, ..FitOptions::default() };
        model.fit(&x, &y, Some((&x_val, &y_val)), &options)
    };
    // A high rate, so that the validation loss goes up and down.
    let new = || generate_model(&ModelOptions { lr: 0.05, ..ModelOptions::default() }).unwrap();
    let mut whole = new();
    let expected = fit(&mut whole, 40, false).unwrap();
    assert!(expected.len() < 40 && expected.len() > 12, "{expected}");
    assert!(expected.notes.iter().any(|note| note.starts_with("learning rate")), "{expected}");

    for epochs in [1, 2, 3, 7, 8, 40] {
        let mut model = new();
        let history = fit(&mut model, epochs, true).unwrap();
        if epochs == 40 {
            assert_eq!(bits(&model, &history, folder.path()), bits(&whole, &expected, folder.path()));
            assert_eq!(fs::read_to_string(&log).unwrap(), history.to_csv());
            let best = Model::load(&best).unwrap();
            assert_eq!(best.get_weights().unwrap(), whole.get_weights().unwrap());
        } else {
            assert_eq!(history.len(), epochs);
            // Others can read the weights in it.
            assert_eq!(Model::load(&backup).unwrap().iterations(), 4 * epochs as u64);
        }
    }
    assert!(!backup.exists(), "removed at the end");
}

#[test]
fn a_backup_of_another_training_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.weights.h5");
    let (x, y) = waves(6, 30);
    let options = |seed: u64| {
        let backup = BackupAndRestore { path: path.clone(), delete_checkpoint: false };
        FitOptions { seed, epochs: 2, callbacks: vec![Callback::BackupAndRestore(backup)], ..FitOptions::default() }
    };
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    model.fit(&x, &y, None, &options(1)).unwrap();
    let before = (fs::read(&path).unwrap(), model.get_weights().unwrap());
    let error = model.fit(&x, &y, None, &options(2)).unwrap_err().to_string();
    assert!(error.contains("another run: 'seed: 1', now 'seed: 2'") && error.contains("backup.weights.h5"), "{error}");
    let error = model.fit(&x, &(&y + 1.0), None, &options(1)).unwrap_err().to_string();
    assert!(error.contains("'data: 6 samples"), "{error}");
    for (other, expected) in [
        (ModelOptions { lr: 0.01, ..ModelOptions::default() }, "'learning rate: 0.001', now 'learning rate: 0.01'"),
        (ModelOptions { seed: 2, ..ModelOptions::default() }, "'initial weights: "),
        (
            ModelOptions { engine: Engine::Libtorch, ..ModelOptions::default() },
            "'engine: fused', now 'engine: libtorch",
        ),
    ] {
        let mut other = generate_model(&other).unwrap();
        let weights = other.get_weights().unwrap();
        let error = other.fit(&x, &y, None, &options(1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(other.get_weights().unwrap(), weights);
    }
    let mut other = generate_model(&ModelOptions { layer_sizes: vec![2, 6, 3], ..ModelOptions::default() }).unwrap();
    let error = other.fit(&x, &y, None, &options(1)).unwrap_err().to_string();
    assert!(error.contains("now 'model: InputLayer(1), Conv1D(2, 11, same, relu)"), "{error}");
    assert_eq!((fs::read(&path).unwrap(), model.get_weights().unwrap()), before);

    model.save(&path, true).unwrap();
    let error = model.fit(&x, &y, None, &options(1)).unwrap_err().to_string();
    assert!(error.contains("no state of a training"), "{error}");
    for bytes in [&before.0[..before.0.len() / 2], b"text"] {
        fs::write(&path, bytes).unwrap();
        let error = model.fit(&x, &y, None, &options(1)).unwrap_err().to_string();
        assert!(error.contains("backup.weights.h5"), "{error}");
    }
}

#[test]
fn a_schedule_may_become_longer_but_not_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.weights.h5");
    let (x, y) = waves(6, 30);
    let fit = |model: &mut Model, decay: f64, epochs: i32, path: &Path| {
        let schedule = (0..epochs).map(|epoch| 0.01 * decay.powi(epoch)).collect();
        let callbacks = vec![
            Callback::LearningRateScheduler(LearningRateScheduler { schedule }),
            Callback::BackupAndRestore(BackupAndRestore { path: path.to_owned(), delete_checkpoint: false }),
        ];
        model.fit(&x, &y, None, &FitOptions { epochs: epochs as usize, callbacks, ..FitOptions::default() })
    };
    let new = || generate_model(&ModelOptions::default()).unwrap();
    let mut whole = new();
    let expected = fit(&mut whole, 0.9, 6, &folder.path().join("whole.weights.h5")).unwrap();

    fit(&mut new(), 0.9, 3, &path).unwrap();
    let error = fit(&mut new(), 0.8, 6, &path).unwrap_err().to_string();
    assert!(
        error.contains("'learning rate of epoch 2: 0.009") && error.contains("now 'learning rate of epoch 2: 0.008"),
        "{error}"
    );
    let mut resumed = new();
    let history = fit(&mut resumed, 0.9, 6, &path).unwrap();
    assert_eq!(bits(&resumed, &history, folder.path()), bits(&whole, &expected, folder.path()));
}

#[test]
fn a_callback_that_fails_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("checkpoints");
    fs::create_dir(&directory).unwrap();
    let (x, y) = waves(6, 30);
    // The third epoch's file is there already.
    fs::create_dir(directory.join("3.keras")).unwrap();
    let filepath = directory.join("{epoch}.keras");
    let backup = folder.path().join("backup.weights.h5");
    let callbacks = vec![
        Callback::ModelCheckpoint(ModelCheckpoint { filepath, monitor: Monitor::Loss, ..Default::default() }),
        Callback::BackupAndRestore(BackupAndRestore { path: backup.clone(), ..Default::default() }),
    ];
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let options = FitOptions { epochs: 5, callbacks, ..FitOptions::default() };
    let error = model.fit(&x, &y, None, &options).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("3.keras': it is a directory") && message.contains("after epoch 3, whose"), "{message}");
    assert_eq!(error.history().unwrap().len(), 3);
    assert_eq!(model.iterations(), 3);
    assert!(backup.exists());
    fs::remove_dir(directory.join("3.keras")).unwrap();
    // The backup is that of epoch 2, the model that of epoch 3: a new one goes on.
    let mut resumed = generate_model(&ModelOptions::default()).unwrap();
    assert_eq!(resumed.fit(&x, &y, None, &options).unwrap().len(), 5);
    assert!(!backup.exists());
}

#[test]
fn the_same_name_of_a_checkpoint_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = waves(6, 30);
    let filepath = folder.path().join("{loss:.0f}.keras");
    let checkpoint = ModelCheckpoint { filepath, monitor: Monitor::Loss, ..Default::default() };
    let callbacks = vec![Callback::ModelCheckpoint(checkpoint)];
    let mut model = generate_model(&ModelOptions { lr: 1e-9, ..ModelOptions::default() }).unwrap();
    model.fit(&x, &y, None, &FitOptions { epochs: 3, callbacks: callbacks.clone(), ..FitOptions::default() }).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // It is not this training's.
    let error = model.fit(&x, &y, None, &FitOptions { callbacks, ..FitOptions::default() }).unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
}

/// A kill between the two writes leaves an epoch in the log that is not in the backup.
#[test]
fn a_log_that_is_appended_to_has_each_epoch_once() {
    let folder = tempfile::tempdir().unwrap();
    let [log, backup] = ["log.csv", "backup.weights.h5"].map(|name| folder.path().join(name));
    let (x, y) = waves(6, 30);
    let fit = |epochs: usize| {
        let logger = CsvLogger { filename: log.clone(), append: true, ..CsvLogger::default() };
        let backup = BackupAndRestore { path: backup.clone(), delete_checkpoint: false };
        let callbacks = vec![Callback::CsvLogger(logger), Callback::BackupAndRestore(backup)];
        let mut model = generate_model(&ModelOptions::default()).unwrap();
        model.fit(&x, &y, None, &FitOptions { epochs, callbacks, ..FitOptions::default() }).unwrap()
    };
    fs::write(&log, "rows of before\n").unwrap();
    fit(2);
    let of_two = fs::read(&backup).unwrap();
    fit(3);
    fs::write(&backup, of_two).unwrap();
    fit(4);
    let text = fs::read_to_string(&log).unwrap();
    let epochs: Vec<&str> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(epochs, ["rows of before", "1", "2", "3", "4"]);
}

#[test]
fn checkpoints_and_logs_are_written_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = waves(6, 30);
    let checkpoint = |name: &str, overwrite: bool| {
        let filepath = folder.path().join(name);
        Callback::ModelCheckpoint(ModelCheckpoint { filepath, monitor: Monitor::Loss, overwrite, ..Default::default() })
    };
    let logger = |append: bool, overwrite: bool| {
        let filename = folder.path().join("log.csv");
        Callback::CsvLogger(CsvLogger { filename, separator: ';', append, overwrite })
    };
    let fit = |callbacks: Vec<Callback>| {
        let mut model = generate_model(&ModelOptions::default()).unwrap();
        let history = model.fit(&x, &y, None, &FitOptions { epochs: 3, callbacks, ..FitOptions::default() });
        history.map(|history| (model, history))
    };
    let (model, history) = fit(vec![
        checkpoint("{epoch:02d}.weights.h5", false),
        checkpoint("last.safetensors", false),
        logger(false, false),
    ])
    .unwrap();
    for epoch in 1..=3 {
        let found = Model::load(folder.path().join(format!("{epoch:02}.weights.h5"))).unwrap();
        assert_eq!(found.iterations(), epoch);
    }
    let last = Model::load(folder.path().join("last.safetensors")).unwrap();
    assert_eq!(last.get_weights().unwrap(), model.get_weights().unwrap());
    let text = || fs::read_to_string(folder.path().join("log.csv")).unwrap();
    let first = text();
    assert_eq!(first, history.to_csv().replace(',', ";"));

    for callback in
        [checkpoint("{epoch:02d}.weights.h5", false), checkpoint("last.safetensors", false), logger(false, false)]
    {
        let error = fit(vec![callback]).err().unwrap().to_string();
        assert!(error.contains("exists already"), "{error}");
    }
    assert_eq!(text(), first);
    fit(vec![logger(true, false), checkpoint("last.safetensors", true)]).unwrap();
    assert!(text().starts_with(&first));
    assert_eq!(text().lines().count(), 1 + 3 + 3);
    fit(vec![logger(false, true)]).unwrap();
    assert_eq!(text().lines().count(), 1 + 3);
}

#[test]
fn dead_units_are_found_and_reported() {
    let (x, y) = waves(60, 300);
    for engine in ENGINES {
        let mut model = generate_model(&ModelOptions { engine, ..ModelOptions::default() }).unwrap();
        assert_eq!(model.dead_units(&x).unwrap(), []);
        let mut weights = model.get_weights().unwrap();
        // Above 0 only where x is largest, at the end of the last sample.
        weights[2].fill(0.0);
        weights[3].fill(1.0);
        weights[3][[2]] = -100.0;
        weights[3][[4]] = 0.0;
        weights[4].fill(0.0);
        weights[5].fill(-1.0);
        model.set_weights(&weights).unwrap();
        let dead = model.dead_units(&x).unwrap();
        let found: Vec<(&str, &[usize], usize)> =
            dead.iter().map(|dead| (dead.layer.as_str(), &dead.units[..], dead.of)).collect();
        let all: Vec<usize> = (0..16).collect();
        assert_eq!(found, [("conv1d_1", &[2, 4][..], 6), ("conv1d_2", &all[..], 16)]);
        let history = model.fit(&x, &y, None, &FitOptions::default()).unwrap();
        let notes = history.notes.join("\n");
        assert!(notes.contains("conv1d_1: 2 of 6 units") && notes.contains("try another seed"), "{notes}");
        assert!(notes.contains("conv1d_2: 16 of 16 units") && notes.contains("same for every input"), "{notes}");
    }
}

#[test]
fn a_unit_that_is_active_once_is_not_dead() {
    // One layer, whose unit is above 0 at the last step of the last sample only.
    let options = ModelOptions { layer_sizes: vec![1], kernel_sizes: vec![3], ..ModelOptions::default() };
    for engine in ENGINES {
        let mut model = generate_model(&ModelOptions { engine, ..options.clone() }).unwrap();
        let mut weights = model.get_weights().unwrap();
        weights[0].fill(0.0);
        weights[0][[1, 0, 0]] = 1.0;
        weights[1].fill(-0.5);
        model.set_weights(&weights).unwrap();
        let mut x = Array3::zeros((5, 12_000, 1));
        assert_eq!(model.dead_units(&x).unwrap().len(), 1);
        x[[4, 11_999, 0]] = 1.0;
        assert_eq!(model.dead_units(&x).unwrap(), []);
    }
}

#[test]
fn callbacks_out_of_range_are_named() {
    let (x, y) = waves(4, 20);
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let named = |filepath: &str| {
        Callback::ModelCheckpoint(ModelCheckpoint { filepath: filepath.into(), ..ModelCheckpoint::default() })
    };
    let plateau = ReduceLrOnPlateau { monitor: Monitor::Loss, ..ReduceLrOnPlateau::default() };
    for (callback, expected) in [
        (
            Callback::EarlyStopping(EarlyStopping::default()),
            "callbacks[0].monitor = val_loss: there are no validation data",
        ),
        (Callback::ReduceLrOnPlateau(ReduceLrOnPlateau { factor: 1.0, ..plateau.clone() }), "callbacks[0].factor = 1"),
        (Callback::ReduceLrOnPlateau(ReduceLrOnPlateau { min_lr: f64::NAN, ..plateau }), "callbacks[0].min_lr = NaN"),
        (Callback::LearningRateScheduler(LearningRateScheduler::default()), "callbacks[0].schedule = []"),
        (
            Callback::LearningRateScheduler(LearningRateScheduler { schedule: vec![0.1, -1.0] }),
            "callbacks[0].schedule[1] = -1",
        ),
        (named("a.h5"), "ends in '.weights.h5'"),
        (named("{lr}.weights.h5"), "cannot replace '{lr}'"),
        (named("missing-folder/a.weights.h5"), "create 'missing-folder'"),
        (Callback::BackupAndRestore(BackupAndRestore::default()), "not a name for weights or a model"),
        (
            Callback::CsvLogger(CsvLogger { filename: "missing-folder/a.csv".into(), ..Default::default() }),
            "missing-folder",
        ),
    ] {
        let options = FitOptions { callbacks: vec![callback.clone()], ..FitOptions::default() };
        let error = model.fit(&x, &y, None, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{callback:?}: {error}");
    }
    assert_eq!(model.iterations(), 0);
}

#[test]
fn bad_data_is_named() {
    let (x, y) = waves(4, 20);
    let plant = |array: &Array3<f64>, value: f64| {
        let mut array = array.clone();
        array[[2, 7, 0]] = value;
        array
    };
    let no_samples = Array3::zeros((0, 20, 1));
    let no_steps = Array3::zeros((4, 0, 1));
    type Case<'a> = (&'a str, Array3<f64>, Array3<f64>, &'a [&'a str]);
    let cases: [Case; 9] = [
        ("channels", Array3::zeros((4, 20, 2)), y.clone(), &["x: expected shape (samples, steps, 1)", "(4, 20, 2)"]),
        ("fewer samples", x.clone(), Array3::zeros((3, 20, 1)), &["y: expected shape (4, 20, 1)", "(3, 20, 1)"]),
        ("fewer steps", x.clone(), Array3::zeros((4, 19, 1)), &["y: expected shape (4, 20, 1)", "(4, 19, 1)"]),
        ("two outputs", x.clone(), Array3::zeros((4, 20, 2)), &["y: expected shape (4, 20, 1)", "(4, 20, 2)"]),
        ("no samples", no_samples.clone(), no_samples, &["x: expected shape", "(0, 20, 1)"]),
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
    ] {
        let error = model.fit(&x, &y, None, &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for threads in [0, 1 << 40] {
        assert!(model.set_threads(Some(threads)).unwrap_err().to_string().contains(&format!("threads = {threads}")));
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
        learning_rate: Vec::new(),
        notes: vec!["a note".to_string()],
        interrupted: false,
    };
    let table = history.to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 12, "{table}");
    assert_eq!(lines[11], "a note");
    let cells = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_string).collect() };
    assert_eq!(cells(lines[0]), ["epoch", "loss", "mse", "seconds", "val_loss", "val_mse"]);
    assert_eq!(cells(lines[1]), ["1", "100.0000", "1.0000e-4", "0.12", "2.5000", "2.0000"]);
    assert_eq!(cells(lines[10])[0], "25");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.csv");
    history.save_csv(&path, false).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("epoch,loss,mse,seconds,val_loss,val_mse\n1,100,0.0001,0.125,2.5,2\n2,50,"), "{text}");
    assert_eq!(text.lines().count(), 26);
    assert!(history.save_csv(&path, false).unwrap_err().to_string().contains("exists already"));
    history.save_csv(&path, true).unwrap();

    let empty = History::default();
    assert!(empty.is_empty());
    assert_eq!(empty.to_csv(), "epoch\n");
    assert!(empty.to_string().contains("epoch"));
}
