//! Where everything is in this checkout, and the environment variables that tell other programs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The notebooks, in this order: the second reads the data that the first writes.
pub const NOTEBOOKS: [&str; 2] = ["HodkinHuxleyDataGeneration.ipynb", "HodkinHuxleyConvNet.ipynb"];

/// The folders of this checkout.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The checkout.
    pub root: PathBuf,
    /// `.hhnet`, the folder that set-up fills. Git ignores it.
    pub home: PathBuf,
    pub notebooks: PathBuf,
    /// The folder for the user's copies of the notebooks, which git ignores. A direct child of the checkout, so that a
    /// notebook in it finds the crate also at `..`.
    pub lab: PathBuf,
    /// The folder for results, which git ignores. A direct child of the checkout, too.
    pub scratch: PathBuf,
    /// The Python environment that holds JupyterLab.
    pub python: PathBuf,
    pub libtorch: PathBuf,
    pub hdf5: PathBuf,
    /// The program evcxr_jupyter.
    pub evcxr: PathBuf,
    pub launcher: PathBuf,
    /// The kernel's `cargo` and `rustc`, see `setup::analyzer`.
    pub kernel_toolchain: PathBuf,
    /// Where what cells need is compiled, see `kernel::cells`.
    pub cells: PathBuf,
    /// Cargo's folder of an installation that other users can only read, see `setup::shared`; otherwise cargo's usual one
    /// is used.
    pub shared_cargo: PathBuf,
}

impl Paths {
    /// Finds the checkout: from where this program lies if it is a kernel's launcher, or else from what cargo says.
    pub fn find() -> Result<Self> {
        let program = env::current_exe().context("cannot find out where this program lies")?;
        let launcher_home = program.parent().and_then(Path::parent).filter(|home| home.ends_with(".hhnet"));
        let root = match launcher_home.and_then(Path::parent) {
            Some(root) => root.to_path_buf(),
            None => match env::var_os("CARGO_MANIFEST_DIR") {
                Some(package) => PathBuf::from(package).join(".."),
                None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            },
        };
        let root = root.canonicalize().with_context(|| format!("the checkout {} is gone", root.display()))?;
        check_path(&root)?;
        Ok(Self::of(root))
    }

    /// The folders of the checkout `root`.
    pub fn of(root: PathBuf) -> Self {
        let home = root.join(".hhnet");
        Self {
            notebooks: root.join("notebooks"),
            lab: root.join("lab"),
            scratch: root.join("target"),
            python: home.join("python"),
            libtorch: home.join("libtorch"),
            hdf5: home.join("hdf5"),
            evcxr: home.join("evcxr/bin/evcxr_jupyter"),
            launcher: home.join("bin/xtask"),
            kernel_toolchain: home.join("analyzer/toolchain"),
            cells: home.join("cells"),
            shared_cargo: home.join("cargo"),
            home,
            root,
        }
    }

    /// The same checkout, with the libraries of another machine in a folder below `.hhnet`, see `check::cross`.
    pub fn with_libraries_in(&self, folder: &str) -> Self {
        let home = self.home.join(folder);
        Self { libtorch: home.join("libtorch"), hdf5: home.join("hdf5"), home, ..self.clone() }
    }

    /// Whether other users start kernels from here. Then kernels write nothing here.
    pub fn is_shared(&self) -> bool {
        self.shared_cargo.exists()
    }

    /// Where kernels build cells, each in a folder of its own: here, or in the cache of the user who starts them.
    pub fn kernels(&self) -> Result<PathBuf> {
        if !self.is_shared() {
            return Ok(self.cells.clone());
        }
        let named = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
        let cache =
            cache.context("neither XDG_CACHE_HOME nor HOME names a folder, in which kernels would build cells")?;
        let place = self.root.display().to_string();
        Ok(cache.join("hhnet").join(place.trim_start_matches('/').replace('/', "-")))
    }

    /// A Python program of ours.
    pub fn script(&self, name: &str) -> PathBuf {
        self.root.join("xtask/python").join(name)
    }

    /// A program of the Python environment.
    pub fn python_program(&self, name: &str) -> PathBuf {
        self.python.join("bin").join(name)
    }

    /// The folder of the kernelspec `rust`, by which Jupyter finds the kernel.
    pub fn kernelspec(&self) -> PathBuf {
        self.python.join("share/jupyter/kernels/rust")
    }

    /// A path relative to the checkout, for messages.
    pub fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// The folder of the shared standard library, with which cells are linked.
    pub fn standard_library(&self) -> PathBuf {
        self.kernel_toolchain.join("std")
    }

    /// Gives a command the shared libraries. The values equal those in .cargo/config.toml, so that cargo rebuilds nothing.
    pub fn with_libraries<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let variable = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
        let libraries = [self.libtorch.join("lib"), self.hdf5.join("lib"), self.standard_library()];
        command
            .env(variable, in_front(&libraries, variable))
            .env("LIBTORCH", &self.libtorch)
            .env("HDF5_DIR", &self.hdf5)
    }

    /// Gives a command what Jupyter needs to find its kernels and to write nothing outside the checkout.
    pub fn with_jupyter<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        self.with_jupyter_in(&self.home.join("jupyter"), command)
    }

    /// The same, with Jupyter's settings and its own files in the folder `jupyter`.
    pub fn with_jupyter_in<'a>(&self, jupyter: &Path, command: &'a mut Command) -> &'a mut Command {
        command
            .env("PATH", in_front(&[self.python.join("bin")], "PATH"))
            .env("VIRTUAL_ENV", &self.python)
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

/// Refuses what compilers and linkers cannot have in a path.
pub fn check_path(root: &Path) -> Result<()> {
    if root.to_string_lossy().contains([' ', ',', ':', '"', '\'', '\\', '$']) {
        bail!(
            "`{}` holds a blank, or one of , : \" ' \\ $, which compilers do not take in a search path: choose another \
             place",
            root.display()
        );
    }
    Ok(())
}

/// Finds a program on the search path.
pub fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The directory of the user's own that an environment variable names; None if it is `ours`, which cargo puts there
/// from .cargo/config.toml.
pub fn own_directory(variable: &str, ours: &Path) -> Option<PathBuf> {
    let value = PathBuf::from(env::var_os(variable).filter(|value| !value.is_empty())?);
    // The checkout may have been reached through a link, so the folders are compared, not their names.
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    let is_ours = value.file_name() == ours.file_name() && folder(&value) == folder(ours);
    (!is_ours).then_some(value)
}

/// The value of a search path with some directories in front of it.
fn in_front(directories: &[PathBuf], variable: &str) -> OsString {
    let rest = env::var_os(variable).filter(|value| !value.is_empty());
    let parts: Vec<OsString> = directories.iter().map(|path| path.clone().into_os_string()).chain(rest).collect();
    parts.join(std::ffi::OsStr::new(":"))
}
