//! The tasks and their options, for users.

/// What `cargo xtask help` prints.
pub const HELP: &str = "\
Usage: cargo xtask TASK

  setup       Install everything that the notebooks need into .hhnet/ in this checkout, as far as it is missing.
              `setup --shared FOLDER` makes an installation there from which other users of this machine start kernels.
  lab         Set up, then open JupyterLab in lab/, with copies of the notebooks. Further arguments go to JupyterLab.
              `lab --reset NOTEBOOK` makes a new copy of one, and keeps the old one under another name.
  notebooks   Set up, then run both notebooks from a clean kernel. Puts the executed ones, and a page (HTML) of each,
              into target/notebooks/. With --keep, they replace the committed notebooks and the figures in docs/.
  course      `--out DIR` writes both notebooks without solutions and outputs into DIR. With --nbgrader, DIR becomes the
              folder of an nbgrader course. docs/teaching.md says how to use them.
  test        Set up, then run every check: formatting, texts, advisories, downloads, lints, documentation, Rust tests, the
              course version, both notebooks.
  faults      Try many times what `test` tries a few times (programs that are killed, full disks, damaged files), and fuzz,
              within 30 minutes.
  audit       Run one check of `test`: look for advisories on all pinned packages, and for licences and sources of crates.
  browser     Run one check of `test`: work with both notebooks in JupyterLab in Chromium.
  doctor      Report what is installed, whether it is in order, and how to mend it; start a kernel.
  hub FOLDER  Check a shared installation: three users, made for this, run both notebooks in JupyterHub (as root on Linux).
  cross       Run the tests on ARM64 in an emulator, and the lints for macOS (on Linux on x86-64; ARCHITECTURE.md).
  bench NAME  Measure `generator` or `training`; with --peers, time other programs on the same work.
              `bench hdf5` measures reading, `bench large [--million]` training on data larger than memory.
              `bench notebooks [5]` times every cell of both notebooks in that many fresh kernels. `bench kernel [20]` runs
              them that many times in one kernel, and prints its memory (on Linux).
  help        Show this text.

The first set-up downloads about 0.7 GB and takes 8 to 20 minutes on two cores. environment.md says what it installs.";
