//! Which two mistakes may be at work at once, where none explains an answer alone.

use bn_api::{BackendInfo, Response, StepAnswer};

use super::fit::Wrong;

/// How many pairs are tried on one answer.
const TRIED: usize = 200;

/// A mistake beside a wrong answer.
struct Beside {
    number: usize,
    /// Item by item, whether its answer is the same.
    fits: Vec<bool>,
    /// Item by item, whether it does not show.
    silent: Vec<bool>,
}

/// Pairs worth trying, those that explain the most of an answer first. Up to the first step that fails two mistakes
/// show wherever the answer is wrong and nowhere else, and where one of them shows alone, it is as it should be.
pub fn plausible(wrong: &Wrong<'_>, singles: &[Option<Response>], info: &BackendInfo) -> Vec<[usize; 2]> {
    let outline: Vec<(usize, bool)> = wrong.outline().collect();
    let Some(first) = outline.iter().find(|(_, failed)| *failed).map(|(step, _)| *step) else {
        return Vec::new();
    };
    let beside = |(number, response): (usize, &Option<Response>)| {
        let answers = answers(response.as_ref())?;
        let fits = wrong.compare(answers)?;
        let beside = Beside { number, fits, silent: wrong.silent(answers, info) };
        (!beside.silent.iter().all(|silent| *silent) && !beside.contradicted(&outline, first))
            .then_some(beside)
    };
    let candidates: Vec<Beside> = singles.iter().enumerate().filter_map(beside).collect();
    let mut pairs: Vec<(usize, [usize; 2])> = Vec::new();
    for (position, one) in candidates.iter().enumerate() {
        for other in &candidates[position + 1..] {
            if let Some(explained) = together(&outline, first, one, other) {
                pairs.push((explained, [one.number, other.number]));
            }
        }
    }
    pairs.sort_by(|(one, a), (other, b)| other.cmp(one).then(a.cmp(b)));
    pairs.into_iter().take(TRIED).map(|(_, pair)| pair).collect()
}

/// The steps of an answer, where there is one.
pub fn answers(response: Option<&Response>) -> Option<&[StepAnswer]> {
    match response {
        Some(Response::Answered(answers)) => Some(answers),
        _ => None,
    }
}

impl Beside {
    /// Whether it shows where the answer is right, before a wrong step could hide it.
    fn contradicted(&self, outline: &[(usize, bool)], first: usize) -> bool {
        let items = outline.iter().zip(&self.fits).zip(&self.silent);
        items
            .into_iter()
            .any(|((&(step, failed), &fits), &silent)| step <= first && !failed && !fits && !silent)
    }
}

/// How many items two mistakes explain between them; nothing where they cannot be at work together.
fn together(outline: &[(usize, bool)], first: usize, one: &Beside, other: &Beside) -> Option<usize> {
    let mut explained = 0;
    for (item, &(step, failed)) in outline.iter().enumerate() {
        let [a, b] = [one, other].map(|it| (it.fits[item], it.silent[item]));
        let fits = match (a, b) {
            ((fits, false), (_, true)) | ((_, true), (fits, false)) => fits,
            ((_, true), (_, true)) => !failed,
            // Both show: what comes of that, neither says alone.
            ((fits, false), (also, false)) => {
                explained += usize::from(fits || also);
                continue;
            }
        };
        if step <= first && !fits {
            return None;
        }
        explained += usize::from(fits);
    }
    Some(explained)
}
