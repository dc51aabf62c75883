//! How much of the budgets is used, for a terminal.

use std::fmt::Write as _;

use bn_harness::needs::{Need, SLACK};
use bn_harness::sound::{SoundResults, Use};
use serde::Serialize;

use crate::sound::alarms;
use crate::style::{BOLD, DIM, one_line};

/// What is used of the budgets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budgets {
    /// By the sound methods.
    pub sound: SoundResults,
    /// By libtorch in the cases' own types.
    pub libtorch: SoundResults,
    /// How many cases libtorch was not asked, as it deviates there by declaration.
    pub left_out: usize,
    /// What the sound methods need of the constants.
    pub needs: Vec<Need>,
}

impl Budgets {
    /// Whether nobody is outside the budgets, and every constant is needed as far as it should.
    pub fn as_expected(&self) -> bool {
        self.sound.as_expected()
            && self.libtorch.alarms.is_empty()
            && !self.needs.is_empty()
            && self.needs.iter().all(Need::is_tight)
    }
}

/// A table of the tensors and types, and one of the constants.
pub fn human(results: &Budgets) -> String {
    let Budgets { sound, libtorch, left_out, needs } = results;
    let mut text = String::new();
    let _ = writeln!(text, "{BOLD}the largest budgets used, by tensor and type{BOLD:#}");
    let (by_sound, by_libtorch) = (sound.largest(), libtorch.largest());
    let mut places: Vec<_> =
        by_sound.iter().chain(&by_libtorch).map(|(_, one)| (one.tensor, one.dtype)).collect();
    places.sort_unstable();
    places.dedup();
    for (tensor, dtype) in places {
        let of = |uses: &[(&str, &Use)], who: &dyn Fn(&str) -> String| {
            let known = uses.iter().find(|(_, one)| (one.tensor, one.dtype) == (tensor, dtype));
            known.map(|(name, one)| {
                let Use { used, case, step, .. } = one;
                format!("{used:5.3}  {}step {step} of {}", who(name), one_line(case))
            })
        };
        let name = format!("{tensor} {dtype}");
        let of_sound = of(&by_sound, &|name| format!("{}, ", one_line(name)));
        let of_libtorch = of(&by_libtorch, &|_| String::new());
        let none = || "none".to_owned();
        let _ = writeln!(text, "{name:22}  sound     {}", of_sound.unwrap_or_else(none));
        let _ = writeln!(text, "{:22}  libtorch  {}", "", of_libtorch.unwrap_or_else(none));
    }
    let _ = writeln!(
        text,
        "{DIM}libtorch is left out of {left_out} cases, where it deviates by declaration{DIM:#}"
    );
    let _ = writeln!(text, "\n{BOLD}constant             value  needed of it{BOLD:#}");
    for need in needs {
        let _ = writeln!(text, "{}", constant(need));
        let _ = writeln!(text, "{DIM}  {}{DIM:#}", one_line(&need.reason));
    }
    alarms(&mut text, sound);
    alarms(&mut text, libtorch);
    let of = |results: &SoundResults| format!("{} of {} cases", results.alarms.len(), results.cases);
    let loose = needs.iter().filter(|need| !need.is_tight()).count();
    let _ = writeln!(
        text,
        "\n{} have false alarms of sound methods, {} of libtorch; {loose} of {} constants are not as they should be",
        of(sound),
        of(libtorch),
        needs.len()
    );
    text
}

fn constant(need: &Need) -> String {
    let Need { name, value, share, by, .. } = need;
    let by = by.as_ref().map_or_else(
        || "nobody".to_owned(),
        |by| {
            let (method, case) = (one_line(&by.method), one_line(&by.case));
            format!("{method}: {}, step {} of {case}", by.tensor, by.step)
        },
    );
    let wrong = match share {
        share if *share > 1.0 => "  TOO SMALL".to_owned(),
        share if share * SLACK < 1.0 => format!("  MORE THAN {SLACK} TIMES WHAT IS NEEDED"),
        _ => String::new(),
    };
    format!("{name:19}  {value:5}  {share:5.3}{wrong}  {by}")
}
