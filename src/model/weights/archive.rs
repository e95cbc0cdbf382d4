//! Reads and writes Keras' `.keras` files: a zip archive of `config.json`, `metadata.json` and `model.weights.h5`.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use zip::result::{ZipError, ZipResult};
use zip::write::FileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::config::Config;
use super::{Contents, MAX_BYTES, REMEDY, keras};
use crate::files::open_hdf5;
use crate::{Error, Result};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
/// The first version of Keras that reads such a file.
const METADATA: &str = r#"{"keras_version": "3.0.0"}"#;
/// The largest description of a model. A layer needs about 1 kB.
const MAX_CONFIG: u64 = 4_000_000;
/// Bytes that are unpacked at a time.
const BLOCK_BYTES: usize = 1 << 16;

/// The contents of an archive, which messages call `path`.
pub(super) fn read(file: File, path: &Path) -> Result<Contents> {
    let problem = |problem: String| Error::file(path, problem, REMEDY);
    let mut archive = ZipArchive::new(file).map_err(|error| problem(format!("it is not a zip archive: {error}")))?;
    let mut text = Vec::new();
    let mut keep = |bytes: &[u8]| {
        text.extend(bytes);
        Ok(())
    };
    unpack(&mut archive, CONFIG, MAX_CONFIG, &mut keep, &problem)?;
    let text = String::from_utf8(text).map_err(|_| problem(format!("'{CONFIG}' is not text")))?;
    let config = Config::parse(&text, None).map_err(|error| problem(format!("'{CONFIG}': {error}")))?;
    // HDF5 reads files only.
    let folder = tempfile::tempdir().map_err(Error::io(std::env::temp_dir(), "create a directory in it"))?;
    let weights = folder.path().join(WEIGHTS);
    let mut unpacked = File::create(&weights).map_err(Error::io(&weights, "create"))?;
    let mut write = |bytes: &[u8]| unpacked.write_all(bytes).map_err(Error::io(&weights, "write"));
    unpack(&mut archive, WEIGHTS, MAX_BYTES, &mut write, &problem)?;
    let file = open_hdf5(&weights).map_err(|error| problem(format!("'{WEIGHTS}': {error}")))?;
    keras::read(&file, Some(config)).map_err(|error| problem(format!("'{WEIGHTS}': {error}")))
}

/// Whether a file is an archive with a pickle in it.
pub(super) fn holds_pickle(path: &Path) -> bool {
    let archive = File::open(path).ok().and_then(|file| ZipArchive::new(file).ok());
    archive.is_some_and(|archive| archive.file_names().any(|name| name.ends_with(".pkl")))
}

/// Unpacks an entry of an archive, of which any size may be claimed.
fn unpack(
    archive: &mut ZipArchive<File>,
    name: &str,
    max: u64,
    to: &mut dyn FnMut(&[u8]) -> Result<()>,
    problem: &dyn Fn(String) -> Error,
) -> Result<()> {
    let mut entry = archive.by_name(name).map_err(|error| match error {
        ZipError::FileNotFound => problem(format!("it is a zip archive without '{name}'")),
        error => problem(format!("'{name}': {error}")),
    })?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut left = max;
    loop {
        let count = entry.read(&mut block).map_err(|error| problem(format!("'{name}': {error}")))?;
        if count == 0 {
            return Ok(());
        }
        let too_large = || problem(format!("'{name}' has more than {max} bytes, which is too large"));
        left = left.checked_sub(count as u64).ok_or_else(too_large)?;
        to(&block[..count])?;
    }
}

/// An archive of a description and of weights.
pub(super) fn to_bytes(config: &str, weights: &[u8]) -> ZipResult<Vec<u8>> {
    // In memory: on a full disk, the crate panics.
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    // As in Keras: not compressed.
    let options =
        FileOptions::default().compression_method(CompressionMethod::Stored).last_modified_time(DateTime::default());
    for (name, contents) in [("metadata.json", METADATA.as_bytes()), (CONFIG, config.as_bytes()), (WEIGHTS, weights)] {
        archive.start_file(name, options)?;
        archive.write_all(contents)?;
    }
    Ok(archive.finish()?.into_inner())
}
