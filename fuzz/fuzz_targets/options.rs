//! Texts that the command line takes.
#![no_main]

use hhnet_fuzz::{folder, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| readers::options(contents, &folder()));
