//! Computes portions of the data, one after the other, on several threads. These threads also read the portions, ahead of
//! the computation, where several can read at the same time.

use std::cell::LazyCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::{Scope, ThreadPool, ThreadPoolBuilder};

use super::samples::{Part, Portion, ReadMode};
use crate::model::Device;
use crate::{Error, Result};

/// Portions that are read or wait for their computation.
pub const AHEAD: usize = 2;

/// Does a task with each part of the next portion, and returns the results in the order of the parts.
pub type Compute<'a, T, R> = dyn FnMut(T) -> Result<Vec<R>> + 'a;

/// Calls `body` with a function that computes the next of the `portions` on `threads` threads. These belong to a local
/// pool, which exists while `body` runs. It is not rayon's global pool, because notebook cells share no statics.
///
/// On a CPU, libtorch uses only one thread in each of them; see [`training`](super). On other devices its number of
/// threads is not changed, and the caller's thread computes, as it does if it is the only one. A thread of its own then
/// reads.
///
/// # Errors
/// Those of `body`, and [`Error::Parameter`] if the threads cannot be started.
pub fn with_workers<'a, T: Sync, R: Send, O>(
    threads: usize,
    device: Device,
    mut portions: impl Iterator<Item = Portion<'a>>,
    work: &(dyn Fn(&T, &Part) -> Result<R> + Sync),
    body: &mut dyn FnMut(&mut Compute<'_, T, R>) -> Result<O>,
) -> Result<O> {
    let is_cpu = device == Device::Cpu;
    let _restore = is_cpu.then(|| RestoreThreads(tch::get_num_threads()));
    let pool = if is_cpu { single_threaded_pool(threads)? } else { None };
    thread::scope(|threads| {
        // Threads of the pool that wait for each other could not compute.
        let reader = LazyCell::new(|| {
            let (reader, to_read) = channel::<ReadJob>();
            threads.spawn(move || to_read.into_iter().for_each(|read| read()));
            reader
        });
        let mut run = |pool_threads: Option<&Scope<'a>>| {
            let start = |reading: ReadMode, read: ReadJob<'a>| match (reading, pool_threads) {
                (ReadMode::Memory, _) => read(),
                (ReadMode::Concurrent, Some(pool_threads)) => pool_threads.spawn(move |_| read()),
                _ => drop(reader.send(read)),
            };
            let mut ahead: VecDeque<_> = portions.by_ref().take(AHEAD).map(|portion| read(portion, &start)).collect();
            body(&mut |task| {
                let parts = in_order(ahead.pop_front().expect("a portion for each task"))?;
                let results = compute(pool.as_ref(), &parts, &|part| work(&task, part));
                ahead.extend(portions.next().map(|portion| read(portion, &start)));
                results
            })
        };
        match &pool {
            Some(pool) => pool.in_place_scope(|pool_threads| run(Some(pool_threads))),
            None => run(None),
        }
    })
}

/// Does the work with each part, and returns the results in the order of the parts, or the first error in this order.
fn compute<R: Send>(
    pool: Option<&ThreadPool>,
    parts: &[Part],
    work: &(dyn Fn(&Part) -> Result<R> + Sync),
) -> Result<Vec<R>> {
    let Some(pool) = pool else { return parts.iter().map(work).collect() };
    // A thread takes one part at a time, so that all threads finish at about the same time.
    let results: Vec<_> = pool.install(|| parts.par_iter().with_max_len(1).map(work).collect());
    results.into_iter().collect()
}

/// Threads in which libtorch uses no further ones, likewise in the caller's. `None` if the caller's is enough.
fn single_threaded_pool(threads: usize) -> Result<Option<ThreadPool>> {
    let use_single_thread = || {
        // A thread takes over the number of the process when it first asks for it. After that, it has its own.
        tch::get_num_threads();
        tch::set_num_threads(1);
    };
    use_single_thread();
    if threads == 1 {
        return Ok(None);
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|reason| Error::parameter("threads", threads, format!("give fewer: {reason}")))?;
    // This waits for all threads. One that starts later would change the number after it has been restored.
    pool.broadcast(|_| use_single_thread());
    Ok(Some(pool))
}

/// The reading of a part.
type ReadJob<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Reads the parts of a portion, each where `start` has it done. Returns where they arrive, with their numbers.
fn read<'a>(portion: Portion<'a>, start: &dyn Fn(ReadMode, ReadJob<'a>)) -> Receiver<(usize, Result<Part<'a>>)> {
    let portion = Arc::new(portion);
    let (sender, receiver) = channel();
    for part in 0..portion.parts() {
        let (sender, portion_of_part) = (sender.clone(), Arc::clone(&portion));
        // Nobody receives any more if the work has ended early.
        let read = move || drop(sender.send((part, portion_of_part.part(part))));
        start(portion.reading(), Box::new(read));
    }
    receiver
}

/// Waits for all parts of a portion, and puts them in order.
fn in_order<'a>(arriving: Receiver<(usize, Result<Part<'a>>)>) -> Result<Vec<Part<'a>>> {
    let mut parts: Vec<_> = arriving.into_iter().collect();
    parts.sort_by_key(|(part, _)| *part);
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Restores libtorch's number of threads.
struct RestoreThreads(i32);

impl Drop for RestoreThreads {
    fn drop(&mut self) {
        tch::set_num_threads(self.0);
    }
}
