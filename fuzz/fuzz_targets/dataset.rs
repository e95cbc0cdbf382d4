//! Data sets in HDF5: their description, and their samples.
#![no_main]

use hhnet_fuzz::{file, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| readers::data(&file("data.h5", contents)));
