//! Small operations on files and folders.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use walkdir::WalkDir;

/// Removes a file, a link or a folder with all it holds. It is no error if nothing is there.
pub fn remove(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    Ok(())
}

/// Makes an empty folder, in place of what is there.
pub fn empty_folder(path: &Path) -> Result<()> {
    remove(path)?;
    Ok(fs::create_dir_all(path)?)
}

/// Replaces `target` by a finished `part`.
pub fn replace(target: &Path, part: &Path) -> Result<()> {
    // A folder cannot be renamed over another one, and one that is being removed must not be taken for a whole one.
    if target.is_dir() || target.is_symlink() {
        let old = target.with_extension("old");
        remove(&old)?;
        fs::rename(target, &old)?;
        fs::rename(part, target)?;
        return remove(&old);
    }
    Ok(fs::rename(part, target)?)
}

/// Writes a file whole: if this is interrupted, the file is as before. Its permissions stay.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let part = path.with_extension("part");
    if path.exists() {
        fs::copy(path, &part)?;
    }
    fs::write(&part, content)?;
    Ok(fs::rename(part, path)?)
}

/// The free space on the disk that holds a file or a folder, in bytes.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The size in MB of the files in a folder, or of one file. Links are not followed.
pub fn size_mb(path: &Path) -> u64 {
    let entries = WalkDir::new(path).into_iter().flatten().filter(|entry| !entry.file_type().is_dir());
    let bytes: u64 = entries.flat_map(|entry| entry.metadata()).map(|metadata| metadata.len()).sum();
    bytes.div_ceil(1_000_000)
}
