//! A check of a GPU for a terminal.

use std::fmt::Write as _;

use bn_harness::results::Verdict;

use super::{Comparison, Difference, GpuCheck, PyTorch, Row, Timings};
use crate::style::{BOLD, DIM, harmless, of, one_line, paint};

/// How many differences of two executors are shown.
const SHOWN: usize = 20;

/// How many cases that are not as expected are named.
const NAMED: usize = 20;

/// Everything on a GPU: the verdicts, what differs from the interpreter, and how fast it is.
pub fn human(check: &GpuCheck) -> String {
    let device = &check.device;
    let mut text = format!("{BOLD}bncheck {} on {}{BOLD:#}\n", check.bncheck, one_line(&device.description));
    let _ = writeln!(
        text,
        "{DIM}{} multiprocessors, {} MB of memory, {:.1} MB of L2{DIM:#}",
        device.multiprocessors,
        device.memory_bytes / 1_000_000,
        device.l2_bytes as f64 / 1e6
    );
    suites(&mut text, check);
    for comparison in &check.comparisons {
        compared(&mut text, comparison);
    }
    if let Some(timings) = &check.timings {
        timed(&mut text, timings, &device.executor);
    }
    let last = if check.as_expected() { (Verdict::Pass, "all as expected") } else { mismatch(check) };
    let _ = writeln!(text, "\n{}", paint(of(last.0), last.1));
    text
}

fn mismatch(check: &GpuCheck) -> (Verdict, &'static str) {
    let what = if !check.suites.as_expected {
        "not as expected: see the cases above"
    } else if check.comparisons.iter().any(|comparison| !comparison.is_same()) {
        "not as expected: the GPU and the interpreter give different bits"
    } else {
        "not as expected: not everything could be timed"
    };
    (Verdict::Fail, what)
}

fn suites(text: &mut String, check: &GpuCheck) {
    let suites = &check.suites;
    let _ = writeln!(
        text,
        "\n{BOLD}{} cases of the {} tier{BOLD:#} {DIM}judged by {}{DIM:#}",
        suites.cases,
        suites.tier,
        one_line(&suites.run.oracle)
    );
    let width = suites.verdicts.iter().map(|of| of.executor.len()).max().unwrap_or(0);
    for verdicts in &suites.verdicts {
        let counts: Vec<String> = Verdict::ALL
            .iter()
            .filter_map(|verdict| verdicts.counts.get(verdict).map(|count| (verdict, count)))
            .map(|(verdict, count)| paint(of(*verdict), &format!("{count} {verdict}")))
            .collect();
        let _ = writeln!(text, "  {:width$}  {}", one_line(&verdicts.executor), counts.join(", "));
    }
    for result in suites.unexpected.iter().take(NAMED) {
        let word = paint(of(result.verdict), result.verdict.name());
        let reason = result.reason.as_deref().map(|reason| format!(": {}", harmless(reason)));
        let (backend, case) = (one_line(&result.backend), one_line(&result.case));
        let _ = writeln!(text, "  {word}  {backend}  {case}{}", reason.unwrap_or_default());
        for step in &result.steps {
            for tensor in step.tensors.iter().filter(|tensor| !tensor.verdict.is_expected()) {
                let _ = write!(text, "      step {} {}: {}", step.step, step.action, tensor.tensor);
                if let Some(worst) = &tensor.worst {
                    let (expected, got) = (&worst.expected.decimal, &worst.got.decimal);
                    let _ = write!(text, "{:?}: {expected} is due, {got} came", worst.index);
                }
                text.push('\n');
            }
        }
    }
    if suites.unexpected.len() > NAMED {
        let _ = writeln!(text, "  and {} more: see the JSON", suites.unexpected.len() - NAMED);
    }
    for error in &suites.deviation_errors {
        let _ = writeln!(text, "  {}", harmless(error));
    }
}

fn compared(text: &mut String, comparison: &Comparison) {
    let [one, other] = comparison.executors.each_ref().map(|executor| one_line(executor));
    let Comparison { cases, tensors, elements, differences, not_listed, .. } = comparison;
    let _ = writeln!(
        text,
        "\n{BOLD}{one} and {other}, bit for bit{BOLD:#} {DIM}every NaN counts as the same{DIM:#}"
    );
    let found = differences.len() + not_listed;
    let (verdict, said) = match (tensors, found) {
        (0, 0) => (Verdict::Fail, "nothing was compared".to_owned()),
        (_, 0) => (Verdict::Pass, "the same".to_owned()),
        (_, 1) => (Verdict::Fail, "1 difference".to_owned()),
        _ => (Verdict::Fail, format!("{found} differences")),
    };
    let said = paint(of(verdict), &said);
    let _ = writeln!(text, "  {said} in {cases} cases, {tensors} tensors, {elements} numbers");
    for difference in differences.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", shown(difference, [&one, &other]));
    }
    if found > SHOWN {
        let _ = writeln!(text, "  and {} more: see the JSON", found - SHOWN);
    }
}

fn shown(difference: &Difference, [one, other]: [&str; 2]) -> String {
    let Difference { case, step, action, tensor, index, values, note } = difference;
    let mut line = format!("{} step {step} {}", one_line(case), one_line(action));
    if let Some(tensor) = tensor {
        let _ = write!(line, ": {}", one_line(tensor));
    }
    if let Some([left, right]) = values {
        let _ = write!(
            line,
            "{index:?}: {one} {} ({}), {other} {} ({})",
            left.decimal, left.bits, right.decimal, right.bits
        );
    }
    if let Some(note) = note {
        let _ = write!(line, ": {}", one_line(note));
    }
    line
}

/// The columns before PyTorch's.
const COLUMNS: &str = "shape            layout         pass                   µs     GB/s  of copy";

fn timed(text: &mut String, timings: &Timings, executor: &str) {
    let copy = match &timings.copy {
        Some(copy) => {
            let megabytes = copy.bytes as f64 / 1e6;
            format!("{:.0} GB/s for {megabytes:.0} MB read and written", copy.gb_per_s())
        }
        None => "a large one could not be timed".to_owned(),
    };
    let executor = one_line(executor);
    let _ = writeln!(text, "\n{BOLD}Times on {executor}{BOLD:#}, beside a copy on the device: {copy}");
    text.push_str(
        "  GB/s: the bytes that a pass moves when nothing stays on the chip, b an element of b bytes for each tensor\n  \
         it reads or writes (forward eval 2b, train 3b; backward train 5b, eval 3b), in the median time. Of copy: the\n  \
         time of a copy that moves as many bytes, over it.\n",
    );
    let with_torch = pytorch(text, &timings.pytorch);
    if timings.rows.iter().any(|row| row.fits_l2) {
        text.push_str(
            "  L2: the tensors fit into the second-level cache, where a pass finds them that the one before left there.\n",
        );
    }
    let mut before = None;
    for row in &timings.rows {
        let types = (&row.dtype, &row.parameters, &row.accumulator);
        if before != Some(types) {
            let _ = writeln!(text, "\n  {BOLD}{}{BOLD:#}", types_of(row));
            let torch = if with_torch { "   PyTorch, cuDNN       PyTorch's own" } else { "" };
            let _ = writeln!(text, "  {DIM}{COLUMNS}{torch}{DIM:#}");
            before = Some(types);
        }
        line(text, row, with_torch);
    }
    summary(text, timings);
}

/// Who is compared with, or why nobody is; whether there is anybody.
fn pytorch(text: &mut String, pytorch: &PyTorch) -> bool {
    match pytorch {
        PyTorch::Measured { python, torch, cuda, cudnn, device } => {
            let _ = writeln!(
                text,
                "  PyTorch {} (CUDA {}, cuDNN {}) on {}, by {}: with cuDNN allowed, and without; calls one after\n  \
                 the other or recorded as a CUDA graph, whichever is faster; and its time over ours.",
                one_line(torch),
                one_line(cuda),
                one_line(cudnn),
                one_line(device),
                one_line(python)
            );
            true
        }
        PyTorch::Absent { why } => {
            let _ = writeln!(text, "  Not beside PyTorch: {}", harmless(why));
            false
        }
    }
}

/// `f16 with parameters in f32, computed in f64`.
fn types_of(row: &Row) -> String {
    let Row { dtype, parameters, accumulator, .. } = row;
    let parameters =
        if parameters == dtype { String::new() } else { format!(" with parameters in {parameters}") };
    format!("{dtype}{parameters}, computed in {accumulator}")
}

fn line(text: &mut String, row: &Row, with_torch: bool) {
    let shape = row.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    let _ = write!(text, "  {shape:15}  {:13}  {:14}", row.layout, row.pass);
    let Some(timed) = &row.timed else {
        let problem = row.problem.as_deref().unwrap_or("it was not timed");
        let _ = writeln!(text, "  {}", paint(of(Verdict::Error), &one_line(problem)));
        return;
    };
    let share = 100.0 * timed.share_of_copy;
    let _ = write!(text, " {:>9.1} {:>8.0} {share:>6.0} %", timed.micros, timed.gb_per_s);
    if with_torch {
        for cudnn in [true, false] {
            match row.best_of_pytorch(cudnn) {
                Some(micros) => {
                    let _ = write!(text, "  {micros:>9.1} {:>5.2} ×", micros / timed.micros);
                }
                None => text.push_str("          -        "),
            }
        }
    }
    text.push_str(if row.fits_l2 { "  L2\n" } else { "\n" });
}

/// The smallest share of the copy outside the second-level cache, and how often PyTorch is faster.
fn summary(text: &mut String, timings: &Timings) {
    let outside = timings.rows.iter().filter(|row| !row.fits_l2);
    let shares = outside.filter_map(|row| row.timed.map(|timed| (timed.share_of_copy, row)));
    if let Some((share, row)) = shares.min_by(|one, other| one.0.total_cmp(&other.0)) {
        let shape = row.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
        let _ = writeln!(
            text,
            "\n  The smallest share outside of L2: {:.0} % ({}, {shape}, {}, {})",
            100.0 * share,
            types_of(row),
            row.layout,
            row.pass
        );
    }
    let both = timings.rows.iter().filter_map(|row| {
        let times = [true, false].into_iter().filter_map(|cudnn| row.best_of_pytorch(cudnn));
        Some((row.timed?.micros, times.reduce(f64::min)?))
    });
    let (compared, slower) = both.fold((0, 0), |(compared, slower), (ours, theirs)| {
        (compared + 1, slower + usize::from(theirs < ours))
    });
    if compared > 0 {
        let _ = writeln!(text, "  PyTorch is faster in {slower} of {compared} rows");
    }
}
