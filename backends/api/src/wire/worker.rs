//! A backend in a worker process, as the harness sees it.

use std::fmt::Write as _;
use std::process::Command;

use thiserror::Error;

use super::limits::largest_answer;
use super::message::encode_request;
use super::process::{Obituary, Process, Silence};
use super::{Hello, Limits, Message, PROTOCOL, WireError};
use crate::{BackendInfo, Outcome, Request, Responder, Response};

/// How a worker is started.
pub struct Program {
    /// What errors call it.
    pub name: String,
    /// The command, made anew for each start.
    pub command: Box<dyn Fn() -> Command + Send>,
}

/// How often in a row a worker may fail to start again.
const STARTS: u32 = 3;

/// Why a worker process is not to be had.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The program cannot be started.
    #[error("cannot start {program}: {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: String,
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
    program: Program,
    limits: Limits,
    hello: Hello,
    info: BackendInfo,
    process: Option<Process>,
    /// Where it has been asked and its answer is still to come: the process, or why there is none.
    asked: Option<Result<Process, Response>>,
    latest: u64,
    /// How long its layers took over each step of the latest answer, in nanoseconds.
    nanos: Vec<u64>,
    /// The case that the process answered last.
    answered: Option<String>,
    /// How often in a row it could not be started again, and why the last time.
    not_started: (u32, String),
}

impl Worker {
    /// Starts the process and waits for its greeting. One that takes longer than the limits say, now or later, is
    /// stopped, with all that it has started.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn start(limits: Limits, program: Program) -> Result<Self, WorkerError> {
        let (process, hello) = greeted(&program, &limits)?;
        let (info, process) = (hello.info(), Some(process));
        let (nanos, not_started) = (Vec::new(), (0, String::new()));
        Ok(Worker {
            program,
            limits,
            hello,
            info,
            process,
            asked: None,
            latest: 0,
            nanos,
            answered: None,
            not_started,
        })
    }

    /// The worker under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.info.name);
        self
    }

    /// Why there is nothing to judge behind it, where it said so.
    pub fn absent(&self) -> Option<&str> {
        self.hello.absent.as_deref()
    }

    /// A process that has been asked, or what is to be said where there is none.
    fn begin(&mut self, request: &Request) -> Result<Process, Response> {
        self.nanos.clear();
        if let Some(reason) = self.hello.unsupported(request) {
            return Err(Response::Unsupported { reason });
        }
        let process = match self.process.take() {
            Some(process) => process,
            None => {
                self.started_again().map_err(|message| Response::Broken { how: Outcome::Error, message })?
            }
        };
        self.latest += 1;
        self.send(process, request).inspect_err(|_| self.answered = None)
    }

    /// Asks the process; where it fails, the process is over, and this says how.
    fn send(&self, mut process: Process, request: &Request) -> Result<Process, Response> {
        let frame = encode_request(self.latest, request)
            .map_err(|error| Response::Broken { how: Outcome::Error, message: error.to_string() })?;
        if let Some(said) = process.unasked() {
            let error = said.map_or_else(|error| error, |frame| WireError::Unasked { length: frame.len() });
            return Err(self.broken(process, &error, true));
        }
        let largest = largest_answer(request, frame.len());
        process.send(frame, largest);
        Ok(process)
    }

    /// What the process answers; where it fails, it is over, and this says how.
    fn receive(&mut self, mut process: Process) -> Result<(Process, Response), Response> {
        match process.receive(self.limits.answer, &self.limits.stop) {
            Ok(frame) => match answer(self.latest, &frame) {
                Ok((response, nanos)) => {
                    self.nanos = nanos;
                    Ok((process, response))
                }
                Err(error) => Err(self.broken(process, &error, false)),
            },
            Err(Silence::Wire(error)) => Err(self.broken(process, &error, false)),
            Err(Silence::Late) => {
                let seconds = self.limits.answer.as_secs_f64();
                let message = process.stop(&format!("no answer within {seconds} s")).text;
                Err(Response::Broken { how: Outcome::Timeout, message })
            }
            Err(Silence::Stopped) => {
                let message = process.stop(&"nobody waits for it any more").text;
                Err(Response::Broken { how: Outcome::Error, message })
            }
        }
    }

    /// A process in the place of one that is over. One that fails to start some times in a row is not tried again, as that
    /// may take as long as a greeting may, over each case that there still is.
    fn started_again(&mut self) -> Result<Process, String> {
        let (times, why) = &mut self.not_started;
        if *times >= STARTS {
            return Err(format!(
                "{why}; as it did not start {STARTS} times in a row, it is not started any more"
            ));
        }
        match greeted(&self.program, &self.limits) {
            Ok((process, _)) => {
                *times = 0;
                Ok(process)
            }
            Err(error) => {
                *times += 1;
                *why = error.to_string();
                Err(why.clone())
            }
        }
    }

    /// What came of a process whose answer did not come or cannot be read, or which spoke, or ended, before it was asked.
    fn broken(&self, process: Process, error: &WireError, unasked: bool) -> Response {
        // A pipe that ends is what is seen of a process that ends.
        let pipe_ended = matches!(error, WireError::Pipe(_) | WireError::Closed);
        let Obituary { mut text, status, .. } = process.broken(error, pipe_ended);
        let crashed = status.is_some_and(|status| pipe_ended || !status.success());
        let how = if crashed { Outcome::Crash } else { Outcome::Error };
        if let Some(memory) = self.limits.memory.filter(|_| speaks_of_memory(&text)) {
            let _ = write!(text, "\n(its memory is limited to {} MiB; --memory changes that)", memory >> 20);
        }
        if let Some(case) = self.answered.as_ref().filter(|_| unasked) {
            let _ = write!(
                text,
                "\n(this was after its answer to {case}, and before it was asked anything more)"
            );
        }
        Response::Broken { how, message: text }
    }
}

/// Whether a process' last words are those of one that had too little memory: of Rust's allocator, C++'s, Python's, the
/// system's.
fn speaks_of_memory(text: &str) -> bool {
    ["memory allocation of", "bad_alloc", "MemoryError", "allocate memory", "out of memory"]
        .iter()
        .any(|words| text.contains(words))
}

impl Responder for Worker {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn nanos(&self) -> &[u64] {
        &self.nanos
    }

    fn peak_memory(&self) -> Option<u64> {
        self.process.as_ref()?.peak_memory()
    }

    fn ask(&mut self, request: &Request) {
        let asked = self.begin(request);
        self.asked = Some(asked);
    }

    fn respond(&mut self, request: &Request) -> Response {
        let asked = self.asked.take().unwrap_or_else(|| self.begin(request));
        let process = match asked {
            Ok(process) => process,
            Err(response) => return response,
        };
        match self.receive(process) {
            Ok((process, response)) => {
                self.process = Some(process);
                self.answered = Some(request.case.clone());
                response
            }
            Err(response) => {
                self.answered = None;
                response
            }
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        let Some(process) = self.process.take() else { return Ok(()) };
        process.farewell().map_err(|error| format!("after its last answer it wrote something more: {error}"))
    }
}

/// What a frame answers to request `asked`, and how long each step took.
fn answer(asked: u64, frame: &[u8]) -> Result<(Response, Vec<u64>), WireError> {
    match Message::decode_timed(frame)? {
        (Message::Answer { id, response }, nanos) if id == asked => Ok((shortened(response), nanos)),
        (Message::Answer { id, .. }, _) => Err(WireError::OtherRequest { asked, answered: id }),
        (other, _) => Err(WireError::NotDue { found: other.kind(), due: "an answer" }),
    }
}

/// Starts a process and waits for its greeting.
fn greeted(program: &Program, limits: &Limits) -> Result<(Process, Hello), WorkerError> {
    let name = &program.name;
    let mut process = Process::start((program.command)(), name)?;
    let no_greeting = |over: Obituary| match over.not_started {
        Some(error) => WorkerError::Start { program: name.clone(), error },
        None => WorkerError::NoGreeting { program: name.clone(), how: over.text },
    };
    let error = match process.receive(limits.greeting, &limits.stop) {
        Ok(frame) => match Message::decode(&frame) {
            Ok(Message::Hello(hello)) => return Ok((process, hello)),
            Ok(other) => WireError::NotDue { found: other.kind(), due: "a greeting" },
            Err(WireError::Protocol(theirs)) => {
                return Err(WorkerError::Protocol { program: name.clone(), theirs });
            }
            Err(error) => error,
        },
        Err(Silence::Wire(error)) => error,
        Err(Silence::Late) => {
            let seconds = limits.greeting.as_secs_f64();
            let late = format!("it said nothing within {seconds} s");
            return Err(no_greeting(process.stop(&late)));
        }
        Err(Silence::Stopped) => {
            return Err(no_greeting(process.stop(&"nobody waits for it any more")));
        }
    };
    Err(no_greeting(match &error {
        WireError::Closed => process.broken(&"it said nothing", true),
        error => process.broken(error, matches!(error, WireError::Pipe(_))),
    }))
}

/// The most bytes of a worker's own words in a result, beside its last ones.
const LONGEST: usize = 8192;

/// A response whose texts are no longer than anybody reads: they are kept with the results.
fn shortened(mut response: Response) -> Response {
    match &mut response {
        Response::Answered(steps) => {
            steps
                .iter_mut()
                .filter_map(|step| step.error.as_mut())
                .for_each(|error| shorten(&mut error.message));
        }
        Response::Unsupported { reason: text } | Response::Broken { message: text, .. } => shorten(text),
    }
    response
}

fn shorten(text: &mut String) {
    let all = text.len();
    if let Some(length) = (0..=LONGEST.min(all)).rev().find(|length| text.is_char_boundary(*length))
        && length < all
    {
        text.truncate(length);
        let _ = write!(text, "… ({all} bytes in all)");
    }
}
