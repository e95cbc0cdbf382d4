//! The model: starting weights, summary, Keras' weight files, bad options.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use hhnet::dataset::{GenerateOptions, H5Matrix, generate};
use hhnet::model::{
    Activation, Adam, Conv1D, Dense, Device, InputLayer, Layer, Loss, Model, ModelOptions, Padding, Sequential,
    TimeDistributed, device, generate_model, l2, trained_model,
};
use hhnet::ndarray::{Array3, ArrayD};
use hhnet::progress::Progress;
use hhnet::simd::SimdLevel;
use hhnet::training::FitOptions;
use hhnet::{Error, verify, written_by};

const KERAS_WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keras_default.weights.h5");
const KERAS_VALUES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keras_default.h5");

fn build(layer_sizes: &[usize], kernel_sizes: &[usize]) -> Model {
    generate_model(&ModelOptions {
        layer_sizes: layer_sizes.to_vec(),
        kernel_sizes: kernel_sizes.to_vec(),
        ..ModelOptions::default()
    })
    .unwrap()
}

fn waves(count: usize, steps: usize) -> (Array3<f64>, Array3<f64>) {
    let x = Array3::from_shape_fn((count, steps, 1), |(i, t, _)| ((i * 37 + t) as f64 * 0.3).sin());
    let y = x.mapv(|x| x * x - 0.5 * x);
    (x, y)
}

/// As Keras 3.15 prints it.
const SUMMARY: &str = "\
Model: \"sequential\"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ conv1d (Conv1D)                 │ (None, None, 2)        │            24 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv1d_1 (Conv1D)               │ (None, None, 6)        │            66 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ conv1d_2 (Conv1D)               │ (None, None, 16)       │           112 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ time_distributed                │ (None, None, 1)        │            17 │
│ (TimeDistributed)               │                        │               │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 219 (876.00 B)
 Trainable params: 219 (876.00 B)
 Non-trainable params: 0 (0.00 B)";

#[test]
fn summary_is_that_of_keras() {
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    assert_eq!(model.summary(), SUMMARY);

    let (x, y) = waves(2, 10);
    model.fit(&x, &y, None, &FitOptions::default()).unwrap();
    let totals = " Total params: 659 (2.58 KB)
 Trainable params: 219 (876.00 B)
 Non-trainable params: 0 (0.00 B)
 Optimizer params: 440 (1.72 KB)";
    assert!(model.summary().ends_with(totals), "{}", model.summary());

    let large = build(&[256, 1000, 1024], &[11, 51, 7]).summary();
    for line in [
        "│ conv1d_1 (Conv1D)               │ (None, None, 1000)     │    13,057,000 │",
        " Total params: 20,230,121 (77.17 MB)",
    ] {
        assert!(large.lines().any(|found| found == line), "{large}");
    }
}

#[test]
fn layers_have_the_shapes_of_the_originals_drawing() {
    let layers = generate_model(&ModelOptions::default()).unwrap().layers();
    let found: Vec<[&str; 3]> = layers.iter().map(|layer| [&*layer.label, &*layer.input, &*layer.output]).collect();
    let expected = [
        ["input_1: InputLayer", "[(?, ?, 1)]", "[(?, ?, 1)]"],
        ["conv1d: Conv1D", "(?, ?, 1)", "(?, ?, 2)"],
        ["conv1d_1: Conv1D", "(?, ?, 2)", "(?, ?, 6)"],
        ["conv1d_2: Conv1D", "(?, ?, 6)", "(?, ?, 16)"],
        ["time_distributed(dense): TimeDistributed(Dense)", "(?, ?, 16)", "(?, ?, 1)"],
    ];
    assert_eq!(found, expected);
}

#[test]
fn kernels_are_glorot_uniform_and_biases_zero() {
    let options = ModelOptions {
        layer_sizes: vec![20, 30],
        kernel_sizes: vec![12, 7],
        input_channels: 3,
        ..ModelOptions::default()
    };
    let weights = generate_model(&options).unwrap().get_weights().unwrap();
    let shapes: Vec<&[usize]> = weights.iter().map(|weight| weight.shape()).collect();
    assert_eq!(shapes, [&[12, 3, 20][..], &[20], &[7, 20, 30], &[30], &[30, 1], &[1]]);
    for (kernel, fan_sum) in [(0, 12 * (3 + 20)), (2, 7 * (20 + 30)), (4, 30 + 1)] {
        let limit = (6.0 / fan_sum as f32).sqrt();
        let largest = weights[kernel].iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
        assert!(largest <= limit && largest > 0.9 * limit, "kernel {kernel}: {largest}, limit {limit}");
        // The standard error of a mean of n uniform numbers is limit / sqrt(3 n).
        let mean = weights[kernel].mean().unwrap();
        assert!(mean.abs() < 4.0 * limit / (3.0 * weights[kernel].len() as f32).sqrt(), "kernel {kernel}: mean {mean}");
        assert!(weights[kernel + 1].iter().all(|&bias| bias == 0.0));
    }

    assert_eq!(generate_model(&options).unwrap().get_weights().unwrap(), weights);
    let other = generate_model(&ModelOptions { seed: 2, ..options }).unwrap().get_weights().unwrap();
    assert_ne!(other[0], weights[0]);
}

#[test]
fn the_seed_alone_decides_the_weights() {
    let weights =
        generate_model(&ModelOptions { seed: 1234, ..ModelOptions::default() }).unwrap().get_weights().unwrap();
    // From an independent implementation of MT19937-64 and the formula in the documentation.
    let first: Vec<f32> = weights[0].iter().copied().take(3).collect();
    assert_eq!(first, FIRST_WEIGHTS);
}

const FIRST_WEIGHTS: [f32; 3] = [0.3814004, -0.3818652, 0.40449998];

#[test]
fn a_keras_file_holds_these_weights() {
    let model = Model::load(KERAS_WEIGHTS).unwrap();
    assert_eq!(ModelOptions::from_weights(KERAS_WEIGHTS).unwrap(), ModelOptions::default());
    assert_eq!(model.iterations(), 0);
    assert_eq!(model.learning_rate(), 0.001);
    let file = hdf5::File::open(KERAS_VALUES).unwrap();
    for (i, weight) in model.get_weights().unwrap().iter().enumerate() {
        assert_eq!(weight, &file.dataset(&format!("w0/{i}")).unwrap().read_dyn::<f32>().unwrap());
    }
}

/// A model can be trained on a thread of its own.
#[test]
fn a_model_can_move_to_another_thread() {
    let model = generate_model(&ModelOptions::default()).unwrap();
    let params = std::thread::spawn(move || model.count_params()).join().unwrap();
    assert_eq!(params, 219);
}

#[test]
fn the_variable_store_has_names_as_in_keras() {
    let model = generate_model(&ModelOptions::default()).unwrap();
    let variables = model.var_store().variables();
    assert_eq!(variables.len(), 8);
    assert_eq!(variables["conv1d.kernel"].size(), [11, 1, 2]);
    assert_eq!(variables["conv1d_2.bias"].size(), [16]);
    assert_eq!(variables["time_distributed.kernel"].size(), [16, 1]);
}

#[test]
fn weights_and_optimizer_survive_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("with blank and ü.weights.h5");
    let (x, y) = waves(6, 40);
    for (layer_sizes, kernel_sizes) in [(vec![2, 6, 16], vec![11, 5, 1]), (vec![3], vec![4]), (vec![], vec![])] {
        let options = ModelOptions { layer_sizes, kernel_sizes, lr: 0.003, ..ModelOptions::default() };
        let fit = FitOptions { batch_size: 4, epochs: 3, ..FitOptions::default() };
        let mut model = generate_model(&options).unwrap();
        model.fit(&x, &y, None, &fit).unwrap();
        model.save(&path, true).unwrap();
        let mut loaded = Model::load(&path).unwrap();
        assert_eq!(ModelOptions::from_weights(&path).unwrap(), options);
        assert_eq!(loaded.iterations(), 6);
        assert_eq!(loaded.get_weights().unwrap(), model.get_weights().unwrap());

        // Training goes on as if nothing had happened.
        model.fit(&x, &y, None, &fit).unwrap();
        loaded.fit(&x, &y, None, &fit).unwrap();
        assert_eq!(loaded.get_weights().unwrap(), model.get_weights().unwrap());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no file is left beside the weights");
}

/// A safetensors file: the length of its header, the header, and zeros but for the given bytes.
fn tensors(length: Option<u64>, header: &[u8], data: &[u8]) -> Vec<u8> {
    let length = length.unwrap_or(header.len() as u64);
    [&length.to_le_bytes()[..], header, data].concat()
}

#[test]
fn safetensors_hold_the_same_as_keras_files() {
    let folder = tempfile::tempdir().unwrap();
    let [keras, other] = ["a.weights.h5", "a.safetensors"].map(|name| folder.path().join(name));
    let (x, y) = waves(6, 40);
    let mut model = build(&[3, 2], &[4, 3]);
    // Without and with a state of the optimiser.
    for _ in 0..2 {
        model.save(&keras, true).unwrap();
        model.save(&other, true).unwrap();
        let found = Model::load(&other).unwrap();
        assert_eq!(found.sequential(), Model::load(&keras).unwrap().sequential());
        assert_eq!(found.get_weights().unwrap(), model.get_weights().unwrap());
        let again = folder.path().join("again.weights.h5");
        found.save(&again, true).unwrap();
        // Bytes are compared in the format without times of creation; the optimiser's state is among them.
        let there_and_back = folder.path().join("there_and_back.safetensors");
        Model::load(&again).unwrap().save(&there_and_back, true).unwrap();
        assert!(fs::read(&there_and_back).unwrap() == fs::read(&other).unwrap());
        model.fit(&x, &y, None, &FitOptions::default()).unwrap();
    }
    // tch reads it by the names of the variable store.
    let mut store = model.var_store().variables();
    let path = folder.path().join("store.safetensors");
    model.save(&path, false).unwrap();
    for (name, tensor) in tch::Tensor::read_safetensors(&path).unwrap() {
        if let Some(expected) = store.remove(&name) {
            assert_eq!(tensor, expected, "{name}");
        } else {
            assert!(name.starts_with("optimizer."), "{name}");
        }
    }
    assert!(store.is_empty(), "{store:?}");
    assert!(model.save(&path, false).unwrap_err().to_string().contains("exists already"));
}

#[test]
fn malformed_safetensors_are_refused_and_the_model_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.safetensors");
    let mut model = build(&[], &[]);
    model.save(&path, false).unwrap();
    let whole = fs::read(&path).unwrap();
    let kernel = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"time_distributed.kernel":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}},"#)
            + r#""time_distributed.bias":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#
    };
    let good = kernel("F32", "[1,1]", "[0,4]");
    let nan = [f32::NAN.to_le_bytes(), [0; 4]].concat();
    let steps = r#"{"optimizer.iterations":{"dtype":"I64","shape":[],"data_offsets":[8,16]},"#.to_string()
        + r#""optimizer.learning_rate":{"dtype":"F32","shape":[],"data_offsets":[16,20]},"#
        + &good[1..];
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "HeaderTooSmall"),
        ("cut", whole[..whole.len() - 1].to_vec(), "MetadataIncompleteBuffer"),
        ("cut in the header", whole[..20].to_vec(), "InvalidHeaderLength"),
        ("more", [&whole[..], &[0]].concat(), "MetadataIncompleteBuffer"),
        ("a huge header", tensors(Some(u64::MAX), good.as_bytes(), &[0; 8]), "HeaderTooLarge"),
        ("a long header", tensors(Some(1000), good.as_bytes(), &[0; 8]), "InvalidHeaderLength"),
        ("no text", tensors(None, b"\xff\xfe", &[0; 8]), "InvalidHeader"),
        ("no JSON", tensors(None, b"{]", &[]), "InvalidHeaderDeserialization"),
        ("a list", tensors(None, b"[]", &[]), "InvalidHeaderStart"),
        ("an unknown type", tensors(None, kernel("F7", "[1,1]", "[0,4]").as_bytes(), &[0; 8]), "Deserialization"),
        ("an overlap", tensors(None, kernel("F32", "[1,1]", "[2,6]").as_bytes(), &[0; 8]), "InvalidOffset"),
        ("backwards", tensors(None, kernel("F32", "[1,1]", "[4,0]").as_bytes(), &[0; 8]), "InvalidOffset"),
        ("a size", tensors(None, kernel("F32", "[1,2]", "[0,4]").as_bytes(), &[0; 8]), "TensorInvalidInfo"),
        (
            "an overflow",
            tensors(None, kernel("F32", "[9223372036854775807,9]", "[0,4]").as_bytes(), &[0; 8]),
            "ValidationOverflow",
        ),
        ("another type", tensors(None, kernel("I32", "[1,1]", "[0,4]").as_bytes(), &[0; 8]), "type I32, not F32"),
        ("another shape", tensors(None, kernel("F32", "[1]", "[0,4]").as_bytes(), &[0; 8]), "model"),
        ("nothing", tensors(None, b"{}", &[]), "model"),
        ("NaN", tensors(None, good.as_bytes(), &nan), "'time_distributed.kernel' in"),
        (
            "negative steps",
            tensors(None, steps.as_bytes(), &[&[0; 8][..], &(-1_i64).to_le_bytes(), &1.0_f32.to_le_bytes()].concat()),
            "made -1 steps",
        ),
    ];
    let before = model.get_weights().unwrap();
    for (name, bytes, expected) in cases {
        fs::write(&path, bytes).unwrap();
        for error in [Model::load(&path).expect_err(name), model.load_weights(&path).expect_err(name)] {
            let error = error.to_string();
            assert!(error.contains(expected) && error.contains("bad.safetensors"), "{name}: {error}");
        }
        assert_eq!(model.get_weights().unwrap(), before, "{name}");
    }
    fs::write(&path, tensors(None, good.as_bytes(), &[0; 8])).unwrap();
    model.load_weights(&path).unwrap();
    build(&[2], &[3]).save(&path, true).unwrap();
    let error = model.load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("not in the model: conv1d.kernel [3, 1, 2]"), "{error}");
    // A few bytes that are changed are found, or are weights.
    for i in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[i] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        let _ = model.load_weights(&path);
    }
    assert!(Model::load(folder.path()).is_err());
}

#[test]
fn no_pickle_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("marker");
    // Python would create the file.
    let pickle = format!("\u{2}cposix\nsystem\n(S'touch {}'\ntR.", marker.display());
    let pickle = [&[0x80], pickle.as_bytes()].concat();
    let old = folder.path().join("model.pkl");
    fs::write(&old, &pickle).unwrap();
    // As torch.save writes it.
    let new = folder.path().join("model.pt");
    let mut archive = zip::ZipWriter::new(fs::File::create(&new).unwrap());
    archive.start_file("model/data.pkl", zip::write::FileOptions::default()).unwrap();
    archive.write_all(&pickle).unwrap();
    archive.finish().unwrap();
    let renamed = folder.path().join("model.keras");
    fs::copy(&new, &renamed).unwrap();
    for path in [old, new, renamed] {
        let mut model = build(&[2], &[3]);
        for error in [Model::load(&path).unwrap_err(), model.load_weights(&path).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("a pickle") && error.contains("safetensors.torch.save_file"), "{error}");
        }
        assert!(!marker.exists());
    }
}

#[test]
fn the_trained_model_is_as_good_as_its_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fresh.h5");
    generate(&path, &GenerateOptions { samples: 100, test_samples: 1, seed: 5, ..GenerateOptions::default() }).unwrap();
    let read = |name: &str| H5Matrix::open(&path, name).unwrap().read(..).unwrap();
    let model = trained_model().unwrap();
    assert_eq!((model.count_params(), model.iterations()), (219, 9500));
    assert_eq!(model.sequential(), generate_model(&ModelOptions::default()).unwrap().sequential());
    let mse = format!("{:.4}", model.evaluate(&read("X"), &read("Y")).unwrap().mse);
    let readme = include_str!("../data/README.md");
    let stated = readme.lines().find_map(|line| line.strip_prefix("| 100 other samples, seed 5 | ")).unwrap();
    assert_eq!(stated.trim_end_matches([' ', '|']), mse);
}

#[test]
fn files_are_replaced_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.weights.h5");
    let model = build(&[2], &[3]);
    model.save(&path, false).unwrap();
    let before = fs::read(&path).unwrap();
    let error = build(&[4], &[3]).save(&path, false).unwrap_err().to_string();
    assert!(error.contains("a.weights.h5") && error.contains("exists already"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    build(&[4], &[3]).save(&path, true).unwrap();
    assert_eq!(ModelOptions::from_weights(&path).unwrap().layer_sizes, [4]);

    for name in ["a.h5", ".keras", ".weights.h5", "a.weights.h5.bak"] {
        let error = model.save(folder.path().join(name), true).unwrap_err().to_string();
        assert!(error.contains("ends in '.weights.h5'"), "{error}");
    }
    let error = model.save(folder.path().join("missing/a.weights.h5"), true).unwrap_err().to_string();
    assert!(error.contains("missing/a.weights.h5"), "{error}");
    fs::create_dir(folder.path().join("b.weights.h5")).unwrap();
    let error = model.save(folder.path().join("b.weights.h5"), true).unwrap_err().to_string();
    assert!(error.contains("is a directory"), "{error}");
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target.weights.h5"), folder.path().join("link.weights.h5"));
    build(&[2], &[3]).save(&target, false).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    build(&[5], &[3]).save(&link, true).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(ModelOptions::from_weights(&target).unwrap().layer_sizes, [5]);
}

/// Copies Keras' file, changes it, and returns what reading it says.
fn damaged(change: &dyn Fn(&hdf5::File), path: &Path) -> Result<Model, Error> {
    fs::copy(KERAS_WEIGHTS, path).unwrap();
    let file = hdf5::File::open_rw(path).unwrap();
    change(&file);
    file.close().unwrap();
    Model::load(path)
}

fn replace(file: &hdf5::File, name: &str, values: ArrayD<f32>) {
    file.unlink(name).unwrap();
    file.new_dataset_builder().with_data(&values).create(name).unwrap();
}

#[test]
fn damaged_files_are_refused_and_the_model_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.weights.h5");
    let zeros = |shape: &[usize]| ArrayD::<f32>::zeros(shape);
    type Change<'a> = &'a dyn Fn(&hdf5::File);
    let cases: [(&str, Change, &[&str]); 11] = [
        (
            "no bias",
            &|f| f.unlink("layers/conv1d_1/vars/1").unwrap(),
            &["layer 'conv1d_1' has [layers/conv1d_1/vars/0 [5, 2, 6]], not the kernel and bias"],
        ),
        (
            "no layer",
            &|f| f.unlink("layers/conv1d_1").unwrap(),
            &["other shape: layers/conv1d_2/vars/0 is [1, 6, 16], the model has ["],
        ),
        (
            "another width",
            &|f| replace(f, "layers/conv1d_1/vars/0", zeros(&[5, 3, 6])),
            &["other shape: layers/conv1d_1/vars/0 is [5, 3, 6], the model has [5, 2, 6]"],
        ),
        ("flat", &|f| replace(f, "layers/conv1d/vars/0", zeros(&[22])), &["layers/conv1d/vars/0 [22]"]),
        ("empty", &|f| replace(f, "layers/conv1d/vars/0", zeros(&[0, 1, 2])), &["conv1d: kernel_size = 0"]),
        (
            "NaN",
            &|f| replace(f, "layers/conv1d/vars/1", ArrayD::from_elem(vec![2], f32::NAN)),
            &["layers/conv1d/vars/1", "NaN", "index 0"],
        ),
        (
            "text",
            &|f| {
                f.unlink("layers/conv1d/vars/1").unwrap();
                let text: hdf5::types::VarLenUnicode = "x".parse().unwrap();
                let dataset = f.new_dataset::<hdf5::types::VarLenUnicode>().shape(2).create("layers/conv1d/vars/1");
                dataset.unwrap().write(&[text.clone(), text]).unwrap();
            },
            &["layers/conv1d/vars/1"],
        ),
        (
            "a claim of terabytes",
            &|f| {
                f.unlink("layers/conv1d/vars/1").unwrap();
                let builder = f.new_dataset::<f32>().chunk(1000).shape(1_000_000_000_000_usize);
                builder.create("layers/conv1d/vars/1").unwrap();
            },
            &["layers/conv1d/vars/1", "too large"],
        ),
        (
            "half an optimizer",
            &|f| {
                f.new_dataset_builder().with_data(&zeros(&[11, 1, 2])).create("optimizer/vars/2").unwrap();
            },
            &["momentum and velocity of the optimiser do not fit the model: optimizer/vars/2 [11, 1, 2]"],
        ),
        (
            "negative steps",
            &|f| f.dataset("optimizer/vars/0").unwrap().write_scalar(&-1_i64).unwrap(),
            &["made -1 steps"],
        ),
        ("no layers", &|f| f.unlink("layers").unwrap(), &["no layers of a model", "optimizer"]),
    ];
    let mut model = Model::load(KERAS_WEIGHTS).unwrap();
    let before = model.get_weights().unwrap();
    for (name, change, expected) in cases {
        let error = damaged(change, &path).expect_err(name).to_string();
        for part in expected {
            assert!(error.contains(part), "{name}: {error}");
        }
        assert!(error.contains("damaged.weights.h5"), "{name}: {error}");
        model.load_weights(&path).expect_err(name);
        assert_eq!(model.get_weights().unwrap(), before, "{name}");
    }

    let bytes = fs::read(KERAS_WEIGHTS).unwrap();
    for (name, bytes) in [("cut", &bytes[..bytes.len() / 2]), ("empty", &[]), ("not HDF5", b"{\"a\": 1}")] {
        fs::write(&path, bytes).unwrap();
        let error = Model::load(&path).expect_err(name).to_string();
        assert!(error.contains("damaged.weights.h5"), "{name}: {error}");
    }
    let error = Model::load(folder.path().join("none.weights.h5")).unwrap_err().to_string();
    assert!(error.contains("none.weights.h5") && error.contains("cannot open"), "{error}");
    let error = Model::load(KERAS_VALUES).unwrap_err().to_string();
    assert!(error.contains("it holds no layers of a model, only [X, "), "{error}");
}

#[test]
fn weights_of_another_model_are_listed() {
    let mut model = build(&[2, 7], &[11, 5]);
    let before = model.get_weights().unwrap();
    let error = model.load_weights(KERAS_WEIGHTS).unwrap_err().to_string();
    for part in [
        "other shape: layers/conv1d_1/vars/0 is [5, 2, 6], the model has [5, 2, 7]",
        "not in the model: layers/conv1d_2/vars/0 [1, 6, 16]",
        "other shape: layers/time_distributed/layer/vars/0 is [16, 1], the model has [7, 1]",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(model.get_weights().unwrap(), before);
}

#[test]
fn the_state_of_another_optimizer_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sgd.weights.h5");
    let model = damaged(
        &|file| {
            file.unlink("optimizer").unwrap();
            let vars = file.create_group("optimizer").unwrap().create_group("vars").unwrap();
            let name: hdf5::types::VarLenUnicode = "sgd".parse().unwrap();
            vars.new_attr::<hdf5::types::VarLenUnicode>().create("name").unwrap().write_scalar(&name).unwrap();
            vars.new_dataset::<i64>().create("0").unwrap().write_scalar(&17_i64).unwrap();
        },
        &path,
    )
    .unwrap();
    assert_eq!(model.iterations(), 0);
    let without = damaged(&|file| file.unlink("optimizer").unwrap(), &path).unwrap();
    assert_eq!(without.iterations(), 0);
    assert_eq!(without.get_weights().unwrap(), model.get_weights().unwrap());
}

#[test]
fn layers_out_of_range_are_named() {
    let input = || InputLayer::new(1);
    let compile = |layers: Vec<Layer>| {
        let mut model = Sequential::new(1);
        layers.into_iter().for_each(|layer| _ = model.add(layer));
        model.compile(Adam::new(0.001), Loss::Mse).unwrap_err().to_string()
    };
    let conv = || Conv1D::new(2, 3);
    let cases: [(Vec<Layer>, &str); 11] = [
        (vec![], "model = : add an InputLayer first"),
        (vec![conv().into()], "model = Conv1D(2, 3, same, linear): add an InputLayer first"),
        (vec![input().into()], "model = InputLayer(1): add a Conv1D or a TimeDistributed layer"),
        (vec![input().into(), input().into()], "add one InputLayer only"),
        (vec![InputLayer::new(0).into(), conv().into()], "input_1: channels = 0: give 1 to 65536"),
        (vec![input().into(), conv().into(), Conv1D::new(0, 1).into()], "conv1d_1: filters = 0: give 1 to 65536"),
        (vec![input().into(), Conv1D::new(1, 0).into()], "conv1d: kernel_size = 0"),
        (vec![input().into(), conv().dilation_rate(usize::MAX).into()], "conv1d: dilation_rate = 1844"),
        (vec![input().into(), conv().dilation_rate(60_000).into()], "conv1d: dilation_rate = 60000: a kernel of 3"),
        (vec![input().into(), conv().bias_regularizer(l2(-1.0)).into()], "conv1d: bias_regularizer l2 = -1"),
        (vec![input().into(), TimeDistributed(Dense::new(0)).into()], "time_distributed: units = 0"),
    ];
    for (layers, expected) in cases {
        let error = compile(layers);
        assert!(error.starts_with(expected) || error.ends_with(expected), "{error}");
    }
    for (adam, expected) in [
        (Adam::new(0.0), "Adam: learning_rate = 0"),
        (Adam::new(0.1).beta_1(1.0), "Adam: beta_1 = 1: "),
        (Adam::new(0.1).beta_2(-0.1), "Adam: beta_2 = -0.1"),
        (Adam::new(0.1).epsilon(0.0), "Adam: epsilon = 0"),
    ] {
        let mut model = Sequential::new(1);
        model.add(input()).add(conv());
        let error = model.compile(adam, Loss::Mse).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn layers_unlike_the_originals_are_described() {
    let mut model = Sequential::new(1);
    model.add(InputLayer::new(1));
    model.add(Conv1D::new(4, 3).padding(Padding::Causal).dilation_rate(2).activation(Activation::Tanh));
    model.add(TimeDistributed(Dense::new(5).activation(Activation::Sigmoid))).add(TimeDistributed(Dense::new(3)));
    let model = model.compile(Adam::new(0.001), Loss::Mse).unwrap();
    let details: Vec<String> = model.layers().into_iter().map(|layer| layer.details).collect();
    assert_eq!(details, ["", "causal, dilation 2, tanh", "sigmoid", ""]);
    let summary = model.summary();
    for line in [
        "│ conv1d (Conv1D)                 │ (None, None, 4)        │            16 │\n\
         │ causal, dilation 2, tanh        │                        │               │",
        "│ time_distributed_1              │ (None, None, 3)        │            18 │",
    ] {
        assert!(summary.contains(line), "{summary}");
    }
    assert!(model.graph().as_str().contains("causal, dilation 2, tanh"));
}

#[test]
fn the_first_convolution_need_not_be_the_first_layer() {
    let mut model = Sequential::new(1);
    model.add(InputLayer::new(1)).add(TimeDistributed(Dense::new(2))).add(Conv1D::new(1, 3));
    let figure = model.compile(Adam::new(0.001), Loss::Mse).unwrap().plot_kernels().unwrap();
    let svg = figure.to_svg().unwrap();
    assert!(svg.as_str().contains("input 1, channel 0") && svg.as_str().matches("<circle").count() >= 6);
    let mut dense = Sequential::new(1);
    dense.add(InputLayer::new(1)).add(TimeDistributed(Dense::new(2)));
    let error = dense.compile(Adam::new(0.001), Loss::Mse).unwrap().plot_kernels().unwrap_err();
    assert_eq!(error.to_string(), "figure: the model has no convolution whose kernels could be drawn");
}

#[test]
fn files_of_any_layers_round_trip() {
    let build = |seed: u64| {
        let mut model = Sequential::new(seed);
        model.add(InputLayer::new(2)).add(TimeDistributed(Dense::new(3)));
        model.add(Conv1D::new(3, 2).padding(Padding::Causal));
        model.add(TimeDistributed(Dense::new(4).activation(Activation::Tanh))).add(TimeDistributed(Dense::new(2)));
        model.compile(Adam::new(0.002).beta_1(0.8), Loss::Mse).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = (Array3::<f64>::ones((3, 7, 2)), Array3::<f64>::zeros((3, 7, 2)));
    let fit = |model: &mut Model| model.fit(&x, &y, None, &FitOptions { epochs: 2, ..FitOptions::default() }).unwrap();
    for name in ["any.keras", "any.weights.h5", "any.safetensors"] {
        let path = folder.path().join(name);
        let (mut model, mut other) = (build(1), build(2));
        fit(&mut model);
        model.save(&path, false).unwrap();
        other.load_weights(&path).unwrap();
        let mut loaded = Model::load(&path).unwrap();
        assert_eq!(loaded.sequential().to_string(), model.sequential().to_string());
        assert_eq!(loaded.notes(), [""; 0]);
        let trained = (fit(&mut model).loss, model.get_weights().unwrap());
        assert_eq!((fit(&mut other).loss, other.get_weights().unwrap()), trained);
        assert_eq!((fit(&mut loaded).loss, loaded.get_weights().unwrap()), trained);
        let error = ModelOptions::from_weights(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("which generate_model does not build"), "{error}");
    }
}

/// Padding and activations show in no array: a file says which they are, and fits no other model.
#[test]
fn weights_are_not_read_into_other_layers() {
    let build = |layer: Conv1D| {
        let mut model = Sequential::new(1);
        model.add(InputLayer::new(1)).add(layer).add(TimeDistributed(Dense::new(1)));
        model.compile(Adam::new(0.001), Loss::Mse).unwrap()
    };
    let relu = Conv1D::new(2, 3).activation(Activation::Relu);
    let folder = tempfile::tempdir().unwrap();
    for name in ["causal.keras", "causal.weights.h5", "causal.safetensors"] {
        let path = folder.path().join(name);
        build(relu.padding(Padding::Causal)).save(&path, false).unwrap();
        let layers =
            "its weights are those of InputLayer(1), Conv1D(2, 3, causal, relu), TimeDistributed(Dense(1, linear))";
        for error in [
            build(relu).load_weights(&path).unwrap_err(),
            build(relu.padding(Padding::Causal).activation(Activation::Tanh)).load_weights(&path).unwrap_err(),
        ] {
            assert!(error.to_string().contains(layers), "{error}");
        }
        let penalised = relu.padding(Padding::Causal).kernel_regularizer(l2(0.5));
        build(penalised).load_weights(&path).unwrap();
    }
}

fn keras_file(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
}

/// The model of `make_keras_files.py`.
fn small_model() -> Model {
    let mut model = Sequential::new(1);
    model.add(InputLayer::new(1));
    let first = Conv1D::new(2, 3).padding(Padding::Causal).activation(Activation::Relu);
    model.add(first.kernel_regularizer(l2(0.02)));
    model.add(Conv1D::new(3, 2).dilation_rate(2).activation(Activation::Tanh).bias_regularizer(l2(0.005)));
    model.add(TimeDistributed(Dense::new(1)));
    model.compile(Adam::new(0.003).beta_1(0.8), Loss::Mse).unwrap()
}

/// Compares predictions with Keras' and, where the file has the optimiser's state, those after five more steps.
fn compare_with_keras(version: &str, model: &mut Model, goes_on: bool) {
    let file = hdf5::File::open(keras_file(&format!("{version}_expected.h5"))).unwrap();
    let [x, y, p, p5] = ["X", "Y", "P", "P5"]
        .map(|name| -> Array3<f64> { file.dataset(name).unwrap().read_dyn().unwrap().into_dimensionality().unwrap() });
    let difference = |found: Array3<f64>, expected: &Array3<f64>| {
        let largest = |values: &Array3<f64>| values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        largest(&(found - expected)) / largest(expected)
    };
    let error = difference(model.predict(&x).unwrap(), &p);
    assert!(error < 1e-6, "{version}: {error}");
    if goes_on {
        assert_eq!((model.iterations(), model.learning_rate()), (3, 0.003), "{version}");
        let all = FitOptions { batch_size: x.dim().0, epochs: 5, ..FitOptions::default() };
        model.fit(&x, &y, None, &all).unwrap();
        let error = difference(model.predict(&x).unwrap(), &p5);
        // In TensorFlow 1, Keras' Adam may read the number of steps before or after it has increased it.
        let tolerance = if version == "keras_2_3" { 1e-3 } else { 1e-5 };
        assert!(error < tolerance, "{version}, after five steps: {error}");
    }
}

#[test]
fn models_of_all_versions_of_keras_are_read() {
    for (version, end) in [("keras_3", "keras"), ("keras_2_15", "keras"), ("keras_2_8", "h5"), ("keras_2_3", "h5")] {
        let path = keras_file(&format!("{version}.{end}"));
        let mut model = Model::load(&path).unwrap();
        assert_eq!(model.sequential(), small_model().sequential(), "{version}");
        assert_eq!(model.notes(), [""; 0], "{version}");
        compare_with_keras(version, &mut model, true);

        let mut model = small_model();
        model.load_weights(&path).unwrap();
        compare_with_keras(version, &mut model, true);
    }
    let mut functional = Model::load(keras_file("keras_3_functional.keras")).unwrap();
    assert_eq!(functional.sequential(), small_model().sequential());
    let note = "the file has no optimiser: training uses Adam with learning rate 0.001";
    assert_eq!(functional.notes(), [note]);
    assert!(functional.summary().ends_with(&format!("\n Note: {note}")));
    compare_with_keras("keras_3", &mut functional, false);
}

#[test]
fn weights_of_all_versions_of_keras_are_read() {
    for (version, file, goes_on) in [
        ("keras_2_15", "keras_2_15.weights.h5", true),
        ("keras_2_13", "keras_2_13.weights.h5", true),
        ("keras_2_8", "keras_2_8_weights.h5", false),
        // Numbers in the other byte order.
        ("keras_2_15", "hdf5_be.weights.h5", true),
    ] {
        let path = keras_file(file);
        let mut model = small_model();
        model.load_weights(&path).unwrap();
        compare_with_keras(version, &mut model, goes_on);

        let model = Model::load(&path).unwrap();
        let assumed = "InputLayer(1), Conv1D(2, 3, same, relu), Conv1D(3, 2, same, relu), \
                       TimeDistributed(Dense(1, linear))";
        assert_eq!(model.sequential().to_string(), assumed);
        let note = "the file has weights only, so these are assumed: Conv1D layers with padding same, activation relu \
                    and penalty l2 = 0.01; linear Dense layers";
        assert_eq!(model.notes(), [note], "{file}");
    }
}

/// The format is told by the contents.
#[test]
fn names_of_files_to_read_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let saved = folder.path().join("model.safetensors");
    small_model().save(&saved, false).unwrap();
    for from in [keras_file("keras_3.keras"), keras_file("keras_2_8.h5"), KERAS_WEIGHTS.into(), saved] {
        fs::copy(from, &path).unwrap();
        Model::load(&path).unwrap();
    }
}

/// The parts of a `.keras` file.
fn parts(name: &str) -> [Vec<u8>; 2] {
    let mut archive = zip::ZipArchive::new(fs::File::open(keras_file(name)).unwrap()).unwrap();
    ["config.json", "model.weights.h5"].map(|part| {
        let mut bytes = Vec::new();
        archive.by_name(part).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Names and contents.
type Parts<'a> = &'a [(&'a str, &'a [u8])];

fn write_archive(path: &Path, parts: Parts) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in parts {
        archive.start_file(*name, zip::write::FileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn what_a_model_has_beyond_sequential_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.keras");
    // Compressed, as a zip program writes it; Keras does not compress.
    let load = |name: &str, old: &str, new: &str| {
        let [config, weights] = parts(name);
        let config = String::from_utf8(config).unwrap();
        assert!(config.contains(old), "{old}");
        let config = config.replacen(old, new, 1);
        write_archive(&path, &[("config.json", config.as_bytes()), ("model.weights.h5", &weights)]);
        Model::load(&path)
    };
    let sequential = [
        (r#""strides": [1]"#, r#""strides": [2]"#, "Conv1D 'first': strides = [2] is not supported"),
        (r#""padding": "causal""#, r#""padding": "valid""#, "Conv1D 'first': padding = \"valid\" is not supported"),
        (r#""use_bias": true"#, r#""use_bias": false"#, "Conv1D 'first': use_bias = false is not supported"),
        (r#""groups": 1"#, r#""groups": 2"#, "Conv1D 'first': groups = 2"),
        (r#""activation": "relu""#, r#""activation": "gelu""#, "Conv1D 'first': activation = \"gelu\""),
        (
            r#""class_name": "L2", "config": {"l2""#,
            r#""class_name": "L1", "config": {"l1""#,
            "'first': kernel_regularizer =",
        ),
        (r#""class_name": "Conv1D""#, r#""class_name": "LSTM""#, "layer 'first' is of class LSTM; only Conv1D, Dense"),
        (r#""class_name": "Dense""#, r#""class_name": "Conv1D""#, "'time_distributed' is a TimeDistributed(Conv1D)"),
        (r#""name": "float32""#, r#""name": "float16""#, "is not supported"),
        (r#""channels_last""#, r#""channels_first""#, "Conv1D 'first': data_format"),
        (r#"[null, null, 1]"#, r#"[null, 1]"#, "the input's shape is [null,1]"),
        (r#""filters": 2"#, r#""filters": -2"#, "Conv1D 'first': filters = -2"),
        (
            r#""filters": 2"#,
            r#""filters": 3"#,
            "other shape: layers/conv1d/vars/0 is [3, 1, 2], the model has [3, 1, 3]",
        ),
        (r#""filters": 2"#, r#""filters": 99999999"#, "the model has [3, 1, 99999999]"),
        (r#""beta_1": 0.8"#, r#""beta_1": 8"#, "Adam: beta_1 = 8"),
        (r#""class_name": "Sequential""#, r#""class_name": "MyModel""#, "the model is of class 'MyModel'"),
        ("}", "", "'config.json': it is not JSON"),
    ];
    for (old, new, expected) in sequential {
        let name = if new.contains("16") { "keras_3_functional.keras" } else { "keras_3.keras" };
        let error = load(name, old, new).expect_err(new).to_string();
        assert!(error.contains(expected) && error.contains("other.keras"), "{new}: {error}");
    }
    let branch = load("keras_3_functional.keras", r#""keras_history": ["conv1d""#, r#""keras_history": ["first""#);
    let expected = "layer 'time_distributed' takes [first], not [conv1d]: a model with branches is not supported";
    assert!(branch.unwrap_err().to_string().contains(expected));

    // What concerns the training only is left out.
    for (old, new, note) in [
        (
            r#""loss": "mse""#,
            r#""loss": "mae""#,
            "the loss \"mae\" is left out: training minimises the mean squared error",
        ),
        (r#""clipnorm": null"#, r#""clipnorm": 1.0"#, "Adam's clipnorm = 1.0 is left out"),
        (
            r#""class_name": "Adam""#,
            r#""class_name": "SGD""#,
            "the file has the optimiser SGD: training uses Adam with",
        ),
    ] {
        let model = load("keras_3.keras", old, new).unwrap();
        assert!(model.notes().len() == 1 && model.notes()[0].starts_with(note), "{:?}", model.notes());
        assert_eq!(model.iterations(), if new.contains("SGD") { 0 } else { 3 });
    }
}

/// Puts other bytes in place of the only ones like them.
fn patch(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from).map(|(place, _)| place).collect();
    assert_eq!((places.len(), from.len()), (1, to.len()));
    bytes[places[0]..][..to.len()].copy_from_slice(to);
}

#[test]
fn weights_that_have_changed_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = small_model();
    let mut weights = model.get_weights().unwrap();
    weights[0][[0, 0, 0]] = 0.123_456_7;
    model.set_weights(&weights).unwrap();
    for (name, remedy) in [
        ("w.weights.h5", "contents have changed"),
        ("w.safetensors", "contents have changed"),
        // The archive's own checksum.
        ("w.keras", "Invalid checksum"),
    ] {
        let path = folder.path().join(name);
        model.save(&path, false).unwrap();
        assert!(verify(&path, Progress::Silent).unwrap().program.starts_with("hhnet "));
        assert!(written_by(&path).unwrap().is_some());
        let mut bytes = fs::read(&path).unwrap();
        patch(&mut bytes, &0.123_456_7_f32.to_le_bytes(), &0.5_f32.to_le_bytes());
        fs::write(&path, &bytes).unwrap();
        for error in [Model::load(&path).err().unwrap(), verify(&path, Progress::Silent).unwrap_err()] {
            let message = error.to_string();
            assert!(message.contains(remedy) && message.contains(name), "{message}");
        }
    }
    // Of other programs' files nobody can tell.
    let error = verify(keras_file("keras_default.h5"), Progress::Silent).unwrap_err().to_string();
    assert!(error.contains("it has no checksum"), "{error}");
}

#[test]
fn damaged_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.keras");
    let [config, weights] = parts("keras_3.keras");
    let nested = [&b"{\"class_name\": "[..], &b"[".repeat(100_000)].concat();
    let zeros = vec![b' '; 20_000_000];
    let cases: [(Parts, &str); 7] = [
        (&[("model.weights.h5", &weights)], "it is a zip archive without 'config.json'"),
        (&[("config.json", &config)], "it is a zip archive without 'model.weights.h5'"),
        (&[("config.json", &config), ("model.weights.h5", b"text")], "'model.weights.h5': "),
        (&[("config.json", &config), ("model.weights.h5", &weights[..5000])], "'model.weights.h5': "),
        (&[("config.json", &nested), ("model.weights.h5", &weights)], "recursion limit"),
        (&[("config.json", &zeros), ("model.weights.h5", &weights)], "'config.json' has more than 4000000 bytes"),
        (&[("config.json", b"\xff"), ("model.weights.h5", &weights)], "'config.json' is not text"),
    ];
    for (parts, expected) in cases {
        write_archive(&path, parts);
        let error = Model::load(&path).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("bad.keras"), "{expected}: {error}");
    }
    fs::write(&path, b"PK\x03\x04").unwrap();
    assert!(Model::load(&path).unwrap_err().to_string().contains("it is not a zip archive"));
    // A few bytes that are changed or cut are found, or are weights.
    for name in ["keras_3.keras", "keras_2_3.h5"] {
        let whole = fs::read(keras_file(name)).unwrap();
        for i in (4..whole.len()).step_by(whole.len() / 50) {
            let mut bytes = whole.clone();
            bytes[i] ^= 0x55;
            fs::write(&path, &bytes).unwrap();
            let _ = Model::load(&path);
            fs::write(&path, &whole[..i]).unwrap();
            assert!(Model::load(&path).is_err(), "{name}, {i} bytes");
        }
    }
}

/// Writes what `tests/data/check_keras.py` reads with Keras.
#[test]
#[ignore = "needs Keras afterwards"]
fn files_for_keras() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("files_for_keras");
    fs::create_dir_all(&folder).unwrap();
    let file = hdf5::File::create(folder.join("expected.h5")).unwrap();
    let (x, y) = waves(4, 30);
    let all = FitOptions { batch_size: 4, epochs: 3, ..FitOptions::default() };
    for (name, mut model) in [("original", build(&[2, 6, 16], &[11, 5, 1])), ("small", small_model())] {
        model.fit(&x, &y, None, &all).unwrap();
        model.set_learning_rate(0.002).unwrap();
        for end in ["keras", "weights.h5"] {
            model.save(folder.join(format!("{name}.{end}")), true).unwrap();
        }
        let write = |what: &str, values: &Array3<f64>| {
            file.new_dataset_builder().with_data(values).create(&*format!("{name}_{what}")).unwrap();
        };
        write("x", &x);
        write("y", &y);
        write("p", &model.predict(&x).unwrap());
        write("rate", &Array3::from_elem((1, 1, 1), f64::from(0.002_f32)));
        model.fit(&x, &y, None, &FitOptions { epochs: 5, ..all.clone() }).unwrap();
        write("p5", &model.predict(&x).unwrap());
    }
}

#[test]
fn options_out_of_range_are_named() {
    let default = ModelOptions::default();
    let cases = [
        (ModelOptions { lr: 0.0, ..default.clone() }, "lr = 0"),
        (ModelOptions { lr: f64::NAN, ..default.clone() }, "lr = NaN"),
        (ModelOptions { lr: 1e40, ..default.clone() }, "lr = "),
        (ModelOptions { lr: 1e-50, ..default.clone() }, "lr = "),
        (ModelOptions { l2: -1.0, ..default.clone() }, "l2 = -1"),
        (ModelOptions { l2: f64::INFINITY, ..default.clone() }, "l2 = inf"),
        (ModelOptions { layer_sizes: vec![2, 6], ..default.clone() }, "kernel_sizes = [11, 5, 1]"),
        (ModelOptions { layer_sizes: vec![2, 0, 6], ..default.clone() }, "layer_sizes[1] = 0"),
        (ModelOptions { kernel_sizes: vec![1, 2, usize::MAX], ..default.clone() }, "kernel_sizes[2] = "),
        (ModelOptions { layer_sizes: vec![65_536; 3], ..default.clone() }, "at most 100000000"),
        (ModelOptions { input_channels: 0, ..default.clone() }, "input_channels = 0"),
        (ModelOptions { device: Device::Cuda(99), ..default.clone() }, "device = cuda:99"),
        (ModelOptions { device: Device::Vulkan, ..default.clone() }, "device = vulkan"),
        // No processor has both.
        (
            ModelOptions {
                simd_level: if cfg!(target_arch = "aarch64") { SimdLevel::Avx2 } else { SimdLevel::Neon },
                ..default
            },
            "simd_level = ",
        ),
    ];
    for (options, expected) in cases {
        let error = generate_model(&options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = device("gpu").unwrap_err().to_string();
    assert_eq!(error, "device = gpu: give cpu, cuda, cuda:1 or mps");
    assert!(device("cuda:99").unwrap_err().to_string().starts_with("device = cuda:99: this libtorch finds"));

    let mut model = generate_model(&ModelOptions::default()).unwrap();
    assert!(model.set_learning_rate(-1.0).is_err());
    assert_eq!(model.learning_rate(), 0.001);
    model.set_learning_rate(0.01).unwrap();
    assert_eq!(model.learning_rate(), 0.01);
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let mut model = generate_model(&ModelOptions::default()).unwrap();
    let before = model.get_weights().unwrap();
    assert!(model.set_weights(&before[1..]).unwrap_err().to_string().contains("list of weights"));
    let mut weights = before.clone();
    weights[2] = ArrayD::zeros(vec![5, 6, 2]);
    let error = model.set_weights(&weights).unwrap_err().to_string();
    assert!(error.contains("conv1d_1.kernel: expected shape [5, 2, 6], found [5, 6, 2]"), "{error}");
    weights[2] = ArrayD::from_elem(vec![5, 2, 6], f32::INFINITY);
    assert!(model.set_weights(&weights).unwrap_err().to_string().contains("conv1d_1.kernel is inf"));
    assert_eq!(model.get_weights().unwrap(), before);
    weights[2] = ArrayD::ones(vec![5, 2, 6]);
    model.set_weights(&weights).unwrap();
    assert_eq!(model.get_weights().unwrap(), weights);
}

#[test]
fn a_predicted_trace_is_the_prediction_of_one_sample() {
    let model = trained_model().unwrap();
    let (x, _) = waves(1, 300);
    let trace = model.predict_trace(&x.iter().copied().collect::<Vec<_>>()).unwrap();
    assert_eq!(trace, model.predict(&x).unwrap().into_iter().collect::<Vec<_>>());
    assert_eq!(model.predict_trace(&[0.0]).unwrap().len(), 1);
}

#[test]
fn a_predicted_trace_needs_one_channel_one_output_and_finite_values() {
    let model = |channels: usize, outputs: usize| {
        let mut model = Sequential::new(1);
        model.add(InputLayer::new(channels)).add(TimeDistributed(Dense::new(outputs)));
        model.compile(Adam::new(0.01), Loss::Mse).unwrap()
    };
    for (channels, outputs, x, expected) in [
        (
            3,
            1,
            &[1.0, 2.0][..],
            "x: expected shape (samples, steps, 3), found (2,); the model has several input channels: use predict",
        ),
        (
            1,
            2,
            &[1.0],
            "output: expected shape (samples, steps, 1), found (samples, steps, 2); the model has several outputs: use \
             predict",
        ),
        (1, 1, &[], "x: expected shape (1 or more,), found (0,); at least one time step is needed"),
        (1, 1, &[1.0, f64::NAN], "x is NaN at index 1; use finite 32-bit numbers"),
        (1, 1, &[-1e39], "x is -1000000000000000000000000000000000000000 at index 0; use finite 32-bit numbers"),
    ] {
        let error = model(channels, outputs).predict_trace(x).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
