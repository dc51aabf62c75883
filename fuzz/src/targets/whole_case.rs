//! Whole cases: the bytes are the choices of the strategies, and whatever comes of them the reference backend and all
//! sound ones must pass.

use std::convert::Infallible;

use bn_api::InProcess;
use bn_harness::oracle::Oracle;
use bn_harness::sound::{self, Lineup, Question};
use bn_reference::{Arbiter, Reference};
use bn_sound::{METHODS, Sound};

use crate::bulk::read;
use crate::strategy::{Choice, Parts};

thread_local! {
    /// They take longer to make than a case.
    static PARTS: Parts = Parts::default();
}

/// Makes a case and has it answered. Five bytes choose a part: a seed, and how often it is made simpler.
///
/// # Panics
/// When a sound answer fails.
pub fn whole_case(data: &[u8]) {
    let mut left = data.iter().copied();
    let mut byte = || left.next().unwrap_or(0);
    let mut choose =
        || Choice { seed: u32::from_le_bytes([byte(), byte(), byte(), byte()]), simpler: byte() };
    let spec = PARTS.with(|parts| parts.case(&mut choose));
    let (case, yaml) = read(&spec).unwrap_or_else(|why| panic!("what is generated can be read: {why}"));
    let (case, yaml) = (&case, &yaml);
    let open = || -> Result<Lineup<'_>, Infallible> {
        let mut methods: Vec<Box<dyn bn_api::Responder>> = vec![Box::new(InProcess::new(Reference))];
        for method in &METHODS {
            methods.push(Box::new(InProcess::new(Sound(method))));
        }
        Ok(Lineup {
            oracle: Oracle::Live(Box::new(InProcess::new(Reference))),
            arbiter: Box::new(InProcess::new(Arbiter)),
            methods,
            question: Box::new(|_| {
                Ok(Question { case: std::borrow::Cow::Borrowed(case), yaml: Some(yaml.clone()) })
            }),
        })
    };
    let Ok(results) = sound::run(1, 1, &open, &mut |_, _| {});
    assert!(results.alarms.is_empty(), "{:#?}\n{yaml}", results.alarms);
}
