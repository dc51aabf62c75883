//! Makes a case smaller and simpler as long as it keeps what it was found for.
//!
//! A case is shrunk by its structure, not by the choices that a strategy made for it, so that any case can be: one of a
//! suite, one that a cargo-fuzz target found, one that was made by chance. Each pass proposes changes that a person would try
//! (leave a step out, halve a dimension, take the default, plainer data nearer to 1), the largest first; a change is taken
//! when the case still loads, is smaller than before, and keeps what is looked for. The passes are repeated until none
//! finds anything more.

mod data;
mod fills;
mod layer;
mod model;
mod shape;
mod steps;
mod weight;

use std::collections::HashSet;

use bn_cases::Case;
use bn_cases::format::CaseSpec;

use crate::property::SUITE;
use crate::render;

pub use weight::{largest_input, weight};

/// The smallest case that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The case.
    pub spec: CaseSpec,
    /// How many cases were asked about.
    pub tries: usize,
    /// Whether no change that is known makes it smaller; otherwise the tries were used up.
    pub is_minimal: bool,
}

/// Proposes smaller cases.
type Pass = fn(&CaseSpec) -> Vec<CaseSpec>;

/// In the order in which they save most.
const PASSES: [Pass; 7] = [
    steps::fewer,
    model::smaller,
    shape::smaller,
    layer::usual,
    steps::plainer,
    data::plainer,
    layer::plainer,
];

/// Makes a case smaller as long as `keeps` says so, which the case itself has, asking about `most` cases at the most.
pub fn shrink(spec: &CaseSpec, most: usize, keeps: &mut dyn FnMut(&CaseSpec, &Case) -> bool) -> Shrunk {
    let mut smallest = Smallest { spec: spec.clone(), weight: weight(spec), tries: 0, tried: HashSet::new() };
    loop {
        let before = smallest.weight;
        for pass in PASSES {
            if smallest.improve(pass, most, keeps).is_none() {
                return Shrunk { spec: smallest.spec, tries: smallest.tries, is_minimal: false };
            }
        }
        if smallest.weight >= before {
            return Shrunk { spec: smallest.spec, tries: smallest.tries, is_minimal: true };
        }
    }
}

/// The smallest so far.
struct Smallest {
    spec: CaseSpec,
    weight: f64,
    tries: usize,
    /// What was asked already, as it is written.
    tried: HashSet<String>,
}

impl Smallest {
    /// Repeats a pass as long as it finds something; nothing when the tries are used up.
    fn improve(
        &mut self,
        pass: Pass,
        most: usize,
        keeps: &mut dyn FnMut(&CaseSpec, &Case) -> bool,
    ) -> Option<()> {
        'smaller: loop {
            for candidate in pass(&self.spec) {
                let weight = weight(&candidate);
                if weight >= self.weight {
                    continue;
                }
                let text = render::suite(SUITE, &candidate);
                if self.tried.contains(&text) {
                    continue;
                }
                let case = render::read_back("smaller.yaml", &text);
                self.tried.insert(text);
                let Ok(case) = case else { continue };
                if self.tries >= most {
                    return None;
                }
                self.tries += 1;
                if keeps(&candidate, &case) {
                    (self.spec, self.weight) = (candidate, weight);
                    continue 'smaller;
                }
            }
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use bn_cases::DType;
    use bn_cases::case::Action;
    use bn_cases::format::Step;

    use super::*;
    use crate::bulk::Generator;

    fn steps(spec: &CaseSpec) -> usize {
        spec.steps.as_ref().map_or(0, Vec::len)
    }

    #[test]
    fn what_has_nothing_to_do_with_the_find_goes_away() {
        let generator = Generator::default();
        let has_backward =
            |case: &Case| case.script.iter().any(|action| matches!(action, Action::Backward { .. }));
        for seed in 0..40 {
            let spec = generator.case(seed);
            let (case, _) = crate::bulk::read(&spec).expect("it loads");
            if !has_backward(&case) {
                continue;
            }
            let shrunk = shrink(&spec, 2000, &mut |_, case| has_backward(case));
            assert!(shrunk.is_minimal);
            let what = render::suite(SUITE, &shrunk.spec);
            // A backward needs a forward before it.
            assert_eq!(steps(&shrunk.spec), 2, "{what}");
            assert!(largest_input(&shrunk.spec) <= 2, "{what}");
            assert_eq!(shrunk.spec.dtype, DType::F32, "{what}");
            assert_eq!(shrunk.spec.model, None, "{what}");
            assert_eq!(shrunk.spec.layer, bn_cases::format::LayerSpec::default(), "{what}");
        }
    }

    #[test]
    fn what_it_was_found_for_stays() {
        let generator = Generator::default();
        let looked_for = |spec: &CaseSpec| {
            spec.dtype == DType::F16
                && spec.steps.iter().flatten().any(|step| matches!(step, Step::Cast { .. }))
        };
        let seed = (0..2000).find(|seed| looked_for(&generator.case(*seed))).expect("some case has both");
        let shrunk = shrink(&generator.case(seed), 2000, &mut |spec, _| looked_for(spec));
        assert!(looked_for(&shrunk.spec));
        assert_eq!(steps(&shrunk.spec), 1);
    }

    #[test]
    fn a_case_is_made_smaller_as_long_as_it_keeps_what_is_looked_for() {
        let generator = Generator::default();
        let seed =
            (0..1000).find(|seed| steps(&generator.case(*seed)) > 3).expect("some case has many steps");
        let spec = generator.case(seed);
        assert_eq!(steps(&shrink(&spec, 2000, &mut |spec, _| steps(spec) >= 2).spec), 2);
        assert_eq!(shrink(&spec, 2000, &mut |_, _| false).spec, spec);
    }

    #[test]
    fn without_tries_a_case_stays_as_it_is() {
        let spec = Generator::default().case(3);
        let shrunk = shrink(&spec, 0, &mut |_, _| panic!("nothing is asked"));
        assert_eq!((shrunk.spec, shrunk.tries, shrunk.is_minimal), (spec, 0, false));
    }
}
