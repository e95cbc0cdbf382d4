//! What hhnet reads, each as a function that takes a file with any contents. Errors are a result like any other: what
//! must not happen is a panic, a signal, or data of another shape than the file's description says.

use clap::{Args, Command, FromArgMatches};
use hhnet::dataset::{GenerateOptions, H5Matrix, ImportOptions, describe, read_nwb};
use hhnet_cli::import::Import;
use std::path::Path;

/// Larger datasets are not read. They may be meant: a dataset that was never written to takes no place in a file.
const MOST_VALUES: usize = 1 << 22;

/// Reads a data set: what `hhnet info` shows, and all samples.
pub fn data(path: &Path) {
    let Ok(description) = describe(path) else { return };
    assert!(!description.to_string().is_empty());
    _ = GenerateOptions::read(path);
    for dataset in description.datasets {
        let Ok(matrix) = H5Matrix::open(path, &dataset.name) else { continue };
        let shape = matrix.shape();
        let values = shape.0.checked_mul(shape.1).and_then(|values| values.checked_mul(shape.2));
        if values.is_none_or(|values| values > MOST_VALUES) {
            continue;
        }
        if let Ok(values) = matrix.read(..) {
            assert_eq!(values.dim(), shape);
            assert!(values.iter().all(|value| value.is_finite()));
        }
        if let Ok(last) = matrix.read_f32(-1..) {
            assert_eq!(last.dim(), (1, shape.1, shape.2));
        }
    }
}

/// Reads a model in any format, and lets it predict.
#[cfg(feature = "model")]
pub fn weights(path: &Path) {
    use hhnet::model::{Model, ModelOptions, trained_model};
    use hhnet::ndarray::Array3;
    _ = ModelOptions::from_weights(path);
    _ = trained_model().unwrap().load_weights(path);
    let Ok(model) = Model::load(path) else { return };
    assert!(!model.summary().to_string().is_empty());
    let inputs = model.get_weights().unwrap()[0].shape().iter().rev().nth(1).copied().unwrap();
    let reach: usize = model.get_weights().unwrap().iter().map(|weight| weight.shape()[0]).sum();
    if model.count_params().saturating_mul(reach) < 1 << 24
        && let Ok(found) = model.predict(&Array3::<f64>::ones((1, 7, inputs)))
    {
        assert_eq!((found.dim().0, found.dim().1), (1, 7));
    }
}

/// Reads a recording.
pub fn nwb(path: &Path) {
    let options = ImportOptions { duration_ms: 50.0, step_ms: 1.0, ..ImportOptions::default() };
    if let Ok(imported) = read_nwb(path, &options) {
        assert_eq!(imported.x.dim(), imported.y.dim());
        assert_eq!((imported.x.dim().1, imported.x.dim().2), (50, 1));
        assert!(imported.x.iter().chain(&imported.y).all(|value| value.is_finite()));
    }
}

/// Runs `hhnet import` with these arguments. The data file that it may write is below `folder`.
pub fn import(folder: &Path, arguments: &[&str]) {
    let out = folder.join("out.h5");
    let all = ["import", "--force", "--out", out.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    let Ok(matches) = Import::augment_args(Command::new("import")).try_get_matches_from(all) else { return };
    let Ok(import) = Import::from_arg_matches(&matches) else { return };
    if import.run().is_ok() {
        let (x, y) = (H5Matrix::open(&out, "X").unwrap(), H5Matrix::open(&out, "Y").unwrap());
        assert_eq!((x.shape().0, x.shape().1), (y.shape().0, y.shape().1));
    }
}
