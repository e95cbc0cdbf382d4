//! Work on several threads with results in order.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError, mpsc};

use crate::Result;
use crate::model::Device;

/// Does a list of tasks on the workers and returns the results in the order of the tasks.
pub type Run<'a, T, R> = dyn FnMut(Vec<T>) -> Vec<R> + 'a;

/// Starts `threads` workers, which live as long as `body` runs, and hands `body` a function that gives them tasks.
///
/// The workers of a CPU are single-threaded for libtorch; see [`training`](super). Other devices keep its setting.
pub fn with_workers<T: Send, R: Send, O>(
    threads: usize,
    device: Device,
    work: &(dyn Fn(T) -> R + Sync),
    body: &mut dyn FnMut(&mut Run<'_, T, R>) -> Result<O>,
) -> Result<O> {
    let _restore = (device == Device::Cpu).then(|| RestoreThreads(tch::get_num_threads()));
    let (task_sender, task_receiver) = mpsc::channel::<(usize, T)>();
    let (result_sender, result_receiver) = mpsc::channel();
    let task_receiver = Mutex::new(task_receiver);
    std::thread::scope(|scope| {
        // Moved into the scope: when `body` is done, this end closes and the workers stop.
        let task_sender = task_sender;
        for _ in 0..threads {
            let (task_receiver, result_sender) = (&task_receiver, result_sender.clone());
            scope.spawn(move || {
                if device == Device::Cpu {
                    tch::set_num_threads(1);
                }
                loop {
                    let task = task_receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((index, task)) = task else { break };
                    let result = catch_unwind(AssertUnwindSafe(|| work(task)));
                    if result_sender.send((index, result)).is_err() {
                        break;
                    }
                }
            });
        }
        body(&mut |tasks| {
            let mut results: Vec<Option<R>> = tasks.iter().map(|_| None).collect();
            for task in tasks.into_iter().enumerate() {
                // Fails only when all workers are gone, which `recv` below then tells.
                let _ = task_sender.send(task);
            }
            for _ in 0..results.len() {
                match result_receiver.recv() {
                    Ok((index, Ok(result))) => results[index] = Some(result),
                    Ok((_, Err(panic))) => resume_unwind(panic),
                    Err(_) => break,
                }
            }
            results.into_iter().flatten().collect()
        })
    })
}

/// Puts libtorch's number of threads back.
struct RestoreThreads(i32);

impl Drop for RestoreThreads {
    fn drop(&mut self) {
        tch::set_num_threads(self.0);
    }
}
