//! Damaged files do no harm: an error or data, but no panic, signal, hang or memory beyond all measure.
//!
//! Files of each kind, and those that a fuzzer found, are read, and mutants of them, many in one process, which may take
//! 2 GB. There are 150 mutants of each kind; `HHNET_MUTANTS=10000 cargo test -p hhnet-cli --test damaged` tries so many,
//! and with `-- nwb` only those of one kind. A file that did harm stays in `target/mutants`.

mod readers;

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};
use std::time::Instant;

use hhnet::dataset::{GenerateOptions, generate};
use hhnet::stimulus::{OrnsteinUhlenbeck, Stream};
use readers::Reader;
use tempfile::TempDir;
use zip::write::FileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Mutants of each kind, unless `HHNET_MUTANTS` gives their number.
const USUAL_COUNT: u64 = 150;
/// Address space for a process beyond what it has at its start.
const MEMORY: u64 = 2 << 30;
/// Time for reading one file, s.
const SECONDS: u32 = 20;
/// Tells a process that it reads, and what: kind, number of the first mutant, number of mutants.
const TASK: &str = "HHNET_MUTANTS_TASK";
/// After so many harmful files of one kind there is no more to learn.
const MOST_HARMFUL: usize = 20;

/// What a kind of files is made from, and how it is read.
struct Kind {
    name: &'static str,
    read: Reader,
    /// Files of `tests/data`.
    files: &'static [&'static str],
    /// A folder of `fuzz/corpus`: files that a fuzzer found.
    corpus: Option<&'static str>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "data.h5",
        read: readers::dataset,
        files: &[
            "hdf5_attributes.h5",
            "hdf5_attrlist.h5",
            "hdf5_i16.h5",
            "hdf5_latest.h5",
            "hdf5_links.h5",
            "hdf5_types.h5",
            "hdf5_userblock.h5",
        ],
        corpus: Some("dataset"),
    },
    #[cfg(feature = "model")]
    Kind {
        name: "weights.h5",
        read: readers::weights,
        files: &[
            "keras_2_13.weights.h5",
            "keras_2_15.weights.h5",
            "keras_2_3.h5",
            "keras_2_8.h5",
            "keras_2_8_weights.h5",
            "keras_default.weights.h5",
            "keras_even_10.weights.h5",
        ],
        corpus: Some("weights"),
    },
    #[cfg(feature = "model")]
    Kind { name: "safetensors", read: readers::weights, files: &["../../data/trained.safetensors"], corpus: None },
    #[cfg(feature = "model")]
    Kind {
        name: "keras",
        read: readers::weights,
        files: &["keras_2_15.keras", "keras_3.keras", "keras_3_functional.keras"],
        corpus: None,
    },
    Kind {
        name: "nwb",
        read: readers::nwb,
        files: &["import_numbers.nwb", "import_order.nwb", "import_table.nwb"],
        corpus: Some("nwb"),
    },
    Kind { name: "npy", read: readers::numpy, files: &["import_x.npy", "import_y.npy"], corpus: None },
    Kind { name: "npz", read: readers::numpy, files: &["import.npz"], corpus: Some("numpy") },
    Kind { name: "csv", read: readers::table, files: &[], corpus: Some("table") },
    Kind { name: "options", read: readers::options, files: &[], corpus: Some("options") },
    #[cfg(feature = "model")]
    Kind { name: "checkpoint", read: readers::checkpoint, files: &[], corpus: Some("checkpoint") },
];

fn main() -> ExitCode {
    if let Ok(task) = std::env::var(TASK) {
        return read_inputs(&task);
    }
    let mutants =
        std::env::var("HHNET_MUTANTS").map_or(USUAL_COUNT, |count| count.parse().expect("a number of mutants"));
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let kinds = KINDS.iter().filter(|kind| wanted.is_empty() || wanted.iter().any(|name| name == kind.name));
    let kinds = Mutex::new(kinds);
    let harmful = AtomicUsize::new(0);
    let next = || kinds.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(kind) = next() {
                    let begin = Instant::now();
                    let found = harmful_inputs(kind, mutants);
                    let seconds = begin.elapsed().as_secs_f64();
                    println!("{}: {mutants} mutants, {} harmful, {seconds:.1} s", kind.name, found.len());
                    found.iter().for_each(|line| println!("  {line}"));
                    harmful.fetch_add(found.len(), Ordering::Relaxed);
                }
            });
        }
    });
    if harmful.into_inner() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Has a process read the originals and so many mutants, and another one go on behind each that ended it. Returns a
/// line about each of these.
fn harmful_inputs(kind: &Kind, mutants: u64) -> Vec<String> {
    let originals = originals(kind);
    let count = originals.len() as u64 + mutants;
    let mut found = Vec::new();
    let mut first = 0;
    while first < count && found.len() < MOST_HARMFUL {
        let folder = folder();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(TASK, format!("{} {first} {count} {}", kind.name, folder.path().display()))
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The process says which input it reads next.
        let numbers = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let last = numbers.filter_map(|line| line.parse::<u64>().ok()).last();
        let mut text = String::new();
        _ = child.stderr.take().unwrap().read_to_string(&mut text);
        let status = child.wait().unwrap();
        if status.success() {
            break;
        }
        let last = last.unwrap_or(first);
        let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/mutants");
        std::fs::create_dir_all(&kept).unwrap();
        let kept = kept.join(format!("{last}.{}", kind.name));
        std::fs::write(&kept, input(kind, &originals, last)).unwrap();
        let reason = text.lines().filter(|line| !line.is_empty()).take(3).collect::<Vec<_>>().join(" / ");
        found.push(format!("input {last}, '{}': {status}: {reason}", kept.display()));
        first = last + 1;
    }
    found
}

/// Reads inputs one after the other, in a process of limited memory.
fn read_inputs(task: &str) -> ExitCode {
    let mut parts = task.splitn(4, ' ');
    let mut next = || parts.next().expect("four parts");
    let (name, first, count, folder) = (next(), next().parse().unwrap(), next().parse().unwrap(), next());
    let kind = KINDS.iter().find(|kind| kind.name == name).expect("a known kind");
    let originals = originals(kind);
    limit_memory();
    for number in first..count {
        println!("{number}");
        // SAFETY: it only sets the time after which the system ends this process.
        unsafe { libc::alarm(SECONDS) };
        (kind.read)(&input(kind, &originals, number), Path::new(folder));
    }
    ExitCode::SUCCESS
}

fn limit_memory() {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let Some(pages) = status.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()) else { return };
    let limit = libc::rlimit { rlim_cur: pages * 4096 + MEMORY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: it only reads the limit.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
}

/// In memory, where that is possible.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The files that are changed.
fn originals(kind: &Kind) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<PathBuf> = kind.files.iter().map(|name| root.join("tests/data").join(name)).collect();
    if let Some(corpus) = kind.corpus {
        let folder = std::fs::read_dir(root.join("fuzz/corpus").join(corpus)).unwrap();
        let mut found: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        found.sort();
        files.append(&mut found);
    }
    let mut originals: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    match kind.name {
        "csv" => {
            let rows = |row: fn(usize) -> String| (0..80).map(row).collect::<String>();
            let commas = rows(|i| format!("{},{},{},{}\n", i / 40, i % 40, 10 * i, -65.5));
            originals.push(format!("# made up\nsample,time_ms,current_pA,potential_mV\n{commas}").into_bytes());
            let decimals = rows(|i| format!("{},5;\"{},25\";-0,065\n", i, i));
            originals.push(format!("\u{feff}t (s);I (nA);Vm (V)\n{decimals}").into_bytes());
        }
        "data.h5" => {
            let folder = folder();
            for (keep_spiking, stream) in [(false, Stream::Numpy), (true, Stream::Philox)] {
                let current = OrnsteinUhlenbeck { sigma: 40.0, ..OrnsteinUhlenbeck::default() };
                let path = folder.path().join("data.h5");
                let options = GenerateOptions {
                    samples: 3,
                    duration_ms: 30.0,
                    test_samples: 1,
                    test_duration_ms: 50.0,
                    current,
                    keep_spiking,
                    stream,
                    overwrite: true,
                    ..GenerateOptions::default()
                };
                generate(&path, &options).unwrap();
                originals.push(std::fs::read(&path).unwrap());
            }
        }
        _ => {}
    }
    originals
}

/// One of the originals; with a higher number than they have, some changes, always the same ones for a number.
fn input(kind: &Kind, originals: &[Vec<u8>], number: u64) -> Vec<u8> {
    if let Some(original) = originals.get(number as usize) {
        return original.clone();
    }
    let seed = kind.name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let mut random = Random(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let original = &originals[random.below(originals.len())];
    // Otherwise, the sums of the archive would tell most changes.
    if original.starts_with(b"PK")
        && random.below(4) > 0
        && let Some(changed) = changed_archive(original, &mut random)
    {
        return changed;
    }
    changed(original.clone(), &mut random)
}

/// An archive, one of whose parts is changed. `None` if it cannot be unpacked.
fn changed_archive(original: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(original)).ok()?;
    let mut changed_archive = ZipWriter::new(Cursor::new(Vec::new()));
    let chosen = random.below(archive.len().max(1));
    for part in 0..archive.len() {
        let mut part_of_original = archive.by_index(part).ok()?;
        let mut contents = Vec::new();
        part_of_original.read_to_end(&mut contents).ok()?;
        let options = FileOptions::default().compression_method(CompressionMethod::Stored);
        changed_archive.start_file(part_of_original.name(), options).unwrap();
        let contents = if part == chosen { changed(contents, random) } else { contents };
        changed_archive.write_all(&contents).unwrap();
    }
    Some(changed_archive.finish().unwrap().into_inner())
}

/// One to four changes: bits, bytes, numbers of several sizes, pieces that are lost, doubled or exchanged.
fn changed(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return bytes;
        }
        let place = random.below(bytes.len());
        let length = 1 + random.below(16.min(bytes.len() - place));
        match random.below(12) {
            0..3 => bytes[place] ^= 1 << random.below(8),
            3..5 => bytes[place] = random.next() as u8,
            5..8 => {
                let numbers =
                    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];
                let number = if random.below(3) == 0 { random.next() } else { numbers[random.below(numbers.len())] };
                let size = [1, 2, 4, 8][random.below(4)].min(bytes.len() - place);
                bytes[place..place + size].copy_from_slice(&number.to_le_bytes()[..size]);
            }
            8 => {
                bytes.drain(place..place + length);
            }
            9 => {
                let piece = bytes[place..place + length].to_vec();
                bytes.splice(place..place, piece);
            }
            10 => {
                let from = random.below(bytes.len() - length + 1);
                bytes.copy_within(from..from + length, place);
            }
            _ => bytes.truncate(place),
        }
    }
    bytes
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below another one.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
