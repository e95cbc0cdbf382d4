//! An interrupt ends long work, not the process. A program of its own, as a signal reaches all threads.
#![cfg(feature = "model")]

use hhnet::dataset::{GenerateOptions, H5Matrix, ImportOptions, Opened, ReadSamples, Source, cut, generate, save};
use hhnet::model::{Model, ModelOptions, generate_model};
use hhnet::ndarray::{Array3, s};
use hhnet::training::{BackupAndRestore, Callback, EarlyStopping, FitOptions};
use hhnet::{Error, Result};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

const BATCH: usize = 10;

fn interrupt() {
    let process = std::process::id().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
}

/// Samples that are read like those of a file. At the given read of several samples, an interrupt comes.
struct Interrupting {
    values: Array3<f64>,
    reads: AtomicUsize,
    at: usize,
}

impl Interrupting {
    fn new(values: &Array3<f64>, at: usize) -> Self {
        Interrupting { values: values.clone(), reads: AtomicUsize::new(0), at }
    }
}

impl Source for Interrupting {
    fn shape(&self) -> (usize, usize, usize) {
        self.values.dim()
    }

    fn open(&self, _: &str) -> Result<Opened<'_>> {
        Ok(Opened::File(Box::new(self)))
    }
}

impl ReadSamples for &Interrupting {
    fn read(&self, samples: &[usize], steps: Range<usize>, values: &mut Vec<f32>) -> Result<()> {
        // The samples by which a backup knows the data are read one by one.
        if samples.len() > 1 && self.reads.fetch_add(1, SeqCst) + 1 == self.at {
            interrupt();
            // What was read before may be done before the interrupt is seen.
            sleep(Duration::from_millis(50));
        }
        for &sample in samples {
            values.extend(self.values.slice(s![sample, steps.clone(), ..]).iter().map(|&value| value as f32));
        }
        Ok(())
    }
}

fn model() -> Model {
    generate_model(&ModelOptions::default()).unwrap()
}

/// Each epoch has 8 batches and one portion for validation.
fn fit(model: &mut Model, x: &dyn Source, y: &dyn Source, options: &FitOptions) -> hhnet::training::History {
    let held_out = Array3::<f64>::ones((4, 100, 1));
    model.fit(x, y, Some((&held_out, &held_out)), options).unwrap()
}

fn fit_keeps_whole_epochs(x: &Array3<f64>, y: &Array3<f64>, folder: &Path) {
    let backup = BackupAndRestore { path: folder.join("backup.weights.h5"), ..BackupAndRestore::default() };
    let stopping = EarlyStopping { patience: 100, restore_best_weights: true, ..EarlyStopping::default() };
    let callbacks = vec![Callback::BackupAndRestore(backup), Callback::EarlyStopping(stopping)];
    let options = FitOptions { batch_size: BATCH, epochs: 6, ..FitOptions::default() };
    let with_backup = FitOptions { callbacks, ..options.clone() };

    let mut whole = model();
    fit(&mut whole, x, y, &options);
    let mut interrupted = model();
    let history = fit(&mut interrupted, &Interrupting::new(x, 30), y, &with_backup);
    let epochs = history.len();
    assert!(history.interrupted && (2..4).contains(&epochs), "{epochs}");
    let note = format!("interrupted in epoch {} of 6: the model has the weights of epoch {epochs}", epochs + 1);
    assert_eq!(history.notes, [note]);
    let mut part = model();
    fit(&mut part, x, y, &FitOptions { epochs, ..options.clone() });
    assert_eq!(interrupted.get_weights().unwrap(), part.get_weights().unwrap());
    assert_eq!(interrupted.iterations(), part.iterations());

    // From the variable, and from the backup.
    let rest = FitOptions { epochs: 6 - epochs, ..options };
    let history = fit(&mut interrupted, x, y, &rest);
    assert!(!history.interrupted);
    assert_eq!(interrupted.get_weights().unwrap(), whole.get_weights().unwrap());
    let mut resumed = model();
    assert_eq!(fit(&mut resumed, x, y, &with_backup).len(), 6);
}

fn an_interrupted_first_epoch_leaves_the_model(x: &Array3<f64>, y: &Array3<f64>) {
    let mut interrupted = model();
    let options = FitOptions { batch_size: BATCH, epochs: 6, ..FitOptions::default() };
    let history = fit(&mut interrupted, &Interrupting::new(x, 2), y, &options);
    assert!(history.is_empty() && history.interrupted);
    assert_eq!(history.notes, ["interrupted in epoch 1 of 6: the model has its weights from before"]);
    assert_eq!(interrupted.get_weights().unwrap(), model().get_weights().unwrap());
    // It can be shown.
    assert!(history.to_string().contains("interrupted"));
    assert_eq!(history.to_csv().lines().count(), 1);
}

/// The search for dead units, which ends a training, has found none when it is interrupted.
fn a_complete_training_stays_complete(x: &Array3<f64>, y: &Array3<f64>) {
    let mut trained = with_dead_unit();
    let options = FitOptions { batch_size: BATCH, epochs: 1, ..FitOptions::default() };
    let history = fit(&mut trained, &Interrupting::new(x, 9), y, &options);
    assert!(history.len() == 1 && !history.interrupted);
    assert_eq!(history.notes, ["the search for dead units was interrupted"]);
}

fn with_dead_unit() -> Model {
    let mut model = model();
    let mut weights = model.get_weights().unwrap();
    weights[1].fill(-100.0);
    model.set_weights(&weights).unwrap();
    model
}

fn others_fail(folder: &Path) {
    let long = Array3::<f64>::ones((8000, 1000, 1));
    let model = model();
    let is_interrupted = |result: Result<()>, message: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Interrupted { .. }) && error.to_string().contains(message), "{error}");
    };
    let no_result = "was interrupted: there is no result, and no file has changed";
    is_interrupted(model.evaluate(&Interrupting::new(&long, 2), &long).map(drop), no_result);
    is_interrupted(model.predict(&Interrupting::new(&long, 2)).map(drop), no_result);
    is_interrupted(with_dead_unit().dead_units(&Interrupting::new(&long, 2)).map(drop), no_result);
    let path = folder.join("prediction.h5");
    save(&path, "Y_pred", &long, "mV", false).unwrap();
    is_interrupted(model.predict_to(&Interrupting::new(&long, 2), &path, "Y_pred", "mV", true), no_result);
    assert_eq!(H5Matrix::open(&path, "Y_pred").unwrap().read(..).unwrap(), long);

    // Those that read nothing that can interrupt them: the interrupt comes at some moment.
    let soon = |work: &(dyn Fn() -> Result<()> + Sync), message: &str| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                sleep(Duration::from_millis(300));
                interrupt();
            });
            is_interrupted(work(), message);
        });
        sleep(Duration::from_millis(300));
    };
    let data = folder.join("data.h5");
    let options = GenerateOptions { samples: 1_000_000, ..GenerateOptions::default() };
    soon(&|| generate(&data, &options).map(drop), "data.h5' was not written");
    let sweeps = vec![vec![-65.0; 10_000_000]; 4];
    soon(&|| cut(&sweeps, &sweeps, 0.05, &ImportOptions::default()).map(drop), "no file was written");
    let left: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[test]
fn long_work_ends_and_the_process_lives() {
    // Programs that a script starts in the background ignore it, these tests included.
    // SAFETY: no handler is given.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    let folder = tempfile::tempdir().unwrap();
    let x = Array3::from_shape_fn((80, 100, 1), |(i, t, _)| ((i * 100 + t) as f64 * 0.1).sin());
    let y = x.mapv(|x| 2.0 * x + 1.0);
    fit_keeps_whole_epochs(&x, &y, folder.path());
    an_interrupted_first_epoch_leaves_the_model(&x, &y);
    a_complete_training_stays_complete(&x, &y);
    others_fail(folder.path());
}
