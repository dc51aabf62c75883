//! A backend in a worker process, as the harness sees it.

use std::process::Command;
use std::time::Duration;

use thiserror::Error;

use super::message::encode_request;
use super::process::{Process, Silence};
use super::{Hello, Message, PROTOCOL, WireError};
use crate::{BackendInfo, Outcome, Request, Responder, Response};

/// How long a worker may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From its start to its greeting.
    pub greeting: Duration,
    /// Over one request.
    pub answer: Duration,
}

/// Why a worker process is not to be had.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The program cannot be started.
    #[error("cannot start {program}: {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: std::io::Error,
    },
    /// It ended, or said something else, before its greeting.
    #[error("{program} did not greet: {how}")]
    NoGreeting {
        /// The program.
        program: String,
        /// What happened instead, with the last lines of its standard error.
        how: String,
    },
    /// It speaks another version of the messages.
    #[error("{program} speaks protocol {theirs}, this bncheck {PROTOCOL}: build both from the same sources")]
    Protocol {
        /// The program.
        program: String,
        /// Its version.
        theirs: u64,
    },
}

/// A backend in a worker process, started again after a crash.
pub struct Worker {
    start: Box<dyn Fn() -> Command + Send>,
    limits: Option<Limits>,
    hello: Hello,
    info: BackendInfo,
    process: Option<Process>,
    latest: u64,
}

impl Worker {
    /// Starts the process that `start` describes and waits for its greeting, and for all its answers as long as it takes.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn start(start: impl Fn() -> Command + Send + 'static) -> Result<Self, WorkerError> {
        Self::open(Box::new(start), None)
    }

    /// The same within limits: a worker that takes longer is stopped, with all that it has started.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn start_within(
        limits: Limits,
        start: impl Fn() -> Command + Send + 'static,
    ) -> Result<Self, WorkerError> {
        Self::open(Box::new(start), Some(limits))
    }

    fn open(start: Box<dyn Fn() -> Command + Send>, limits: Option<Limits>) -> Result<Self, WorkerError> {
        let (process, hello) = greeted(start(), limits)?;
        Ok(Worker { start, limits, info: hello.info(), hello, process: Some(process), latest: 0 })
    }

    /// The worker under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.info.name);
        self
    }

    /// Asks the process; where it fails, the process is over, and this says how.
    fn ask(&self, process: Process, request: &Request) -> Result<(Process, Response), Response> {
        let frame = encode_request(self.latest, request)
            .map_err(|error| Response::Broken { how: Outcome::Error, message: error.to_string() })?;
        process.send(frame);
        let limit = self.limits.map(|limits| limits.answer);
        match process.receive(limit) {
            Ok(frame) => match answer(self.latest, &frame) {
                Ok(response) => Ok((process, response)),
                Err(error) => Err(broken(process, &error)),
            },
            Err(Silence::Wire(error)) => Err(broken(process, &error)),
            Err(Silence::Late) => {
                let seconds = limit.unwrap_or_default().as_secs_f64();
                let message = process.post_mortem(&format!("no answer within {seconds} s"), false).text;
                Err(Response::Broken { how: Outcome::Timeout, message })
            }
        }
    }
}

impl Responder for Worker {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn respond(&mut self, request: &Request) -> Response {
        if let Some(reason) = self.hello.unsupported(request) {
            return Response::Unsupported { reason };
        }
        let process = match self.process.take() {
            Some(process) => process,
            None => match greeted((self.start)(), self.limits) {
                Ok((process, _)) => process,
                Err(error) => return Response::Broken { how: Outcome::Error, message: error.to_string() },
            },
        };
        self.latest += 1;
        match self.ask(process, request) {
            Ok((process, response)) => {
                self.process = Some(process);
                response
            }
            Err(response) => response,
        }
    }
}

/// What a frame answers to request `asked`.
fn answer(asked: u64, frame: &[u8]) -> Result<Response, WireError> {
    match Message::decode(frame)? {
        Message::Answer { id, response } if id == asked => Ok(response),
        Message::Answer { id, .. } => Err(WireError::OtherRequest { asked, answered: id }),
        other => Err(WireError::NotDue { found: other.kind(), due: "an answer" }),
    }
}

/// What came of a process whose answer did not come or cannot be read.
fn broken(process: Process, error: &WireError) -> Response {
    let over = process.post_mortem(error, true);
    // A pipe that breaks is what is seen of a process that ends.
    let how = if over.fell || matches!(error, WireError::Pipe(_) | WireError::Closed) {
        Outcome::Crash
    } else {
        Outcome::Error
    };
    Response::Broken { how, message: over.text }
}

/// Starts a process and waits for its greeting.
fn greeted(command: Command, limits: Option<Limits>) -> Result<(Process, Hello), WorkerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let process = Process::start(command, limits.is_some())?;
    let no_greeting = |how: String| WorkerError::NoGreeting { program: program.clone(), how };
    let error = match process.receive(limits.map(|limits| limits.greeting)) {
        Ok(frame) => match Message::decode(&frame) {
            Ok(Message::Hello(hello)) => return Ok((process, hello)),
            Ok(other) => WireError::NotDue { found: other.kind(), due: "a greeting" },
            Err(WireError::Protocol(theirs)) => return Err(WorkerError::Protocol { program, theirs }),
            Err(error) => error,
        },
        Err(Silence::Wire(error)) => error,
        Err(Silence::Late) => {
            let seconds = limits.map_or(0.0, |limits| limits.greeting.as_secs_f64());
            let late = format!("it said nothing within {seconds} s");
            return Err(no_greeting(process.post_mortem(&late, false).text));
        }
    };
    let text = match &error {
        WireError::Closed => process.post_mortem(&"it said nothing", true).text,
        error => process.post_mortem(error, true).text,
    };
    Err(no_greeting(text))
}
