//! One kind of misbehaviour at a time: over the first case, one in the middle, and the last.

use std::time::Duration;

use libtest_mimic::Trial;

use crate::kinds::{Kind, Outcome};
use crate::runs::{Campaign, One, Ran, Suite};

/// How many cases there are.
const CASES: usize = 7;

/// Over which of them each worker misbehaves, counted from 0.
const PLACES: [(&str, usize); 3] = [("first", 0), ("middle", 3), ("last", CASES - 1)];

const SUITE: Suite = Suite { dtypes: &["f32"], shapes: &["[8, 3]"], seeds: CASES };

/// The test of a kind.
pub fn trial(kind: &'static Kind) -> Trial {
    Trial::test(format!("alone::{}", kind.name), move || {
        alone(kind);
        Ok(())
    })
}

/// Three workers misbehave in this way, each over another case, beside one that does not.
fn alone(kind: &Kind) {
    // A healthy answer takes some milliseconds; a machine may be busy.
    let hangs = matches!(kind.outcome, Outcome::Own("timeout") | Outcome::Next("timeout", _));
    let mut campaign = Campaign::over(&SUITE).within(if hangs { 1.5 } else { 60.0 });
    for (column, at) in PLACES {
        campaign = campaign.with(column, &["alone", kind.name, &(at + 1).to_string()]);
    }
    let ran = campaign.run(&["reference"], &["--jobs", "1"]);
    let results = ran.by_backend();
    let right = &results["reference"];
    assert!(right.iter().all(|one| one.verdict == "pass"), "{right:#?}");
    let mut all_pass = true;
    for (column, at) in PLACES {
        let (misbehaved, verdict) = match kind.outcome {
            Outcome::Own(verdict) => (at, verdict),
            Outcome::Next(_, at_the_end) if at + 1 == CASES => (at, at_the_end),
            Outcome::Next(verdict, _) => (at + 1, verdict),
        };
        for (number, one) in results[column].iter().enumerate() {
            if number == misbehaved && verdict != "pass" {
                says(kind, column, one, verdict);
                all_pass = false;
            } else {
                assert_eq!(one, &right[number], "case {number} of {column} is none of its misbehaviour");
            }
        }
    }
    ends_as_it_should(&ran, all_pass);
    campaign.leaves_nothing_behind();
}

#[track_caller]
fn says(kind: &Kind, column: &str, one: &One, verdict: &str) {
    let One { verdict: is, reason, .. } = one;
    assert_eq!(is, verdict, "{column}: {reason}");
    assert!(reason.starts_with(kind.begins), "{column}: `{reason}` does not begin with `{}`", kind.begins);
    assert!(reason.contains(kind.says), "{column}: no `{}` in `{reason}`", kind.says);
    assert!(reason.len() < 50_000, "{column}: a reason of {} bytes", reason.len());
    if std::env::var_os("BNCHECK_CAMPAIGN_TABLE").is_some() {
        let reason: String = reason.escape_debug().take(110).collect();
        println!("| {} | {column} | {verdict} | {reason} |", kind.name);
    }
}

#[track_caller]
fn ends_as_it_should(ran: &Ran, all_pass: bool) {
    assert_eq!(ran.ended.code, Some(i32::from(!all_pass)), "{}", ran.ended.stdout);
    // On a busy machine; without one it is a few seconds.
    assert!(ran.took < Duration::from_secs(120), "it took {:?}", ran.took);
}

/// A worker that crashes, and that does not greet when it is started again.
pub fn given_up() {
    let campaign = Campaign::over(&SUITE);
    let mark = campaign.path("was-there").display().to_string();
    let campaign = campaign.with("once", &["once", &mark]);
    let ran = campaign.run(&["reference"], &["--jobs", "1"]);
    let results = ran.by_backend();
    assert!(results["reference"].iter().all(|one| one.verdict == "pass"));
    let [first, others @ ..] = &results["once"][..] else { panic!("no results") };
    assert_eq!(first.verdict, "crash", "{}", first.reason);
    for one in others {
        assert_eq!(one.verdict, "error", "{}", one.reason);
        assert!(one.reason.contains("the license has expired"), "{}", one.reason);
    }
    assert!(others[CASES - 2].reason.contains("is not started any more"), "{}", others[CASES - 2].reason);
    ends_as_it_should(&ran, false);
    campaign.leaves_nothing_behind();
}
