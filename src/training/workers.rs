//! Work on several threads with results in order.

use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::Result;
use crate::model::Device;

/// Does parts 0, 1, ... of a job, as many as it says, and returns the results in order.
pub type Run<'a, J, R> = dyn FnMut(J, usize) -> Vec<R> + 'a;

/// How often a thread looks for news before it goes to sleep: some 20 microseconds, as the next batch is there sooner than
/// a sleeper wakes up.
const LOOKS: usize = 2000;

/// Hands `body` a function that does jobs on `threads` threads, of which the calling one is one. The others live as long as
/// `body` runs.
///
/// On a CPU libtorch has a single thread in each of them; see [`training`](super). Other devices keep its setting.
pub fn with_workers<J: Send + Sync, R: Send, O>(
    threads: usize,
    device: Device,
    work: &(dyn Fn(&J, usize) -> R + Sync),
    body: &mut dyn FnMut(&mut Run<'_, J, R>) -> Result<O>,
) -> Result<O> {
    let single = || (device == Device::Cpu).then(|| tch::set_num_threads(1));
    let _restore = (device == Device::Cpu).then(|| RestoreThreads(tch::get_num_threads()));
    single();
    let board = Board::default();
    thread::scope(|scope| {
        let _end = EndOnDrop(&board);
        for _ in 1..threads {
            scope.spawn(|| {
                single();
                let mut rounds = 0;
                while let Some(round) = board.next(&mut rounds) {
                    round.take_part(work);
                }
            });
        }
        body(&mut |job, parts| {
            let round = Arc::new(Round::new(job, parts));
            board.put_up(Some(round.clone()));
            round.take_part(work);
            round.results()
        })
    })
}

/// A job, whose parts the threads take one after the other.
struct Round<J, R> {
    job: J,
    parts: usize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
    done: AtomicUsize,
    results: Mutex<Vec<(usize, thread::Result<R>)>>,
    all_done: Condvar,
}

impl<J, R> Round<J, R> {
    fn new(job: J, parts: usize) -> Self {
        let results = Mutex::new(Vec::with_capacity(parts));
        Round { job, parts, next: AtomicUsize::new(0), done: AtomicUsize::new(0), results, all_done: Condvar::new() }
    }

    fn take_part(&self, work: &(dyn Fn(&J, usize) -> R + Sync)) {
        let mut results = Vec::new();
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                break;
            }
            results.push((part, catch_unwind(AssertUnwindSafe(|| work(&self.job, part)))));
        }
        let count = results.len();
        let mut all = lock(&self.results);
        all.extend(results);
        if self.done.fetch_add(count, Ordering::Release) + count == self.parts {
            self.all_done.notify_all();
        }
    }

    /// Waits for the other threads. Goes on with the panic of a part, if there was one.
    fn results(&self) -> Vec<R> {
        for _ in 0..LOOKS {
            if self.done.load(Ordering::Acquire) == self.parts {
                break;
            }
            spin_loop();
        }
        let mut results = lock(&self.results);
        while results.len() < self.parts {
            results = self.all_done.wait(results).unwrap_or_else(PoisonError::into_inner);
        }
        let mut results = std::mem::take(&mut *results);
        results.sort_unstable_by_key(|(part, _)| *part);
        results.into_iter().map(|(_, result)| result.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    }
}

/// Where the present job is put up.
struct Board<J, R> {
    /// `None` before the first job, and after the last.
    round: Mutex<Option<Arc<Round<J, R>>>>,
    /// How many jobs there were, the end included.
    rounds: AtomicUsize,
    news: Condvar,
}

impl<J, R> Default for Board<J, R> {
    fn default() -> Self {
        Board { round: Mutex::new(None), rounds: AtomicUsize::new(0), news: Condvar::new() }
    }
}

impl<J, R> Board<J, R> {
    fn put_up(&self, round: Option<Arc<Round<J, R>>>) {
        let mut present = lock(&self.round);
        *present = round;
        self.rounds.fetch_add(1, Ordering::Release);
        self.news.notify_all();
    }

    /// Waits for a job later than number `seen`; `None` at the end.
    fn next(&self, seen: &mut usize) -> Option<Arc<Round<J, R>>> {
        for _ in 0..LOOKS {
            if self.rounds.load(Ordering::Acquire) != *seen {
                break;
            }
            spin_loop();
        }
        let mut present = lock(&self.round);
        while self.rounds.load(Ordering::Acquire) == *seen {
            present = self.news.wait(present).unwrap_or_else(PoisonError::into_inner);
        }
        *seen = self.rounds.load(Ordering::Acquire);
        present.clone()
    }
}

/// Tells the workers that there is nothing more to do, also when `body` panics.
struct EndOnDrop<'a, J, R>(&'a Board<J, R>);

impl<J, R> Drop for EndOnDrop<'_, J, R> {
    fn drop(&mut self) {
        self.0.put_up(None);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts libtorch's number of threads back.
struct RestoreThreads(i32);

impl Drop for RestoreThreads {
    fn drop(&mut self) {
        tch::set_num_threads(self.0);
    }
}
