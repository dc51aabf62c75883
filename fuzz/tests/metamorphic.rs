//! The properties on sound backends, which have them all, and on mistaken ones, which each of them finds some of.

use std::ops::Range;
use std::time::{Duration, Instant};

use bn_api::{InProcess, Request, Responder, Response, StepAnswer};
use bn_faulty::{Faulty, catalogue};
use bn_fuzz::bulk::{self, Generator};
use bn_fuzz::property::{Asked, Broken, Held, PROPERTIES, Property};
use bn_harness::budget::Accuracy;
use bn_harness::oracle::Expected;
use bn_reference::{Arbiter, Reference};
use bn_sound::{METHODS, Sound};

/// Cases by chance, each with what its answers are judged by.
fn for_each_case(seeds: Range<u64>, mut act: impl FnMut(u64, &Request, &Expected<'_>)) {
    let generator = Generator::default();
    let mut arbiter = InProcess::new(Arbiter);
    for seed in seeds {
        let (case, _) = bulk::read(&generator.case(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let request = Request::from_case(&case);
        let expected = Expected::of_arbiter(&mut arbiter, &request).expect("the arbiter answers everything");
        act(seed, &request, &expected);
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
fn check(
    property: &dyn Property,
    backend: &mut dyn Responder,
    request: &Request,
    answers: &[StepAnswer],
    expected: &Expected<'_>,
) -> Result<Held, Broken> {
    let accuracy = Accuracy::Sound;
    property.check(&mut Asked { request, answers, expected, accuracy, backend, threads: None })
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
    let mut backends = sound();
    let mut tallies = vec![Tally::default(); PROPERTIES.len()];
    for_each_case(seeds, |seed, request, expected| {
        for backend in &mut backends[of_case(seed)] {
            let answers = answers(backend.as_mut(), request);
            for (property, tally) in PROPERTIES.iter().zip(&mut tallies) {
                let since = Instant::now();
                let told = check(*property, backend.as_mut(), request, &answers, expected);
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
    // Another number of threads is none that these have.
    for (property, tally) in PROPERTIES.iter().zip(&tallies).filter(|(it, _)| it.name() != "any-threads") {
        assert!(
            tally.said * 5 > tally.asked * 2,
            "{} has little to say: {}",
            property.name(),
            table(&tallies)
        );
    }
}

#[test]
#[ignore = "by hand: every method on METAMORPHIC_CASES cases (20,000) from seed METAMORPHIC_FROM (0) on"]
fn no_sound_backend_is_ever_accused() {
    let (first, cases) = (by_hand("METAMORPHIC_FROM", 0), by_hand("METAMORPHIC_CASES", 20_000));
    let backends = sound().len();
    let halves = [first..first + cases / 2, first + cases / 2..first + cases];
    let tallies: Vec<Vec<Tally>> = std::thread::scope(|scope| {
        let running = halves.map(|seeds| scope.spawn(move || tallies(seeds, |_| 0..backends)));
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
    println!("{cases} cases, {backends} backends\n{}", table(&tallies));
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
                if check(*property, fault, request, &answers, expected).is_err() {
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
