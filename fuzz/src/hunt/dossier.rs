//! What was found so far, by what it shows as.

use std::collections::BTreeMap;

use bn_harness::finds::Sign;
use bn_harness::results::Verdict;
use serde::{Deserialize, Serialize};

use super::desk::{Failure, Outcome, Whose};

/// How many cases of each sign are kept.
pub const KEPT: usize = 4;

/// Whose failure it is, of which property, and what it shows as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Whose it is.
    pub whose: Whose,
    /// The property that does not hold.
    pub property: String,
    /// What it shows as.
    pub sign: Sign,
}

/// A case in which it showed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// Its number.
    pub number: usize,
    /// What was wrong, in words.
    pub what: String,
}

/// What was found, by sign.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Dossier {
    /// How often, and the cases with the lowest numbers.
    #[serde(with = "as_list")]
    pub signs: BTreeMap<Key, (usize, Vec<Seen>)>,
    /// How many cases of each backend had each verdict.
    verdicts: Vec<BTreeMap<Verdict, usize>>,
    /// How many times a metamorphic property held of each backend.
    held: Vec<usize>,
}

impl Dossier {
    /// Takes in what came of case number `number`.
    pub fn take(&mut self, number: usize, outcome: Outcome) {
        for (backend, verdict) in outcome.verdicts {
            if self.verdicts.len() <= backend {
                self.verdicts.resize_with(backend + 1, BTreeMap::new);
            }
            *self.verdicts[backend].entry(verdict).or_default() += 1;
        }
        for backend in outcome.held {
            if self.held.len() <= backend {
                self.held.resize(backend + 1, 0);
            }
            self.held[backend] += 1;
        }
        for Failure { whose, property, sign, what } in outcome.failures {
            let key = Key { whose, property: property.to_owned(), sign };
            let (times, seen) = self.signs.entry(key).or_default();
            *times += 1;
            let place = seen.partition_point(|known| known.number < number);
            if place < KEPT {
                seen.insert(place, Seen { number, what });
                seen.truncate(KEPT);
            }
        }
    }

    /// How many cases of a backend had a verdict.
    pub fn count(&self, backend: usize, verdict: Verdict) -> usize {
        self.verdicts.get(backend).and_then(|of_backend| of_backend.get(&verdict)).copied().unwrap_or(0)
    }

    /// How many times a metamorphic property held of a backend.
    pub fn held(&self, backend: usize) -> usize {
        self.held.get(backend).copied().unwrap_or(0)
    }

    /// How many failures there were in all.
    pub fn failures(&self) -> usize {
        self.signs.values().map(|(times, _)| times).sum()
    }
}

/// JSON has no maps whose keys are no text.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Key, Seen};

    type Signs = BTreeMap<Key, (usize, Vec<Seen>)>;

    pub fn serialize<S: Serializer>(signs: &Signs, serializer: S) -> Result<S::Ok, S::Error> {
        signs.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signs, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(what: &str) -> Outcome {
        let sign =
            Sign { verdict: Verdict::Fail, action: "forward".to_owned(), what: "output is off".to_owned() };
        let failure =
            Failure { whose: Whose::Backend(0), property: "differential", sign, what: what.to_owned() };
        Outcome { verdicts: vec![(0, Verdict::Fail)], held: Vec::new(), failures: vec![failure] }
    }

    #[test]
    fn of_each_sign_the_first_cases_are_kept_in_whatever_order_they_come() {
        let numbers = [9, 3, 7, 1, 8, 2];
        let (mut dossier, mut other) = (Dossier::default(), Dossier::default());
        for number in numbers {
            dossier.take(number, failure("off"));
        }
        for number in numbers.into_iter().rev() {
            other.take(number, failure("off"));
        }
        assert_eq!(dossier, other);
        let (times, seen) = dossier.signs.values().next().expect("one sign");
        assert_eq!((*times, dossier.count(0, Verdict::Fail)), (6, 6));
        assert_eq!(seen.iter().map(|seen| seen.number).collect::<Vec<_>>(), [1, 2, 3, 7]);
    }

    #[test]
    fn it_is_written_and_read_again_as_the_same() {
        let mut dossier = Dossier::default();
        dossier.take(5, failure("off by 1"));
        let text = serde_json::to_string(&dossier).expect("it is written");
        assert_eq!(serde_json::from_str::<Dossier>(&text).expect("it is read"), dossier);
    }
}
