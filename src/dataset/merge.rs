//! Joins the shards of a data set, generated on different machines, into one file.

use super::appender::{Appender, sample_bytes};
use super::checksum;
use super::options::{GenerateOptions, Shard};
use super::split::{SPLIT_NAMES, SpikeRecord, read_list, sample_attributes, write_list};
use crate::files::{NewFile, is_hdf5, open_hdf5, write_text_attribute, write_texts};
use crate::interrupt::Interrupts;
use crate::memory;
use crate::progress::{Lines, Progress};
use crate::{Error, Result};
use ndarray::{Array3, s};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Values that are copied at a time.
const COPIED_VALUES: usize = 1 << 20;

/// The dataset with the names of the shards that hold the samples of a file.
pub(super) const SHARDS: &str = "shards";
/// The dataset with their checksums.
const SHARD_CHECKSUMS: &str = "shard_sha256";

/// How [`merge`] joins shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeOptions {
    /// Whether to copy the samples. Otherwise the new file refers to the shards, which must be kept.
    pub copy: bool,
    /// Whether an existing file may be replaced.
    pub overwrite: bool,
    /// Where to print lines of progress.
    pub progress: Progress,
}

/// The result of [`merge`].
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The file.
    pub path: PathBuf,
    /// Number of shards.
    pub shards: usize,
    /// Shape of `X` and `Y`: (samples, steps, 1).
    pub shape: [usize; 3],
    /// Shape of `X_test` and `Y_test`.
    pub test_shape: [usize; 3],
    /// Whether the samples were copied.
    pub copied: bool,
}

impl fmt::Display for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.copied { "copied from" } else { "that stay in" };
        let (path, Merged { shards, shape, test_shape, .. }) = (self.path.display(), self);
        write!(f, "'{path}': X, Y of shape {shape:?}, X_test, Y_test of shape {test_shape:?}, {how} {shards} shards")
    }
}

/// Joins all shards of a data set, given in any order, into one file. It reads like a file that was generated whole.
///
/// Without `copy` the file is small: it holds virtual datasets, which refer to the shards. Shards in the directory of
/// the file, or below it, are referred to by relative names, so that the directory can be moved as a whole. The file
/// appears under its name once it is complete.
///
/// # Errors
/// [`Error::File`] if a file is not a shard, belongs to another data set or is given twice, if a shard is missing, if
/// the new file is one of the shards, or if it exists and `overwrite` is not set. [`Error::Io`] if a file cannot be
/// opened.
///
/// ```
/// use hhnet::dataset::{GenerateOptions, H5Matrix, MergeOptions, Shard, generate, merge};
/// use hhnet::stimulus::Stream;
/// let directory = tempfile::tempdir().unwrap();
/// let mut shards = Vec::new();
/// for index in [1, 2] {
///     let shard = Some(Shard { index, count: 2 });
///     let options = GenerateOptions { samples: 5, stream: Stream::Philox, shard, ..GenerateOptions::default() };
///     shards.push(generate(directory.path().join(format!("shard-{index}.h5")), &options)?.path);
/// }
/// let merged = merge(directory.path().join("data.h5"), &shards, &MergeOptions::default())?;
/// assert_eq!(H5Matrix::open(merged.path, "X")?.read(..)?.dim(), (5, 1000, 1));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn merge(path: impl AsRef<Path>, shards: &[PathBuf], options: &MergeOptions) -> Result<Merged> {
    let path = path.as_ref();
    let files = open_shards(shards)?;
    let target = path.canonicalize().ok();
    if target.is_some() && shards.iter().any(|shard| shard.canonicalize().ok() == target) {
        return Err(Error::file(path, "it is one of the shards", "use another name: the shard would be lost"));
    }
    let whole = GenerateOptions { shard: None, ..files[0].options.clone() };
    let shapes = whole.shapes()?;
    files.iter().try_for_each(|shard_file| shard_file.check_shapes(shapes))?;

    let [training, test] = shapes;
    let bytes = if options.copy { sample_bytes(&[training, training, test, test]) } else { 0 };
    let new = NewFile::create(path, options.overwrite, bytes)?;
    let file = new.create_hdf5()?;
    let progress = Lines::new(options.progress);
    let interrupts = Interrupts::receive();
    let mut merger = Merger { path, file: &file, shards: &files, copy: options.copy, progress, interrupts };
    for ([x, y, spikes], shape) in SPLIT_NAMES.into_iter().zip(shapes) {
        merger.join_samples(x, shape)?;
        merger.join_samples(y, shape)?;
        if whole.keep_spiking {
            merger.join_spikes(spikes)?;
        }
    }
    merger.list_shards()?;
    merger.join_dropped()?;
    whole.write(&file).map_err(Error::hdf5(path, "write how it was made"))?;
    checksum::finish(new, file)?;
    let (path, shards) = (path.to_path_buf(), shards.len());
    Ok(Merged { path, shards, shape: training, test_shape: test, copied: options.copy })
}

/// Opens all shards and sorts them. Checks that they are of one data set, and that each is there once.
fn open_shards(paths: &[PathBuf]) -> Result<Vec<ShardFile<'_>>> {
    let mut shards: Vec<ShardFile> = Vec::new();
    for path in paths {
        let shard_file = ShardFile::open(path)?;
        if let Some(other) = shards.iter().find(|other| other.shard == shard_file.shard) {
            let problem = format!("it is shard {}, and so is '{}'", shard_file.shard, other.path.display());
            return Err(Error::file(path, problem, "give each shard once"));
        }
        if let Some(first) = shards.first() {
            shard_file.check_same_data_set(first)?;
        }
        shards.push(shard_file);
    }
    shards.sort_by_key(|shard_file| shard_file.shard.index);
    let Some(first) = shards.first() else {
        return Err(Error::parameter("shards", "none", "give the files of all shards"));
    };
    let count = first.shard.count;
    let is_missing = |index: &usize| shards.iter().all(|shard_file| shard_file.shard.index != *index);
    let missing: Vec<String> =
        (1..=count).filter(is_missing).take(20).map(|index| format!("{index}/{count}")).collect();
    if !missing.is_empty() {
        let problem = format!(
            "it is one of {count} shards, of which {} are given; missing: {}",
            shards.len(),
            missing.join(", ")
        );
        return Err(Error::file(first.path, problem, "give all of them"));
    }
    Ok(shards)
}

/// The file of one shard. It is open only while it is read: there may be more shards than a process may have open files.
struct ShardFile<'a> {
    path: &'a Path,
    options: GenerateOptions,
    shard: Shard,
    program: Option<String>,
    checksum: Option<String>,
}

impl<'a> ShardFile<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let options = GenerateOptions::read(path)?;
        let Some(shard) = options.shard else {
            return Err(Error::file(path, "it is a whole data set, not a shard", "give files made with --shard"));
        };
        let file = open_hdf5(path)?;
        let (program, checksum) = (checksum::program(&file), checksum::recorded(&file));
        Ok(ShardFile { path, options, shard, program, checksum })
    }

    fn check_same_data_set(&self, other: &ShardFile) -> Result<()> {
        let whole = |shard_file: &ShardFile| GenerateOptions { shard: None, ..shard_file.options.clone() };
        if self.program != other.program {
            let program =
                |shard_file: &ShardFile| shard_file.program.clone().unwrap_or("an unknown program".to_owned());
            let (own, others, path) = (program(self), program(other), other.path.display());
            let problem = format!("it was made by {own}, but '{path}' by {others}");
            return Err(Error::file(self.path, problem, "make all shards with the same version"));
        }
        if self.shard.count == other.shard.count && whole(self) == whole(other) {
            return Ok(());
        }
        let command = |shard_file: &ShardFile| format!("generate {}", shard_file.options.arguments().join(" "));
        let (own, others, path) = (command(self), command(other), other.path.display());
        let problem = format!("it was made by `{own}`, but '{path}' by `{others}`");
        Err(Error::file(self.path, problem, "give the shards of one data set"))
    }

    /// Checks the shapes of all datasets. `shapes` are those in the whole data set.
    fn check_shapes(&self, shapes: [[usize; 3]; 2]) -> Result<()> {
        let file = open_hdf5(self.path)?;
        for ([x, y, _], shape) in SPLIT_NAMES.into_iter().zip(shapes) {
            let expected = vec![self.samples(shape).len(), shape[1], 1];
            for name in [x, y] {
                let found = self.dataset(&file, name)?.shape();
                if found != expected {
                    let problem = format!("dataset '{name}' has shape {found:?}, not {expected:?}");
                    return Err(Error::file(self.path, problem, "generate this shard again"));
                }
            }
        }
        Ok(())
    }

    /// The samples of the whole data set that are in this shard.
    fn samples(&self, [total, ..]: [usize; 3]) -> Range<usize> {
        self.shard.samples(total)
    }

    fn dataset(&self, file: &hdf5::File, name: &str) -> Result<hdf5::Dataset> {
        file.dataset(name).map_err(Error::hdf5(self.path, format!("open '{name}'")))
    }
}

/// Writes the new file.
struct Merger<'a> {
    path: &'a Path,
    file: &'a hdf5::File,
    shards: &'a [ShardFile<'a>],
    copy: bool,
    progress: Lines,
    interrupts: Interrupts,
}

impl Merger<'_> {
    fn error(&self, action: String) -> impl FnOnce(hdf5::Error) -> Error {
        Error::hdf5(self.path, action)
    }

    fn join_samples(&mut self, name: &str, shape: [usize; 3]) -> Result<()> {
        if self.copy {
            return self.copy(name, shape);
        }
        let create = || {
            let dataset = self.refer(name, shape)?;
            sample_attributes(name).iter().try_for_each(|(name, text)| write_text_attribute(&dataset, name, text))
        };
        create().map_err(self.error(format!("create '{name}'")))
    }

    /// Creates a dataset whose samples stay in the shards.
    fn refer(&self, name: &str, shape: [usize; 3]) -> hdf5::Result<hdf5::Dataset> {
        let [total, steps, _] = shape;
        let mut builder = self.file.new_dataset::<f64>().shape(shape).fill_value(f64::NAN);
        for shard_file in self.shards {
            let rows = shard_file.samples(shape);
            if !rows.is_empty() {
                let target = name_from(self.path, shard_file.path);
                let from = (rows.len(), steps, 1);
                builder = builder.virtual_map(target, name, from, (.., .., ..), (total, steps, 1), (rows, .., ..));
            }
        }
        builder.create(name)
    }

    /// Creates a dataset and copies its samples from the shards.
    fn copy(&mut self, name: &str, shape: [usize; 3]) -> Result<()> {
        let [total, steps, _] = shape;
        let mut joined = Appender::create(self.file, self.path, name, shape, &sample_attributes(name))?;
        for shard_file in self.shards {
            let file = open_hdf5(shard_file.path)?;
            let samples = shard_file.dataset(&file, name)?;
            let count = shard_file.samples(shape).len();
            let at_a_time = (COPIED_VALUES / steps).max(1);
            memory::check::<f64>(at_a_time as u128 * steps as u128, |shortage| {
                Error::file(shard_file.path, format!("a part of '{name}' {shortage}"), "use a machine with more memory")
            })?;
            for first in (0..count).step_by(at_a_time) {
                let last = (first + at_a_time).min(count);
                let values: Array3<f64> = samples
                    .read_slice(s![first..last, .., ..])
                    .map_err(Error::hdf5(shard_file.path, format!("read samples {first}..{last} of '{name}'")))?;
                self.interrupts.check("merge", || format!("'{}' was not written", self.path.display()))?;
                self.progress.line(format_args!("{name}: {} of {total} samples copied", joined.written()));
                joined.append(values.as_slice().unwrap_or_default())?;
            }
        }
        joined.finish()
    }

    fn join_spikes(&self, name: &str) -> Result<()> {
        let record = SpikeRecord::create(self.file, name).map_err(self.error(format!("create {name}")))?;
        for shard_file in self.shards {
            let file = open_hdf5(shard_file.path)?;
            let senders = read_list(&file, &format!("{name}/senders"), shard_file.path)?;
            let times = read_list(&file, &format!("{name}/times"), shard_file.path)?;
            record.append(&senders, &times).map_err(self.error(format!("write {name}")))?;
        }
        Ok(())
    }

    /// Writes the names of the shards, if they hold the samples, and their checksums: a file that takes the place of
    /// one of them is noticed then.
    fn list_shards(&self) -> Result<()> {
        if self.copy {
            return Ok(());
        }
        let (names, checksums): (Vec<String>, Vec<String>) = self
            .shards
            .iter()
            .map(|shard_file| (name_from(self.path, shard_file.path), shard_file.checksum.clone().unwrap_or_default()))
            .unzip();
        write_texts(self.file, SHARDS, &names)
            .and_then(|()| write_texts(self.file, SHARD_CHECKSUMS, &checksums))
            .map_err(self.error("list the shards".to_owned()))
    }

    fn join_dropped(&self) -> Result<()> {
        for name in ["dropped_trials", "dropped_test_trials"] {
            let lists =
                self.shards.iter().map(|shard_file| read_list(&open_hdf5(shard_file.path)?, name, shard_file.path));
            let list: Vec<usize> = lists.collect::<Result<Vec<_>>>()?.concat();
            write_list(self.file, name, &list).map_err(self.error(format!("write '{name}'")))?;
        }
        Ok(())
    }
}

/// The shards that hold the samples of a file, and their checksums. None if it holds its samples itself.
pub(crate) fn shards_of(path: &Path) -> Result<Vec<(PathBuf, String)>> {
    if !is_hdf5(path)? {
        return Ok(Vec::new());
    }
    let file = open_hdf5(path)?;
    if !file.link_exists(SHARDS) {
        return Ok(Vec::new());
    }
    let texts = |name: &str| {
        let list = file.dataset(name).and_then(|list| memory::read_texts(&list));
        list.map_err(Error::hdf5(path, format!("read '{name}'")))
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let names = texts(SHARDS)?.into_iter().map(|name| directory.join(name));
    Ok(names.zip(texts(SHARD_CHECKSUMS)?).collect())
}

/// The name by which `target` refers to `path`: relative if `path` is in its directory or below, otherwise absolute.
fn name_from(target: &Path, path: &Path) -> String {
    let full = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    // Of the directory, because the file itself may be a link.
    let directory = full(target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    let path = full(path);
    path.strip_prefix(&directory).unwrap_or(&path).to_string_lossy().into_owned()
}
