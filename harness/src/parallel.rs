//! Work in parallel, received in the order in which it is done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// How many pieces of each thread wait to be received at most: where they come faster than they are received, for long, the
/// threads wait and memory does not grow.
const WAITING: usize = 64;

/// How long pieces gather before they are received: to wake the thread that receives them for each one would cost as much
/// as a good part of a small piece does.
const GATHER: Duration = Duration::from_millis(1);

/// Does pieces 0 to `count` of some work on up to `jobs` threads. `open` makes what a thread needs, `work` does a piece
/// with it, and `receive` is called on this thread with each piece's number and what came of it.
///
/// # Errors
/// When a thread does not get what it needs.
///
/// # Panics
/// When a piece does.
pub fn each<L, T: Send, E: Send>(
    jobs: usize,
    count: usize,
    open: &(dyn Fn() -> Result<L, E> + Sync),
    work: &(dyn Fn(&mut L, usize) -> T + Sync),
    receive: &mut dyn FnMut(usize, T),
) -> Result<(), E> {
    each_and_close(jobs, count, open, work, &|_| Vec::new(), receive)
}

/// The same, where no further piece is begun once `until` says so.
///
/// # Errors
/// The same.
///
/// # Panics
/// The same.
pub fn each_until<L, T: Send, E: Send>(
    jobs: usize,
    count: usize,
    until: &(dyn Fn() -> bool + Sync),
    open: &(dyn Fn() -> Result<L, E> + Sync),
    work: &(dyn Fn(&mut L, usize) -> T + Sync),
    receive: &mut dyn FnMut(usize, T),
) -> Result<(), E> {
    pieces(jobs, count, until, open, work, &|_| Vec::new(), receive)
}

/// The same, where a thread that has nothing more to do has a last word: `close` takes what it needed, and gives pieces
/// with their numbers as well.
///
/// # Errors
/// The same.
///
/// # Panics
/// The same.
pub fn each_and_close<L, T: Send, E: Send>(
    jobs: usize,
    count: usize,
    open: &(dyn Fn() -> Result<L, E> + Sync),
    work: &(dyn Fn(&mut L, usize) -> T + Sync),
    close: &(dyn Fn(L) -> Vec<(usize, T)> + Sync),
    receive: &mut dyn FnMut(usize, T),
) -> Result<(), E> {
    pieces(jobs, count, &|| false, open, work, close, receive)
}

fn pieces<L, T: Send, E: Send>(
    jobs: usize,
    count: usize,
    until: &(dyn Fn() -> bool + Sync),
    open: &(dyn Fn() -> Result<L, E> + Sync),
    work: &(dyn Fn(&mut L, usize) -> T + Sync),
    close: &(dyn Fn(L) -> Vec<(usize, T)> + Sync),
    receive: &mut dyn FnMut(usize, T),
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let jobs = jobs.clamp(1, count.max(1));
    let (send, done) = mpsc::sync_channel::<(usize, T)>(jobs * WAITING);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs)
            .map(|_| {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    let mut needed = open()?;
                    while !until() {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count || send.send((index, work(&mut needed, index))).is_err() {
                            break;
                        }
                    }
                    for last in close(needed) {
                        let _ = send.send(last);
                    }
                    Ok(())
                })
            })
            .collect();
        drop(send);
        while let Ok(first) = done.recv() {
            for (index, piece) in std::iter::once(first).chain(done.try_iter()) {
                receive(index, piece);
            }
            std::thread::sleep(GATHER);
        }
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
