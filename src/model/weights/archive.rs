//! Reads and writes Keras' `.keras` files: a zip archive of `config.json`, `metadata.json` and `model.weights.h5`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::FileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::config::Config;
use super::{Contents, MAX_BYTES, keras};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
/// The first version of Keras that reads such a file.
const METADATA: &str = r#"{"keras_version": "3.0.0"}"#;
/// The largest description of a model. A layer needs about 1 kB.
const MAX_CONFIG: u64 = 4_000_000;

/// The contents of an archive.
pub(super) fn read(file: File) -> Result<Contents, String> {
    let mut archive = ZipArchive::new(file).map_err(|error| format!("it is not a zip archive: {error}"))?;
    let mut text = Vec::new();
    copy(&mut archive, CONFIG, MAX_CONFIG, &mut text)?;
    let text = String::from_utf8(text).map_err(|_| format!("'{CONFIG}' is not text"))?;
    let config = Config::parse(&text, None).map_err(|problem| format!("'{CONFIG}': {problem}"))?;
    // HDF5 reads files only.
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary directory: {error}"))?;
    let path = folder.path().join(WEIGHTS);
    let mut weights = File::create(&path).map_err(|error| format!("cannot create a temporary file: {error}"))?;
    copy(&mut archive, WEIGHTS, MAX_BYTES, &mut weights)?;
    let read = || keras::read(&hdf5::File::open(&path)?, Some(config));
    read().map_err(|error| format!("'{WEIGHTS}': {error}"))
}

/// Whether a file is an archive with a pickle in it.
pub(super) fn holds_pickle(path: &Path) -> bool {
    let archive = File::open(path).ok().and_then(|file| ZipArchive::new(file).ok());
    archive.is_some_and(|archive| archive.file_names().any(|name| name.ends_with(".pkl")))
}

/// Unpacks a part of an archive, of which any size may be claimed.
fn copy(archive: &mut ZipArchive<File>, name: &str, max: u64, to: &mut impl Write) -> Result<(), String> {
    let part = archive.by_name(name).map_err(|error| match error {
        ZipError::FileNotFound => format!("it is a zip archive without '{name}'"),
        error => format!("'{name}': {error}"),
    })?;
    let copied = io::copy(&mut part.take(max + 1), to).map_err(|error| format!("'{name}': {error}"))?;
    if copied > max {
        return Err(format!("'{name}' has more than {max} bytes, which is too large"));
    }
    Ok(())
}

/// Writes an archive of a description and a file of weights.
pub(super) fn write(path: &Path, config: &str, weights: &Path) -> io::Result<()> {
    let mut archive = ZipWriter::new(File::create(path)?);
    // As in Keras: not compressed.
    let options =
        FileOptions::default().compression_method(CompressionMethod::Stored).last_modified_time(DateTime::default());
    for (name, contents) in [("metadata.json", METADATA.as_bytes()), (CONFIG, config.as_bytes())] {
        archive.start_file(name, options)?;
        archive.write_all(contents)?;
    }
    archive.start_file(WEIGHTS, options)?;
    io::copy(&mut File::open(weights)?, &mut archive)?;
    archive.finish()?;
    fs::remove_file(weights)
}
