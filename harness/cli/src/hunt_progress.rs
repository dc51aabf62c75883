//! The progress of a hunt on standard error: a line that changes on a terminal, plain lines elsewhere.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use bn_fuzz::hunt::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How often a line on a terminal changes.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// How far a hunt is.
pub struct HuntProgress {
    cases: Option<usize>,
    time: Option<Duration>,
    first: usize,
    started: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl HuntProgress {
    /// Of a hunt for so many cases or so long, that begins with case number `first`.
    pub fn new(cases: Option<usize>, time: Option<Duration>, first: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        HuntProgress { cases, time, first, started: now, shown: now, bar }
    }

    /// One more case is done; with nothing, what was found is being made smaller.
    pub fn show(&mut self, now: Option<Progress<'_>>) {
        let every = if self.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        let line = match now {
            Some(_) if self.shown.elapsed() < every => return,
            Some(now) => self.line(&now),
            None => "making what was found smaller".to_owned(),
        };
        self.shown = Instant::now();
        match &self.bar {
            Some(bar) => {
                bar.tick();
                bar.set_message(line);
            }
            None => eprintln!("{line}"),
        }
    }

    fn line(&self, now: &Progress<'_>) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let speed = now.cases.saturating_sub(self.first) as f64 / seconds.max(1e-3);
        let coverage = now.reached.coverage();
        let share = 100.0 * coverage.pairs as f64 / coverage.of_pairs.max(1) as f64;
        let of = match (self.cases, self.time) {
            (Some(cases), _) => format!(" of {cases}"),
            (None, Some(time)) => format!(", {seconds:.0} of {:.0} s", time.as_secs_f64()),
            (None, None) => String::new(),
        };
        let mut line = format!(
            "{} cases{of}, {speed:.0}/s, {} of {} values and {share:.0} % of pairs reached",
            now.cases, coverage.values, coverage.of_values
        );
        let signs = now.dossier.signs.len();
        if signs > 0 {
            let _ = write!(line, ", {signs} kinds of failure");
            let mut most: Vec<_> = now.dossier.signs.iter().collect();
            most.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
            for (key, (times, _)) in most.into_iter().take(3) {
                let _ = write!(line, "; {times} × {}", key.sign);
            }
        }
        line
    }

    /// The hunt is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
