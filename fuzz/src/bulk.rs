//! Cases by the number: each from a seed of its own, so that any of them can be made again alone.

use bn_cases::Case;
use bn_cases::format::CaseSpec;
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::property::SUITE;
use crate::{render, strategy};

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
    /// The case of a seed.
    pub fn case(&self, seed: u64) -> CaseSpec {
        self.numbered(seed, 0)
    }

    /// Case number `number` of those of a seed.
    ///
    /// # Panics
    /// Never: no strategy here filters.
    pub fn numbered(&self, seed: u64, number: u64) -> CaseSpec {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config { failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, rng);
        self.strategy.new_tree(&mut runner).expect("nothing is filtered").current()
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
}
