//! Jobs on several threads, with results in order.

use rayon::ThreadPoolBuilder;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::model::Device;
use crate::{Error, Result};

/// Does parts 0, 1, ... of a job, as many as it is asked to, and returns the results in this order.
pub type Run<'a, J, R> = dyn FnMut(J, usize) -> Vec<R> + 'a;

/// Calls `body` with a function that does jobs on `threads` threads. They live as long as `body` runs: a pool of this call's
/// own, because notebook cells share no statics.
///
/// On a CPU libtorch uses a single thread in each of them; see [`training`](super). Other devices keep its setting.
///
/// # Errors
/// Those of `body`, and [`Error::Parameter`] if the threads cannot be started.
pub fn with_workers<J: Send + Sync, R: Send, O>(
    threads: usize,
    device: Device,
    work: &(dyn Fn(&J, usize) -> R + Sync),
    body: &mut dyn FnMut(&mut Run<'_, J, R>) -> Result<O>,
) -> Result<O> {
    let is_cpu = device == Device::Cpu;
    let _restore = is_cpu.then(|| RestoreThreads(tch::get_num_threads()));
    let use_single_thread = move || {
        if is_cpu {
            // A thread takes the process' number when it first asks for one, and keeps its own afterwards.
            tch::get_num_threads();
            tch::set_num_threads(1);
        }
    };
    use_single_thread();
    if threads == 1 {
        return body(&mut |job, parts| (0..parts).map(|part| work(&job, part)).collect());
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|reason| Error::parameter("threads", threads, format!("give fewer: {reason}")))?;
    // Waits for all threads: one that starts later would change the setting after it has been restored.
    pool.broadcast(|_| use_single_thread());
    body(&mut |job, parts| {
        // A thread takes one part at a time, so that all of them end together.
        let parts = (0..parts).into_par_iter().with_max_len(1);
        pool.install(|| parts.map(|part| work(&job, part)).collect())
    })
}

/// Restores libtorch's number of threads.
struct RestoreThreads(i32);

impl Drop for RestoreThreads {
    fn drop(&mut self) {
        tch::set_num_threads(self.0);
    }
}
