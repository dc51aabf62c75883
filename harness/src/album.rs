//! Which tensors of a run are drawn, and which results keep their pictures.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use crate::oracle::Expected;
use crate::pictures::picture;
use crate::results::{StepResult, Verdict};
use bn_api::{StepAnswer, TensorName};

/// The most tensors of a result that are drawn.
const DRAWN_TENSORS: usize = 4;

/// How many failing results of one backend keep their pictures, for each case of a file.
const DRAWN_FAILING: usize = 8;

/// How many whose deviation is declared.
const DRAWN_KNOWN: usize = 2;

/// Which results keep their pictures: the first ones of each key and verdict, whatever the order in which they come in, so
/// that neither the memory nor the report grows with the number of failures. A key is a written case and a backend.
pub struct Album<K> {
    kept: HashMap<(K, Verdict), BTreeSet<usize>>,
}

impl<K> Default for Album<K> {
    fn default() -> Self {
        Album { kept: HashMap::new() }
    }
}

impl<K: Hash + Eq> Album<K> {
    /// Takes in the result of case number `index`, and says whose pictures have to go for it.
    pub fn add(&mut self, key: K, verdict: Verdict, index: usize) -> Option<usize> {
        let kept = self.kept.entry((key, verdict)).or_default();
        kept.insert(index);
        if kept.len() > drawn(verdict) { kept.pop_last() } else { None }
    }
}

/// How many results of a verdict keep their pictures, for each case of a file and each backend.
fn drawn(verdict: Verdict) -> usize {
    if verdict == Verdict::Known { DRAWN_KNOWN } else { DRAWN_FAILING }
}

/// Takes the pictures out.
pub fn take_down(steps: &mut [StepResult]) {
    for tensor in steps.iter_mut().flat_map(|step| &mut step.tensors) {
        tensor.picture = None;
    }
}

/// Draws the tensors that differ in the first step that has any, and later ones that no step before had.
pub fn draw(expected: &Expected<'_>, answers: &[StepAnswer], steps: &mut [StepResult]) {
    let mut drawn: HashSet<TensorName> = HashSet::new();
    for (step, answer) in steps.iter_mut().zip(answers) {
        let exact = &expected.steps[step.step];
        for tensor in &mut step.tensors {
            let name = &tensor.tensor;
            if tensor.worst.is_none() || drawn.len() == DRAWN_TENSORS || drawn.contains(name) {
                continue;
            }
            if let (Some(exact), Some(got), Some(budget)) =
                (exact.tensor(name), answer.tensor(name), expected.budget().of(step.step, name))
            {
                drawn.insert(name.clone());
                tensor.picture = Some(Box::new(picture(exact, got, budget)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bn_cases::load_str;

    use super::*;

    #[test]
    fn the_first_results_keep_their_pictures_whatever_order_they_come_in() {
        let text = "suite: s\ncases:\n  - name: a\n    input: {shape: [4, 3]}\n    matrix: {seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}\n    mode: train\n";
        let suite = load_str("s.yaml", text).expect("a suite");
        for order in [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 4, 0, 8, 3, 7, 1, 6, 2, 5]] {
            let mut album = Album::default();
            let mut kept: Vec<usize> = order.to_vec();
            for index in order {
                let out = album.add((&suite.cases[index].place, 0), Verdict::Fail, index);
                kept.retain(|&kept| Some(kept) != out);
            }
            kept.sort_unstable();
            assert_eq!(kept, [0, 1, 2, 3, 4, 5, 6, 7]);
        }
    }

    #[test]
    fn what_is_declared_takes_no_room_from_what_fails() {
        let suite = load_str("s.yaml", "suite: s\ncases: [{name: a, input: {shape: [4, 3]}, mode: train}]\n");
        let suite = suite.expect("a suite");
        let mut album = Album::default();
        let place = &suite.cases[0].place;
        let out: Vec<_> = (0..3).map(|index| album.add((place, 0), Verdict::Known, index)).collect();
        assert_eq!(out, [None, None, Some(2)]);
        assert_eq!(album.add((place, 0), Verdict::Fail, 3), None);
        assert_eq!(album.add((place, 1), Verdict::Known, 4), None);
    }
}
