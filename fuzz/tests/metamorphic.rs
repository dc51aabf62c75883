//! The properties on sound backends, which have them all, and on mistaken ones, which each of them finds some of.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use bn_api::{InProcess, Request, Responder, Response, StepAnswer};
use bn_faulty::{Fault, Faulty, ONLY_BY_PROPERTY, catalogue, fault};
use bn_fuzz::bulk::{self, Generator};
use bn_fuzz::property::{Asked, Broken, Held, PROPERTIES, Property, find};
use bn_harness::budget::Accuracy;
use bn_harness::oracle::Expected;
use bn_reference::{Arbiter, Reference};
use bn_sound::{METHODS, Sound};

/// Cases by chance, each with what its answers are judged by.
fn for_each_case(seeds: Range<u64>, mut act: impl FnMut(u64, &Request, &Expected<'_>)) {
    until(seeds, |seed, request, expected| {
        act(seed, request, expected);
        ControlFlow::Continue(())
    });
}

/// The same until it breaks off.
fn until(seeds: Range<u64>, mut act: impl FnMut(u64, &Request, &Expected<'_>) -> ControlFlow<()>) {
    let generator = Generator::default();
    let mut arbiter = InProcess::new(Arbiter);
    for seed in seeds {
        let (case, _) = bulk::read(&generator.case(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let request = Request::from_case(&case);
        let expected = Expected::of_arbiter(&mut arbiter, &request).expect("the arbiter answers everything");
        if act(seed, &request, &expected).is_break() {
            break;
        }
    }
}

/// A backend's answers to a request.
fn answers(backend: &mut dyn Responder, request: &Request) -> Vec<StepAnswer> {
    match backend.respond(request) {
        Response::Answered(answers) => answers,
        other => panic!("it answers everything, and not with {other:?}"),
    }
}

/// What a property says of a backend's answers to a request.
fn check<'a>(
    property: &dyn Property,
    backend: &'a mut dyn Responder,
    threads: Option<&'a mut dyn Responder>,
    (request, answers, expected): (&'a Request, &'a [StepAnswer], &'a Expected<'a>),
) -> Result<Held, Broken> {
    property.check(&mut Asked { request, answers, expected, accuracy: Accuracy::Sound, backend, threads })
}

/// The reference and all sound methods.
fn sound() -> Vec<Box<dyn Responder>> {
    let methods = METHODS.iter().map(|method| Box::new(InProcess::new(Sound(method))) as Box<dyn Responder>);
    std::iter::once(Box::new(InProcess::new(Reference)) as Box<dyn Responder>).chain(methods).collect()
}

/// A number for a test that is run by hand, from the environment, or this one.
fn by_hand(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |number| number.parse().expect("a number"))
}

/// What came of a property on some cases.
#[derive(Default, Clone)]
struct Tally {
    /// How often it had something to say.
    said: u64,
    /// Of how many times it was asked.
    asked: u64,
    /// How long it took, all together.
    took: Duration,
    /// Where it does not hold.
    alarms: Vec<String>,
}

/// Every property on these cases, and on those of the sound backends that `of_case` says.
fn tallies(seeds: Range<u64>, of_case: impl Fn(u64) -> Range<usize>) -> Vec<Tally> {
    // Each beside itself, which is as good as any other number of threads.
    let mut backends: Vec<_> = sound().into_iter().zip(sound()).collect();
    let mut tallies = vec![Tally::default(); PROPERTIES.len()];
    for_each_case(seeds, |seed, request, expected| {
        for (backend, threads) in &mut backends[of_case(seed)] {
            let answers = answers(backend.as_mut(), request);
            for (property, tally) in PROPERTIES.iter().zip(&mut tallies) {
                let since = Instant::now();
                let told =
                    check(*property, backend.as_mut(), Some(threads.as_mut()), (request, &answers, expected));
                tally.took += since.elapsed();
                tally.asked += 1;
                match told {
                    Ok(Held::Yes) => tally.said += 1,
                    Ok(Held::NotHere(_)) => {}
                    Err(broken) => {
                        let (name, backend) = (property.name(), &backend.info().name);
                        let alarm = format!("seed {seed}, {backend}, {name}: {broken}");
                        eprintln!("{alarm}");
                        tally.alarms.push(alarm);
                    }
                }
            }
        }
    });
    tallies
}

/// A line a property: the share of cases it has something to say of, and how long it takes.
fn table(tallies: &[Tally]) -> String {
    let line = |(property, tally): (&&dyn Property, &Tally)| {
        let share = 100.0 * tally.said as f64 / tally.asked as f64;
        let micros = tally.took.as_secs_f64() * 1e6 / tally.asked as f64;
        format!("{:26} {share:5.1} % {micros:7.0} us {:4} alarms\n", property.name(), tally.alarms.len())
    };
    PROPERTIES.iter().zip(tallies).map(line).collect()
}

#[test]
fn sound_backends_have_every_property() {
    let backends = sound().len() as u64;
    let tallies = tallies(0..260, |seed| {
        let one = (seed % backends) as usize;
        one..one + 1
    });
    let alarms: Vec<&str> = tallies.iter().flat_map(|tally| &tally.alarms).map(String::as_str).collect();
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
    for (property, tally) in PROPERTIES.iter().zip(&tallies) {
        assert!(
            tally.said * 5 > tally.asked * 2,
            "{} has little to say: {}",
            property.name(),
            table(&tallies)
        );
    }
}

#[test]
#[ignore = "by hand: METAMORPHIC_METHODS (all) on each of METAMORPHIC_CASES cases (20,000) from seed METAMORPHIC_FROM (0) on"]
fn no_sound_backend_is_ever_accused() {
    let (first, cases) = (by_hand("METAMORPHIC_FROM", 0), by_hand("METAMORPHIC_CASES", 20_000));
    let backends = sound().len();
    let methods = by_hand("METAMORPHIC_METHODS", backends as u64).clamp(1, backends as u64) as usize;
    // Those of a case are the turn's.
    let of_case = |seed: u64| {
        let turn = seed as usize % backends.div_ceil(methods) * methods;
        turn..(turn + methods).min(backends)
    };
    let halves = [first..first + cases / 2, first + cases / 2..first + cases];
    let tallies: Vec<Vec<Tally>> = std::thread::scope(|scope| {
        let running = halves.map(|seeds| scope.spawn(move || tallies(seeds, of_case)));
        running.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    let both = |(mut one, other): (Tally, &Tally)| {
        one.said += other.said;
        one.asked += other.asked;
        one.took += other.took;
        one.alarms.extend(other.alarms.iter().cloned());
        one
    };
    let tallies: Vec<Tally> = tallies[0].iter().cloned().zip(&tallies[1]).map(both).collect();
    println!("{cases} cases, {methods} of {backends} backends each\n{}", table(&tallies));
    let alarms: Vec<&str> = tallies.iter().flat_map(|tally| &tally.alarms).map(String::as_str).collect();
    assert!(alarms.is_empty(), "{} alarms\n{}", alarms.len(), alarms[..alarms.len().min(40)].join("\n"));
}

#[test]
#[ignore = "by hand: which case of METAMORPHIC_CASES (300) from METAMORPHIC_FROM (0) on is the first in which a property sees a fault"]
fn which_property_sees_which_fault_first() {
    let (first, cases) = (by_hand("METAMORPHIC_FROM", 0), by_hand("METAMORPHIC_CASES", 300));
    let mut faults: Vec<_> = catalogue().iter().map(|fault| InProcess::new(Faulty::with(fault))).collect();
    let mut seen = vec![vec![None; PROPERTIES.len()]; faults.len()];
    for_each_case(first..first + cases, |seed, request, expected| {
        for (fault, seen) in faults.iter_mut().zip(&mut seen) {
            let answers = answers(fault, request);
            for (property, seen) in PROPERTIES.iter().zip(seen).filter(|(_, seen)| seen.is_none()) {
                if check(*property, fault, None, (request, &answers, expected)).is_err() {
                    *seen = Some(seed - first);
                }
            }
        }
    });
    for (fault, seen) in faults.iter().zip(&seen) {
        let late = |seen: &Option<u64>| seen.unwrap_or(cases);
        let others: Vec<String> = PROPERTIES
            .iter()
            .zip(seen)
            .filter(|(property, at)| at.is_some() && property.name() != "differential")
            .map(|(property, at)| {
                let mark = if late(at) < late(&seen[0]) { "*" } else { "" };
                format!("{}{mark} {}", property.name(), late(at))
            })
            .collect();
        let differential = seen[0].map_or("-".to_owned(), |at| at.to_string());
        println!("{}: differential {differential}; {}", fault.info().name, others.join(", "));
    }
    for (property, name) in PROPERTIES.iter().enumerate().map(|(index, it)| (index, it.name())) {
        let count = |of: &dyn Fn(&Vec<Option<u64>>) -> bool| seen.iter().filter(|seen| of(seen)).count();
        let sees = count(&|seen| seen[property].is_some());
        let before = count(&|seen| seen[property].is_some_and(|at| at < seen[0].unwrap_or(cases)));
        println!("{name}: sees {sees} of {}, {before} before the differential", faults.len());
    }
}

/// The seeds that faults are looked for from.
const FROM: [u64; 2] = [0, 1_000_000];

/// How many cases are looked at from either.
const LOOKED_AT: u64 = 60;

/// The first of some cases, counted from 0, in which a property does not hold of a backend; nothing where it always
/// does.
fn first_of(
    property: &str,
    from: u64,
    cases: u64,
    backend: &mut dyn Responder,
    mut threads: Option<&mut dyn Responder>,
) -> Option<u64> {
    let property = find(property).expect("it is one");
    let mut first = None;
    for_each_case(from..from + cases, |seed, request, expected| {
        if first.is_none() {
            let answers = answers(backend, request);
            let threads = threads.as_mut().map(|threads| &mut **threads as &mut dyn Responder);
            let told = check(property, backend, threads, (request, &answers, expected));
            first = told.err().map(|_| seed - from);
        }
    });
    first
}

/// For each property a fault of the catalogue that it sees in an earlier case than the differential one does.
const FIRST_BY_PROPERTY: &[(&str, &str)] = &[
    ("split-channels", "single-channel-squeezed"),
    ("scaled-channels", "eps-has-a-minimum"),
    ("other-layouts", "slice-read-without-its-gaps"),
    ("linear-gradient", "subnormal-results-flushed"),
    ("vanishing-input-gradient", "mean-is-a-constant-backward"),
    ("bias-gradient-is-the-sum", "bias-gradient-scaled-by-weight"),
    ("affine-evaluation", "evaluation-ignored"),
    ("running-closed-form", "momentum-decays"),
    ("running-plain-average", "cumulative-average-counts-late"),
    ("momentum-of-one", "running-var-taken-for-a-deviation"),
    ("saved-and-loaded", "load-swaps-weight-and-bias"),
    ("cast-and-back", "cast-resets-statistics"),
];

/// From how many seeds, a million apart, it is looked for at the most, until it is so from two of them.
const SEEDS: u64 = 12;

/// Whether of all cases that are looked at the first in which anything is wrong with a fault is one of the property alone;
/// where `alone` is asked, in all of them.
fn is_seen_by(property: &str, fault: &'static Fault, from: u64, alone: bool) -> bool {
    let mut backend = InProcess::new(Faulty::with(fault));
    let mut is_seen = false;
    until(from..from + LOOKED_AT, |_, request, expected| {
        let answers = answers(&mut backend, request);
        let mut is_wrong = |property: &str| {
            let property = find(property).expect("it is one");
            check(property, &mut backend, None, (request, &answers, expected)).is_err()
        };
        if is_wrong("differential") {
            is_seen &= !alone;
            return ControlFlow::Break(());
        }
        is_seen |= is_wrong(property);
        if is_seen && !alone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    is_seen
}

#[track_caller]
fn is_seen_from_two_seeds(property: &str, fault: &'static Fault, alone: bool) {
    let seeds = (0..SEEDS).map(|million| million * 1_000_000);
    let seeds: Vec<u64> = seeds.filter(|from| is_seen_by(property, fault, *from, alone)).take(2).collect();
    assert_eq!(seeds.len(), 2, "{property} sees {} from {seeds:?} of {SEEDS} seeds", fault.name);
}

#[test]
fn properties_see_faults_before_the_differential_one_does() {
    for (property, name) in FIRST_BY_PROPERTY {
        is_seen_from_two_seeds(property, fault(name).expect("it is in the catalogue"), false);
    }
}

#[test]
fn some_faults_are_seen_by_a_property_alone() {
    for only in ONLY_BY_PROPERTY {
        is_seen_from_two_seeds(only.property, &only.fault, true);
    }
}

#[test]
fn threads_that_share_a_channel_are_seen_by_their_property_alone() {
    // One thread adds a channel up from the front; of several each has every eighth value.
    let method = |name| METHODS.iter().find(|method| method.name == name).expect("it is a method");
    let mut one = InProcess::new(Sound(method("two-pass-sequential")));
    let mut several = InProcess::new(Sound(method("lanes-8")));
    for from in FROM {
        let seen = first_of("any-threads", from, LOOKED_AT, &mut one, Some(&mut several));
        assert!(seen.is_some(), "from seed {from} on");
        for backend in [&mut one, &mut several] {
            assert_eq!(first_of("differential", from, LOOKED_AT, backend, None), None);
        }
        let alike = &mut InProcess::new(Sound(method("two-pass-sequential")));
        assert_eq!(first_of("any-threads", from, LOOKED_AT, &mut one, Some(alike)), None);
    }
}

/// Mistakes in what oracle and backend have in common, as the rules of the module are: both answer alike.
const SHARED: &[(&str, &str)] = &[
    ("vanishing-input-gradient", "mean-is-a-constant-backward"),
    ("bias-gradient-is-the-sum", "bias-gradient-averaged-over-the-batch"),
    ("affine-evaluation", "negative-results-cut-off"),
    ("running-closed-form", "biased-running-var"),
    ("running-plain-average", "cumulative-average-counts-late"),
    ("momentum-of-one", "biased-running-var"),
];

#[test]
fn a_mistake_that_the_oracle_makes_as_well_is_seen_by_properties() {
    let (generator, mut seen) = (Generator::default(), vec![[0; 2]; SHARED.len()]);
    for seed in FROM.into_iter().flat_map(|from| from..from + LOOKED_AT) {
        let (case, _) = bulk::read(&generator.case(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let request = Request::from_case(&case);
        // The mistaken oracle computes in float64, which is not beyond what answers in f64 are judged by.
        if format!("{:?} {:?}", case.spec(), request.layers).contains("F64") {
            continue;
        }
        for ((property, name), [by_property, by_differential]) in SHARED.iter().zip(&mut seen) {
            let mistaken = || InProcess::new(Faulty::with(fault(name).expect("it is in the catalogue")));
            let expected = Expected::of_arbiter(&mut mistaken(), &request).expect("it answers everything");
            let mut backend = mistaken();
            let answers = answers(&mut backend, &request);
            let mut is_seen = |property: &str| {
                let property = find(property).expect("it is one");
                u32::from(check(property, &mut backend, None, (&request, &answers, &expected)).is_err())
            };
            *by_property += is_seen(property);
            *by_differential += is_seen("differential");
        }
    }
    // Budgets are those of the right formulas: seldom a mistaken one rounds more.
    for ((property, name), [by_property, by_differential]) in SHARED.iter().zip(seen) {
        let much_more = by_property >= 10 && by_property >= 10 * by_differential;
        assert!(
            much_more,
            "{property} sees {name} in {by_property} cases, the differential in {by_differential}"
        );
    }
}
