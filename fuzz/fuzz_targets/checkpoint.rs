//! The pattern of a checkpoint's name, in a training of two epochs.
#![no_main]

use hhnet::model::trained_model;
use hhnet::ndarray::Array3;
use hhnet::training::{Callback, FitOptions, ModelCheckpoint};
use hhnet_fuzz::folder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pattern: &str| {
    // The folder is emptied afterwards, and nothing is written elsewhere.
    let filepath = folder().join(pattern.replace(['/', '\\'], "_"));
    let checkpoint = ModelCheckpoint { filepath, overwrite: true, ..ModelCheckpoint::default() };
    let callbacks = vec![Callback::ModelCheckpoint(checkpoint)];
    let options = FitOptions { epochs: 2, callbacks, ..FitOptions::default() };
    let x = Array3::<f64>::ones((1, 3, 1));
    let mut model = trained_model().unwrap();
    model.set_threads(Some(1)).unwrap();
    _ = model.fit(&x, &x, None, &options);
    for entry in std::fs::read_dir(folder()).unwrap() {
        _ = std::fs::remove_file(entry.unwrap().path());
    }
});
