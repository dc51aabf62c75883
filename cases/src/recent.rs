//! Sharing what neighbouring cases have in common.

use std::collections::VecDeque;
use std::sync::Arc;

/// How many lists are looked through: comparing takes its time as well.
const KEPT: usize = 4;

/// The lists that were met last.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    lists: VecDeque<Arc<[T]>>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { lists: VecDeque::new() }
    }
}

impl<T: PartialEq> Recent<T> {
    /// A list, in the place of an equal one where there was one lately. Equal is as `==` has it, to which a zero and
    /// a negative zero are the same: a list that may have a negative zero in it is not to be `shared`.
    pub fn share(&mut self, list: Vec<T>, shared: bool) -> Arc<[T]> {
        if list.is_empty() {
            return Arc::default();
        }
        if !shared {
            return list.into();
        }
        if let Some(known) = self.lists.iter().find(|known| known[..] == list[..]) {
            return known.clone();
        }
        let list: Arc<[T]> = list.into();
        self.lists.truncate(KEPT - 1);
        self.lists.push_front(list.clone());
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_stands_for_those_that_are_equal_to_it() {
        let mut recent = Recent::default();
        let first = recent.share(vec![1, 2], true);
        recent.share(vec![1], true);
        assert!(Arc::ptr_eq(&first, &recent.share(vec![1, 2], true)));
        let own = recent.share(vec![1, 2], false);
        assert!(!Arc::ptr_eq(&first, &own) && first == own);
    }

    #[test]
    fn what_was_met_long_ago_is_forgotten() {
        let mut recent = Recent::default();
        let first = recent.share(vec![0], true);
        for number in 1..=KEPT {
            recent.share(vec![number], true);
        }
        assert!(!Arc::ptr_eq(&first, &recent.share(vec![0], true)));
        assert_eq!(recent.lists.len(), KEPT);
    }
}
