//! Which cases were done before, in a bit each.

use crate::journal::Journal;

/// The cases that a journal had when the run began, or went on.
pub(super) struct Done {
    bits: Vec<u64>,
    count: usize,
}

impl Done {
    /// Of so many cases those that the journal has.
    pub fn of(journal: &dyn Journal, cases: usize) -> Self {
        let mut done = Done { bits: vec![0; cases.div_ceil(64)], count: 0 };
        for index in (0..cases).filter(|index| journal.has(*index)) {
            done.bits[index / 64] |= 1 << (index % 64);
            done.count += 1;
        }
        done
    }

    /// Whether a case is among them.
    pub fn has(&self, index: usize) -> bool {
        self.bits[index / 64] & (1 << (index % 64)) != 0
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::InMemory;

    #[test]
    fn what_a_journal_has_is_done() {
        let mut journal = InMemory::default();
        for index in [0, 63, 64, 129, 400] {
            journal.put(index, Vec::new()).expect("kept");
        }
        let done = Done::of(&journal, 130);
        let indices: Vec<usize> = (0..130).filter(|index| done.has(*index)).collect();
        assert_eq!(indices, [0, 63, 64, 129]);
        assert_eq!(done.count(), 4);
    }
}
