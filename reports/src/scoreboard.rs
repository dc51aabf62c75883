//! Who conforms on what, as Markdown: suites by backends, and below it, in words, what each backend is known to do
//! differently and what it cannot be asked.

use std::collections::HashMap;
use std::fmt::Write as _;

use bn_harness::results::{BackendColumn, CaseResult, RunResults, Verdict};

use crate::markdown::text::code;
use crate::style::{PASSAGE, cut, harmless};
use crate::tally::date;
use crate::terminal::count;

/// What a cell means, above the table.
const LEGEND: &str = "\
A cell says how many cases agree with PyTorch, of those that were judged. *known*: deviates, as declared below; *n/a*: \
cannot be asked; **wrong**: any other verdict. – is a suite of which nothing can be asked.\n";

/// The table of all suites and backends, and a section for each backend.
pub fn markdown(results: &RunResults) -> String {
    let boards: Vec<Board> = results.run.backends.iter().map(|backend| Board::of(backend, results)).collect();
    let (there, absent): (Vec<&Board>, Vec<&Board>) = boards.iter().partition(|board| board.all.judged() > 0);
    let mut text = if there.is_empty() { String::new() } else { table(results, &there) };
    if !absent.is_empty() {
        text.push_str("\nNothing was judged of:\n\n");
        for board in &absent {
            let reasons: Vec<String> = board.lacks.entries.iter().map(|(why, _)| code(why)).collect();
            let _ = writeln!(text, "- {}: {}", code(&board.backend.name), reasons.join(", "));
        }
    }
    text.push_str(&provenance(results));
    for board in there {
        text.push_str(&section(board));
    }
    text
}

/// How often something came out how.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    pass: usize,
    known: usize,
    unsupported: usize,
    wrong: usize,
}

impl Counts {
    /// Adds so many results of a run.
    fn add(&mut self, run: &RunResults, verdict: Verdict, count: usize) {
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Known => &mut self.known,
            // That a case by chance proves nothing is not the backend's doing.
            verdict if run.expects(verdict) => &mut self.unsupported,
            _ => &mut self.wrong,
        } += count;
    }

    fn judged(&self) -> usize {
        self.pass + self.known + self.wrong
    }

    /// "41/48 · 5 known · **2 wrong** · 3 n/a".
    fn cell(&self) -> String {
        if self.judged() == 0 {
            return "–".to_owned();
        }
        let mut text = format!("{}/{}", self.pass, self.judged());
        for (number, what) in [(self.known, "known"), (self.wrong, "**wrong**"), (self.unsupported, "n/a")] {
            if number > 0 {
                let _ = write!(text, " · {number} {what}");
            }
        }
        text
    }
}

/// Texts, each once and in the order in which they first came, with how often they came.
#[derive(Debug, Default)]
struct Counted<'a> {
    entries: Vec<(&'a str, usize)>,
    places: HashMap<&'a str, usize>,
}

impl<'a> Counted<'a> {
    fn add(&mut self, text: &'a str) {
        let place = *self.places.entry(text).or_insert_with(|| {
            self.entries.push((text, 0));
            self.entries.len() - 1
        });
        self.entries[place].1 += 1;
    }
}

/// All that is said of one backend.
#[derive(Debug)]
struct Board<'a> {
    backend: &'a BackendColumn,
    all: Counts,
    suites: HashMap<&'a str, Counts>,
    /// The declared deviations, as the reasons of known results say them.
    deviations: Counted<'a>,
    /// Why cases are unsupported.
    lacks: Counted<'a>,
    /// Tensors that could not be seen, each with the reason.
    unseen: Vec<(String, &'a str)>,
    /// How many results are counted alone: what they say is not known.
    not_listed: usize,
}

impl<'a> Board<'a> {
    fn of(backend: &'a BackendColumn, results: &'a RunResults) -> Self {
        let suites: HashMap<&str, &str> =
            results.cases.iter().map(|case| (case.id.as_str(), case.suite.as_str())).collect();
        let mut board = Board {
            backend,
            all: Counts::default(),
            suites: HashMap::new(),
            deviations: Counted::default(),
            lacks: Counted::default(),
            unseen: Vec::new(),
            not_listed: 0,
        };
        for result in results.of_backend(&backend.name) {
            board.all.add(results, result.verdict, 1);
            if let Some(suite) = suites.get(result.case.as_str()) {
                board.suites.entry(suite).or_default().add(results, result.verdict, 1);
            }
            match (result.verdict, &result.reason) {
                (Verdict::Known, Some(reason)) => reason.lines().for_each(|line| board.deviations.add(line)),
                (Verdict::Unsupported, Some(reason)) => board.lacks.add(reason),
                _ => {}
            }
            board.look_at(result);
        }
        for more in results.left_out.results.iter().filter(|more| more.backend == backend.name) {
            board.all.add(results, more.verdict, more.count);
            board.suites.entry(&more.suite).or_default().add(results, more.verdict, more.count);
            board.not_listed += more.count;
        }
        board
    }

    /// Notes which tensors of an answer could not be seen.
    fn look_at(&mut self, result: &'a CaseResult) {
        for tensor in result.steps.iter().flat_map(|step| &step.tensors) {
            if let (Verdict::Unsupported, Some(note)) = (tensor.verdict, &tensor.note) {
                let name = tensor.tensor.tensor.name();
                if !self.unseen.iter().any(|(known, _)| known == name) {
                    self.unseen.push((name.to_owned(), note));
                }
            }
        }
    }
}

fn table(results: &RunResults, boards: &[&Board]) -> String {
    let mut text = format!("{LEGEND}\n| suite |");
    for board in boards {
        let _ = write!(text, " {}<br>{} |", code(&board.backend.name), code(&board.backend.version));
    }
    let _ = writeln!(text, "\n|:---|{}", "---:|".repeat(boards.len()));
    let row = |name: &str, of: &dyn Fn(&Board) -> Counts| {
        let cells: Vec<String> = boards.iter().map(|board| of(board).cell()).collect();
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    for suite in suites(results) {
        let of = |board: &Board| board.suites.get(suite).copied().unwrap_or_default();
        text.push_str(&row(&code(suite), &of));
    }
    text.push_str(&row("all", &|board| board.all));
    text
}

/// The names of the suites, in the order of the cases.
fn suites(results: &RunResults) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let listed = results.cases.iter().map(|case| case.suite.as_str());
    for suite in listed.chain(results.left_out.results.iter().map(|more| more.suite.as_str())) {
        if !names.contains(&suite) {
            names.push(suite);
        }
    }
    names
}

/// What was run, where and how.
fn provenance(results: &RunResults) -> String {
    let run = &results.run;
    let machine = &run.machine;
    let mut text = format!(
        "\n{}, judged against {} by bncheck {} on {}",
        count(results.case_count(), "case"),
        code(&run.oracle),
        code(&run.bncheck),
        code(&format!("{} {}", machine.os, machine.arch)),
    );
    if let Some(date) = date(run.started_unix_ms) {
        let _ = write!(text, ", {}", date.format("%Y-%m-%d"));
    }
    if let Some(why) = &run.incomplete {
        let _ = write!(text, "; **not all of it**: {}", code(why));
    }
    text + "\n"
}

/// What is known of a backend.
fn section(board: &Board) -> String {
    let backend = board.backend;
    let mut text = format!("\n## {}\n\n{}", code(&backend.name), code(&backend.version));
    if !backend.about.is_empty() {
        let _ = write!(text, ": {}", prose(&backend.about));
    }
    text.push('\n');
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = write!(text, "\n{title}:\n\n{}\n", lines.join("\n"));
        }
    };
    let deviations = board.deviations.entries.iter().map(|&(said, cases)| deviation(said, cases));
    list("Deviates, as declared", deviations.collect());
    let wrong = board.all.wrong;
    let wrong = (wrong > 0).then(|| format!("- {}; the report of the run shows them", count(wrong, "case")));
    list("Not as expected", wrong.into_iter().collect());
    let unseen = board.unseen.iter().map(|(name, why)| format!("- {}: {}", code(name), code(why)));
    list("Not compared", unseen.collect());
    let lacks =
        board.lacks.entries.iter().map(|(why, cases)| format!("- {}: {}", code(why), count(*cases, "case")));
    list("Cannot be asked", lacks.collect());
    if board.not_listed > 0 {
        let results = count(board.not_listed, "result");
        let _ = write!(text, "\n{results} are counted and not listed: their reasons are not among these.\n");
    }
    if board.all.pass == board.all.judged() {
        text.push_str("\nAs PyTorch in all that was judged.\n");
    }
    text
}

/// A declared deviation as an entry of a list. It reads "name: reason (link)" in the results.
fn deviation(said: &str, cases: usize) -> String {
    let cases = count(cases, "case");
    let parts = said.split_once(": ").and_then(|(name, rest)| {
        let (reason, link) = rest.strip_suffix(')')?.rsplit_once(" (")?;
        Some((name, reason, link))
    });
    match parts {
        Some((name, reason, link)) => {
            format!("- {}, {cases}: {} ({})", code(name), prose(reason), address(link))
        }
        None => format!("- {}, {cases}", prose(said)),
    }
}

/// An address as a link where it is one of the web.
fn address(link: &str) -> String {
    let is_plain = link.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '|' | '\\' | '`'));
    if link.starts_with("https://") && is_plain { format!("[source](<{link}>)") } else { code(link) }
}

/// A text in a line, in which nothing is markup.
fn prose(text: &str) -> String {
    let mut escaped = String::new();
    for c in harmless(&cut(text, PASSAGE)).chars() {
        match c {
            '\n' | '\t' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}
