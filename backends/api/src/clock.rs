//! How long a backend's own arithmetic takes, without what it takes to hand tensors over.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// What was measured on this thread since it was last taken.
    static SPENT: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Does a part of a layer's work, which counts as its arithmetic: a call of the library that is judged, with tensors that
/// are its own already. Of a step in which nothing is measured so, all of it counts.
pub fn computing<T>(work: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let done = work();
    let spent = SPENT.take().unwrap_or_default() + since.elapsed();
    SPENT.set(Some(spent));
    done
}

/// What was measured since this was last asked.
pub(crate) fn take() -> Option<Duration> {
    SPENT.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_step_add_up_and_are_taken_once() {
        assert_eq!(take(), None);
        let wait = || std::thread::sleep(Duration::from_millis(2));
        assert_eq!(
            computing(|| 1)
                + computing(|| {
                    wait();
                    2
                }),
            3
        );
        computing(wait);
        assert!(take().is_some_and(|spent| spent >= Duration::from_millis(4)));
        assert_eq!(take(), None);
    }
}
