//! Computes portions of the data, one after the other, on several threads. These threads also read the portions, ahead of
//! the computation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rayon::ThreadPoolBuilder;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::samples::{Part, Portion, Reading};
use crate::model::Device;
use crate::{Error, Result};

/// Portions that are read or wait for their computation.
const AHEAD: usize = 2;

/// Does a task with each part of the next portion, and returns the results in the order of the parts.
pub type Compute<'a, T, R> = dyn FnMut(T) -> Result<Vec<R>> + 'a;

/// Calls `body` with a function that computes the next of the `portions` on `threads` threads. These belong to a local
/// pool, which exists while `body` runs. It is not rayon's global pool, because notebook cells share no statics.
///
/// On a CPU, libtorch uses only one thread in each of them; see [`training`](super). On other devices its number of
/// threads is not changed, and the caller's thread computes.
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
    let use_single_thread = move || {
        if is_cpu {
            // A thread takes over the number of the process when it first asks for it. After that, it has its own.
            tch::get_num_threads();
            tch::set_num_threads(1);
        }
    };
    use_single_thread();
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|reason| Error::parameter("threads", threads, format!("give fewer: {reason}")))?;
    // This waits for all threads. One that starts later would change the number after it has been restored.
    pool.broadcast(|_| use_single_thread());
    let pool = &pool;
    thread::scope(|threads| {
        // In the pool, threads that wait for each other could not compute.
        let (reader, to_read) = channel::<Read>();
        threads.spawn(move || to_read.into_iter().for_each(|read| read()));
        pool.in_place_scope(move |pool_threads| {
            let start = |reading: Reading, read: Read<'a>| match reading {
                Reading::Memory => read(),
                Reading::Concurrent => pool_threads.spawn(move |_| read()),
                Reading::OneByOne => drop(reader.send(read)),
            };
            let mut ahead: VecDeque<_> = portions.by_ref().take(AHEAD).map(|portion| read(portion, &start)).collect();
            body(&mut |task| {
                let mut parts: Vec<_> = ahead.pop_front().expect("a portion for each task").iter().collect();
                parts.sort_by_key(|(part, _)| *part);
                let parts = parts.into_iter().map(|(_, part)| part).collect::<Result<Vec<_>>>()?;
                let results: Vec<_> = match is_cpu {
                    // A thread takes one part at a time, so that all threads finish at about the same time.
                    true => pool.install(|| parts.par_iter().with_max_len(1).map(|part| work(&task, part)).collect()),
                    false => parts.iter().map(|part| work(&task, part)).collect(),
                };
                ahead.extend(portions.next().map(|portion| read(portion, &start)));
                // The first error in the order of the parts.
                results.into_iter().collect()
            })
        })
    })
}

/// The reading of a part.
type Read<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Reads the parts of a portion, each where `start` has it done. Returns where they arrive, with their numbers.
fn read<'a>(portion: Portion<'a>, start: &dyn Fn(Reading, Read<'a>)) -> Receiver<(usize, Result<Part<'a>>)> {
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

/// Restores libtorch's number of threads.
struct RestoreThreads(i32);

impl Drop for RestoreThreads {
    fn drop(&mut self) {
        tch::set_num_threads(self.0);
    }
}
