//! All kinds of misbehaviour at random, over one case in five.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::{Draw, Kind, Outcome};
use crate::runs::{Campaign, One, Ran, Suite};

/// Who is to be left alone.
const HEALTHY: &[&str] = &["reference", "libtorch", "candle"];

/// What other numbers draw other misbehaviour with.
const SEED: u64 = 20_150_211;

/// Some hundred cases, as many as a usual test can bear.
const SOME: usize = 300;

/// How many there are, where another number is asked for, as `just campaign` does.
fn cases() -> usize {
    std::env::var("BNCHECK_CAMPAIGN").map_or(SOME, |text| {
        text.parse().unwrap_or_else(|_| panic!("BNCHECK_CAMPAIGN is a number of cases, and not `{text}`"))
    })
}

/// So many cases at least. The backends are not those of the checkout's cases, so that no deviation is declared: some fail
/// in f16, and these results are to stay the same as well.
fn suite(cases: usize) -> Suite {
    let (dtypes, shapes): (&[_], &[_]) =
        (&["f16", "f32", "f64"], &["[6, 3]", "[4, 5, 3]", "[3, 2, 4, 4]", "[2, 3, 2, 3, 2]", "[9, 1]"]);
    let of_each = dtypes.len() * shapes.len();
    Suite { dtypes, shapes, seeds: usize::div_ceil(cases, of_each) }
}

/// Two cases in flight. What is drawn depends on the case alone, so that the verdict on each is known beforehand.
pub fn side_by_side() {
    let draw = Draw { seed: SEED, late_ones: false };
    let (cases, bad) = mixture(cases(), draw, "2");
    for (case, one) in cases.iter().zip(&bad) {
        match draw.kind(case) {
            Some(kind @ Kind { outcome: Outcome::Own(verdict), .. }) => is(case, one, &[verdict], kind),
            Some(kind) => panic!("{} is late", kind.name),
            None => assert_eq!(one.verdict, "pass", "{case}: {}", one.reason),
        }
    }
}

/// One case after the other, as what shows in the next case only depends on which that is.
pub fn one_after_the_other() {
    let draw = Draw { seed: SEED, late_ones: true };
    let (cases, bad) = mixture(SOME, draw, "1");
    // What the case before left behind for this one.
    let mut left: Option<(&Kind, &str)> = None;
    for (number, (case, one)) in cases.iter().zip(&bad).enumerate() {
        let kind = draw.kind(case);
        left = match (left, kind.map(|kind| (kind, kind.outcome))) {
            // It may have come to misbehaving in its own way before what was left was seen.
            (Some((before, verdict)), Some((_, Outcome::Own(own)))) if own == "crash" => {
                is(case, one, &[verdict, own], before);
                None
            }
            (Some((before, verdict)), _) => {
                is(case, one, &[verdict], before);
                None
            }
            (None, Some((kind, Outcome::Own(verdict)))) => {
                is(case, one, &[verdict], kind);
                None
            }
            (None, Some((kind, Outcome::Next(_, at_the_end)))) if number + 1 == cases.len() => {
                is(case, one, &[at_the_end], kind);
                None
            }
            (None, Some((kind, Outcome::Next(verdict, _)))) => {
                is(case, one, &["pass"], kind);
                Some((kind, verdict))
            }
            (None, None) => {
                assert_eq!(one.verdict, "pass", "{case}: {}", one.reason);
                None
            }
        };
    }
}

#[track_caller]
fn is(case: &str, one: &One, verdicts: &[&str], kind: &Kind) {
    let found = &one.verdict.as_str();
    assert!(verdicts.contains(found), "{case}, {}: {found}, not {verdicts:?}: {}", kind.name, one.reason);
}

/// The cases, and what came of a worker that misbehaves, of a run whose other results are those of a run without it.
fn mixture(count: usize, draw: Draw, jobs: &str) -> (Vec<String>, Vec<One>) {
    // A healthy answer takes some milliseconds; a machine may be busy.
    let campaign = Campaign::over(&suite(count)).within(3.0);
    let arguments = ["--jobs", jobs];
    let without = campaign.run(HEALTHY, &arguments);
    let right = without.by_backend();
    let campaign =
        campaign.with("misbehaving", &["mixture", &draw.seed.to_string(), &draw.late_ones.to_string()]);
    let with = campaign.run(HEALTHY, &arguments);
    let mut results = with.by_backend();
    let bad = results.remove("misbehaving").expect("it is there");
    assert_eq!(with.cases(), without.cases());
    assert_eq!(results.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (backend, ones) in &results {
        let same = ones.iter().zip(&right[backend]).all(|(one, other)| one == other);
        assert!(same, "{backend} has other results beside one that misbehaves");
        // The misbehaving one is the reference where it does not.
        let differ = |(one, right): &(&One, &One)| one.verdict == "pass" && one != right;
        assert!(backend != "reference" || !bad.iter().zip(ones).any(|pair| differ(&pair)));
    }
    assert_eq!(with.ended.code, Some(1));
    campaign.leaves_nothing_behind();
    say(&without, &with, draw, &bad);
    (with.cases(), bad)
}

/// The figures; and that there is misbehaviour of many kinds over about one case in five.
fn say(without: &Ran, with: &Ran, draw: Draw, bad: &[One]) {
    let cases = with.cases();
    let kinds: Vec<&Kind> = cases.iter().filter_map(|case| draw.kind(case)).collect();
    let names: BTreeSet<&str> = kinds.iter().map(|kind| kind.name).collect();
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in bad {
        *verdicts.entry(&one.verdict).or_default() += 1;
    }
    println!(
        "{} cases, {} with misbehaviour of {} kinds: {verdicts:?}; {:.1} s, without it {:.1} s",
        cases.len(),
        kinds.len(),
        names.len(),
        with.took.as_secs_f64(),
        without.took.as_secs_f64(),
    );
    let share = kinds.len() as f64 / cases.len() as f64;
    assert!((0.15..0.25).contains(&share), "{share} of the cases have misbehaviour");
    assert!(names.len() >= 15, "{names:?}");
}
