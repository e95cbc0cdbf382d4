//! Interrupts: Ctrl+C, or the stop button of a notebook. Long work ends itself, so that the process and its variables live.
//!
//! Both send SIGINT, which ends a process. While work that can be stopped is under way, an [`Interrupts`] receives the
//! signal instead.
//!
//! Where evcxr links each cell with the crate anew, each has its own copy of these statics. So the action that was there
//! before is put back, which may be that of another copy.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// An interrupt so soon after another one that ended something is taken as the same: people press twice, and some
/// programs send the signal both to a process and to its group.
const SAME_MS: i64 = 1000;

/// Number of interrupts that were received.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);
/// When the last one was received.
static LAST_MS: AtomicI64 = AtomicI64::new(i64::MIN / 2);
/// Number of [`Interrupts`].
static RECEIVERS: AtomicUsize = AtomicUsize::new(0);
/// Locked while the action changes.
static CHANGE: Mutex<()> = Mutex::new(());
/// The action before it.
static BEFORE: Action = Action(UnsafeCell::new(MaybeUninit::uninit()));
/// Whether this process runs evcxr's cells. There, `handle` stays the action.
static RUNS_CELLS: AtomicBool = AtomicBool::new(false);

struct Action(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: it is written under the lock, and only while `handle` is not the action.
unsafe impl Sync for Action {}

/// Receives the interrupts that come while it lives. If SIGINT is ignored, as in a background job, it receives none.
#[derive(Debug)]
pub(crate) struct Interrupts {
    before: usize,
}

impl Interrupts {
    pub fn receive() -> Self {
        let _change = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
        RECEIVERS.fetch_add(1, SeqCst);
        install();
        Interrupts { before: RECEIVED.load(SeqCst) }
    }

    /// Whether there was an interrupt.
    pub fn any(&self) -> bool {
        RECEIVED.load(SeqCst) != self.before
    }

    /// Fails if there was an interrupt. `what` it has ended, and what this means for files.
    pub fn check(&self, what: &'static str, kept: impl FnOnce() -> String) -> Result<()> {
        if self.any() { Err(Error::Interrupted { what, kept: kept() }) } else { Ok(()) }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let _change = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = RECEIVERS.fetch_sub(1, SeqCst) == 1;
        // After an interrupt `handle` stays, for the second one of two.
        let stays = RUNS_CELLS.load(SeqCst) || now_ms() - LAST_MS.load(SeqCst) < SAME_MS;
        if is_last && !stays && action().is_some_and(|action| is_handle(&action)) {
            set(BEFORE.0.get().cast());
        }
    }
}

/// Makes `handle` the action, unless interrupts are ignored, which stays so.
fn install() {
    let Some(found) = action() else { return };
    if found.sa_sigaction == libc::SIG_IGN || is_handle(&found) {
        return;
    }
    // SAFETY: `BEFORE` is in use only while `handle` is the action. The handler is a function of the right form, and it calls only
    // what a signal's handler may call.
    unsafe {
        (*BEFORE.0.get()).write(found);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // Without it, reads of files and sockets would fail.
        action.sa_flags = libc::SA_RESTART;
        set(&action);
    }
}

fn is_handle(action: &libc::sigaction) -> bool {
    action.sa_sigaction == handle as extern "C" fn(libc::c_int) as libc::sighandler_t
}

/// What an interrupt does now.
fn action() -> Option<libc::sigaction> {
    let mut found = MaybeUninit::uninit();
    // SAFETY: the call fills the memory that it is given, unless it fails.
    unsafe {
        let failed = libc::sigaction(libc::SIGINT, ptr::null(), found.as_mut_ptr()) != 0;
        (!failed).then(|| found.assume_init())
    }
}

fn set(action: *const libc::sigaction) {
    // SAFETY: the caller's action is complete.
    unsafe { libc::sigaction(libc::SIGINT, action, ptr::null_mut()) };
}

extern "C" fn handle(_: libc::c_int) {
    let now = now_ms();
    if RECEIVERS.load(SeqCst) > 0 {
        RECEIVED.fetch_add(1, SeqCst);
        LAST_MS.store(now, SeqCst);
    } else if now - LAST_MS.load(SeqCst) >= SAME_MS {
        let runs_cells = RUNS_CELLS.load(SeqCst);
        if runs_cells {
            const LOST: &str = "Interrupted while no long function of hhnet was running: the cell was ended, and all \
                                variables are gone. Run the cells from the first one on again.\n";
            // SAFETY: the text is there. Failures do not matter.
            unsafe { libc::write(2, LOST.as_ptr().cast(), LOST.len()) };
        }
        // SAFETY: `BEFORE` was written before this handler was installed, and zeros are the system's own action, which is to end
        // the process. The signal that is raised arrives when this handler returns.
        unsafe {
            // Other cells' copies of this handler would say the same again.
            let default: libc::sigaction = std::mem::zeroed();
            set(if runs_cells { &default } else { BEFORE.0.get().cast() });
            libc::raise(libc::SIGINT);
        }
    }
}

/// Time since some moment.
#[allow(clippy::useless_conversion, reason = "where times have 32 bits they are converted")]
fn now_ms() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the memory that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    i64::from(time.tv_sec) * 1000 + i64::from(time.tv_nsec) / 1_000_000
}

/// In the process in which evcxr runs cells: also receives what comes while nothing can be stopped, to say what is lost.
pub(crate) fn receive_in_cells() {
    RUNS_CELLS.store(true, SeqCst);
    let _change = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    install();
}
