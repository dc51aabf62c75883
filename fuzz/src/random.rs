//! Runs of cases that are made by chance: none of them is held, as each is a function of the run's seed and its own number.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use bn_cases::case::Place;
use bn_cases::{Case, Written};
use bn_harness::runner::Source;

use crate::bulk::Generator;
use crate::render;

/// What the ids of such cases begin with.
const FOLDER: &str = "random";

/// Cases made by chance, the first of all those of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random {
    /// How many.
    pub cases: usize,
    /// Of which seed.
    pub seed: u64,
}

thread_local! {
    /// A strategy cannot be shared between threads, and takes longer to make than a case.
    static GENERATOR: OnceCell<Generator> = const { OnceCell::new() };
}

impl Random {
    /// The seed and the number that are in an id, `random/s7/12`; nothing where it is not of this form.
    pub fn parse(id: &str) -> Option<(u64, usize)> {
        let (seed, number) = id.strip_prefix(FOLDER)?.strip_prefix("/s")?.split_once('/')?;
        let (seed, number) = (seed.parse().ok()?, number.parse().ok()?);
        // Not 07, nor +7: an id has one form.
        (name_of(seed, number) == id).then_some((seed, number))
    }
}

fn suite_of(seed: u64) -> String {
    format!("{FOLDER}/s{seed}")
}

fn name_of(seed: u64, number: usize) -> String {
    format!("{}/{number}", suite_of(seed))
}

/// Case number `number` of a seed. Its written lines are a whole suite of one case, which can be copied into a file.
///
/// # Panics
/// When what is made is no case, which is a mistake of the strategies or of the format's reader.
pub fn case(seed: u64, number: usize) -> Case {
    let spec = GENERATOR.with(|generator| {
        let generator = generator.get_or_init(Generator::default);
        generator.numbered(seed, number as u64)
    });
    let suite = suite_of(seed);
    let text = render::named(&suite, &number.to_string(), &spec);
    let mut case = render::read_back(&suite, &text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    // What the strategies expect is so that wrong shapes can be read: another error may come before that one.
    case.published = Vec::new().into();
    // Of all such cases: as of a matrix, the first that differ are drawn.
    case.place = Place { file: suite.into(), line: 1 };
    case.written = Arc::new(Written { defaults: "".into(), line: 1, yaml: text.trim_end().to_owned() });
    case
}

impl Source for Random {
    fn len(&self) -> usize {
        self.cases
    }

    fn case(&self, index: usize) -> Cow<'_, Case> {
        Cow::Owned(case(self.seed, index))
    }

    fn id(&self, index: usize) -> Cow<'_, str> {
        name_of(self.seed, index).into()
    }

    fn suite(&self, _: usize) -> Cow<'_, str> {
        suite_of(self.seed).into()
    }
}

#[cfg(test)]
mod tests {
    use bn_cases::load_str;

    use super::*;

    #[test]
    fn a_case_depends_on_the_seed_and_its_number_alone() {
        let (few, many) = (Random { cases: 3, seed: 7 }, Random { cases: 100, seed: 7 });
        assert_eq!(few.case(2).spec(), many.case(2).spec());
        assert_ne!(few.case(2).spec(), few.case(1).spec());
        assert_ne!(few.case(2).spec(), Random { cases: 3, seed: 8 }.case(2).spec());
        let elsewhere = std::thread::spawn(move || many.case(2).spec());
        assert_eq!(few.case(2).spec(), elsewhere.join().expect("it ends"));
    }

    #[test]
    fn its_id_says_how_to_make_it_again() {
        let cases = Random { cases: 5, seed: u64::MAX };
        for index in 0..cases.len() {
            let case = cases.case(index);
            assert_eq!((&*cases.id(index), &*cases.suite(index)), (case.id.as_str(), &*case.suite));
            let (seed, number) = Random::parse(&case.id).expect("an id");
            assert_eq!(super::case(seed, number).spec(), case.spec());
        }
    }

    #[test]
    fn what_is_no_such_id_is_none() {
        assert_eq!(Random::parse("random/s0/0"), Some((0, 0)));
        for id in [
            "random/s7",
            "random/s7/",
            "random/7/1",
            "random/s07/1",
            "random/s7/+1",
            "random/s-1/1",
            "exact/a",
        ] {
            assert_eq!(Random::parse(id), None, "{id}");
        }
    }

    #[test]
    fn its_lines_are_a_suite_of_that_case() {
        for number in 0..200 {
            let made = case(3, number);
            let read = load_str("copied.yaml", &made.written.yaml).expect("it loads");
            assert_eq!(read.cases[0].id, made.id);
            assert_eq!(read.cases[0].spec(), made.spec());
        }
    }
}
