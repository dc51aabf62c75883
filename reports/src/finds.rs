//! What a hunt has found: for a terminal, and as a file a find.

use std::fmt::Write as _;

use bn_harness::finds::{ByFuzz, DIFFERENTIAL, FaultHunt, Find, Flaky, Hunt, Hunted};
use bn_harness::results::{Mistake, Verdict};

use crate::style::{BOLD, DIM, harmless, of, one_line, paint};

/// How many mistakes a find is said to be like.
const LIKELY: usize = 3;

/// The most characters of a find's file's name.
const NAME: usize = 80;

/// Every find with its smallest case, what became of the backends, and the totals.
pub fn human(hunt: &Hunt) -> String {
    let mut text = String::new();
    for find in &hunt.finds {
        text += &one(find, hunt);
    }
    for Flaky { backend, property, case, first, again } in &hunt.flaky {
        let word = paint(of(Verdict::Suspect), "flaky");
        let _ = writeln!(text, "{word}  {BOLD}{}{BOLD:#}  {property}  {}", one_line(backend), one_line(case));
        let _ = writeln!(text, "  at first: {}\n  again:    {}\n", one_line(first), one_line(again));
    }
    text += &backends(&hunt.backends);
    let coverage = &hunt.coverage;
    let seconds = hunt.duration_ms as f64 / 1000.0;
    let _ = writeln!(
        text,
        "\n{} cases of seed {} against {}, {} of them in {seconds:.1} s: {:.0} a second",
        hunt.cases,
        hunt.seed,
        one_line(&hunt.oracle),
        hunt.asked_now,
        hunt.asked_now as f64 / seconds.max(1e-3),
    );
    let _ = writeln!(
        text,
        "reached {} of {} values and {} of {} pairs of what cases can be",
        coverage.values, coverage.of_values, coverage.pairs, coverage.of_pairs
    );
    let line = match (&hunt.incomplete, hunt.finds.len(), hunt.flaky.len()) {
        (Some(why), ..) => paint(of(Verdict::Fail), &one_line(why)),
        (None, 0, 0) => paint(of(Verdict::Pass), "nothing was found"),
        (None, finds, flaky) => {
            let more =
                if flaky > 0 { format!(", and {}", count(flaky, "flaky failure")) } else { String::new() };
            paint(of(Verdict::Fail), &format!("{}{more}", count(finds, "find")))
        }
    };
    let _ = writeln!(text, "{line}");
    text
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn one(find: &Find, hunt: &Hunt) -> String {
    let Find { backend, property, sign, times, first, what, steps, elements, tries, .. } = find;
    let mut text = String::new();
    let word = paint(of(sign.verdict), sign.verdict.name());
    let property = if property == DIFFERENTIAL { String::new() } else { format!("  {property}") };
    let _ = writeln!(
        text,
        "{word}  {BOLD}{}{BOLD:#}{property}  {}  {DIM}in {times} of {} cases, first {}{DIM:#}",
        one_line(backend),
        one_line(&sign.to_string()),
        hunt.cases,
        one_line(first),
    );
    let _ = writeln!(text, "  {}", one_line(what));
    for (place, mistake) in find.diagnosis.iter().take(LIKELY).enumerate() {
        let word = if place == 0 { "likely" } else { "or" };
        let _ = writeln!(text, "  {word}: {}", likely(mistake));
    }
    let _ = writeln!(
        text,
        "  {DIM}{}, {}, smallest of {tries} tried{DIM:#}{}",
        count(*steps, "step"),
        count(*elements, "element"),
        find.file.as_ref().map(|file| format!(": {}", one_line(file))).unwrap_or_default(),
    );
    for line in harmless(&find.yaml).lines() {
        let _ = writeln!(text, "    {DIM}{line}{DIM:#}");
    }
    text.push('\n');
    text
}

fn likely(mistake: &Mistake) -> String {
    format!("{}  [{}]", one_line(&mistake.about), one_line(&mistake.name))
}

fn backends(backends: &[Hunted]) -> String {
    let width = backends.iter().map(|backend| backend.name.chars().count()).max().unwrap_or(0).max(7);
    let mut text = format!(
        "{BOLD}{:width$}  {:>9}  {:>9}  {:>11}  {:>9}  {:>9}  {:>15}{BOLD:#}\n",
        "backend", "pass", "known", "unsupported", "vacuous", "found in", "properties held"
    );
    for Hunted { name, passed, known, unsupported, vacuous, failed, properties_held } in backends {
        let _ = writeln!(
            text,
            "{:width$}  {passed:>9}  {known:>9}  {unsupported:>11}  {vacuous:>9}  {failed:>9}  {properties_held:>15}",
            one_line(name)
        );
    }
    text
}

/// For each known mistake how many cases it took to find it, and how small those became.
pub fn by_fuzz(results: &ByFuzz) -> String {
    let width = results.faults.iter().map(|fault| fault.name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{BOLD}{:width$}  cases until it is found, for each seed{BOLD:#}\n", "fault");
    for FaultHunt { name, found, hard, .. } in &results.faults {
        let _ = write!(text, "{:width$}", one_line(name));
        for found in found {
            let _ = match found {
                Some(cases) => write!(text, "  {cases:>6}"),
                None => write!(text, "  {}", paint(of(Verdict::Fail), "  none")),
            };
        }
        if let Some(why) = hard {
            let _ = write!(text, "  {DIM}{}{DIM:#}", one_line(why));
        }
        text.push('\n');
    }
    let cases = results.cases();
    let found = cases.iter().flatten().count();
    let at = |share: f64| {
        let place = (share * cases.len() as f64).ceil() as usize;
        let found = cases.get(place.saturating_sub(1)).copied().flatten();
        found.map_or_else(|| format!("more than {}", results.most), |cases| cases.to_string())
    };
    let _ = writeln!(
        text,
        "\n{found} of {} hunts found their mistake within {} cases; half of them within {}, 95 % within {}",
        cases.len(),
        results.most,
        at(0.5),
        at(0.95)
    );
    let share = |share: f64| {
        let steps = results.at(share, |one| one.steps).unwrap_or(0);
        let elements = results.at(share, |one| one.elements).unwrap_or(0);
        format!("{steps} steps and {elements} elements")
    };
    let _ = writeln!(
        text,
        "made smaller: half have at most {}, 95 % {}; {} are another mistake than before",
        share(0.5),
        share(0.95),
        results.smallest().filter(|one| !one.is_the_same).count()
    );
    let _ =
        writeln!(text, "{} cases proved nothing; {:.1} s", results.void, results.duration_ms as f64 / 1000.0);
    let (verdict, line) = if results.as_expected() {
        (Verdict::Pass, "known mistakes are found, and the cases are small")
    } else {
        (Verdict::Fail, "known mistakes are found too late, or the cases are too large")
    };
    let _ = writeln!(text, "{}", paint(of(verdict), line));
    text
}

/// What is wrong with a case that was asked again.
pub fn replayed(case: &str, backends: &[String], wrong: &[(String, String)]) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}\n", one_line(case));
    if wrong.is_empty() {
        let _ = writeln!(text, "  all is as it should be: {}", backends.join(", "));
    }
    for (whose, what) in wrong {
        let _ = writeln!(text, "  {} {}", paint(of(Verdict::Fail), &one_line(whose)), one_line(what));
    }
    text
}

/// What a find's file is called, which none of `taken` is: the backend, the property and what it shows.
pub fn file_name(find: &Find, taken: &[String]) -> String {
    let property = if find.property == DIFFERENTIAL { "" } else { &find.property };
    let what = find.diagnosis.first().map_or_else(|| find.sign.to_string(), |mistake| mistake.name.clone());
    let mut name = String::new();
    for char in format!("{} {property} {what}", find.backend).chars() {
        match char {
            char if char.is_ascii_alphanumeric() || char == '_' => name.push(char.to_ascii_lowercase()),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
        if name.len() >= NAME {
            break;
        }
    }
    let name = name.trim_end_matches('-').to_owned();
    let mut unique = name.clone();
    let mut number = 2;
    while taken.contains(&unique) {
        unique = format!("{name}-{number}");
        number += 1;
    }
    unique
}

/// A find as a file: the smallest case, and above it what it shows, how it was found and what to do with it. `promote` leaves
/// out what begins with `#:`.
pub fn file_text(find: &Find, hunt: &Hunt) -> String {
    let mut text = String::new();
    let mut line = |mark: &str, words: &str| {
        // A line to copy stays one.
        let words = one_line(words);
        let lines = if mark == OF_THE_HUNT { vec![words] } else { wrapped(&words) };
        for line in lines {
            let _ = writeln!(text, "{mark} {line}");
        }
    };
    line("#", &format!("{}: {}", find.backend, find.what));
    if find.property != DIFFERENTIAL {
        line("#", &format!("What does not hold: {}.", find.property));
    }
    for mistake in find.diagnosis.iter().take(LIKELY) {
        line("#", &format!("Likely: {}", likely(mistake)));
    }
    line(
        OF_THE_HUNT,
        &format!(
            "Found by `bncheck fuzz --seed {}` in {} of {} cases, first in {}.",
            hunt.seed, find.times, hunt.cases, find.first
        ),
    );
    if let Some(file) = &find.file {
        let property = if find.property == DIFFERENTIAL {
            String::new()
        } else {
            format!(" --property {}", find.property)
        };
        line(
            OF_THE_HUNT,
            &format!("Again:    bncheck fuzz --replay {file} --backend {}{property}", find.backend),
        );
        line(OF_THE_HUNT, &format!("PyTorch:  bncheck export --python --suites {file}"));
        line(OF_THE_HUNT, &format!("Keep it:  bncheck promote {file} --name NAME --about 'what it shows'"));
    }
    text + &harmless(&find.yaml)
}

/// What a line of a find's file begins with that is about the hunt and not about the case.
pub const OF_THE_HUNT: &str = "#:";

/// The characters of a line of comment.
const LINE: usize = 110;

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + word.chars().count() >= LINE {
            lines.push(word.to_owned());
            continue;
        }
        if !lines[last].is_empty() {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
    }
    lines
}
