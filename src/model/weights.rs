//! Files of models: Keras' `.keras`, `.weights.h5` and `.h5`, and safetensors.

mod archive;
mod config;
mod contents;
mod keras;
mod safetensors;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use contents::Contents;

use super::{Adam, Loss, MAX_PARAMS, Model, ModelOptions, Network};
use crate::dataset::checksum::{self, CHANGED, Seal};
use crate::files::{NewFile, check_target, open_hdf5, write_whole};
use crate::{Error, Result};

/// The largest file: weights, momentum and velocity, and what describes them.
const MAX_BYTES: u64 = 12 * MAX_PARAMS as u64 + 1_000_000;

impl ModelOptions {
    /// The options of the model in a file, if it is one that [`generate_model`](super::generate_model) builds: layer
    /// and kernel sizes, input channels, padding, activation, penalty and learning rate. The other options have their
    /// defaults.
    ///
    /// # Errors
    /// Like those of [`Model::load`]. Also if it is another model.
    pub fn from_weights(path: impl AsRef<Path>) -> Result<ModelOptions> {
        let path = path.as_ref();
        let model = Model::load(path)?;
        let options = ModelOptions::of(&model);
        if options.sequential().layers != model.sequential.layers {
            let problem = format!("it holds the model {}, which generate_model does not build", model.sequential);
            return Err(Error::file(path, problem, "read it with Model::load"));
        }
        Ok(options)
    }
}

impl Model {
    /// Writes the model to a file, in the format that belongs to the file's name:
    ///
    /// | the name ends in | written are | in Keras |
    /// |---|---|---|
    /// | `.keras` | layers, weights, optimiser and its state | `keras.saving.load_model(path)` |
    /// | `.weights.h5` | the same | `model.load_weights(path)`, without the layers |
    /// | `.safetensors` | the same, with names such as `conv1d.kernel` | |
    ///
    /// Keras restores the optimiser's state from a `.weights.h5` file only if the optimiser has its variables already.
    /// In Python, call `model.optimizer.build(model.trainable_variables)` before `model.load_weights(path)`.
    ///
    /// The file is complete or absent: it is written under a temporary name and then renamed.
    ///
    /// # Errors
    /// If the name ends otherwise, the file exists and `overwrite` is false, or it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let path = path.as_ref();
        match Format::of(path)? {
            Format::Archive => self.save_archive(path, overwrite),
            Format::WeightsH5 => self.save_weights_h5(path, overwrite, &|_| Ok(())),
            Format::Safetensors => {
                let bytes = safetensors::to_bytes(self, &self.values()?)
                    .map_err(|error| Error::file(path, error, "choose another format"))?;
                write_whole(path, overwrite, &bytes)
            }
        }
    }

    /// Checks that [`Model::save`] can write to a file of this name. Call it before a long training.
    ///
    /// # Errors
    /// Like those of [`Model::save`].
    pub fn check_save(path: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        let path = path.as_ref();
        Format::of(path)?;
        check_target(path, overwrite).map(|_| ())
    }

    /// The bytes of weights and optimiser state in a file, without what describes them.
    fn bytes(&self) -> u64 {
        let Adam { momentum, velocity, .. } = &self.adam;
        4 * (self.count_params() + momentum.len() + velocity.len()) as u64
    }

    /// Writes a `.weights.h5` file, to which `more` may add.
    pub(crate) fn save_weights_h5(
        &self,
        path: &Path,
        overwrite: bool,
        more: &dyn Fn(&hdf5::File) -> hdf5::Result<()>,
    ) -> Result<()> {
        let values = self.values()?;
        let new = NewFile::create(path, overwrite, self.bytes())?;
        let file = new.create_hdf5()?;
        keras::write(&file, self, &values)
            .and_then(|()| more(&file))
            .map_err(Error::hdf5(path, "write the weights"))?;
        checksum::finish(new, file)
    }

    /// Writes a `.keras` file.
    fn save_archive(&self, path: &Path, overwrite: bool) -> Result<()> {
        let new = NewFile::create(path, overwrite, self.bytes())?;
        let weights = new.path().with_file_name("weights");
        let file = hdf5::File::create(&weights).map_err(Error::hdf5(path, "create it"))?;
        keras::write(&file, self, &self.values()?)
            .and_then(|()| checksum::seal(&file))
            .and_then(|()| file.close())
            .map_err(Error::hdf5(path, "write the weights"))?;
        let weights = fs::read(&weights).map_err(Error::io(&weights, "read"))?;
        let archive = archive::to_bytes(&config::to_json(self), &weights);
        let archive = archive.map_err(|error| Error::file(path, error, "choose another format"))?;
        fs::write(new.path(), archive).map_err(Error::io(path, "write"))?;
        new.finish()
    }

    /// Reads a model from a file of Keras or of [`Model::save`]. The format is told by the contents, whatever the name:
    ///
    /// - `.keras`, of Keras 3 and of Keras 2.13 to 2.15,
    /// - `.h5`, a whole model or weights only, of Keras 2 and 3,
    /// - `.weights.h5`, of Keras 3 and of Keras 2.13 to 2.15,
    /// - safetensors.
    ///
    /// The model is on the CPU. Layers, penalties, optimiser and its state are those of the file: training goes on
    /// where it stopped. [`Model::notes`] tells what the file does not hold, and what had to be left out. Keras' own
    /// files of weights do not hold the layers; convolutions then are those of the original study, with padding `same`,
    /// ReLU and its penalty, and dense layers are linear. For other layers, build them with
    /// [`Sequential`](super::Sequential) and call [`Model::load_weights`].
    ///
    /// # Errors
    /// If the file is missing or of another kind, a weight is not finite, or the model has what
    /// [`Sequential`](super::Sequential) does not have: the message names the layer and its setting.
    ///
    /// ```
    /// use hhnet::model::{Model, ModelOptions, generate_model};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("model.keras");
    /// generate_model(&ModelOptions { kernel_sizes: vec![4, 5, 6], ..ModelOptions::default() })?.save(&path, false)?;
    /// assert_eq!(Model::load(&path)?.layers().len(), 5);
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        let path = path.as_ref();
        Model::from_contents(&read(path)?).map_err(|problem| Error::file(path, problem, REMEDY))
    }

    /// The model in a file's contents.
    fn from_contents(contents: &Contents) -> Result<Model, String> {
        let (sequential, adam, notes) = contents.model();
        // Before memory is taken for whatever size the description claims.
        contents.arrays(&Network::new(&sequential.layers).variables())?;
        let mut model = sequential.compile(adam, Loss::Mse).map_err(|error| error.to_string())?;
        model.set_contents(contents)?;
        model.notes = notes;
        model.validation_samples = contents.config.as_ref().and_then(|config| config.validation_samples);
        Ok(model)
    }

    /// What [`Model::load`] had to assume because the file does not hold it, and what it left out because this crate
    /// does not have it. [`Model::summary`] shows it too. Empty for other models.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Sets the weights of this model from a file of Keras or of [`Model::save`], in any format that [`Model::load`]
    /// reads, and the optimiser's state too. If the file holds no state, or that of another optimiser, Adam starts from
    /// the beginning. Layers may have other names in the file: their order counts.
    ///
    /// # Errors
    /// Like those of [`Model::load`]. Also if the file describes other layers, or the weights do not fit the model: the
    /// message lists the missing weights, the surplus ones and those with another shape. The model is then unchanged.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.set_contents(&read(path)?).map_err(|problem| Error::file(path, problem, REMEDY))
    }

    fn set_contents(&mut self, contents: &Contents) -> Result<(), String> {
        let variables = self.variables();
        let values = contents.weights(&variables)?;
        contents.check_layers(&self.sequential)?;
        let adam = contents.adam(&variables, &self.adam)?;
        self.set_values(&values).map_err(|error| error.to_string())?;
        self.adam = adam;
        Ok(())
    }
}

/// The original study's model with trained weights, for use without any data.
///
/// The weights are those of `data/trained.safetensors` in the source. `data/README.md` describes how they were trained,
/// and how accurate they are.
///
/// # Errors
/// If libtorch cannot create the model.
///
/// ```
/// use hhnet::model::trained_model;
/// use hhnet::ndarray::Array3;
/// let model = trained_model()?;
/// // Without current the potential stays near rest.
/// let potential_mv = model.predict(&Array3::<f64>::zeros((1, 100, 1)))?;
/// assert!(potential_mv.iter().all(|v| (-67.0..-63.0).contains(v)));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn trained_model() -> Result<Model> {
    let contents = safetensors::parse(include_bytes!("../../data/trained.safetensors"));
    let model = contents.and_then(|contents| Model::from_contents(&contents));
    model.map_err(|problem| Error::file("data/trained.safetensors", problem, REMEDY))
}

/// Checks that a name belongs to a file that can hold the state of a training.
pub(crate) fn check_weights_h5_name(path: &Path) -> Result<()> {
    match Format::of(path)? {
        Format::WeightsH5 => Ok(()),
        _ => Err(Error::file(path, "this format can hold a model only", "use a name that ends in '.weights.h5'")),
    }
}

/// What is written to a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Archive,
    WeightsH5,
    Safetensors,
}

impl Format {
    /// The format that belongs to a file name.
    fn of(path: &Path) -> Result<Format> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ends_in = |end: &str| name.ends_with(end) && name.len() > end.len();
        match () {
            () if ends_in(".keras") => Ok(Format::Archive),
            () if ends_in(".weights.h5") => Ok(Format::WeightsH5),
            () if ends_in(".safetensors") => Ok(Format::Safetensors),
            () => Err(Error::file(
                path,
                "not a name for weights or a model",
                "use a name that ends in '.weights.h5' or '.keras' (Keras) or '.safetensors'",
            )),
        }
    }
}

/// What to do about a file that cannot be used.
const REMEDY: &str = "use a file with a model of layers that Sequential has; for Keras' files of weights only, build \
                      the layers with Sequential and call load_weights";

/// What is wrong with a file of PyTorch, and what to do about it.
const PICKLE: (&str, &str) = (
    "it is a pickle, as PyTorch writes them: whoever reads one runs the programs that it names",
    "if you trust its origin, read it in Python by torch.load(path, weights_only=True), and write the weights by \
     safetensors.torch.save_file, with the names and shapes of a '.safetensors' file of Model::save",
);

/// Whether a file begins as a pickle does. A safetensors file may do so too.
fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..])
}

/// The contents of a file, whose format is told by its beginning.
fn read(path: &Path) -> Result<Contents> {
    let metadata = fs::metadata(path).map_err(Error::io(path, "open"))?;
    if !metadata.is_file() {
        return Err(Error::file(path, "it is not a regular file", "give the name of a file with a model"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(Error::file(path, format!("it has {} bytes, which is too large", metadata.len()), REMEDY));
    }
    let mut file = File::open(path).map_err(Error::io(path, "open"))?;
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start).map_err(Error::io(path, "read"))?;
    let problem = |problem: String| Error::file(path, problem, REMEDY);
    let contents = match &start[..] {
        b"PK\x03\x04" => archive::read(file, path),
        b"\x89HDF" => keras::read(&open_hdf5(path)?, None).map_err(|error| problem(error.to_string())),
        _ => safetensors::parse(&fs::read(path).map_err(Error::io(path, "read"))?).map_err(problem),
    };
    if contents.is_err() && (is_pickle(&start) || archive::holds_pickle(path)) {
        return Err(Error::file(path, PICKLE.0, PICKLE.1));
    }
    let contents = contents?;
    contents.check().map_err(problem)?;
    if contents.seal == Seal::Broken {
        let [problem, remedy] = CHANGED;
        return Err(Error::file(path, problem, remedy));
    }
    Ok(contents)
}

/// The version of this program that wrote a file with a model, if it has a checksum.
pub(crate) fn sealed_by(path: &Path) -> Result<Option<String>> {
    Ok(match read(path)?.seal {
        Seal::Whole(program) => Some(program),
        _ => None,
    })
}
