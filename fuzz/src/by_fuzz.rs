//! How fast does a hunt find what is known to be wrong, and how small does it become?

use std::sync::Mutex;
use std::time::Instant;

use bn_api::{InProcess, Responder};
use bn_harness::diagnosis::Suspects;
use bn_harness::faults::{self, caught_by};
use bn_harness::finds::{ByFuzz, DIFFERENTIAL, FaultHunt, Smallest};
use bn_harness::oracle::Oracle;
use bn_harness::{parallel, runner};
use bn_reference::Arbiter;

use crate::hunt::{Desk, Lineup, Question, Subject, Whose};
use crate::property::SUITE;
use crate::{random, render, shrink};

/// Who makes the mistakes, and with whom they are compared.
pub struct Faults<'a> {
    /// Makes them all, in an order that stays.
    pub make: &'a (dyn Fn() -> Vec<Box<dyn Responder>> + Sync),
    /// The same without a mistake.
    pub control: &'a (dyn Fn() -> Box<dyn Responder> + Sync),
    /// The catalogue of known mistakes.
    pub suspects: &'a (dyn Fn() -> Box<dyn Suspects> + Sync),
}

/// Hunts for each mistake from each of `seeds`, through `most` cases at the most, judged by the arbiter alone, and makes
/// what is found smaller. `hard` says of a mistake why it is hard to find; `progress` is told how many cases are done and
/// how many hunts are not over yet.
pub fn by_fuzz(
    faults: &Faults<'_>,
    seeds: &[u64],
    most: usize,
    jobs: usize,
    hard: &dyn Fn(&str) -> Option<&'static str>,
    progress: &mut dyn FnMut(usize, usize),
) -> ByFuzz {
    let started = Instant::now();
    let names: Vec<String> = (faults.make)().iter().map(|fault| fault.info().name.clone()).collect();
    let mut hunts: Vec<FaultHunt> = names
        .into_iter()
        .map(|name| FaultHunt {
            hard: hard(&name).map(str::to_owned),
            name,
            found: Vec::new(),
            smallest: Vec::new(),
        })
        .collect();
    let (mut void, mut done) = (0, 0);
    for &seed in seeds {
        let found = Mutex::new(vec![usize::MAX; hunts.len()]);
        let left =
            || found.lock().map_or(0, |found| found.iter().filter(|first| **first == usize::MAX).count());
        let open = || {
            Ok::<_, std::convert::Infallible>(faults::Lineup {
                oracle: Oracle::Nobody,
                arbiter: Box::new(InProcess::new(Arbiter)),
                control: (faults.control)(),
                faults: (faults.make)(),
            })
        };
        let work = |lineup: &mut faults::Lineup, number: usize| {
            let before = found.lock().map(|found| found.clone()).unwrap_or_default();
            let case = random::case(seed, number);
            let caught = caught_by(&case, lineup, &|fault| number < before[fault]);
            let Ok(caught) = caught else { return true };
            if let Ok(mut found) = found.lock() {
                for (first, caught) in found.iter_mut().zip(&caught) {
                    if caught.is_some() {
                        *first = (*first).min(number);
                    }
                }
            }
            false
        };
        let Ok(()) = parallel::each_until(jobs, most, &|| left() == 0, &open, &work, &mut |_, is_void| {
            void += usize::from(is_void);
            done += 1;
            progress(done, left());
        });
        let found = found.into_inner().unwrap_or_default();
        for (hunt, first) in hunts.iter_mut().zip(&found) {
            hunt.found.push((*first != usize::MAX).then(|| first + 1));
        }
        make_smaller(faults, seed, &found, jobs, &mut hunts);
    }
    let duration_ms = started.elapsed().as_millis() as u64;
    ByFuzz { seeds: seeds.to_vec(), most, faults: hunts, void, duration_ms }
}

/// Makes the first find of each mistake smaller.
fn make_smaller(faults: &Faults<'_>, seed: u64, found: &[usize], jobs: usize, hunts: &mut [FaultHunt]) {
    let open = || {
        Ok::<_, std::convert::Infallible>(Desk::new(
            Lineup {
                oracle: Oracle::Nobody,
                arbiter: Box::new(InProcess::new(Arbiter)),
                backends: (faults.make)(),
                threads: Vec::new(),
                suspects: (faults.suspects)(),
            },
            &[],
        ))
    };
    let work = |desk: &mut Desk<'_>, fault: usize| {
        let number = found.get(fault).copied().filter(|number| *number != usize::MAX)?;
        smallest(desk, fault, seed, number)
    };
    let mut made: Vec<(usize, Smallest)> = Vec::new();
    let Ok(()) = parallel::each(jobs, found.len(), &open, &work, &mut |fault, one| {
        made.extend(one.map(|one| (fault, one)));
    });
    for (fault, one) in made {
        hunts[fault].smallest.push(one);
    }
}

fn smallest(desk: &mut Desk<'_>, fault: usize, seed: u64, number: usize) -> Option<Smallest> {
    let case = random::case(seed, number);
    let question = Question { backend: Some(fault), differential: true, metamorphic: &[] };
    let sign = desk.ask(&case, question).failures.into_iter().next()?.sign;
    let all: Vec<usize> = (0..desk.suspects().mistakes().len()).collect();
    let diagnosis = desk.diagnose(&case, fault, &all);
    let mut subject = Subject { desk, whose: Whose::Backend(fault), property: DIFFERENTIAL, sign: &sign };
    let (shrunk, left) = subject.smaller(&case.spec(), diagnosis.clone());
    let yaml = render::suite(SUITE, &shrunk.spec);
    let small = render::read_back("smallest.yaml", &yaml).ok()?;
    let again = desk.ask(&small, question).failures.into_iter().next();
    // Of all that could have been it at first some are left.
    let is_still_diagnosed = diagnosis.is_empty() || !left.is_empty();
    Some(Smallest {
        steps: runner::step_names(&small).len() - 1,
        elements: shrink::largest_input(&shrunk.spec),
        is_the_same: is_still_diagnosed && again.is_some_and(|again| again.sign == sign),
        yaml,
    })
}
