//! The oracle's answers, kept in a file: on a machine without libtorch they are put on trial and judged by in its place.
//!
//! An answer of libtorch in float64 is within a few representable numbers of the arbiter's, which is the same on every
//! machine. So a recording holds the differences between the two, and the arbiter has to be asked to read it. What
//! shows that this gives the oracle's very bits is a hash of the whole answer; a hash of the request shows whether it
//! is still the same question. docs/recorded-oracle.md describes the file.

mod answer;
mod bytes;
mod check;
mod digest;
mod file;
mod predict;

use std::collections::HashMap;
use std::ops::Range;

use bn_api::{Request, Response, StepAnswer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::results::{Machine, Unrecorded};
use bytes::{Reader, Writer};

pub use check::{Agreement, compare};

/// The form of recordings that is written and read.
pub const FORM: u32 = 1;

/// With what a recording was made, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The oracle's name.
    pub oracle: String,
    /// The version of the library behind it.
    pub version: String,
    /// The version of the arbiter, whose answers it takes to read the recording.
    pub arbiter: String,
    /// The version of bncheck.
    pub bncheck: String,
    /// The day it was made, in UTC: `2026-11-27`.
    pub made: String,
    /// The machine.
    pub machine: Machine,
    /// The vector instructions that libtorch's kernels were compiled for: `AVX512`, `AVX2` or `default`.
    pub kernels: String,
    /// How many cases there are.
    pub cases: usize,
    /// The hash of all questions, in their order: which form of the suites this is.
    pub questions: String,
}

/// A recording that cannot be read, or written.
#[derive(Debug, Error)]
pub enum RecordedError {
    /// The file is something else.
    #[error("it is no recording of an oracle, which begins with `{} {FORM}`", file::MAGIC)]
    NoRecording,
    /// It is of another form.
    #[error("it is of form {0}, and this bncheck reads form {FORM}")]
    Form(u32),
    /// It is not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It would be larger than what is read.
    #[error(
        "{bytes} bytes are more than the {limit} that a recording may have before it is packed",
        limit = file::MAX_BODY_BYTES
    )]
    TooLarge {
        /// How large it would be.
        bytes: u64,
    },
}

/// What the oracle answered to one case, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCase {
    case: String,
    request: u64,
    response: u64,
    answer: Writer,
}

impl RecordedCase {
    /// What it answered to a request (with everything [held in float64](Request::widened)), to which the arbiter
    /// answered `exact`.
    pub fn of(request: &Request, exact: &[StepAnswer], response: &Response) -> Self {
        RecordedCase {
            case: request.case.clone(),
            request: digest::of_request(request),
            response: digest::of_response(response),
            answer: answer::write(response, exact),
        }
    }
}

/// The file of a recording. What `provenance` says of the cases is filled in.
///
/// # Errors
/// When it would be too large.
pub fn write(provenance: Provenance, cases: &[RecordedCase]) -> Result<Vec<u8>, RecordedError> {
    file::write(provenance, cases)
}

/// What an oracle answered, to be asked again.
#[derive(Debug)]
pub struct Recording {
    provenance: Provenance,
    cases: HashMap<String, Entry>,
    /// The answers: the streams of all cases one after the other.
    near: Vec<u8>,
    far: Vec<u8>,
}

/// Where a case's answer lies, and what shows that it is the right one.
#[derive(Debug)]
struct Entry {
    request: u64,
    response: u64,
    near: Range<usize>,
    far: Range<usize>,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is no recording, of another form, or damaged.
    pub fn read(file: &[u8]) -> Result<Self, RecordedError> {
        file::read(file)
    }

    /// With what it was made.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Who is recorded, for the results of a run.
    pub fn about(&self) -> String {
        format!("{} in float64, recorded {}", self.provenance.version, self.provenance.made)
    }

    /// How many cases there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// What the oracle answered to a request (with everything [held in float64](Request::widened)), to which the arbiter
    /// answered `exact`: every bit of it.
    ///
    /// # Errors
    /// Why there is no answer to it: the case was not recorded, or it, or the arbiter, has changed since.
    pub fn answer(&self, request: &Request, exact: &[StepAnswer]) -> Result<Response, Unrecorded> {
        let entry = self.cases.get(&request.case).ok_or(Unrecorded::NotRecorded)?;
        if entry.request != digest::of_request(request) {
            return Err(Unrecorded::OtherForm);
        }
        let mut reader = Reader::new(&self.near[entry.near.clone()], &self.far[entry.far.clone()]);
        let response = answer::read(&mut reader, exact).filter(|_| reader.is_at_end());
        response
            .filter(|response| digest::of_response(response) == entry.response)
            .ok_or(Unrecorded::OtherForm)
    }
}
