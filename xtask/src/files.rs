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

/// Replaces `target` by a finished `part`.
pub fn replace(target: &Path, part: &Path) -> Result<()> {
    // A folder cannot be renamed over another one.
    if target.is_dir() || target.is_symlink() {
        remove(target)?;
    }
    Ok(fs::rename(part, target)?)
}

/// The size in MB of the files in a folder, or of one file. Links are not followed.
pub fn size_mb(path: &Path) -> u64 {
    let entries = WalkDir::new(path).into_iter().flatten().filter(|entry| !entry.file_type().is_dir());
    let bytes: u64 = entries.flat_map(|entry| entry.metadata()).map(|metadata| metadata.len()).sum();
    bytes.div_ceil(1_000_000)
}
