//! The tests on ARM64 in an emulator, the bits of both processors compared, and the lints for macOS, from Linux on x86-64.
//!
//! Programs for ARM64 start like any other, as Debian's qemu-user-binfmt registers the emulator with the kernel: so tests
//! that start a program work, too. The libraries for ARM64 are in `.hhnet/aarch64/`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;
use fs_err::os::unix::fs::symlink;

use crate::check::report;
use crate::files::remove;
use crate::paths::{Paths, which};
use crate::process::{cargo_in, run, run_logged, rustc_print};
use crate::setup::{self, Target, hdf5, libtorch};

const ARM64: &str = "aarch64-unknown-linux-gnu";
const MACOS: &str = "aarch64-apple-darwin";
/// Where Debian's packages for cross compilation put the C library.
const C_LIBRARY: &str = "/usr/aarch64-linux-gnu/lib";
/// The processor that is emulated, one without scalable vectors.
const PROCESSOR: &str = "neoverse-n1";
/// The same, as the system tells of it.
const CPUINFO: &str = "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc \
                       dcpop asimddp\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\n\
                       CPU part\t: 0xd0c\nCPU revision\t: 1\n\n";

/// The same in one number, where libtorch looks for it.
const MIDR: &str = "0x00000000413fd0c1\n";

/// Programs that are killed and calls that fail are a matter of the system, not of the processor.
const TESTS: [&[&str]; 2] = [
    &["--package", "hhnet", "--tests"],
    &["--package", "hhnet-cli", "--lib", "--test", "cli", "--test", "damaged", "--test", "import"],
];

/// What a data set and a training must give to the last bit on both processors. Half of these trials spike.
const WORK: [&str; 2] = [
    "generate --out data.h5 --samples 400 --duration-ms 100 --test-samples 2 --test-duration-ms 100 --sigma 60 --force",
    "train --data data.h5 --weights model.safetensors --validation 50 --epochs 5 --force",
];

/// `cargo xtask cross`.
pub fn run_all() -> Result<()> {
    let paths = Paths::find()?;
    let arm64 = paths.with_libraries_in("aarch64");
    check_tools(&arm64)?;
    setup::libraries()?;
    hdf5::ensure_for(&arm64, Target::Arm64)?;
    answer_build_script(&arm64)?;
    libtorch::ensure_for(&arm64, Target::Arm64)?;
    lint_for_macos(&paths, &arm64)?;
    for tests in TESTS {
        let mut cargo = cargo_in(&paths, &["test", "--locked", "--no-fail-fast", "--target", ARM64]);
        run(with_cross_compiler(&arm64, cargo.args(tests))).context("the tests on ARM64")?;
    }
    compare_bits(&paths, &arm64)?;
    println!("\nARM64 passes the tests and gives the bits of this machine; nothing to complain about for macOS");
    Ok(())
}

/// Names everything that is missing at once.
fn check_tools(arm64: &Paths) -> Result<()> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "this works on Linux on x86-64 only: elsewhere, `cargo xtask test` checks that machine"
    );
    prepare_root(arm64)?;
    let mut missing = Vec::new();
    for program in [Target::Arm64.compiler(), "aarch64-linux-gnu-g++"] {
        if which(program).is_none() {
            missing.push(format!("{program} (Debian, Ubuntu: sudo apt install g++-aarch64-linux-gnu)"));
        }
    }
    if missing.is_empty() && !runs_programs(arm64)? {
        missing.push("an emulator for ARM64 (Debian, Ubuntu: sudo apt install qemu-user-binfmt)".to_string());
    }
    let libraries = Path::new(&rustc_print(arm64, "sysroot")?).join("lib/rustlib");
    for target in [ARM64, MACOS] {
        let is_there = || libraries.join(target).exists();
        let add = || Command::new("rustup").args(["target", "add", target]).status();
        if !(is_there() || add().is_ok_and(|status| status.success())) {
            missing.push(format!("Rust's standard library for {target} (rustup target add {target})"));
        }
    }
    report(&missing, "something is missing")
}

/// Whether a program for ARM64 starts like any other.
fn runs_programs(arm64: &Paths) -> Result<bool> {
    let program = arm64.home.join("starts");
    let mut compiler = Command::new(Target::Arm64.compiler());
    let mut compiler = compiler.args(["-x", "c", "-", "-o"]).arg(&program).stdin(Stdio::piped()).spawn()?;
    compiler.stdin.take().context("the compiler reads nothing")?.write_all(b"int main(void) { return 0; }")?;
    ensure!(compiler.wait()?.success(), "{} cannot compile: see above", Target::Arm64.compiler());
    Ok(with_cross_compiler(arm64, &mut Command::new(program)).status().is_ok_and(|status| status.success()))
}

/// The folder in which the emulator looks first for each file that a program opens. libtorch reads what the system tells
/// of the processor; it would crash at that of another one, and complain if there were nothing.
fn prepare_root(arm64: &Paths) -> Result<()> {
    let root = arm64.home.join("root");
    remove(&root)?;
    fs::create_dir_all(root.join("proc"))?;
    symlink(C_LIBRARY, root.join("lib"))?;
    let processors = available_parallelism().map_or(1, usize::from);
    let cpuinfo: String = (0..processors).map(|number| format!("processor\t: {number}\n{CPUINFO}")).collect();
    for number in 0..processors {
        let folder = root.join(format!("sys/devices/system/cpu/cpu{number}/regs/identification"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("midr_el1"), MIDR)?;
    }
    Ok(fs::write(root.join("proc/cpuinfo"), cpuinfo)?)
}

/// The build script of hdf5-metno-sys loads the library to ask for its version, and an ARM64 one does not load here. It
/// also looks in `bin`, where this library, for this machine, answers by the version in the headers.
fn answer_build_script(arm64: &Paths) -> Result<()> {
    const ANSWER: &str = "#include <H5public.h>\nherr_t H5open(void) { return 0; }\nherr_t H5get_libversion(unsigned *a, \
                          unsigned *b, unsigned *c) { *a = H5_VERS_MAJOR, *b = H5_VERS_MINOR, *c = H5_VERS_RELEASE; \
                          return 0; }\n";
    let folder = arm64.hdf5.join("bin");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("version.c"), ANSWER)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-I"]).arg(arm64.hdf5.join("include")).arg(folder.join("version.c"));
    run_logged(arm64, "hdf5-version", compiler.arg("-o").arg(folder.join("libhdf5.so")), None)
}

/// Gives cargo the libraries and the cross compiler, and the emulator its root folder and processor.
fn with_cross_compiler<'a>(libraries: &Paths, command: &'a mut Command) -> &'a mut Command {
    command
        .env("LIBTORCH", &libraries.libtorch)
        .env("HDF5_DIR", &libraries.hdf5)
        .env("QEMU_LD_PREFIX", libraries.home.join("root"))
        .env("QEMU_CPU", PROCESSOR)
        // In versions before 8, a program that another one starts may wait forever for a lock of GLib's own allocator.
        .env("G_SLICE", "always-malloc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", Target::Arm64.compiler())
}

/// Clippy links nothing, so it needs neither Apple's libraries nor the C parts of other crates compiled: the headers are
/// those of ARM64, and the compiler is one that does nothing.
fn lint_for_macos(paths: &Paths, arm64: &Paths) -> Result<()> {
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--target", MACOS];
    let mut clippy = cargo_in(paths, &[&clippy[..], &["--features", "tch/doc-only", "--", "-D", "warnings"]].concat());
    clippy.env("HDF5_DIR", &arm64.hdf5).env("CC_aarch64_apple_darwin", "true").env("AR_aarch64_apple_darwin", "true");
    run(&mut clippy).context("the lints for macOS")
}

/// Has both processors do [`WORK`], and compares the trained weights.
fn compare_bits(paths: &Paths, arm64: &Paths) -> Result<()> {
    let build = ["build", "--locked", "--package", "hhnet-cli"];
    let folder = paths.scratch.join("cross");
    remove(&folder)?;
    let work = |name: &str, libraries: &Paths, options: &[&str]| {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        run(with_cross_compiler(libraries, &mut cargo_in(paths, &[&build[..], options].concat())))?;
        let program = paths.scratch.join(options.last().unwrap_or(&"")).join("debug/hhnet");
        for arguments in WORK {
            run(with_cross_compiler(
                libraries,
                Command::new(&program).args(arguments.split(' ')).current_dir(&folder),
            ))?;
        }
        anyhow::Ok(fs::read(folder.join("model.safetensors"))?)
    };
    if work("arm64", arm64, &["--target", ARM64])? != work("here", paths, &[])? {
        bail!("a training on ARM64 ended with other weights than here: compare the files in {}", paths.short(&folder));
    }
    Ok(())
}
