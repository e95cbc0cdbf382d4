//! What happens when the crate is loaded into the process in which evcxr runs cells.
//!
//! This is once, with the first cell that uses it, where the crate is a shared library. Otherwise each such cell has its own
//! copy of the crate.

use crate::error::REPORT;
use crate::interrupt;
use std::env;
use std::fs;
use std::panic::{PanicHookInfo, set_hook};
use std::path::Path;

/// Called by the system.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static ON_LOAD: extern "C" fn() = on_load;

extern "C" fn on_load() {
    // evcxr sets this.
    if env::var_os("EVCXR_IS_RUNTIME").is_none() {
        return;
    }
    interrupt::receive_in_cells();
    set_hook(Box::new(report_panic));
    // evcxr sets it to 1: a panic in a cell that does not use the crate would be followed by a page of frames.
    if env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        // SAFETY: when the first cell is loaded, no other thread runs.
        unsafe { env::set_var("RUST_BACKTRACE", "0") };
    }
}

/// Prints the message, and the line of the cell if the panic came from one. A panic of this crate is to be reported.
fn report_panic(info: &PanicHookInfo) {
    let message = info.payload_as_str().unwrap_or("the cell panicked");
    let line = info.location().and_then(|location| {
        let file = Path::new(location.file());
        let source = Path::new(&env::var_os("EVCXR_TMPDIR")?).join("src/lib.rs");
        let text = source.ends_with(file).then(|| fs::read_to_string(source))?.ok()?;
        Some(text.lines().nth(location.line() as usize - 1)?.trim().to_owned())
    });
    let sources = file!().strip_suffix("notebook/load.rs").unwrap_or(file!());
    let own = info.location().filter(|location| location.file().starts_with(sources));
    match (line, own) {
        (Some(line), _) => eprintln!("panicked: {message}\n      at: {line}"),
        (None, Some(_)) => eprintln!("hhnet panicked, which is a bug in hhnet: {message}; {REPORT}"),
        (None, None) => eprintln!("panicked: {message}"),
    }
}
