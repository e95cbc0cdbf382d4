//! What becomes of an interrupt: `src/interrupt.rs` in child processes. A program of its own, as children have the locks of HDF5
//! files that other tests have open.

#[allow(dead_code, reason = "used by the crate only")]
#[path = "../src/interrupt.rs"]
mod interrupt;

use hhnet::{Error, Result};
use interrupt::Interrupts;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// What a child process does: this test program again, with the name in a variable.
fn act(name: &str) {
    // SAFETY: the signal goes to this process.
    let interrupt = || unsafe { libc::raise(libc::SIGINT) };
    let pause = || std::thread::sleep(std::time::Duration::from_millis(1100));
    let work = || {
        let interrupts = Interrupts::receive();
        assert!(!interrupts.any());
        interrupt();
        assert!(interrupts.any());
        interrupt();
    };
    match name {
        "nothing" => {}
        "one after the other" => {
            drop(Interrupts::receive());
            work();
            pause();
            work();
        }
        "twice" => {
            work();
            interrupt();
            work();
        }
        "nested" => {
            let outer = Interrupts::receive();
            work();
            assert!(outer.any());
        }
        "handled by the program" => {
            static HANDLED: AtomicUsize = AtomicUsize::new(0);
            extern "C" fn count(_: libc::c_int) {
                HANDLED.fetch_add(1, SeqCst);
            }
            // SAFETY: the handler only adds.
            unsafe { libc::signal(libc::SIGINT, count as extern "C" fn(libc::c_int) as libc::sighandler_t) };
            for handled in 1..3 {
                work();
                pause();
                interrupt();
                assert_eq!(HANDLED.load(SeqCst), handled);
            }
            println!("lives");
            std::process::exit(0);
        }
        "ignored" => {
            // SAFETY: no handler is given.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
            let interrupts = Interrupts::receive();
            interrupt();
            assert!(!interrupts.any());
            drop(interrupts);
            interrupt();
            println!("lives");
            std::process::exit(0);
        }
        _ => unreachable!(),
    }
    pause();
    println!("lives");
    interrupt();
    println!("is not reached");
}

#[test]
fn work_receives_interrupts_and_others_end_the_process() {
    if let Ok(name) = std::env::var("HHNET_TEST_INTERRUPT") {
        return act(&name);
    }
    // Programs that a script starts in the background ignore it, these tests included.
    // SAFETY: no handler is given.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    for name in ["nothing", "one after the other", "twice", "nested", "handled by the program", "ignored"] {
        let test = "work_receives_interrupts_and_others_end_the_process";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", test, "--nocapture"]).env("HHNET_TEST_INTERRUPT", name).stderr(Stdio::inherit());
        let output = child.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("lives") && !printed.contains("is not reached"), "{name}: {printed}");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(
            signal,
            (!["handled by the program", "ignored"].contains(&name)).then_some(libc::SIGINT),
            "{name}: {printed}"
        );
    }
}
