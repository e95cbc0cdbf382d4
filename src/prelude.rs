//! All that a notebook needs, by one `use hhnet::prelude::*;`.

pub use crate::dataset::{GenerateOptions, Generated, H5Matrix, generate, trace};
pub use crate::error::{Error, Result};
pub use crate::figure::{Figure, Share, Slider, Svg, subplots};
pub use crate::model::{Device, Model, ModelOptions, devices, generate_model, trained_model};
pub use crate::neuron::{HhPscAlpha, Response};
pub use crate::notebook::Show;
pub use crate::progress::Progress;
pub use crate::stimulus::{NumpyRandom, OrnsteinUhlenbeck, Stream};
pub use crate::training::{
    BackupAndRestore, Callback, CsvLogger, EarlyStopping, Evaluation, FitOptions, History, LearningRateScheduler,
    ModelCheckpoint, Monitor, ReduceLrOnPlateau,
};
