//! The properties on sound backends, which have them all, and on mistaken ones, which each of them finds some of.

use bn_api::{InProcess, Request, Responder, Response};
use bn_fuzz::bulk::{self, Generator};
use bn_fuzz::property::{Asked, Broken, Held, PROPERTIES, Property};
use bn_harness::budget::Accuracy;
use bn_harness::oracle::Expected;
use bn_reference::{Arbiter, Reference};
use bn_sound::{METHODS, Sound};

/// Cases by chance, each with what its answers are judged by.
fn for_each_case(seeds: std::ops::Range<u64>, mut act: impl FnMut(u64, &Request, &Expected<'_>)) {
    let generator = Generator::default();
    let mut arbiter = InProcess::new(Arbiter);
    for seed in seeds {
        let (case, _) = bulk::read(&generator.case(seed)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let request = Request::from_case(&case);
        let expected = Expected::of_arbiter(&mut arbiter, &request).expect("the arbiter answers everything");
        act(seed, &request, &expected);
    }
}

/// What a property says of a backend's answer to a request.
fn check(
    property: &dyn Property,
    backend: &mut dyn Responder,
    request: &Request,
    expected: &Expected<'_>,
) -> Result<Held, Broken> {
    let Response::Answered(answers) = backend.respond(request) else { panic!("it answers everything") };
    property.check(&mut Asked {
        request,
        answers: &answers,
        expected,
        accuracy: Accuracy::Sound,
        backend,
        threads: None,
    })
}

/// The reference and all sound methods.
fn sound() -> Vec<Box<dyn Responder>> {
    let methods = METHODS.iter().map(|method| Box::new(InProcess::new(Sound(method))) as Box<dyn Responder>);
    std::iter::once(Box::new(InProcess::new(Reference)) as Box<dyn Responder>).chain(methods).collect()
}

/// How many cases a test takes that is run by hand: `METAMORPHIC_CASES`, or as many.
fn by_hand(cases: u64) -> u64 {
    std::env::var("METAMORPHIC_CASES").ok().map_or(cases, |cases| cases.parse().expect("a number of cases"))
}

/// Which cases of these sound backends do not have a property, and how many of how many each had something to say of.
fn alarms(
    seeds: std::ops::Range<u64>,
    of_case: impl Fn(u64) -> std::ops::Range<usize>,
) -> (Vec<String>, Vec<[u64; 2]>) {
    let mut backends = sound();
    let (mut alarms, mut said) = (Vec::new(), vec![[0; 2]; PROPERTIES.len()]);
    for_each_case(seeds, |seed, request, expected| {
        for backend in &mut backends[of_case(seed)] {
            for (property, said) in PROPERTIES.iter().zip(&mut said) {
                let told = check(*property, backend.as_mut(), request, expected);
                said[1] += 1;
                match told {
                    Ok(Held::Yes) => said[0] += 1,
                    Ok(Held::NotHere(_)) => {}
                    Err(broken) => {
                        let (name, backend) = (property.name(), &backend.info().name);
                        alarms.push(format!("seed {seed}, {backend}, {name}: {broken}"));
                    }
                }
            }
        }
    });
    (alarms, said)
}

fn share_table(said: &[[u64; 2]]) -> String {
    let line = |(property, [yes, all]): (&&dyn Property, &[u64; 2])| {
        format!("{:24} {:5.1} %\n", property.name(), 100.0 * *yes as f64 / *all as f64)
    };
    PROPERTIES.iter().zip(said).map(line).collect()
}

#[test]
fn sound_backends_have_every_property() {
    let backends = sound().len() as u64;
    let (alarms, said) = alarms(0..400, |seed| {
        let one = (seed % backends) as usize;
        one..one + 1
    });
    assert!(alarms.is_empty(), "{}", alarms.join("\n"));
    println!("{}", share_table(&said));
}

#[test]
#[ignore = "by hand: every method on METAMORPHIC_CASES cases, 20,000 where it is not said"]
fn no_sound_backend_is_ever_accused() {
    let cases = by_hand(20_000);
    let backends = sound().len();
    let halves = [0..cases / 2, cases / 2..cases];
    let told: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> =
            halves.map(|seeds| scope.spawn(move || alarms(seeds, |_| 0..backends))).into_iter().collect();
        running.into_iter().map(|thread| thread.join().expect("it ends")).collect()
    });
    let mut said = vec![[0; 2]; PROPERTIES.len()];
    for (_, part) in &told {
        for (sum, part) in said.iter_mut().zip(part) {
            *sum = [sum[0] + part[0], sum[1] + part[1]];
        }
    }
    println!("{cases} cases, {backends} backends\n{}", share_table(&said));
    let alarms: Vec<String> = told.into_iter().flat_map(|(alarms, _)| alarms).collect();
    let first: Vec<&str> = alarms.iter().take(40).map(String::as_str).collect();
    assert!(alarms.is_empty(), "{} alarms\n{}", alarms.len(), first.join("\n"));
}
