//! Files that appear whole or not at all, and HDF5 files opened with an explanation of what is wrong with them.

use crate::{Error, Result};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A file that is being written under a temporary name, `<name>.part`, beside its final one.
///
/// Dropped unfinished it removes what was written; a process that is killed leaves the `.part` file, which the next
/// writer replaces.
pub(crate) struct PartFile {
    target: PathBuf,
    part: PathBuf,
    overwrite: bool,
}

impl PartFile {
    /// Checks that `target` may be written: its directory is there, and it is itself not there unless `overwrite` is set.
    /// A link is followed, so that it stays a link.
    pub(crate) fn new(target: &Path, overwrite: bool) -> Result<Self> {
        let target = if target.is_symlink() {
            fs::canonicalize(target).map_err(Error::io(target, "follow the link"))?
        } else {
            target.to_path_buf()
        };
        let Some(name) = target.file_name().filter(|_| !target.is_dir()) else {
            return Err(Error::file(&target, "it is a directory", "give the name of a file"));
        };
        let part = target.with_file_name(format!("{}.part", name.to_string_lossy()));
        let directory = target.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !directory.is_dir() {
            return Err(Error::file(
                &target,
                "its directory does not exist",
                format!("create '{}'", directory.display()),
            ));
        }
        let file = PartFile { target, part, overwrite };
        file.refuse_existing()?;
        Ok(file)
    }

    /// What [`PartFile::new`] checks, when the file is to be written later or in another way.
    pub(crate) fn check(target: &Path, overwrite: bool) -> Result<()> {
        // Nothing of that name is ours: it must not be removed.
        PartFile::new(target, overwrite).map(std::mem::forget)
    }

    /// The name to write to.
    pub(crate) fn path(&self) -> &Path {
        &self.part
    }

    /// Creates an HDF5 file under the temporary name.
    ///
    /// HDF5 locks what it writes: if another process is at work on the same name, this one fails and leaves it alone.
    pub(crate) fn create_hdf5(self) -> Result<(Self, hdf5::File)> {
        match hdf5::File::create(&self.part) {
            Ok(file) => Ok((self, file)),
            Err(reason) => {
                let problem = format!("HDF5 cannot create it: {reason}");
                let error =
                    Error::file(&self.part, problem, "if another run writes it, wait; else check the directory");
                std::mem::forget(self);
                Err(error)
            }
        }
    }

    /// Brings the written data to the disk and gives the file its final name.
    pub(crate) fn finish(self) -> Result<()> {
        let file =
            fs::File::options().read(true).write(true).open(&self.part).map_err(Error::io(&self.part, "open"))?;
        file.sync_all().map_err(Error::io(&self.part, "bring it to the disk"))?;
        drop(file);
        self.refuse_existing()?;
        fs::rename(&self.part, &self.target).map_err(Error::io(&self.target, "replace it with the new file"))
    }

    fn refuse_existing(&self) -> Result<()> {
        if self.target.exists() && !self.overwrite {
            return Err(Error::file(
                &self.target,
                "it exists already",
                "give another name, or allow it to be replaced (--force on the command line, `overwrite` in the library)",
            ));
        }
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // After `finish` there is nothing under this name; a failure to remove it is not worth hiding the first one.
        let _ = fs::remove_file(&self.part);
    }
}

/// Writes a small file whole.
pub(crate) fn write_whole(path: &Path, overwrite: bool, contents: &[u8]) -> Result<()> {
    let file = PartFile::new(path, overwrite)?;
    fs::write(file.path(), contents).map_err(Error::io(file.path(), "write"))?;
    file.finish()
}

/// Opens an HDF5 file for reading.
pub(crate) fn open_hdf5(path: &Path) -> Result<hdf5::File> {
    const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
    let metadata = fs::metadata(path).map_err(Error::io(path, "open"))?;
    if !metadata.is_file() {
        return Err(Error::file(path, "it is not a regular file", "give the name of an HDF5 file"));
    }
    let mut head = Vec::new();
    let file = fs::File::open(path).map_err(Error::io(path, "open"))?;
    file.take(8).read_to_end(&mut head).map_err(Error::io(path, "read"))?;
    if head != SIGNATURE {
        let problem =
            format!("it is not an HDF5 file ({} bytes, without HDF5's signature at their start)", metadata.len());
        return Err(Error::file(path, problem, "give an HDF5 file, or make one with `hhnet generate`"));
    }
    hdf5::File::open(path).map_err(|reason| {
        let problem = format!("HDF5 cannot open it ({} bytes): {reason}", metadata.len());
        Error::file(
            path,
            problem,
            "if it is damaged or cut off, make or copy it again; if another program writes it, wait",
        )
    })
}

/// For `map_err`: an HDF5 failure with the file and what was being done.
pub(crate) fn hdf5_error(path: &Path, action: impl Into<String>) -> impl FnOnce(hdf5::Error) -> Error {
    let (path, action) = (path.to_path_buf(), action.into());
    move |reason| {
        Error::file(path, format!("HDF5 cannot {action}: {reason}"), "check the disk and the file, and try again")
    }
}
