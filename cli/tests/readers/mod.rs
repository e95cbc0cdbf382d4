//! What hhnet reads, each as a function that takes any contents and a folder, which it may fill. Errors are a result like
//! any other: what must not happen is a panic, a signal, or data of another shape than the file's description says.

use clap::{Args, Command, FromArgMatches};
use hhnet::dataset::{
    GenerateOptions, H5Matrix, ImportOptions, Shard, describe, millivolts_in, picoamperes_in, read_nwb,
};
use hhnet::stimulus::Stream;
use hhnet_cli::import::Import;
use std::path::{Path, PathBuf};

/// A function that reads contents in a folder.
pub type Reader = fn(&[u8], &Path);

/// Larger datasets are not read. They may be meant: a dataset that was never written to takes no place in a file.
const MOST_VALUES: usize = 1 << 22;

/// Reads a data set in HDF5: what `hhnet info` shows, and all samples.
pub fn dataset(contents: &[u8], folder: &Path) {
    let path = &file(folder, "data.h5", contents);
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

/// Reads a model in any format, which the contents tell, and lets it predict.
#[cfg(feature = "model")]
pub fn weights(contents: &[u8], folder: &Path) {
    use hhnet::model::{Model, ModelOptions, trained_model};
    use hhnet::ndarray::Array3;
    let path = &file(folder, "weights", contents);
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

/// Reads a recording in an NWB file.
pub fn nwb(contents: &[u8], folder: &Path) {
    let path = &file(folder, "recording.nwb", contents);
    let options = ImportOptions { duration_ms: 50.0, step_ms: 1.0, ..ImportOptions::default() };
    if let Ok(imported) = read_nwb(path, &options) {
        assert_eq!(imported.x.dim(), imported.y.dim());
        assert_eq!((imported.x.dim().1, imported.x.dim().2), (50, 1));
        assert!(imported.x.iter().chain(&imported.y).all(|value| value.is_finite()));
    }
}

/// Reads NumPy's arrays: an `.npz` file, or an `.npy` file with the currents as well as the potentials.
pub fn numpy(contents: &[u8], folder: &Path) {
    let path = file(folder, "arrays", contents);
    let path = path.to_str().unwrap();
    match contents.starts_with(b"PK") {
        true => import(folder, &[path]),
        false => import(folder, &["--x", path, "--y", path]),
    }
}

/// Reads a table of text.
pub fn table(contents: &[u8], folder: &Path) {
    // Other formats have readers of their own.
    if !contents.starts_with(b"PK") && !contents.starts_with(b"\x89HDF") {
        import(folder, &[file(folder, "table.csv", contents).to_str().unwrap()]);
    }
}

/// Parses texts that the command line takes, one in each line: the arguments of `import` (on a small file), shards,
/// streams, units and lists of sizes.
pub fn options(contents: &[u8], folder: &Path) {
    let Ok(text) = std::str::from_utf8(contents) else { return };
    let lines: Vec<&str> = text.lines().take(20).collect();
    let table = file(folder, "table.csv", b"time_ms,current_pA,potential_mV\n0,1,-65\n1,2,-64\n2,3,-63\n3,4,-62\n");
    let is_safe = |line: &&&str| !line.starts_with("--out") && !line.starts_with("--force") && !line.contains('/');
    let mut arguments = vec![table.to_str().unwrap()];
    arguments.extend(lines.iter().filter(is_safe));
    import(folder, &arguments);
    for line in &lines {
        if let Ok(shard) = line.parse::<Shard>() {
            assert!((1..=shard.count).contains(&shard.index));
            assert_eq!(shard.to_string().parse::<Shard>().unwrap(), shard);
        }
        _ = line.parse::<Stream>();
        let factors = [picoamperes_in(line), millivolts_in(line)];
        assert!(factors.into_iter().flatten().all(|factor| factor > 0.0));
    }
    #[cfg(feature = "model")]
    sizes(&lines);
}

/// Makes a model of the sizes in the first two lines.
#[cfg(feature = "model")]
fn sizes(lines: &[&str]) {
    use hhnet::model::{ModelOptions, generate_model};
    let mut lists = lines.iter().map(|line| line.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>());
    let (Some(Ok(layer_sizes)), Some(Ok(kernel_sizes))) = (lists.next(), lists.next()) else { return };
    let options = ModelOptions { layer_sizes, kernel_sizes, ..ModelOptions::default() };
    // Up to 400 MB are allowed, which takes too long here.
    let sizes = options.layer_sizes.iter().chain(&options.kernel_sizes);
    if sizes.fold(1_usize, |product, &size| product.saturating_mul(size.max(1))) < 1 << 20 {
        _ = generate_model(&options);
    }
}

/// Uses the pattern of a checkpoint's name in a training of two epochs.
#[cfg(feature = "model")]
pub fn checkpoint(contents: &[u8], folder: &Path) {
    use hhnet::model::trained_model;
    use hhnet::ndarray::Array3;
    use hhnet::training::{Callback, FitOptions, ModelCheckpoint};
    let Ok(pattern) = std::str::from_utf8(contents) else { return };
    let folder = tempfile::tempdir_in(folder).unwrap();
    // Nothing is written elsewhere.
    let filepath = folder.path().join(pattern.replace(['/', '\\'], "_"));
    let checkpoint = ModelCheckpoint { filepath, overwrite: true, ..ModelCheckpoint::default() };
    let callbacks = vec![Callback::ModelCheckpoint(checkpoint)];
    let options = FitOptions { epochs: 2, callbacks, ..FitOptions::default() };
    let x = Array3::<f64>::ones((1, 3, 1));
    let mut model = trained_model().unwrap();
    model.set_threads(Some(1)).unwrap();
    _ = model.fit(&x, &x, None, &options);
}

fn file(folder: &Path, name: &str, contents: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, contents).unwrap();
    path
}

/// Runs `hhnet import` with these arguments. The data file that it may write is below `folder`.
fn import(folder: &Path, arguments: &[&str]) {
    let out = folder.join("out.h5");
    let all = ["import", "--force", "--out", out.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    let Ok(matches) = Import::augment_args(Command::new("import")).try_get_matches_from(all) else { return };
    let Ok(import) = Import::from_arg_matches(&matches) else { return };
    if import.run().is_ok() {
        let (x, y) = (H5Matrix::open(&out, "X").unwrap(), H5Matrix::open(&out, "Y").unwrap());
        assert_eq!((x.shape().0, x.shape().1), (y.shape().0, y.shape().1));
    }
}
