//! What the targets have in common.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[path = "../../cli/tests/readers/mod.rs"]
pub mod readers;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// A folder in memory, for the files of this process.
pub fn folder() -> PathBuf {
    let create = || tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    FOLDER.with(|folder| folder.get_or_init(create).path().to_path_buf())
}
