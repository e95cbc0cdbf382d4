//! NumPy's arrays: `.npz` files, and `.npy` files with the currents as well as the potentials.
#![no_main]

use hhnet_fuzz::{file, folder, readers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|contents: &[u8]| {
    let path = file("arrays", contents);
    let path = path.to_str().unwrap();
    match contents.starts_with(b"PK") {
        true => readers::import(&folder(), &[path]),
        false => readers::import(&folder(), &["--x", path, "--y", path]),
    }
});
