//! JupyterLab in `lab/`, with the kernel ready. The notebooks there are copies: what a person writes stays, whatever
//! becomes of the committed ones.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use fs_err as fs;

use crate::files::write;
use crate::paths::{NOTEBOOKS, Paths};
use crate::{process, setup};

/// `cargo xtask lab`: `options` go to JupyterLab.
pub fn run(options: &[&str]) -> Result<()> {
    let paths = setup::run()?;
    copy_missing(&paths)?;
    // JupyterLab shows stored figures only in notebooks that it trusts.
    let mut trust = Command::new(paths.python_program("jupyter"));
    trust.arg("trust").args(NOTEBOOKS).current_dir(&paths.lab).stdout(Stdio::null());
    if process::run(paths.with_jupyter(&mut trust)).is_err() {
        println!("the notebooks could not be marked as trusted: figures show once their cells have run");
    }
    let mut lab = Command::new(paths.python_program("jupyter"));
    lab.arg("lab").arg("--notebook-dir").arg(&paths.lab).args(options).current_dir(&paths.lab);
    process::run(paths.with_jupyter(&mut lab))
}

/// `cargo xtask lab --reset NOTEBOOK`: a new copy. The present one stays under another name.
pub fn reset(notebook: &str) -> Result<()> {
    let kept = put_aside(&Paths::find()?, notebook)?;
    println!("lab/{notebook} is as committed again; yours is now {kept}");
    Ok(())
}

/// Copies the notebooks that are not in `lab/` yet.
fn copy_missing(paths: &Paths) -> Result<()> {
    fs::create_dir_all(&paths.lab)?;
    for name in NOTEBOOKS {
        let copy = paths.lab.join(name);
        if copy.exists() {
            println!("lab/{name}: yours, left as it is (`cargo xtask lab --reset {name}` makes a new copy)");
        } else {
            write(&copy, fs::read(paths.notebooks.join(name))?)?;
            println!("lab/{name}: a new copy of notebooks/{name}");
        }
    }
    Ok(())
}

/// Renames a copy and makes a new one. Returns the new name of the old one.
fn put_aside(paths: &Paths, notebook: &str) -> Result<String> {
    if !NOTEBOOKS.contains(&notebook) {
        bail!("{notebook} is not one of the notebooks: give {}", NOTEBOOKS.join(" or "));
    }
    let copy = paths.lab.join(notebook);
    if !copy.exists() {
        bail!("there is no lab/{notebook}: `cargo xtask lab` makes it");
    }
    let name = |number: u32| PathBuf::from(notebook).with_extension(format!("{number}.ipynb"));
    let free = (1..).map(name).find(|name| !paths.lab.join(name).exists());
    let kept = free.unwrap_or_default();
    fs::rename(&copy, paths.lab.join(&kept))?;
    copy_missing(paths)?;
    Ok(format!("lab/{}", kept.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_writes_stays() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::of(directory.path().into());
        fs::create_dir_all(&paths.notebooks).unwrap();
        let commit =
            |text: &str| NOTEBOOKS.iter().for_each(|name| fs::write(paths.notebooks.join(name), text).unwrap());
        let read = |name: &str| fs::read_to_string(paths.lab.join(name)).unwrap();
        commit("committed");
        assert!(put_aside(&paths, NOTEBOOKS[1]).is_err());
        copy_missing(&paths).unwrap();
        for mine in ["first", "second"] {
            fs::write(paths.lab.join(NOTEBOOKS[1]), mine).unwrap();
            commit("committed later");
            copy_missing(&paths).unwrap();
            assert_eq!((read(NOTEBOOKS[0]), read(NOTEBOOKS[1])), ("committed".into(), mine.into()));
            put_aside(&paths, NOTEBOOKS[1]).unwrap();
            assert_eq!(read(NOTEBOOKS[1]), "committed later");
        }
        assert_eq!(read("HodkinHuxleyConvNet.1.ipynb"), "first");
        assert_eq!(read("HodkinHuxleyConvNet.2.ipynb"), "second");
        assert!(put_aside(&paths, "other.ipynb").unwrap_err().to_string().contains(NOTEBOOKS[0]));
    }
}
