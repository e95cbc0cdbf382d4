//! The items that a notebook needs: `use hhnet::prelude::*;`.

pub use crate::dataset::{
    GenerateOptions, Generated, H5Matrix, ImportOptions, Imported, MergeOptions, Merged, Shard, TestSamples,
    WriteOptions, Written, cut, describe, generate, merge, read_nwb, trace, write_nwb,
};
pub use crate::error::{Error, Result};
pub use crate::figure::{Figure, Share, Slider, Svg, subplots};
pub use crate::math::{least_squares, linspace, resample};
#[cfg(feature = "model")]
pub use crate::model::{
    Activation, Adam, Conv1D, Dense, Device, Engine, InputLayer, Loss, Model, ModelOptions, Padding, Sequential,
    TimeDistributed, devices, generate_model, l2, trained_model,
};
pub use crate::neuron::{HhPscAlpha, Recording, Response};
pub use crate::notebook::Show;
pub use crate::progress::Progress;
pub use crate::stimulus::{NumpyRandom, OrnsteinUhlenbeck, PhiloxRandom, Stream, step_current};
#[cfg(feature = "model")]
pub use crate::training::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, Evaluation, FitOptions, History, LearningRateScheduler,
    ModelCheckpoint, Monitor, ReduceLrOnPlateau,
};
pub use ndarray::{Array2, Array3};
