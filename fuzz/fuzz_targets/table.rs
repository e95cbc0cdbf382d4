//! Tables of text.
#![no_main]

use hhnet_fuzz::{file, folder, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| {
    // Other formats have targets of their own.
    if !contents.starts_with(b"PK") && !contents.starts_with(b"\x89HDF") {
        readers::import(&folder(), &[file("table.csv", contents).to_str().unwrap()]);
    }
});
