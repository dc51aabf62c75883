//! Progress on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use bn_harness::results::Verdict;
use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of a run.
pub struct Progress {
    total: usize,
    unexpected: usize,
    by_chance: bool,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    /// Progress through `total` cases.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn new(total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64);
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len} cases, {msg} not as expected, {eta} left");
            bar.set_style(style.expect("the template is right"));
            bar.set_message("0");
            bar
        });
        if bar.is_none() {
            eprintln!("running {total} case{}", if total == 1 { "" } else { "s" });
        }
        Progress { total, unexpected: 0, by_chance: false, bar, last_line: Instant::now() }
    }

    /// The same of cases that may be made by chance.
    pub fn by_chance(self, by_chance: bool) -> Self {
        Progress { by_chance, ..self }
    }

    /// One more case is done.
    pub fn case_done(&mut self, done: usize, verdicts: &[Verdict]) {
        self.unexpected += verdicts.iter().filter(|verdict| !verdict.is_expected_of(self.by_chance)).count();
        match &self.bar {
            Some(bar) => {
                bar.set_position(done as u64);
                bar.set_message(self.unexpected.to_string());
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                eprintln!("{done} of {} cases, {} not as expected", self.total, self.unexpected);
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    /// The run is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
