//! No constant of the budgets is much larger than sound implementations need.

mod common;

use std::convert::Infallible;

use bn_api::{InProcess, Responder};
use bn_harness::budget::Accuracy;
use bn_harness::needs::{self, Lineup, Need};
use bn_sound::{METHODS, Method, STATISTICS_ROUNDED, Sound};
use common::{arbiter, drawn};

fn judged(accuracy: Accuracy, method: &'static Method) -> (Accuracy, Box<dyn Responder>) {
    (accuracy, Box::new(InProcess::new(Sound(method))))
}

/// What is needed on the data that are made for it.
fn on_calibration() -> Vec<Need> {
    let suite = needs::calibration().unwrap_or_else(|problems| panic!("{}", drawn(&problems)));
    let cases: Vec<_> = suite.cases.iter().collect();
    let open = || {
        let mut methods: Vec<_> = METHODS.iter().map(|method| judged(Accuracy::Sound, method)).collect();
        methods.push(judged(Accuracy::StatisticsRoundedToStorage, &STATISTICS_ROUNDED));
        Ok::<_, Infallible>(Lineup::of_cases(arbiter(), methods, &cases))
    };
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let Ok(needs) = needs::measure(jobs, cases.len(), &open, &mut |_| {});
    needs
}

#[test]
fn every_constant_is_enough_and_a_quarter_of_it_is_not() {
    let wrong: Vec<String> = on_calibration()
        .into_iter()
        .inspect(|need| println!("{} {} {} {:?}", need.name, need.value, need.share, need.by))
        .filter(|need| !need.is_tight())
        .map(|need| format!("{} = {}: {} of it is needed, {:?}", need.name, need.value, need.share, need.by))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
