//! Writes files that appear complete or not at all, and opens HDF5 files with error messages that explain what is wrong
//! with them.
//!
//! A file is written in a temporary directory of its own, next to its target. When it is complete, it is renamed:
//!
//! ```text
//! data.h5                        the target: the old file, or none, until the new one is complete
//! .data.h5.a1B2c3.part/data.h5   the new file
//! .data.h5.a1B2c3.part/lock      locked while the writer runs
//! ```
//!
//! Several writers of the same target do not interfere, because each has its own directory. A process that is killed
//! leaves its directory behind. The next writer of the same target finds the lock free and removes the directory. The
//! lock is a separate file: HDF5 locks what it opens, and would take our lock on the same file for another program's.

use crate::error::hdf5_reason;
use crate::{Error, Result};
use crate::{heaps, memory};
use hdf5::types::VarLenUnicode;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tempfile::{TempDir, TempPath};

/// The end of a temporary directory's name.
const SUFFIX: &str = ".part";
/// Number of random letters and digits before it.
const RANDOM_LENGTH: usize = 6;

/// The most memory for the decompressed chunks of a dataset. Some programs write a whole dataset as one chunk.
const CHUNK_BYTES: usize = 256 << 20;
/// Places in HDF5's table of these chunks: a prime number, much larger than that of the chunks.
const CHUNK_SLOTS: usize = 10_007;
/// HDF5's default.
const CHUNK_PREEMPTION: f64 = 0.75;

/// Larger files are opened without a look at their heaps, which would take longer than opening them.
const CHECKED_BYTES: u64 = 4 << 20;

/// A file that is being written. If it is dropped before it is finished, it is removed.
pub(crate) struct NewFile {
    target: PathBuf,
    overwrite: bool,
    /// The path to write to.
    path: PathBuf,
    replaces_leftover: bool,
    /// Removed, with its contents, before the lock is released.
    directory: TempDir,
    /// `None` where the file system has no locks.
    _lock: Option<File>,
}

impl NewFile {
    /// Creates a temporary directory for the file `target`, if this may be written (see [`check_target`]) and there is
    /// room for a file of `bytes`.
    pub(crate) fn create(target: &Path, overwrite: bool, bytes: u64) -> Result<Self> {
        let target = check_target(target, overwrite)?;
        let name = target.file_name().unwrap_or_default().to_owned();
        let parent = directory_of(&target);
        let replaces_leftover = remove_leftovers(parent, &name);
        check_space(&target, bytes)?;
        let (directory, lock) =
            locked_directory(parent, &name).map_err(Error::io(&target, "create a temporary directory next to it"))?;
        let path = directory.path().join(name);
        Ok(NewFile { target, overwrite, path, replaces_leftover, directory, _lock: lock })
    }

    /// The final name.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The path to write to.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an unfinished file of a killed run was removed.
    pub(crate) fn replaces_leftover(&self) -> bool {
        self.replaces_leftover
    }

    /// Creates an HDF5 file to write to.
    pub(crate) fn create_hdf5(&self) -> Result<hdf5::File> {
        hdf5::File::create(&self.path).map_err(Error::hdf5(&self.target, "create it"))
    }

    /// Flushes the data to the disk and gives the file its final name.
    ///
    /// A target that has appeared in the meantime is replaced only if this was allowed. Its permissions are kept.
    pub(crate) fn finish(self) -> Result<()> {
        let NewFile { target, path, .. } = &self;
        let file = File::options().read(true).write(true).open(path).map_err(Error::io(target, "open"))?;
        if let Some(old) = fs::metadata(target).ok().filter(|_| self.overwrite) {
            file.set_permissions(old.permissions()).map_err(Error::io(target, "keep its permissions"))?;
        }
        file.sync_all().map_err(Error::io(target, "flush it to the disk"))?;
        let complete = TempPath::try_from_path(path).map_err(Error::io(target, "find its directory"))?;
        if self.overwrite {
            complete
                .persist(target)
                .map_err(|failed| Error::io(target, "replace it with the new file")(failed.error))?;
        } else if let Err(failed) = complete.persist_noclobber(target) {
            refuse_existing(target)?;
            return Err(Error::io(target, "give the new file its name")(failed.error));
        }
        // The new name is stored in the directory. Not every file system can flush a directory to the disk.
        let _ = File::open(directory_of(target)).and_then(|directory| directory.sync_all());
        // If this fails, the next writer removes the directory.
        let _ = self.directory.close();
        Ok(())
    }
}

/// Checks that `target` may be written: its directory must exist, and the file must not, unless `overwrite` is set.
/// Returns the path to write to. A link is followed, so that it remains a link.
pub(crate) fn check_target(target: &Path, overwrite: bool) -> Result<PathBuf> {
    let target = if target.is_symlink() {
        fs::canonicalize(target).map_err(Error::io(target, "follow the link"))?
    } else {
        target.to_path_buf()
    };
    if target.file_name().is_none() || target.is_dir() {
        return Err(Error::file(&target, "it is a directory", "give the name of a file"));
    }
    let directory = directory_of(&target);
    if !directory.is_dir() {
        let remedy = format!("create '{}'", directory.display());
        return Err(Error::file(&target, "its directory does not exist", remedy));
    }
    if !overwrite {
        refuse_existing(&target)?;
    }
    Ok(target)
}

fn refuse_existing(target: &Path) -> Result<()> {
    if target.exists() {
        let remedy =
            "give another name, or allow it to be replaced (--force on the command line, `overwrite` in the library)";
        return Err(Error::file(target, "it exists already", remedy));
    }
    Ok(())
}

/// Checks that the disk and the limit on the size of files leave room for a file. A file that is to be replaced does not
/// make room: it stays until the new one is complete.
fn check_space(target: &Path, bytes: u64) -> Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    if let Some(limit) = limit.filter(|&limit| limit < bytes) {
        let problem = format!(
            "it needs {}, and files may have {} (ulimit -f)",
            memory::size(bytes.into()),
            memory::size(limit.into())
        );
        return Err(Error::file(target, problem, "raise the limit, or ask for less"));
    }
    // Not every file system tells.
    let Ok(disk) = rustix::fs::statvfs(directory_of(target)) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < bytes && disk.f_blocks > 0 {
        let problem =
            format!("it needs {}, and {} are free on its disk", memory::size(bytes.into()), memory::size(free.into()));
        return Err(Error::file(target, problem, "make room, give another place, or ask for less"));
    }
    Ok(())
}

fn directory_of(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The beginning of the names of the temporary directories for a file.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

/// Creates a temporary directory and locks it.
fn locked_directory(parent: &Path, name: &OsStr) -> std::io::Result<(TempDir, Option<File>)> {
    loop {
        let directory = tempfile::Builder::new()
            .prefix(&prefix(name))
            .rand_bytes(RANDOM_LENGTH)
            .suffix(SUFFIX)
            .tempdir_in(parent)?;
        // Another writer may find the directory before it is locked, and remove it. Then the next one is tried.
        match lock(directory.path()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(Lock::Taken) => {}
            Ok(Lock::Ours(_)) if !directory.path().join("lock").exists() => {}
            Ok(Lock::Ours(file)) => return Ok((directory, Some(file))),
            Ok(Lock::Unsupported) => return Ok((directory, None)),
        }
    }
}

enum Lock {
    /// Held until the file is dropped.
    Ours(File),
    /// Another process holds it.
    Taken,
    /// The file system has no locks.
    Unsupported,
}

/// Tries to lock a temporary directory.
fn lock(directory: &Path) -> std::io::Result<Lock> {
    let file = File::options().create(true).truncate(false).write(true).open(directory.join("lock"))?;
    Ok(match file.try_lock() {
        Ok(()) => Lock::Ours(file),
        Err(TryLockError::WouldBlock) => Lock::Taken,
        Err(TryLockError::Error(_)) => Lock::Unsupported,
    })
}

/// Removes what killed writers of the same file have left behind. Returns whether there was anything. Failures do not
/// matter, because the new file has a directory of its own.
fn remove_leftovers(parent: &Path, name: &OsStr) -> bool {
    let prefix = prefix(name);
    let mut found = false;
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if is_temporary(&entry.file_name(), &prefix)
            && let Ok(Lock::Ours(_lock)) = lock(&entry.path())
        {
            found |= fs::remove_dir_all(entry.path()).is_ok();
        }
    }
    found
}

fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
    let middle = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
    let random = middle.and_then(|middle| middle.strip_suffix(SUFFIX.as_bytes()));
    random.is_some_and(|random| random.len() == RANDOM_LENGTH && random.iter().all(u8::is_ascii_alphanumeric))
}

/// Writes a small file, which appears complete or not at all.
pub(crate) fn write_whole(path: &Path, overwrite: bool, contents: &[u8]) -> Result<()> {
    let file = NewFile::create(path, overwrite, contents.len() as u64)?;
    fs::write(file.path(), contents).map_err(Error::io(path, "write"))?;
    file.finish()
}

/// Opens a file, and looks for HDF5's signature: the file, its size, and the place of the signature.
fn open_and_look(path: &Path) -> Result<(File, u64, Option<u64>)> {
    let metadata = fs::metadata(path).map_err(Error::io(path, "open"))?;
    if !metadata.is_file() {
        return Err(Error::file(path, "it is not a regular file", "give the name of a file"));
    }
    let mut file = File::open(path).map_err(Error::io(path, "open"))?;
    let start = signature(&mut file, metadata.len()).map_err(Error::io(path, "read"))?;
    Ok((file, metadata.len(), start))
}

/// Whether a file is an HDF5 file.
pub(crate) fn is_hdf5(path: &Path) -> Result<bool> {
    Ok(open_and_look(path)?.2.is_some())
}

/// Opens an HDF5 file for reading.
pub(crate) fn open_hdf5(path: &Path) -> Result<hdf5::File> {
    let (mut file, bytes, start) = open_and_look(path)?;
    let Some(start) = start else {
        let problem = format!("it is not an HDF5 file ({bytes} bytes, without HDF5's signature)");
        return Err(Error::file(path, problem, "give an HDF5 file, or make one with `hhnet generate`"));
    };
    if bytes <= CHECKED_BYTES && is_endless(&mut file, start, bytes).map_err(Error::io(path, "read"))? {
        let problem = "it is damaged: HDF5 would never finish reading one of its global heaps";
        return Err(Error::file(path, problem, "make or copy it again"));
    }
    // Samples are read a few at a time: a chunk that holds more of them should not be decompressed for each.
    let mut options = hdf5::File::with_options();
    options.with_fapl(|access| access.chunk_cache(CHUNK_SLOTS, CHUNK_BYTES, CHUNK_PREEMPTION));
    options.open(path).map_err(|reason| cannot_open(path, bytes, &hdf5_reason(&reason)))
}

/// Why HDF5 cannot open a file, and what to do.
fn cannot_open(path: &Path, bytes: u64, reason: &str) -> Error {
    let no_locks = ["No locks available", "Operation not supported", "Function not implemented"];
    let (problem, remedy) = if reason.contains("Resource temporarily unavailable") {
        let holder = lock_holder(path).map_or("another program".to_owned(), |holder| format!("process {holder}"));
        (format!("{holder} has it open for writing"), "close it there, or wait")
    } else if no_locks.iter().any(|no_locks| reason.contains(no_locks)) {
        let problem = format!("its file system has no locks: {reason}");
        (problem, "set HDF5_USE_FILE_LOCKING=FALSE, if no other program writes the file meanwhile")
    } else if reason.contains("h5clear") {
        let problem = "a program that was writing it has ended without closing it";
        (problem.to_owned(), "make it again; `h5clear -s` opens it, but what it holds may be incomplete")
    } else {
        (format!("HDF5 cannot open it ({bytes} bytes): {reason}"), "it is damaged or cut off: make or copy it again")
    };
    Error::file(path, problem, remedy)
}

/// Number and name of the process that has locked a file, where the system tells.
fn lock_holder(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{}", fs::metadata(path).ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // A line is such as `1: FLOCK  ADVISORY  WRITE 4711 08:01:131073 0 EOF`.
    let words = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let process =
        words.into_iter().find(|words| words.get(5).is_some_and(|place| place.ends_with(&inode)))?[4].to_owned();
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    Some(format!("{process} ({})", name.trim()))
}

/// Where HDF5's signature is, if HDF5 finds it: at the start of a file, or after another program's header,
/// which takes 512, 1024, 2048, ... bytes. MATLAB's files have one.
fn signature(file: &mut File, length: u64) -> std::io::Result<Option<u64>> {
    const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
    let mut place = 0;
    while place + SIGNATURE.len() as u64 <= length {
        let mut found = [0; SIGNATURE.len()];
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(&mut found)?;
        if found == *SIGNATURE {
            return Ok(Some(place));
        }
        place = (2 * place).max(512);
    }
    Ok(None)
}

/// Whether HDF5 would work for ever on a file of so many bytes. `start` is the place of the signature.
fn is_endless(file: &mut File, start: u64, bytes: u64) -> std::io::Result<bool> {
    let mut contents = Vec::with_capacity(bytes as usize);
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut contents)?;
    // After the signature: the version, and where it is below 2, four more before the sizes of addresses and lengths.
    let lengths = match contents.get(8) {
        Some(0 | 1) => contents.get(14),
        _ => contents.get(10),
    };
    Ok(lengths.is_some_and(|&lengths| heaps::is_endless(&contents, lengths.into())))
}

/// Writes a text as an attribute.
pub(crate) fn write_text_attribute(place: &hdf5::Location, name: &str, text: &str) -> hdf5::Result<()> {
    place.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&hdf5_text(text)?)
}

/// Writes texts as a dataset.
pub(crate) fn write_texts(group: &hdf5::Group, name: &str, texts: &[String]) -> hdf5::Result<()> {
    let texts = texts.iter().map(|text| hdf5_text(text)).collect::<hdf5::Result<Vec<_>>>()?;
    group.new_dataset_builder().with_data(&texts).create(name).map(drop)
}

/// A text in the form that HDF5 stores.
pub(crate) fn hdf5_text(text: &str) -> hdf5::Result<VarLenUnicode> {
    text.parse().map_err(|error: hdf5::types::StringError| hdf5::Error::from(error.to_string().as_str()))
}
