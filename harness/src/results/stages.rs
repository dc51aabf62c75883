//! Where the time of a run went.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The time that each stage of the cases' way took, in nanoseconds, all cases and threads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stages {
    /// Tensors were generated.
    pub generate: u64,
    /// The oracle computed its answers.
    pub oracle: u64,
    /// The arbiter answered, and the oracle was put on trial.
    pub arbiter: u64,
    /// The backends computed their answers: where a worker does not say how long it took, with the pipe to it.
    pub backends: u64,
    /// Requests and answers went to and from workers.
    pub pipe: u64,
    /// Budgets, comparison, pictures.
    pub judge: u64,
    /// What came of it was recorded.
    pub write: u64,
}

impl std::ops::Add for Stages {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Stages {
            generate: self.generate + other.generate,
            oracle: self.oracle + other.oracle,
            arbiter: self.arbiter + other.arbiter,
            backends: self.backends + other.backends,
            pipe: self.pipe + other.pipe,
            judge: self.judge + other.judge,
            write: self.write + other.write,
        }
    }
}

impl std::ops::AddAssign for Stages {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The most memory that a process of a run has held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessMemory {
    /// Whose: `bncheck`, `oracle`, or a backend's name.
    pub name: String,
    /// How much, in bytes; of several processes of one name that of the largest.
    pub peak_bytes: u64,
}
