//! Cases by the number: each from a seed of its own, so that any of them can be made again alone.

use bn_cases::Case;
use bn_cases::format::CaseSpec;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::property::SUITE;
use crate::{render, strategy};

/// How many cases are tried to make one smaller.
const MAX_TRIES: usize = 1000;

/// Makes cases of seeds.
pub struct Generator {
    strategy: BoxedStrategy<CaseSpec>,
}

impl Default for Generator {
    fn default() -> Self {
        Generator { strategy: strategy::case().boxed() }
    }
}

impl Generator {
    fn tree(&self, seed: u64, number: u64) -> impl ValueTree<Value = CaseSpec> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, rng);
        self.strategy.new_tree(&mut runner).expect("nothing is filtered")
    }

    /// The case of a seed.
    pub fn case(&self, seed: u64) -> CaseSpec {
        self.numbered(seed, 0)
    }

    /// Case number `number` of those of a seed.
    pub fn numbered(&self, seed: u64, number: u64) -> CaseSpec {
        self.tree(seed, number).current()
    }

    /// The case of a seed made smaller as long as it keeps what is looked for, which the case itself has.
    pub fn shrink(&self, seed: u64, mut keeps: impl FnMut(&CaseSpec) -> bool) -> CaseSpec {
        let mut tree = self.tree(seed, 0);
        let mut smallest = tree.current();
        let mut kept = true;
        for _ in 0..MAX_TRIES {
            if !(if kept { tree.simplify() } else { tree.complicate() }) {
                break;
            }
            let tried = tree.current();
            kept = keeps(&tried);
            if kept {
                smallest = tried;
            }
        }
        smallest
    }
}

/// A case as it is read, and the suite that it is read from.
///
/// # Errors
/// What the reader refuses.
pub fn read(spec: &CaseSpec) -> Result<(Case, String), String> {
    let text = render::suite(SUITE, spec);
    match render::read_back("generated.yaml", &text) {
        Ok(case) => Ok((case, text)),
        Err(why) => Err(format!("{why}\n{text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_case_again_and_another_seed_another() {
        let (one, other) = (Generator::default(), Generator::default());
        assert_eq!(one.case(7), other.case(7));
        assert_ne!(one.case(7), one.case(8));
    }

    #[test]
    fn a_case_is_made_smaller_as_long_as_it_keeps_what_is_looked_for() {
        let generator = Generator::default();
        let steps = |spec: &CaseSpec| spec.steps.as_ref().map_or(0, Vec::len);
        let seed =
            (0..1000).find(|seed| steps(&generator.case(*seed)) > 3).expect("some case has many steps");
        assert_eq!(steps(&generator.shrink(seed, |spec| steps(spec) >= 2)), 2);
        assert_eq!(generator.shrink(seed, |_| false), generator.case(seed));
    }
}
