//! libtorch's threads.

use std::sync::Once;

/// Says on how many threads libtorch is to compute, where it is not one.
const THREADS: &str = "BNCHECK_THREADS";

/// Makes libtorch compute on one thread, for the whole process, or on as many as `BNCHECK_THREADS` says: that it does
/// not matter is asked too. Cheap after the first time.
///
/// Its sums depend on the number of threads: it sums channels-last and (N, C) inputs per thread and merges
/// the parts. And the cases are small, while bncheck itself runs several at once.
pub fn use_one() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let asked = std::env::var(THREADS).ok().and_then(|threads| threads.parse().ok());
        tch::set_num_threads(asked.filter(|threads| *threads > 0).unwrap_or(1));
        // libtorch takes this once only, and only before its first parallel work.
        if tch::get_num_interop_threads() != 1 {
            tch::set_num_interop_threads(1);
        }
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_thread_is_used_however_often_it_is_asked_for() {
        super::use_one();
        super::use_one();
        assert_eq!((tch::get_num_threads(), tch::get_num_interop_threads()), (1, 1));
    }
}
