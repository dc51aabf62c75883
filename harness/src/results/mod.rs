//! The results of a run: what `results.json` holds, and what every report is made from.

mod left_out;
mod matrix;
mod origin;
mod part;
mod picture;
mod stages;
mod unrecorded;
mod wrong;

use std::collections::BTreeMap;

use bn_api::{DType, ErrorClass, TensorName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::changes::Changes;

pub use left_out::{LeftOut, LeftOutResults};
pub use matrix::{FaultMatrix, FaultRow, FirstCatch};
pub use origin::{StoryInfo, SuiteInfo, WrittenCase};
pub use part::{Part, PartInfo, RandomCases, Selection, Undecided};
pub use picture::{ClassCount, Element, Heat, MagnitudeBin, NumberClass, Picture, UlpBin};
pub use stages::{ProcessMemory, Stages};
pub use unrecorded::Unrecorded;
pub use wrong::Wrong;

/// The version of this model; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// The schema's name.
const SCHEMA_ID: &str = "urn:bncheck:results:1";

/// The JSON Schema of `results.json`.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(RunResults).to_value();
    schema["$id"] = SCHEMA_ID.into();
    schema["title"] = "bncheck results".into();
    schema["properties"]["schema_version"]["const"] = SCHEMA_VERSION.into();
    schema
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResults {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was run, where and how.
    pub run: RunInfo,
    /// The suites that these cases are of, in their order.
    #[serde(default)]
    pub suites: Vec<SuiteInfo>,
    /// What is counted and not listed, where there were too many cases to list them all; nothing in all other runs.
    #[serde(skip_serializing_if = "LeftOut::is_empty", default)]
    pub left_out: LeftOut,
    /// The cases, in the order of their suites.
    pub cases: Vec<CaseInfo>,
    /// One entry for each case and backend, by case, then in the order of the backends.
    pub results: Vec<CaseResult>,
    /// Declared deviations that are themselves wrong.
    pub deviation_errors: Vec<String>,
    /// What mistakes the backends seem to make; one entry for each backend that fails a case.
    #[serde(default)]
    pub diagnoses: Vec<BackendDiagnosis>,
    /// What the cases notice of the known mistakes, where `bncheck report` was given it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub faults: Option<FaultMatrix>,
    /// What has changed since a baseline, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub changes: Option<Changes>,
}

/// What was run, where and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunInfo {
    /// The version of bncheck.
    pub bncheck: String,
    /// The oracle's name and version.
    pub oracle: String,
    /// The backends, in the order of the results' columns.
    pub backends: Vec<BackendColumn>,
    /// The machine.
    pub machine: Machine,
    /// How many cases were in flight.
    pub jobs: usize,
    /// The seed of the generated cases; nothing where there are none. The seeds of data are those of the cases.
    pub seed: Option<u64>,
    /// The command line, without the program.
    pub flags: Vec<String>,
    /// When the run began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Where the time went.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stages: Option<Stages>,
    /// How much memory the processes have held at most, where the system says it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub memory: Vec<ProcessMemory>,
    /// Why this is not all of the run, where it is not: the file was cut off, or the run is still going on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incomplete: Option<String>,
    /// How its cases were chosen; several where runs were merged, none where that is not known.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub selections: Vec<Selection>,
    /// Declared deviations of which not all cases were run; none where none was looked for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub undecided: Vec<Undecided>,
    /// The runs that were merged; none where there was one.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<PartInfo>,
}

/// A backend of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendColumn {
    /// Its name.
    pub name: String,
    /// The version of the library behind it.
    pub version: String,
    /// What it is.
    pub about: String,
}

/// The machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The operating system.
    pub os: String,
    /// The instruction set.
    pub arch: String,
    /// The processor's model, where the system says it.
    pub cpu: Option<String>,
    /// Processors that this process may use.
    pub threads: usize,
}

/// A case of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseInfo {
    /// Its id.
    pub id: String,
    /// Its suite.
    pub suite: String,
    /// Its name within the suite: that of a [`WrittenCase`].
    #[serde(default)]
    pub name: String,
    /// The file that it is written in.
    pub file: String,
    /// The line of its name.
    pub line: usize,
    /// The largest `|mean| / sqrt(var + eps)` of any channel it normalises; nothing where no number is.
    pub kappa: Option<f64>,
    /// The shape of its first input.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shape: Vec<usize>,
    /// Its axes and fields, as filters know them: by dotted path. What is longer than a line is left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub fields: BTreeMap<String, String>,
    /// The case in words: its layers, as PyTorch would construct them, its data and its steps.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub words: String,
    /// Its place among all the cases of the suites that were read, from 0: what merged runs are put in order by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ordinal: Option<usize>,
    /// Why it was judged by the arbiter alone, where the oracle is a recording that says nothing of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unrecorded: Option<Unrecorded>,
}

/// One backend's answer to one case, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseResult {
    /// The case's id.
    pub case: String,
    /// The backend's name.
    pub backend: String,
    /// The verdict on the whole.
    pub verdict: Verdict,
    /// Why, where the steps do not say it: the reason of a deviation, what a process said last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The largest budget used by any tensor of any step; nothing when nothing could be measured.
    pub budget_used: Option<f64>,
    /// What was compared after each step; the first entry is the layer as constructed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub steps: Vec<StepResult>,
    /// Known mistakes that reproduce a failing answer, the likeliest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub diagnosis: Vec<Suspicion>,
    /// How long the backend took to answer, in microseconds.
    pub micros: u64,
}

/// A known mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mistake {
    /// Its name.
    pub name: String,
    /// What is wrong, in a sentence.
    pub about: String,
    /// Where it has been made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<String>,
}

/// A mistake, or two at once, that reproduces answers of a backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suspicion {
    /// The mistake, or the two.
    pub mistakes: Vec<Mistake>,
    /// How many of the backend's replayed failures it reproduces.
    pub explains: usize,
    /// In how many cases it would show that the backend passes, of those that were tried.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub contradicted: usize,
    /// How far the two answers are apart at most: 1.0 is the line.
    pub fit: f64,
}

/// What mistakes a backend seems to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackendDiagnosis {
    /// The backend.
    pub backend: String,
    /// How many cases it fails.
    pub failing: usize,
    /// How many of them were replayed against the catalogue.
    pub replayed: usize,
    /// What explains the most of these, then what explains the most of the others, and so on.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub explanations: Vec<Explanation>,
}

/// What explains some of a backend's failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// How many.
    pub explains: usize,
    /// What does; several where these failures cannot tell one from another, the closest first.
    pub alike: Vec<Suspicion>,
}

/// What was compared after one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// The number of the step, from 1; 0 is the layer as constructed.
    pub step: usize,
    /// The step's name.
    pub action: String,
    /// Whether an error was raised where one should be; nothing where none was and none should be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorResult>,
    /// The tensors.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tensors: Vec<TensorResult>,
}

/// An error expected, raised, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorResult {
    /// Pass when both sides raise an error.
    pub verdict: Verdict,
    /// What should be raised.
    pub expected: Option<RaisedError>,
    /// What the backend raised.
    pub got: Option<RaisedError>,
}

/// An error that was raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RaisedError {
    /// Its class.
    pub class: ErrorClass,
    /// Its words.
    pub message: String,
}

/// One tensor compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TensorResult {
    /// Which tensor, and in a model of which layer.
    #[schemars(with = "String")]
    pub tensor: TensorName,
    /// The verdict on it.
    pub verdict: Verdict,
    /// The error of the worst element over its budget: 1.0 is the line. Nothing when no element could be
    /// measured, as when a NaN stands where a number should.
    pub budget_used: Option<f64>,
    /// How many elements were compared.
    pub total: usize,
    /// How many of them are outside their budget.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub mismatched: usize,
    /// The worst element, where any is outside.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worst: Option<Worst>,
    /// What is wrong with the tensor as a whole, why it was not compared, or what else would have passed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// Where and how it differs, for the first of each written case's results that do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub picture: Option<Box<Picture>>,
}

impl TensorResult {
    /// Whether anything of it was compared: its elements, or, of a tensor that has none, its type and shape.
    pub fn was_compared(&self) -> bool {
        self.total > 0 || (self.verdict == Verdict::Pass && self.note.is_none())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The element that is furthest outside its budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worst {
    /// Its position along each dimension.
    pub index: Vec<usize>,
    /// What it should be, rounded to the tensor's dtype.
    pub expected: Number,
    /// What it is.
    pub got: Number,
    /// How many representable numbers apart the two are; nothing when one is a NaN.
    pub ulps: Option<u64>,
    /// How far apart they may be.
    pub budget: Option<f64>,
}

/// A number that has lost no bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Number {
    /// The shortest decimal that reads back as the same number of its type.
    pub decimal: String,
    /// The bit pattern, in hexadecimal.
    pub bits: String,
}

impl Number {
    /// The number with this bit pattern of `dtype`.
    pub fn of_bits(dtype: DType, bits: u64) -> Self {
        let value = dtype.value_of(bits);
        let decimal = match dtype {
            DType::I64 => (bits as i64).to_string(),
            _ if !value.is_finite() => value.to_string(),
            // The shortest text of an f32 is right for the half types as well: their numbers are f32s.
            DType::F64 => format!("{value:?}"),
            _ => format!("{:?}", value as f32),
        };
        Number { decimal, bits: format!("{bits:#0width$x}", width = 2 + 2 * dtype.size()) }
    }
}

/// A verdict, on a tensor or on a whole case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// Not as it should be, and declared.
    Known,
    /// Declared not to be as it should, but it is: the declaration must go.
    Fixed,
    /// The backend has no way to express it.
    Unsupported,
    /// The backend could not be asked, or its answer not be read.
    Error,
    /// The backend's process ended before it answered.
    Crash,
    /// The backend did not answer in time.
    Timeout,
    /// The oracle itself is in doubt.
    Suspect,
    /// Nothing was compared, or nothing that an idle backend would get wrong.
    Vacuous,
}

impl Verdict {
    /// All of them, in the order in which summaries show them.
    pub const ALL: [Verdict; 10] = [
        Verdict::Pass,
        Verdict::Known,
        Verdict::Unsupported,
        Verdict::Fail,
        Verdict::Fixed,
        Verdict::Error,
        Verdict::Crash,
        Verdict::Timeout,
        Verdict::Suspect,
        Verdict::Vacuous,
    ];

    /// The name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Known => "known",
            Verdict::Fixed => "fixed",
            Verdict::Unsupported => "unsupported",
            Verdict::Error => "error",
            Verdict::Crash => "crash",
            Verdict::Timeout => "timeout",
            Verdict::Suspect => "suspect",
            Verdict::Vacuous => "vacuous",
        }
    }

    /// Whether a run may have this verdict and still be as expected.
    pub const fn is_expected(self) -> bool {
        matches!(self, Verdict::Pass | Verdict::Known | Verdict::Unsupported)
    }

    /// The same of a run of cases that were made by chance, or of another.
    pub const fn is_expected_of(self, by_chance: bool) -> bool {
        self.is_expected() || (by_chance && matches!(self, Verdict::Vacuous))
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl RunResults {
    /// The results of one backend.
    pub fn of_backend<'a>(&'a self, backend: &'a str) -> impl Iterator<Item = &'a CaseResult> {
        self.results.iter().filter(move |result| result.backend == backend)
    }

    /// The results that are not as expected.
    pub fn unexpected(&self) -> impl Iterator<Item = &CaseResult> {
        self.results.iter().filter(|result| !self.expects(result.verdict))
    }

    /// Whether a verdict may be here and all still be as expected. That a case by chance proves nothing is no mistake of
    /// anybody.
    pub fn expects(&self, verdict: Verdict) -> bool {
        verdict.is_expected_of(self.is_by_chance())
    }

    /// Whether everything is as expected and something was compared. In one of several parts of a run, nothing need be.
    pub fn as_expected(&self) -> bool {
        (self.compares() || self.is_part())
            && self.run.incomplete.is_none()
            && self.unexpected_count() == 0
            && self.deviation_errors.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_short_as_their_type_allows() {
        let number = |dtype: DType, value: f64| Number::of_bits(dtype, dtype.bits_of(value));
        assert_eq!(number(DType::F32, 0.1).decimal, "0.1");
        assert_eq!(number(DType::F32, 0.1).bits, "0x3dcccccd");
        assert_eq!(number(DType::F64, 0.1).bits, "0x3fb999999999999a");
        assert_eq!(number(DType::F16, 1.0).bits, "0x3c00");
        assert_eq!(number(DType::F16, f64::NEG_INFINITY).decimal, "-inf");
        assert_eq!(number(DType::I64, 3.0).bits, "0x0000000000000003");
    }
}
