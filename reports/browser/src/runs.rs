//! The runs whose pages are looked at: a real one, large ones, and one whose texts are hostile.

use std::io::Read;

use bn_harness::results::{CaseResult, RunResults, Verdict};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// A run that `just browser-fixture` made: the pitfalls' suites on three backends with nothing declared, so that real
/// failures are seen.
const REAL: &[u8] = include_bytes!("../fixtures/results.json.gz");

/// The real run.
pub fn real() -> RunResults {
    serde_json::from_value(real_json())
        .expect("the fixture is of another version: `just browser-fixture` makes it anew")
}

fn real_json() -> Value {
    let mut text = String::new();
    GzDecoder::new(REAL).read_to_string(&mut text).expect("the fixture is packed by gzip");
    serde_json::from_str(&text).expect("the fixture is JSON")
}

/// The page of a run.
pub fn page(run: &RunResults) -> String {
    bn_reports::html::page(run).html
}

/// The names of the large runs' backends.
pub const BACKENDS: [&str; 5] = ["libtorch", "tch-nn", "candle", "burn", "mine"];

const DTYPES: [&str; 5] = ["f32", "f64", "f16", "bf16", "mixed"];
const SHAPES: [[usize; 4]; 5] = [[8, 4, 5, 5], [2, 3, 1, 1], [64, 16, 7, 7], [1, 32, 9, 3], [5, 2, 1, 4]];

/// Cases of one written case: every type with every shape.
const EXPANSIONS: usize = DTYPES.len() * SHAPES.len();

/// Of so many written cases the last backend fails one, in all its expansions: 2 % of the results.
const FAILS_ONE_OF: usize = 10;

/// A run of so many cases on five backends. Its numbers vary from case to case as real ones do, and with them what they
/// take packed; its failures are those of the real run, pictures included, the first of each written case.
pub fn large(cases: usize) -> RunResults {
    let mut numbers = Numbers(1);
    let failures = failures();
    let mut suites: Vec<Value> = Vec::new();
    let mut infos = Vec::with_capacity(cases);
    let mut run = empty(&BACKENDS);
    for place in 0..cases {
        let (written, expansion) = (place / EXPANSIONS, place % EXPANSIONS);
        let (dtype, shape) = (DTYPES[expansion % DTYPES.len()], SHAPES[expansion / DTYPES.len()]);
        let (suite, file) =
            (format!("generated/{:03}", written / 10), format!("suites/{:03}.yaml", written / 10));
        let name = format!(
            "{}-{:02}",
            ["two-batches", "frozen", "evaluate-first", "half"][written % 4],
            written % 10
        );
        let line = 12 + 7 * (written % 10);
        let shape_words = shape.map(|size| size.to_string()).join("x");
        let id = format!("{suite}/{name}[shape={shape_words},dtype={dtype}]");
        if expansion == 0 {
            if written % 10 == 0 {
                suites.push(json!({"name": suite, "file": file, "about": "Made for a test of large pages.", "written": []}));
            }
            let suite = suites.last_mut().expect("a suite was just begun");
            let list = suite["written"].as_array_mut().expect("it is a list");
            list.push(json!({
                "name": name, "line": line,
                "yaml": format!("  - name: {name}\n    steps: [train, forward, backward]\n    matrix: {{dtype: {DTYPES:?}}}\n"),
            }));
        }
        infos.push(json!({
            "id": id, "suite": suite, "name": name, "file": file, "line": line,
            "kappa": numbers.spread(-2.0, 4.0), "shape": shape, "ordinal": place,
            "words": format!("BatchNorm2d({}, eps=1e-05, momentum=0.1), {dtype}; train, forward, backward", shape[1]),
            "fields": {"dtype": dtype, "shape": shape_words, "layer.features": shape[1].to_string(), "layer.momentum": "0.1"},
        }));
        for backend in BACKENDS {
            run.results.push(answer(&mut numbers, &id, backend, written, expansion, &failures));
        }
    }
    run.cases = infos.into_iter().map(|info| serde_json::from_value(info).expect("a case")).collect();
    run.suites = serde_json::from_value(suites.into()).expect("suites");
    run
}

/// The failing results of the real run.
fn failures() -> Vec<CaseResult> {
    let mut run = real();
    run.results.retain(|result| result.verdict == Verdict::Fail);
    run.results
}

fn answer(
    numbers: &mut Numbers,
    id: &str,
    backend: &str,
    written: usize,
    expansion: usize,
    failures: &[CaseResult],
) -> CaseResult {
    let micros = numbers.spread(1.5, 4.0) as u64;
    if backend == "mine" && written % FAILS_ONE_OF == 3 {
        let drawn = failures[(written / FAILS_ONE_OF) % failures.len()].clone();
        let mut result = CaseResult { case: id.to_owned(), backend: backend.to_owned(), micros, ..drawn };
        if expansion > 0 {
            let tensors = result.steps.iter_mut().flat_map(|step| &mut step.tensors);
            tensors.for_each(|tensor| tensor.picture = None);
        }
        return result;
    }
    let short = |verdict: &str, reason: &str| {
        let result = json!({
            "case": id, "backend": backend, "verdict": verdict, "reason": reason, "budget_used": null, "micros": micros,
        });
        serde_json::from_value(result).expect("a result")
    };
    match (backend, written % 10) {
        ("candle", 4 | 8) => {
            return short("unsupported", "candle has no way to leave out the running statistics");
        }
        ("tch-nn", 6) => return short("known", "tch 0.24 starts with a random weight"),
        _ => {}
    }
    let mut tensors = |names: &[&str]| -> Vec<Value> {
        let tensor = |name: &&str| json!({"tensor": name, "verdict": "pass", "budget_used": numbers.spread(-3.0, -0.05), "total": 16});
        names.iter().map(tensor).collect()
    };
    let result = json!({
        "case": id, "backend": backend, "verdict": "pass", "micros": micros,
        "steps": [
            {"step": 0, "action": "new layer", "tensors": tensors(&["running_mean", "running_var", "weight", "bias"])},
            {"step": 1, "action": "train"},
            {"step": 2, "action": "forward", "tensors": tensors(&["output", "running_mean", "running_var"])},
            {"step": 3, "action": "backward", "tensors": tensors(&["grad_input", "grad_weight", "grad_bias"])},
        ],
        "budget_used": numbers.spread(-2.0, -0.05),
    });
    serde_json::from_value(result).expect("a result")
}

/// A run without a case.
pub fn empty(backends: &[&str]) -> RunResults {
    let column = |name: &&str| json!({"name": name, "version": format!("{name} 1.2.3"), "about": format!("what {name} is")});
    let run = json!({
        "schema_version": bn_harness::results::SCHEMA_VERSION,
        "run": {
            "bncheck": "0.1.0",
            "oracle": "libtorch 2.11.0 (tch 0.24.0) in float64",
            "backends": backends.iter().map(column).collect::<Vec<_>>(),
            "machine": {"os": "linux", "arch": "x86_64", "cpu": "a processor", "threads": 2},
            "jobs": 2, "seed": null, "flags": ["run"], "started_unix_ms": 1_790_000_000_000_u64, "duration_ms": 61_000,
        },
        "cases": [], "results": [], "deviation_errors": [],
    });
    serde_json::from_value(run).expect("a run")
}

/// Numbers that are the same every time: splitmix64.
struct Numbers(u64);

impl Numbers {
    /// A number between two powers of ten, evenly by its logarithm.
    fn spread(&mut self, from: f64, to: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let part = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        10_f64.powf(from + (to - from) * part)
    }
}

/// Texts that try to be more than text: markup, scripts, addresses, quotation marks, controls of direction and of terminals.
pub const HOSTILE: [&str; 6] = [
    "</script><script>window.pwned=1</script>",
    "\"><img src=x onerror=\"window.pwned=1\"><svg onload=window.pwned=1>",
    "'><a href=\"javascript:window.pwned=1\">x</a><!--<style>*{display:none}",
    "\u{202e}gnp.exe\u{2066}\u{200f}\u{200b}\u{feff}",
    "\u{1b}[2J\u{1b}]8;;http://example.com\u{7}\r\u{0}\u{85}\u{2028}",
    "__proto__ constructor ${window.pwned=1} {{1}} %00 `$(reboot)` &lt;b&gt; \\",
];

/// What a reader of the page could mistake for something else: nothing of it may be left in what is shown.
pub const UNSEEN: [char; 9] =
    ['\u{202e}', '\u{2066}', '\u{200f}', '\u{200b}', '\u{feff}', '\u{1b}', '\u{7}', '\u{0}', '\u{2028}'];

/// The real run, with hostile texts in every place that holds text from outside.
pub fn hostile() -> RunResults {
    with_texts(|place| HOSTILE[place % HOSTILE.len()].to_owned())
}

/// The same with harmless texts of the same length in the same places.
pub fn harmless() -> RunResults {
    with_texts(|place| HOSTILE[place % HOSTILE.len()].chars().map(|_| 'x').collect())
}

/// Names of fields whose values are text from outside.
const TEXTS: [&str; 32] = [
    "about",
    "action",
    "arch",
    "backend",
    "bncheck",
    "case",
    "cpu",
    "defaults",
    "deviation_errors",
    "documented",
    "fields",
    "file",
    "filter",
    "flags",
    "formula",
    "goes_wrong",
    "id",
    "incomplete",
    "link",
    "message",
    "name",
    "note",
    "oracle",
    "os",
    "reason",
    "right",
    "source",
    "suite",
    "suites",
    "version",
    "words",
    "yaml",
];

fn with_texts(text: impl Fn(usize) -> String) -> RunResults {
    let mut run = real_json();
    // What the real run has none of.
    run["deviation_errors"] = json!(["an entry matches no case"]);
    run["run"]["incomplete"] = json!("the file was cut off");
    for result in run["results"].as_array_mut().into_iter().flatten().step_by(7) {
        result["reason"] = json!("what the process said last");
    }
    for info in run["cases"].as_array_mut().into_iter().flatten() {
        info["fields"]["odd"] = json!("value");
    }
    poison(&mut run, false, &text);
    serde_json::from_value(run).expect("texts alone were changed")
}

/// Puts the text that belongs to a text behind it, so that what is equal stays equal.
fn poison(value: &mut Value, is_text: bool, text: &impl Fn(usize) -> String) {
    match value {
        Value::String(words) if is_text => {
            let place: usize = words.bytes().map(usize::from).sum();
            words.push_str(&text(place));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| poison(value, is_text, text)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                poison(value, is_text || TEXTS.contains(&name.as_str()), text);
            }
        }
        _ => {}
    }
}

/// A case whose answer has a heatmap of more than one row and column, the largest, and the backend that gave it.
pub fn drawn(run: &RunResults) -> (String, String) {
    let cells = |result: &CaseResult| {
        let tensors = result.steps.iter().flat_map(|step| &step.tensors);
        let heats = tensors.filter_map(|tensor| Some(&tensor.picture.as_ref()?.heat));
        heats.filter(|heat| heat.rows > 1 && heat.columns > 1).map(|heat| heat.rows * heat.columns).max()
    };
    let drawn = run.results.iter().rev().max_by_key(|result| cells(result)).expect("the run has results");
    assert!(cells(drawn).is_some(), "the run has no failing tensor of several samples and channels");
    (drawn.case.clone(), drawn.backend.clone())
}

/// The fragment of a case, and of a backend's answer to it.
pub fn link(case: &str, backend: Option<&str>) -> String {
    let mut link = "#/case/".to_owned();
    for byte in case.bytes() {
        match byte {
            // What JavaScript's encodeURIComponent leaves as it is.
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'~'
            | b'*'
            | b'\''
            | b'('
            | b')' => {
                link.push(char::from(byte));
            }
            _ => link.extend(["%", &format!("{byte:02X}")]),
        }
    }
    if let Some(backend) = backend {
        link.push('/');
        link.push_str(backend);
    }
    link
}
