//! What came of `bncheck gpu-check`: the model that it writes as JSON, and a table for a terminal.

mod table;

use std::collections::BTreeMap;
use std::path::Path;

use bn_harness::results::{CaseResult, Number, RunInfo, Verdict};
use serde::{Deserialize, Serialize};

use crate::json::WriteError;

pub use table::human;

/// The version of this model; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// How many differences of two executors are listed; the others are counted.
pub const LISTED: usize = 10_000;

/// A check of a GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuCheck {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of bncheck.
    pub bncheck: String,
    /// The GPU.
    pub device: Device,
    /// What was judged.
    pub suites: Suites,
    /// A GPU and the interpreter, number by number.
    pub comparisons: Vec<Comparison>,
    /// How fast it is; nothing where that was not asked.
    pub timings: Option<Timings>,
}

/// A GPU, as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The executor's label: `cuda`.
    pub executor: String,
    /// Name, compute capability and driver in one line.
    pub description: String,
    /// Its name.
    pub name: String,
    /// The CUDA version of the driver.
    pub driver: String,
    /// `9.0`.
    pub compute_capability: String,
    /// How many multiprocessors it has.
    pub multiprocessors: u32,
    /// Its memory.
    pub memory_bytes: u64,
    /// Its second-level cache.
    pub l2_bytes: u64,
}

/// The cases, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suites {
    /// The tier.
    pub tier: String,
    /// Who judged whom, on which machine.
    pub run: RunInfo,
    /// How many cases.
    pub cases: usize,
    /// The verdicts on each executor.
    pub verdicts: Vec<Verdicts>,
    /// The results that are not as expected, in full.
    pub unexpected: Vec<CaseResult>,
    /// Declared deviations that are themselves wrong.
    pub deviation_errors: Vec<String>,
    /// Whether all is as expected, and something was compared.
    pub as_expected: bool,
}

/// The verdicts on an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Its label.
    pub executor: String,
    /// How many of each.
    pub counts: BTreeMap<Verdict, usize>,
}

/// Two executors' answers to the same cases, bit for bit. NaNs count as the same whatever their payload and sign: a GPU
/// and a CPU make different ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The executors' labels.
    pub executors: [String; 2],
    /// Cases that both answered.
    pub cases: usize,
    /// Tensors compared.
    pub tensors: usize,
    /// Elements compared.
    pub elements: u64,
    /// Where they differ, in the order of the cases; [`LISTED`] at most.
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub not_listed: usize,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The case.
    pub case: String,
    /// The number of the step, from 1; 0 is the layer as constructed.
    pub step: usize,
    /// The step's name.
    pub action: String,
    /// The tensor, in a model with its layer; nothing where the answers as a whole differ.
    pub tensor: Option<String>,
    /// The element's position along each dimension.
    pub index: Vec<usize>,
    /// Both values, in the order of the executors, where an element differs.
    pub values: Option<[Number; 2]>,
    /// What differs otherwise: an error that one raised, a shape.
    pub note: Option<String>,
}

/// How fast the kernels are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// The large copy on the device that stands for what its memory can do; nothing where it could not be timed.
    pub copy: Option<Rate>,
    /// One entry for each type, shape, layout and pass.
    pub rows: Vec<Row>,
    /// PyTorch, on the same device.
    pub pytorch: PyTorch,
}

/// Bytes in a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Bytes moved, read and written.
    pub bytes: u64,
    /// The median time, in microseconds.
    pub micros: f64,
}

impl Rate {
    /// In GB/s, a GB being 10⁹ bytes.
    pub fn gb_per_s(&self) -> f64 {
        self.bytes as f64 / self.micros / 1e3
    }
}

/// One pass on one tensor, timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The executor's label: `cuda`.
    pub executor: String,
    /// (N, C, H, W).
    pub shape: Vec<usize>,
    /// The tensors' type.
    pub dtype: String,
    /// The type of parameters and running statistics.
    pub parameters: String,
    /// What is computed in.
    pub accumulator: String,
    /// `contiguous` or `channels_last`.
    pub layout: String,
    /// `forward train` …
    pub pass: String,
    /// The bytes that the pass moves when nothing stays on the chip.
    pub bytes: u64,
    /// Whether the tensors fit into the second-level cache, so that a pass that follows another need not read them from
    /// memory.
    pub fits_l2: bool,
    /// What it took; nothing where it could not be timed.
    pub timed: Option<Timed>,
    /// Why it could not be timed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
    /// PyTorch's batch norm on the same tensor.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pytorch: Vec<TorchTime>,
}

/// What a pass took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// The median time, in microseconds.
    pub micros: f64,
    /// How often the pass was repeated for one measured time.
    pub repetitions: usize,
    /// [`Row::bytes`] in that time, in GB/s.
    pub gb_per_s: f64,
    /// What a copy on the device that moves as many bytes took, in microseconds.
    pub copy_micros: f64,
    /// The copy's time over the pass's.
    pub share_of_copy: f64,
}

/// PyTorch's time for a pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TorchTime {
    /// Whether it was allowed to take cuDNN's kernels; where not, it takes its own.
    pub cudnn: bool,
    /// Whether the calls were recorded as a CUDA graph, which leaves out what they take the host.
    pub graph: bool,
    /// The median time, in microseconds; nothing where it could not be measured.
    pub micros: Option<f64>,
    /// Why it could not be measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<String>,
}

/// Whether there was a PyTorch to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PyTorch {
    /// There was.
    Measured {
        /// The Python, as it was called.
        python: String,
        /// The version of PyTorch.
        torch: String,
        /// The CUDA version that it is built for.
        cuda: String,
        /// The version of cuDNN.
        cudnn: String,
        /// The device that it ran on.
        device: String,
    },
    /// There was not.
    Absent {
        /// Why.
        why: String,
    },
}

impl Row {
    /// PyTorch's best time with cuDNN allowed or not, in microseconds.
    pub fn best_of_pytorch(&self, cudnn: bool) -> Option<f64> {
        let times = self.pytorch.iter().filter(|time| time.cudnn == cudnn);
        times.filter_map(|time| time.micros).reduce(f64::min)
    }
}

impl Comparison {
    /// Whether there was anything to compare, and no difference.
    pub fn is_same(&self) -> bool {
        self.tensors > 0 && self.differences.is_empty() && self.not_listed == 0
    }
}

impl GpuCheck {
    /// Whether every case is as expected, no bit differs, and all that was to be timed was.
    pub fn as_expected(&self) -> bool {
        let rows = || self.timings.iter().flat_map(|timings| &timings.rows);
        let copied = self.timings.as_ref().is_none_or(|timings| timings.copy.is_some());
        let timed = copied && rows().all(|row| row.timed.is_some());
        self.suites.as_expected && self.comparisons.iter().all(Comparison::is_same) && timed
    }

    /// As JSON.
    ///
    /// # Panics
    /// Never: the model has only strings as keys.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("the model is JSON") + "\n"
    }

    /// Writes the JSON to a file, whose folder is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = folder.map_or(Ok(()), std::fs::create_dir_all);
        let written = made.and_then(|()| std::fs::write(path, self.to_json()));
        written.map_err(|error| WriteError { path: path.to_owned(), error })
    }
}
