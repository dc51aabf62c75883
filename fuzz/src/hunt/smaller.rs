//! Makes what was found smaller, and says what it is.

use bn_cases::Case;
use bn_cases::format::CaseSpec;
use bn_harness::finds::{DIFFERENTIAL, Find, Flaky, Sign};
use bn_harness::results::Verdict;
use bn_harness::{parallel, runner};

use super::desk::{Desk, Failure, Question, Whose};
use super::dossier::{Dossier, Key, Seen};
use super::{Made, Options};
use crate::property::{self, Property, SUITE};
use crate::{random, render, shrink};

/// How many cases are asked about to make one smaller.
pub const MOST_TRIES: usize = 1500;

/// The same where each is waited for until its time is up, or a process has to be started again.
const MOST_TRIES_OF_BROKEN: usize = 60;

/// A failure that is to be made smaller.
pub struct Subject<'d, 'a> {
    /// Who is asked.
    pub desk: &'d mut Desk<'a>,
    /// Whose failure it is.
    pub whose: Whose,
    /// The property that does not hold.
    pub property: &'d str,
    /// What it shows as.
    pub sign: &'d Sign,
}

impl Subject<'_, '_> {
    /// What is wrong with a case now, where anything is of this property.
    fn failure(&mut self, case: &Case) -> Option<Failure> {
        let metamorphic: Vec<&'static dyn Property> = property::find(self.property)
            .ok()
            .into_iter()
            .filter(|property| property.name() != DIFFERENTIAL)
            .collect();
        let backend = match self.whose {
            Whose::Backend(number) => Some(number),
            // The oracle is asked before anybody else is; nobody has this number.
            Whose::Oracle => Some(usize::MAX),
        };
        let differential = metamorphic.is_empty();
        let outcome = self.desk.ask(case, Question { backend, differential, metamorphic: &metamorphic });
        let of_it = |failure: &Failure| failure.whose == self.whose && failure.property == self.property;
        outcome.failures.into_iter().find(of_it)
    }

    /// The known mistakes `which`, by their numbers, that give the same answer.
    fn diagnosis(&mut self, case: &Case, which: &[usize]) -> Vec<usize> {
        match self.whose {
            Whose::Backend(backend)
                if self.property == DIFFERENTIAL && self.sign.verdict == Verdict::Fail =>
            {
                self.desk.diagnose(case, backend, which)
            }
            _ => Vec::new(),
        }
    }

    fn suspects(&self) -> Vec<usize> {
        (0..self.desk.suspects().mistakes().len()).collect()
    }
}

/// Makes one case of each sign smaller; more than one where the mistakes that they are diagnosed with have nothing in
/// common.
pub fn all<'a, E: Send>(
    options: &Options<'_>,
    open: &(dyn Fn() -> Result<Desk<'a>, E> + Sync),
    dossier: &Dossier,
    names: &[String],
) -> Result<Made, E> {
    let signs: Vec<(&Key, &(usize, Vec<Seen>))> = dossier.signs.iter().collect();
    let work = |desk: &mut Desk<'a>, index: usize| {
        let (key, (times, seen)) = signs[index];
        let name = match key.whose {
            Whose::Oracle => "oracle",
            Whose::Backend(number) => names.get(number).map_or("", String::as_str),
        };
        of_sign(desk, options.seed, Named { key, name, times: *times, seen })
    };
    let mut made: Vec<(usize, Made)> = Vec::new();
    let over = || options.stop.is_now();
    parallel::each_until(options.jobs, signs.len(), &over, open, &work, &mut |index, of_sign| {
        made.push((index, of_sign));
    })?;
    made.sort_by_key(|(index, _)| *index);
    let (mut finds, mut flaky) = (Vec::new(), Vec::new());
    for (_, (of_sign, flaky_of_sign)) in made {
        for find in of_sign {
            join(&mut finds, find);
        }
        flaky.extend(flaky_of_sign);
    }
    Ok((finds, flaky))
}

/// A sign, and the cases in which it showed.
#[derive(Clone, Copy)]
struct Named<'s> {
    key: &'s Key,
    name: &'s str,
    times: usize,
    seen: &'s [Seen],
}

fn of_sign(desk: &mut Desk<'_>, seed: u64, sign: Named<'_>) -> Made {
    let Named { key: Key { whose, property, sign }, name, times, seen } = sign;
    let mut subject = Subject { desk, whose: *whose, property, sign };
    let (mut finds, mut flaky): (Vec<(Find, Vec<usize>)>, Vec<Flaky>) = (Vec::new(), Vec::new());
    for Seen { number, what } in seen {
        let case = random::case(seed, *number);
        let again = subject.failure(&case);
        if again.as_ref().is_none_or(|again| again.sign != *sign) {
            flaky.push(Flaky {
                backend: name.to_owned(),
                property: property.clone(),
                case: case.id.clone(),
                first: what.clone(),
                again: again.map_or_else(|| "all was as it should be".to_owned(), |again| again.what),
            });
            continue;
        }
        let suspects = subject.suspects();
        let diagnosis = subject.diagnosis(&case, &suspects);
        // One bug may be diagnosed with several mistakes, that cannot be told apart there.
        let is_known = finds.iter().any(|(_, known)| {
            known.iter().any(|suspect| diagnosis.contains(suspect))
                || (known.is_empty() && diagnosis.is_empty())
        });
        if is_known {
            continue;
        }
        let spec = case.spec();
        let (shrunk, diagnosis) = subject.smaller(&spec, diagnosis);
        let mut find = subject.find(&shrunk, &diagnosis);
        (find.backend, find.first, find.times) = (name.to_owned(), case.id.clone(), times);
        finds.push((find, diagnosis));
    }
    // What was found is no chance, once it happened again.
    if !finds.is_empty() {
        flaky.clear();
    }
    (finds.into_iter().map(|(find, _)| find).collect(), flaky)
}

impl Subject<'_, '_> {
    /// The smallest case that shows the same, and, where it is diagnosed, is diagnosed with one of the same mistakes: which.
    pub fn smaller(&mut self, spec: &CaseSpec, diagnosis: Vec<usize>) -> (shrink::Shrunk, Vec<usize>) {
        let is_broken = matches!(self.sign.verdict, Verdict::Crash | Verdict::Timeout | Verdict::Error);
        let most = if is_broken { MOST_TRIES_OF_BROKEN } else { MOST_TRIES };
        let mut diagnosis = diagnosis;
        let shrunk = shrink::shrink(spec, most, &mut |_, case| {
            if self.failure(case).is_none_or(|failure| failure.sign != *self.sign) {
                return false;
            }
            if diagnosis.is_empty() {
                return true;
            }
            let still = self.diagnosis(case, &diagnosis);
            if still.is_empty() {
                return false;
            }
            diagnosis = still;
            true
        });
        (shrunk, diagnosis)
    }

    /// What there is to say of the smallest case.
    fn find(&mut self, shrunk: &shrink::Shrunk, diagnosis: &[usize]) -> Find {
        let yaml = render::suite(SUITE, &shrunk.spec);
        let case = render::read_back("find.yaml", &yaml).ok();
        let failure = case.as_ref().and_then(|case| self.failure(case));
        let mistakes = self.desk.suspects().mistakes();
        Find {
            backend: String::new(),
            property: self.property.to_owned(),
            sign: self.sign.clone(),
            times: 0,
            first: String::new(),
            what: failure.map_or_else(|| self.sign.to_string(), |failure| failure.what),
            diagnosis: diagnosis.iter().filter_map(|number| mistakes.get(*number).cloned()).collect(),
            steps: case.as_ref().map_or(0, |case| runner::step_names(case).len() - 1),
            elements: shrink::largest_input(&shrunk.spec),
            tries: shrunk.tries,
            yaml,
            file: None,
        }
    }
}

/// Adds a find to others. What is diagnosed with the same mistake is the same bug, however it shows; the smaller case is
/// kept.
fn join(finds: &mut Vec<Find>, find: Find) {
    let likeliest = |find: &Find| find.diagnosis.first().map(|mistake| mistake.name.clone());
    let is_same = |known: &&mut Find| {
        known.backend == find.backend
            && known.property == find.property
            && likeliest(known).is_some()
            && likeliest(known) == likeliest(&find)
    };
    let Some(known) = finds.iter_mut().find(is_same) else {
        finds.push(find);
        return;
    };
    let times = known.times + find.times;
    if (find.steps, find.elements, find.yaml.len()) < (known.steps, known.elements, known.yaml.len()) {
        *known = find;
    }
    known.times = times;
}
