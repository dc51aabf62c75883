//! All that is recorded of a run, as its results hold it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Source;
use crate::album::{Album, take_down};
use crate::journal::{Entry, Journal, JournalError};
use crate::origins::{self, Suites};
use crate::results::{CaseInfo, CaseResult, LeftOut, SuiteInfo, Verdict};

/// The most cases of a run that are listed in its results one by one, where nobody says otherwise. Of more than these
/// the notable ones are listed, and the others counted.
pub const LISTED: usize = 20_000;

/// How many cases with the same verdict on the same backend are notable.
pub const NOTABLE: usize = 1000;

/// Which cases the results of a run list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// All up to [`LISTED`] of them, and of more the notable ones.
    #[default]
    ByNumber,
    /// All.
    All,
    /// Those of which some result is not as expected: of each backend and verdict the first [`NOTABLE`] ones.
    Notable,
}

impl Keep {
    /// Whether of so many cases only the notable ones are listed.
    pub fn is_choice(self, cases: usize) -> bool {
        match self {
            Keep::ByNumber => cases > LISTED,
            Keep::All => false,
            Keep::Notable => true,
        }
    }
}

/// Takes out of an entry that will only be counted what counting does not need.
pub(super) fn shorten(entry: &mut Entry, by_chance: bool) {
    if entry.results.iter().all(|result| result.verdict.is_expected_of(by_chance)) {
        entry.case.fields.clear();
        entry.case.shape.clear();
        entry.case.words.clear();
        for result in &mut entry.results {
            result.steps.clear();
            result.reason = None;
        }
    }
}

/// All that is recorded.
#[derive(Default)]
pub(super) struct Gathered {
    /// How many cases.
    pub done: usize,
    pub suites: Vec<SuiteInfo>,
    pub cases: Vec<CaseInfo>,
    pub results: Vec<CaseResult>,
    pub left_out: LeftOut,
    /// Which declared deviations some case needed: the backend's column, the deviation's number.
    pub needed: HashSet<(usize, usize)>,
    /// The columns of backends that expressed some case.
    pub present: HashSet<usize>,
}

/// Takes the entries in the order of the cases, those that are not `kept` from the journal, one at a time. Of pictures those
/// stay that the album keeps, of cases all, or those that are `notable`.
pub(super) fn gather(
    cases: &(impl Source + ?Sized),
    mut kept: BTreeMap<usize, Entry>,
    journal: &mut dyn Journal,
    notable: bool,
    by_chance: bool,
) -> Result<Gathered, JournalError> {
    let mut gathered = Gathered::default();
    let mut suites = Suites::default();
    let mut album = Album::default();
    let mut chosen = Notable { by_chance, seen: HashMap::new() };
    for index in 0..cases.len() {
        let mut entry = match kept.remove(&index) {
            Some(entry) => entry,
            None => match journal.get(index)? {
                Some(line) => Entry::from_line(&line)?,
                None => continue,
            },
        };
        gathered.done += 1;
        for (column, (result, needed)) in entry.results.iter().zip(&entry.needed).enumerate() {
            gathered.needed.extend(needed.iter().map(|number| (column, *number)));
            if result.verdict != Verdict::Unsupported {
                gathered.present.insert(column);
            }
        }
        if notable && !chosen.takes(&entry.results) {
            gathered.left_out.add(&entry.case, &entry.results);
            continue;
        }
        let case = cases.case(index);
        for (column, result) in entry.results.iter_mut().enumerate() {
            // In this order the first are the ones that stay.
            if album.add((case.place.clone(), column), result.verdict, index) == Some(index) {
                take_down(&mut result.steps);
            }
        }
        if notable {
            // It may have been shortened before the last answer of a backend turned out to be wrong.
            let CaseInfo { kappa, unrecorded, .. } = entry.case;
            entry.case = CaseInfo { unrecorded, ..origins::case(&case, kappa) };
        }
        suites.add(&case);
        gathered.cases.push(entry.case);
        gathered.results.append(&mut entry.results);
    }
    gathered.suites = suites.into_list();
    Ok(gathered)
}

/// Chooses the notable cases, in their order.
struct Notable {
    by_chance: bool,
    /// How many results of each column and verdict there were.
    seen: HashMap<(usize, Verdict), usize>,
}

impl Notable {
    fn takes(&mut self, results: &[CaseResult]) -> bool {
        let mut takes = false;
        let is_unexpected = |result: &CaseResult| !result.verdict.is_expected_of(self.by_chance);
        for (column, result) in results.iter().enumerate().filter(|(_, result)| is_unexpected(result)) {
            let seen = self.seen.entry((column, result.verdict)).or_default();
            takes |= *seen < NOTABLE;
            *seen += 1;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(verdicts: [Verdict; 2]) -> Vec<CaseResult> {
        let result = |verdict| CaseResult {
            case: "s/a".to_owned(),
            backend: "b".to_owned(),
            verdict,
            reason: None,
            budget_used: None,
            steps: Vec::new(),
            diagnosis: Vec::new(),
            micros: 0,
        };
        verdicts.map(result).into()
    }

    #[test]
    fn of_each_backend_and_verdict_the_first_are_notable() {
        let mut notable = Notable { by_chance: false, seen: HashMap::new() };
        assert!(!notable.takes(&results([Verdict::Pass, Verdict::Known])));
        assert!(!notable.takes(&results([Verdict::Unsupported, Verdict::Pass])));
        let taken = (0..2 * NOTABLE).filter(|_| notable.takes(&results([Verdict::Fail, Verdict::Pass])));
        assert_eq!(taken.count(), NOTABLE);
        assert!(notable.takes(&results([Verdict::Fail, Verdict::Fail])), "the other backend has none yet");
        assert!(notable.takes(&results([Verdict::Crash, Verdict::Pass])), "nor is there any such verdict");
        let vacuous = results([Verdict::Vacuous, Verdict::Pass]);
        assert!(notable.takes(&vacuous));
        assert!(!Notable { by_chance: true, seen: HashMap::new() }.takes(&vacuous));
    }

    #[test]
    fn by_number_all_are_listed_up_to_a_limit() {
        assert!(!Keep::ByNumber.is_choice(LISTED) && Keep::ByNumber.is_choice(LISTED + 1));
        assert!(!Keep::All.is_choice(LISTED + 1) && Keep::Notable.is_choice(1));
    }
}
