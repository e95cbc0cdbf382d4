//! Models: `.keras`, `.h5` and `.weights.h5`, `.safetensors`. The contents tell the format.
#![no_main]

use hhnet_fuzz::{file, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| readers::weights(&file("weights", contents)));
