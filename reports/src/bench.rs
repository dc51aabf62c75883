//! What came of `bncheck bench`: the model that it prints as JSON, and tables for a terminal.

use std::fmt::Write as _;

use bn_harness::results::{Machine, ProcessMemory, Stages, Verdict};
use serde::{Deserialize, Serialize};

use crate::style::{BOLD, DIM, one_line};

/// The version of this model; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// Bytes of a float32.
const F32: f64 = 4.0;

/// How fast it all is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of bncheck.
    pub bncheck: String,
    /// Where.
    pub machine: Machine,
    /// How fast cases are judged, and where the time goes.
    pub runs: Vec<RunSpeed>,
    /// How fast backends are on the shapes of real networks.
    pub shapes: Vec<ShapeSpeed>,
}

/// How fast cases were judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpeed {
    /// Which cases, in words.
    pub what: String,
    /// Which backends.
    pub backends: Vec<String>,
    /// How many cases.
    pub cases: usize,
    /// How many were in flight.
    pub jobs: usize,
    /// How long it took, in milliseconds, all threads at a time.
    pub duration_ms: u64,
    /// Where the time went.
    pub stages: Stages,
    /// How much of the arbiter's stage was double-double arithmetic, in nanoseconds; the rest of it is conversions and the
    /// oracle's trial.
    #[serde(default)]
    pub arbiter_arithmetic: u64,
    /// How often each backend had each verdict; those that none had are left out.
    #[serde(default)]
    pub verdicts: Vec<Judged>,
    /// How much memory its processes held at most.
    pub memory: Vec<ProcessMemory>,
}

/// What was said of a backend's answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The backend.
    pub backend: String,
    /// How often each verdict.
    pub verdicts: Vec<(Verdict, usize)>,
}

/// How fast a backend is on a shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShapeSpeed {
    /// The network.
    pub network: String,
    /// (N, C, H, W).
    pub shape: Vec<usize>,
    /// The backend.
    pub backend: String,
    /// What it took.
    pub taken: Taken,
}

/// What a backend took over a shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// Medians, in nanoseconds.
    Times {
        /// A forward in training.
        forward: u64,
        /// Its backward; nothing where it has no gradients, or where `with_pipe` is set.
        backward: Option<u64>,
        /// How often it was timed.
        repeats: usize,
        /// Whether the backward is in `forward`, and the pipe.
        with_pipe: bool,
        /// How many times as long as libtorch in float32 on the same shape, forward and backward; nothing where one of the
        /// four was not timed by itself.
        of_libtorch: Option<f64>,
    },
    /// It was not timed.
    Not {
        /// Why.
        why: String,
    },
}

impl RunSpeed {
    /// Cases per second.
    pub fn rate(&self) -> f64 {
        self.cases as f64 * 1000.0 / self.duration_ms.max(1) as f64
    }

    /// The share of the time that is the harness's own: neither the oracle's arithmetic nor a backend's. The arbiter's
    /// counts as the oracle's, which it is put beside, or as the harness's.
    pub fn own_share(&self, arbiter_is_oracle: bool) -> f64 {
        let Stages { generate, oracle, arbiter, backends, pipe, judge, write } = self.stages;
        let own = generate + arbiter + pipe + judge + write;
        let lent = if arbiter_is_oracle { self.arbiter_arithmetic.min(arbiter) } else { 0 };
        (own - lent) as f64 / (own + oracle + backends).max(1) as f64
    }
}

/// Tables for people.
pub fn human(bench: &Bench) -> String {
    let mut text = String::new();
    for run in &bench.runs {
        run_table(&mut text, run);
    }
    if !bench.shapes.is_empty() {
        shape_table(&mut text, &bench.shapes);
    }
    text
}

fn run_table(text: &mut String, run: &RunSpeed) {
    let _ = writeln!(
        text,
        "{BOLD}{}{BOLD:#}, on {}: {} cases in {:.2} s, {} at a time: {BOLD}{} cases/s{BOLD:#}",
        one_line(&run.what),
        one_line(&run.backends.join(", ")),
        run.cases,
        run.duration_ms as f64 / 1000.0,
        run.jobs,
        if run.rate() < 100.0 { format!("{:.2}", run.rate()) } else { format!("{:.0}", run.rate()) }
    );
    let Stages { generate, oracle, arbiter, backends, pipe, judge, write } = run.stages;
    let all = (generate + oracle + arbiter + backends + pipe + judge + write).max(1);
    for (name, nanos, what) in [
        ("generate", generate, "tensors of the cases"),
        ("oracle", oracle, "libtorch in float64"),
        ("arbiter", arbiter, "double-double, and the oracle's trial"),
        ("backend", backends, "the answers that are judged"),
        ("pipe", pipe, "to and from workers, with waiting for them"),
        ("judge", judge, "budgets, comparison, pictures"),
        ("write", write, "the journal"),
    ] {
        let per_case = time(nanos / run.cases.max(1) as u64);
        let share = 100.0 * nanos as f64 / all as f64;
        let _ = writeln!(text, "  {name:<9} {per_case:>9} a case {share:>5.1} %  {DIM}{what}{DIM:#}");
    }
    let per_case = time(run.arbiter_arithmetic / run.cases.max(1) as u64);
    let _ = writeln!(
        text,
        "  bncheck's own share, all but the arithmetic of oracle and backends: {BOLD}{:.1} %{BOLD:#} with the arbiter's \
         arithmetic\n  ({per_case} a case) as bncheck's, {BOLD}{:.1} %{BOLD:#} with it as the oracle's",
        100.0 * run.own_share(false),
        100.0 * run.own_share(true)
    );
    for judged in &run.verdicts {
        let verdicts: Vec<String> =
            judged.verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        let _ = writeln!(text, "  verdicts of {}: {}", one_line(&judged.backend), verdicts.join(", "));
    }
    let memory = run.memory.iter().map(|it| format!("{} {} MiB", one_line(&it.name), it.peak_bytes >> 20));
    let memory: Vec<String> = memory.collect();
    if !memory.is_empty() {
        let _ = writeln!(text, "  memory at most: {}", memory.join(", "));
    }
    text.push('\n');
}

fn shape_table(text: &mut String, shapes: &[ShapeSpeed]) {
    let name = |shape: &ShapeSpeed| {
        let sizes: Vec<String> = shape.shape.iter().map(ToString::to_string).collect();
        format!("{} {}", shape.network, sizes.join("x"))
    };
    let width = shapes.iter().map(|shape| name(shape).len()).max().unwrap_or(0);
    let backend_width = shapes.iter().map(|shape| shape.backend.len()).max().unwrap_or(0).max(7);
    let _ = writeln!(
        text,
        "{BOLD}{:<width$}  {:<backend_width$}  {:>11}  {:>6}  {:>11}  {:>6}  {:>11}{BOLD:#}",
        "shape", "backend", "forward", "GB/s", "backward", "GB/s", "of libtorch"
    );
    let mut last = String::new();
    for shape in shapes {
        let name = name(shape);
        let shown = if name == last { "" } else { name.as_str() };
        let _ = write!(text, "{:<width$}  {:<backend_width$}  ", one_line(shown), one_line(&shape.backend));
        let _ = match &shape.taken {
            Taken::Not { why } => writeln!(text, "{DIM}{}{DIM:#}", one_line(why)),
            Taken::Times { forward, backward, with_pipe, of_libtorch, .. } => {
                let elements = shape.shape.iter().product::<usize>() as f64;
                let ratio = of_libtorch.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
                if *with_pipe {
                    writeln!(text, "{:>11}  {DIM}both, with the pipe{DIM:#}", time(*forward))
                } else {
                    let (of_forward, of_backward) = (2.0 * F32 * elements, 3.0 * F32 * elements);
                    let (forward_rate, backward_rate) =
                        (rate(of_forward, Some(*forward)), rate(of_backward, *backward));
                    let backward = backward.map_or_else(|| "-".to_owned(), time);
                    let forward = time(*forward);
                    writeln!(
                        text,
                        "{forward:>11}  {forward_rate:>6}  {backward:>11}  {backward_rate:>6}  {ratio:>11}"
                    )
                }
            }
        };
        last = name;
    }
    let _ = writeln!(
        text,
        "\n{DIM}medians, in training, float32; GB/s of x and y for a forward, of x, dy and dx for a backward{DIM:#}"
    );
}

/// How many gigabytes a second so many bytes in so many nanoseconds are.
fn rate(bytes: f64, nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "-".to_owned(), |nanos| format!("{:.2}", bytes / nanos.max(1) as f64))
}

fn time(nanos: u64) -> String {
    match nanos as f64 {
        nanos if nanos < 1e6 => format!("{:.1} µs", nanos / 1e3),
        nanos if nanos < 1e9 => format!("{:.2} ms", nanos / 1e6),
        nanos => format!("{:.2} s", nanos / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench() -> Bench {
        let machine = Machine { os: "linux".into(), arch: "x86_64".into(), cpu: None, threads: 2 };
        let stages = Stages {
            generate: 1_000_000,
            oracle: 3_000_000,
            arbiter: 1_000_000,
            backends: 2_000_000,
            pipe: 1_000_000,
            judge: 1_500_000,
            write: 500_000,
        };
        let memory = vec![ProcessMemory { name: "bncheck".into(), peak_bytes: 50 << 20 }];
        let run = RunSpeed {
            what: "small cases".into(),
            backends: vec!["reference".into()],
            cases: 100,
            jobs: 2,
            duration_ms: 25,
            stages,
            arbiter_arithmetic: 750_000,
            verdicts: vec![Judged {
                backend: "reference".into(),
                verdicts: vec![(Verdict::Pass, 98), (Verdict::Unsupported, 2)],
            }],
            memory,
        };
        let shape = |backend: &str, taken| ShapeSpeed {
            network: "resnet50".into(),
            shape: vec![1, 64, 112, 112],
            backend: backend.into(),
            taken,
        };
        let times = |forward, with_pipe: bool, of_libtorch| Taken::Times {
            forward,
            backward: (!with_pipe).then_some(3 * forward),
            repeats: 7,
            with_pipe,
            of_libtorch,
        };
        let shapes = vec![
            shape("libtorch", times(1_000_000, false, Some(1.0))),
            shape("candle", times(2_500_000, false, Some(2.5))),
            shape("mine", times(7_000_000_000, true, None)),
            shape(
                "inference",
                Taken::Times {
                    forward: 900_000,
                    backward: None,
                    repeats: 7,
                    with_pipe: false,
                    of_libtorch: None,
                },
            ),
            shape("cuda", Taken::Not { why: "there is no GPU\u{1b}[2J".into() }),
        ];
        Bench { schema_version: SCHEMA_VERSION, bncheck: "0.1.0".into(), machine, runs: vec![run], shapes }
    }

    #[test]
    fn the_tables_say_where_the_time_goes_and_how_fast_each_is() {
        insta::assert_snapshot!(anstream::adapter::strip_str(&human(&bench())).to_string());
    }

    #[test]
    fn the_share_of_the_harness_is_all_but_the_arithmetic_of_oracle_and_backend() {
        assert!((bench().runs[0].own_share(false) - 0.5).abs() < 1e-12);
        assert!((bench().runs[0].own_share(true) - 0.425).abs() < 1e-12);
        assert!((bench().runs[0].rate() - 4000.0).abs() < 1e-9);
    }
}
