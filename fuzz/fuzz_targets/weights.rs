//! Models.
#![no_main]

use hhnet_fuzz::{folder, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| readers::weights(contents, &folder()));
