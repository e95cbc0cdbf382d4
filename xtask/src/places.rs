//! Where everything is, and the environment that Jupyter and the kernel get.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The folders of this checkout.
#[derive(Clone, Debug)]
pub struct Places {
    /// The checkout.
    pub root: PathBuf,
    /// The ignored folder that set-up fills.
    pub home: PathBuf,
}

impl Places {
    /// Finds the checkout: from where the launcher lies, or from what cargo says.
    pub fn find() -> Result<Self> {
        let program = env::current_exe().context("cannot tell where this program lies")?;
        let launcher_home = program.parent().and_then(Path::parent).filter(|home| home.ends_with(".hhnet"));
        let root = match launcher_home.and_then(Path::parent) {
            Some(root) => root.to_path_buf(),
            None => match env::var_os("CARGO_MANIFEST_DIR") {
                Some(package) => PathBuf::from(package).join(".."),
                None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            },
        };
        let root = root.canonicalize().with_context(|| format!("the checkout {} is gone", root.display()))?;
        let home = root.join(".hhnet");
        let places = Self { root, home };
        if places.root.to_string_lossy().contains([':', ' ', '"']) {
            bail!(
                "the checkout lies in `{}`: a blank, colon or quotation mark in the path breaks the compilers' search \
                 paths; move the checkout to a path without one",
                places.root.display()
            );
        }
        Ok(places)
    }

    pub fn notebooks(&self) -> PathBuf {
        self.root.join("notebooks")
    }

    /// The folder for results that cargo ignores too. A direct child of the checkout, so that a notebook that runs in it
    /// finds the crate at `..`.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("target")
    }

    pub fn python_environment(&self) -> PathBuf {
        self.home.join("python")
    }

    /// A program of the Python environment.
    pub fn python_program(&self, name: &str) -> PathBuf {
        self.python_environment().join("bin").join(name)
    }

    pub fn kernelspec(&self) -> PathBuf {
        self.python_environment().join("share/jupyter/kernels/rust")
    }

    pub fn libtorch(&self) -> PathBuf {
        self.home.join("libtorch")
    }

    pub fn hdf5(&self) -> PathBuf {
        self.home.join("hdf5")
    }

    pub fn evcxr(&self) -> PathBuf {
        self.home.join("evcxr/bin/evcxr_jupyter")
    }

    pub fn launcher(&self) -> PathBuf {
        self.home.join("bin/xtask")
    }

    /// The kernel's `cargo` and `rustc`, see `analyzer`.
    pub fn kernel_toolchain(&self) -> PathBuf {
        self.home.join("analyzer/toolchain")
    }

    pub fn cells(&self) -> PathBuf {
        self.home.join("cells")
    }

    pub fn logs(&self) -> PathBuf {
        self.home.join("log")
    }

    /// The search path for shared libraries: our two in front of what is there already.
    pub fn library_path(&self) -> (&'static str, OsString) {
        let name = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
        (name, in_front(&[self.libtorch().join("lib"), self.hdf5().join("lib")], env::var_os(name)))
    }

    /// Gives a command the two libraries. The values equal those that .cargo/config.toml sets, so that cargo rebuilds nothing.
    pub fn with_libraries<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let (name, path) = self.library_path();
        command.env(name, path).env("LIBTORCH", self.libtorch()).env("HDF5_DIR", self.hdf5())
    }

    /// Gives a command what Jupyter needs to find its kernels and to write nothing outside the checkout.
    pub fn with_jupyter<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let jupyter = self.home.join("jupyter");
        command
            .env("PATH", in_front(&[self.python_environment().join("bin")], env::var_os("PATH")))
            .env("VIRTUAL_ENV", self.python_environment())
            .env_remove("PYTHONHOME")
            .env_remove("PYTHONPATH")
            .env_remove("JUPYTER_PATH")
            .env("JUPYTER_PREFER_ENV_PATH", "1")
            .env("JUPYTER_CONFIG_DIR", jupyter.join("config"))
            .env("JUPYTER_DATA_DIR", jupyter.join("data"))
            .env("JUPYTER_RUNTIME_DIR", jupyter.join("runtime"))
            .env("JUPYTERLAB_SETTINGS_DIR", jupyter.join("lab/settings"))
            .env("JUPYTERLAB_WORKSPACES_DIR", jupyter.join("lab/workspaces"))
            .env("IPYTHONDIR", jupyter.join("ipython"))
            .env("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    }
}

/// A path relative to the checkout, for messages.
pub fn short(path: &Path, places: &Places) -> String {
    path.strip_prefix(&places.root).unwrap_or(path).display().to_string()
}

/// Finds a program on the search path.
pub fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The user's own directory in an environment variable; not ours, which cargo puts there from .cargo/config.toml.
pub fn own_directory(variable: &str, ours: &Path) -> Option<PathBuf> {
    let value = PathBuf::from(env::var_os(variable).filter(|value| !value.is_empty())?);
    // The checkout may have been reached over a link, so the folders are compared and not the names.
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    let is_ours = value.file_name() == ours.file_name() && folder(&value) == folder(ours);
    (!is_ours).then_some(value)
}

fn in_front(directories: &[PathBuf], rest: Option<OsString>) -> OsString {
    let mut path = OsString::new();
    for directory in directories {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(directory);
    }
    match rest {
        Some(rest) if rest != OsStr::new("") => {
            path.push(":");
            path.push(rest);
            path
        }
        _ => path,
    }
}
