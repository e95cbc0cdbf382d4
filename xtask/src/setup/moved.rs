//! After the checkout was moved or copied: tells the programs and libraries that hold its path, those of the Python
//! environments and the two libraries, the new one. The other steps see by their inputs what they must do again.

use std::path::Path;

use anyhow::Result;
use fs_err as fs;

use crate::files::write;
use crate::paths::Paths;
use crate::setup::{hdf5, libtorch};

/// Returns whether there was something to do.
pub fn ensure(paths: &Paths) -> Result<bool> {
    let record = paths.home.join("place");
    let here = paths.root.display().to_string();
    let recorded = fs::read_to_string(&record).ok();
    let before = recorded.clone().unwrap_or_else(|| here.clone());
    let was_moved = before != here;
    if was_moved {
        println!("* the checkout was in {before}: its libraries and Python programs are told the new place");
        for environment in fs::read_dir(&paths.home)?.flatten().map(|entry| entry.path()) {
            if environment.join("pyvenv.cfg").exists() {
                rename(&environment, &format!("{before}/"), &format!("{here}/"))?;
            }
        }
        libtorch::set_sonames(paths)?;
        hdf5::set_sonames(paths)?;
    }
    // Last, so that all is done again if it was interrupted.
    if recorded.as_ref() != Some(&here) {
        write(&record, here)?;
    }
    Ok(was_moved)
}

/// Names the new place in the texts of a Python environment: its settings, and programs, which begin with the
/// interpreter's path.
fn rename(environment: &Path, before: &str, here: &str) -> Result<()> {
    let programs = fs::read_dir(environment.join("bin"))?.flatten().map(|entry| entry.path());
    for file in programs.chain([environment.join("pyvenv.cfg")]) {
        if file.is_symlink() || !file.is_file() {
            continue;
        }
        let Ok(text) = String::from_utf8(fs::read(&file)?) else { continue };
        let renamed = with_place(&text, before, here);
        if renamed != text {
            write(&file, renamed)?;
        }
    }
    Ok(())
}

/// Replaces the beginnings of paths. One place may be named within the other: `/lab/` in `/course/lab/`.
fn with_place(text: &str, before: &str, here: &str) -> String {
    let mut parts = text.split(before);
    let mut renamed = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let is_within = renamed.ends_with(|c: char| c.is_alphanumeric() || "/._-".contains(c));
        renamed.push_str(if is_within { before } else { here });
        renamed.push_str(part);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn a_renamed_text_stays_as_it_is() {
        for (before, here) in [("/lab/", "/course/lab/"), ("/course/lab/", "/lab/"), ("/lab/", "/lab2/")] {
            let text = |place: &str| format!("#!{place}bin/python\nhome = \"{place}x\"\n");
            assert_eq!(with_place(&text(before), before, here), text(here));
            assert_eq!(with_place(&text(here), before, here), text(here));
        }
    }

    #[test]
    fn programs_run_in_the_new_place() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (Paths::of(directory.path().join("old")), Paths::of(directory.path().join("new")));
        fs::create_dir_all(old.python.join("bin")).unwrap();
        fs::write(old.python.join("pyvenv.cfg"), "").unwrap();
        let program = |paths: &Paths| paths.python_program("hello");
        // A stand-in for the interpreter, which is a link in an environment.
        fs_err::os::unix::fs::symlink("/bin/sh", old.python_program("python")).unwrap();
        fs::write(program(&old), format!("#!{}\necho hello\n", old.python_program("python").display())).unwrap();
        fs::set_permissions(program(&old), PermissionsExt::from_mode(0o755)).unwrap();
        assert!(!ensure(&old).unwrap());
        fs::rename(&old.root, &new.root).unwrap();
        assert!(Command::new(program(&new)).status().is_err());
        assert!(ensure(&new).unwrap() && !ensure(&new).unwrap());
        assert!(Command::new(program(&new)).status().unwrap().success());
    }
}
