//! Work on many things side by side, with the results in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Does `work` for 0, 1, …, `count` - 1 on `jobs` threads, each with what `open` makes for it. `done` is told of each
/// result as it comes, with how many there are by then.
///
/// # Errors
/// When `open` fails.
pub fn each<L, T: Send, E: Send>(
    count: usize,
    jobs: usize,
    open: &(dyn Fn() -> Result<L, E> + Sync),
    work: &(dyn Fn(&mut L, usize) -> T + Sync),
    done: &mut dyn FnMut(usize, &T),
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel::<(usize, T)>();
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let opened: Result<Vec<()>, E> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.clamp(1, count.max(1)))
            .map(|_| {
                let (send, next) = (send.clone(), &next);
                scope.spawn(move || {
                    let mut lineup = open()?;
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count || send.send((index, work(&mut lineup, index))).is_err() {
                            return Ok(());
                        }
                    }
                })
            })
            .collect();
        drop(send);
        for (finished, (index, result)) in receive.iter().enumerate() {
            done(finished + 1, &result);
            results[index] = Some(result);
        }
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    opened?;
    Ok(results.into_iter().flatten().collect())
}
