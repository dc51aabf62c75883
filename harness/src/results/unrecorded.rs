//! Cases that a recorded oracle says nothing of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a case was judged by the arbiter alone, in a run whose oracle is a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unrecorded {
    /// It is not in the recording.
    NotRecorded,
    /// It is, but in another form: the case has changed since, or the arbiter that the recording is read with.
    OtherForm,
}

impl Unrecorded {
    /// In words, after "the case".
    pub fn words(self) -> &'static str {
        match self {
            Unrecorded::NotRecorded => "is not in the recording",
            Unrecorded::OtherForm => "was recorded in another form: `bncheck record` records it anew",
        }
    }
}
