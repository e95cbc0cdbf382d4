//! Runs jobs on several threads and returns the results in order.

use rayon::ThreadPoolBuilder;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::model::Device;
use crate::{Error, Result};

/// Does a given number of parts of a job, numbered from 0, and returns their results in this order.
pub type Run<'a, J, R> = dyn FnMut(J, usize) -> Vec<R> + 'a;

/// Calls `body` with a function that does jobs on `threads` threads. These belong to a local pool, which exists while
/// `body` runs. It is not rayon's global pool, because notebook cells share no statics.
///
/// On a CPU, libtorch uses only one thread in each of them; see [`training`](super). On other devices its number of
/// threads is not changed.
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
            // A thread takes over the number of the process when it first asks for it. After that, it has its own.
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
    // This waits for all threads. One that starts later would change the number after it has been restored.
    pool.broadcast(|_| use_single_thread());
    body(&mut |job, parts| {
        // A thread takes one part at a time, so that all threads finish at about the same time.
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
