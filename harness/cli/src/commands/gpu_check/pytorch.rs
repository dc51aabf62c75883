//! PyTorch's batch norm on the same device, timed by a Python in a process of its own.

use std::io::Write;
use std::process::{Command, Stdio};

use bn_cuda::bench::Settings;
use bn_reports::gpu_check::{PyTorch, Row, TorchTime};
use serde_json::{Value, json};

/// What the Python runs.
const SCRIPT: &str = include_str!("../../../../../backends/cuda/gpu-check/pytorch.py");

/// The Pythons that are tried where none is named.
const PYTHONS: [&str; 2] = ["python3", "python"];

/// Puts PyTorch's times into the rows that it has kernels for, and says who measured, or why nobody did.
pub fn measure(python: Option<&str>, rows: &mut [Row]) -> PyTorch {
    let named = python.map(|python| vec![python]);
    let mut whys = Vec::new();
    for python in named.unwrap_or_else(|| PYTHONS.to_vec()) {
        match ask(python, rows) {
            Ok(measured) => return measured,
            Err(why) => whys.push(format!("{python}: {why}")),
        }
    }
    PyTorch::Absent { why: format!("there is no Python with torch that sees a GPU ({})", whys.join("; ")) }
}

/// The first rows of what PyTorch is asked about: it sums halves and `f32` in `f32`.
fn asked(rows: &[Row]) -> Vec<&Row> {
    let mut asked: Vec<&Row> = Vec::new();
    for row in rows.iter().filter(|row| row.accumulator == "f32" || row.dtype == "f64") {
        if !asked.iter().any(|known| is_of(row, known)) {
            asked.push(row);
        }
    }
    asked
}

/// Whether two rows are of the same tensor.
fn is_of(row: &Row, other: &Row) -> bool {
    let of = |row: &Row| (row.shape.clone(), row.dtype.clone(), row.accumulator.clone(), row.layout.clone());
    of(row) == of(other)
}

fn ask(python: &str, rows: &mut [Row]) -> Result<PyTorch, String> {
    let settings = Settings::default();
    let subjects: Vec<Row> = asked(rows).into_iter().cloned().collect();
    let plan = json!({
        "milliseconds": settings.at_least.as_secs_f64() * 1000.0,
        "samples": settings.samples,
        "subjects": subjects.iter().map(|row| {
            json!({"shape": row.shape, "dtype": row.dtype, "layout": row.layout})
        }).collect::<Vec<_>>(),
    });
    let mut child = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read it says so by what it writes.
        let _ = input.write_all(plan.to_string().as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(Value::is_object).collect();
    let word = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    let measured = lines.first().and_then(|line| {
        Some(PyTorch::Measured {
            python: python.to_owned(),
            torch: word(line, "torch")?,
            cuda: word(line, "cuda")?,
            cudnn: word(line, "cudnn")?,
            device: word(line, "device")?,
        })
    });
    let Some(measured) = measured else {
        let absent = lines.first().and_then(|line| word(line, "absent"));
        let last = String::from_utf8_lossy(&output.stderr).lines().last().map(str::to_owned);
        return Err(absent.or(last).unwrap_or_else(|| format!("it ended with {}", output.status)));
    };
    if !output.status.success() {
        let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        eprintln!("PyTorch did not measure all of it: {}: {last}", output.status);
    }
    for line in &lines[1..] {
        if let Some((subject, pass, time)) = time_of(line, &subjects) {
            let mut of_line = rows.iter_mut().filter(|row| row.pass == pass && is_of(row, subject));
            of_line.by_ref().for_each(|row| row.pytorch.push(time.clone()));
        }
    }
    Ok(measured)
}

/// A line of the script's: of which subject, which pass, and its time.
fn time_of<'a>(line: &Value, subjects: &'a [Row]) -> Option<(&'a Row, String, TorchTime)> {
    let subject = subjects.get(usize::try_from(line["subject"].as_u64()?).ok()?)?;
    let time = TorchTime {
        cudnn: line["cudnn"].as_bool()?,
        graph: line["graph"].as_bool()?,
        micros: line["micros"].as_f64().filter(|micros| *micros > 0.0),
        problem: line["problem"].as_str().map(str::to_owned),
    };
    Some((subject, line["pass"].as_str()?.to_owned(), time))
}
