//! Requests and responses over a pipe, for backends that live in a process of their own.
//!
//! A frame is a length (4 bytes, little-endian) and that many bytes of a [`postcard`] message; tensors are
//! raw bits in it. The worker speaks first: [`Hello`], once. Then each [`Request`] on its standard input is
//! answered by one [`Response`] on its standard output.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{BackendInfo, Outcome, Request, Responder, Response};

/// The version of the messages; both ends must have the same.
pub const PROTOCOL: u32 = 2;

/// The largest frame that is read, in bytes.
const MAX_FRAME_BYTES: u32 = 1 << 31;

/// How many of a worker's last lines on standard error are kept for the report of a crash.
const LAST_WORDS: usize = 20;

/// How long a broken worker may take to end by itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a worker says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The backend it serves.
    pub info: BackendInfo,
}

/// Why a frame could not be read or written.
#[derive(Debug, Error)]
pub enum WireError {
    /// The pipe failed or ended in the middle.
    #[error("the pipe broke: {0}")]
    Pipe(#[from] std::io::Error),
    /// A frame claims to be larger than any can be.
    #[error("a frame of {0} bytes is larger than any message")]
    TooLarge(u32),
    /// A frame is not a message of this protocol.
    #[error("the frame is not a message of protocol {PROTOCOL}: {0}")]
    NotAMessage(#[from] postcard::Error),
}

/// Writes one message.
///
/// # Errors
/// When the pipe fails.
pub fn write_message<T: Serialize>(to: &mut impl Write, message: &T) -> Result<(), WireError> {
    let bytes = postcard::to_stdvec(message)?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if length > MAX_FRAME_BYTES {
        return Err(WireError::TooLarge(length));
    }
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&bytes)?;
    to.flush()?;
    Ok(())
}

/// Reads one message; `None` when the other end has closed the pipe between messages.
///
/// # Errors
/// When the pipe ends in the middle of a frame, or the frame is not a message.
pub fn read_message<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>, WireError> {
    let mut length = [0; 4];
    match from.read(&mut length[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut length[1..])?,
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_FRAME_BYTES {
        return Err(WireError::TooLarge(length));
    }
    // Grows with what arrives, so that a wrong length does not take memory that no data will fill.
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() < length as usize {
        return Err(WireError::Pipe(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(Some(postcard::from_bytes(&bytes)?))
}

/// Serves a backend on standard input and output until the input ends: a worker's whole life.
///
/// # Errors
/// When a pipe fails or a frame is not a message.
pub fn serve(responder: &mut dyn Responder) -> Result<(), WireError> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    write_message(&mut output, &Hello { protocol: PROTOCOL, info: responder.info().clone() })?;
    while let Some(request) = read_message::<Request>(&mut input)? {
        write_message(&mut output, &responder.respond(&request))?;
    }
    Ok(())
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
        theirs: u32,
    },
}

/// A backend in a worker process, started again after a crash.
pub struct Worker {
    start: Box<dyn Fn() -> Command + Send>,
    info: BackendInfo,
    process: Option<Process>,
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the process that `start` describes and waits for its greeting.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn start(start: impl Fn() -> Command + Send + 'static) -> Result<Self, WorkerError> {
        let (process, info) = Process::start(start())?;
        Ok(Worker { start: Box::new(start), info, process: Some(process) })
    }

    fn process(&mut self) -> Result<&mut Process, WorkerError> {
        if self.process.is_none() {
            let (process, _) = Process::start((self.start)())?;
            self.process = Some(process);
        }
        Ok(self.process.as_mut().expect("started just now"))
    }
}

impl Responder for Worker {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn respond(&mut self, request: &Request) -> Response {
        let process = match self.process() {
            Ok(process) => process,
            Err(error) => return Response::Broken { how: Outcome::Error, message: error.to_string() },
        };
        match process.ask(request) {
            Ok(response) => response,
            Err(error) => {
                let message =
                    self.process.take().map_or_else(String::new, |process| process.post_mortem(&error));
                Response::Broken { how: Outcome::Crash, message }
            }
        }
    }
}

impl Process {
    fn start(mut command: Command) -> Result<(Self, BackendInfo), WorkerError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| WorkerError::Start { program: program.clone(), error })?;
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let errors = BufReader::new(child.stderr.take().expect("piped"));
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let heard = Arc::clone(&last_words);
        let listener = std::thread::spawn(move || {
            for line in errors.split(b'\n').map_while(Result::ok) {
                let Ok(mut heard) = heard.lock() else { return };
                if heard.len() == LAST_WORDS {
                    heard.pop_front();
                }
                heard.push_back(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let input = child.stdin.take();
        let mut process = Process { child, input, output, last_words, listener: Some(listener) };
        match read_message::<Hello>(&mut process.output) {
            Ok(Some(hello)) if hello.protocol == PROTOCOL => Ok((process, hello.info)),
            Ok(Some(hello)) => Err(WorkerError::Protocol { program, theirs: hello.protocol }),
            Ok(None) => {
                Err(WorkerError::NoGreeting { program, how: process.post_mortem(&"it said nothing") })
            }
            Err(error) => Err(WorkerError::NoGreeting { program, how: process.post_mortem(&error) }),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Response, WireError> {
        let input =
            self.input.as_mut().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?;
        write_message(input, request)?;
        let ended = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into();
        read_message(&mut self.output)?.ok_or_else(ended)
    }

    /// Ends the process and says how it went.
    fn post_mortem(mut self, error: &dyn std::fmt::Display) -> String {
        self.input = None;
        // A worker that still runs after a broken frame is of no use.
        // One that crashed needs a moment to be reaped.
        let ended = within(PATIENCE, || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = self.child.kill();
        }
        let how = match ended {
            // A good end is no explanation.
            Some(status) if status.success() => format!("{error}; {}", describe_end(status)),
            Some(status) => describe_end(status),
            None => format!("{error}; the worker was stopped"),
        };
        let _ = self.child.wait();
        // Its standard error may stay open in a process that it started.
        if let Some(listener) = self.listener.take() {
            let _ = within(PATIENCE, || listener.is_finished().then_some(()));
        }
        let words: Vec<String> =
            self.last_words.lock().map(|words| words.iter().cloned().collect()).unwrap_or_default();
        if words.is_empty() { how } else { format!("{how}; it last said: {}", words.join("\n")) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends a healthy worker; wait for it, so that none is left behind.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// What `look` finds, tried until it finds something or the time is over.
fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        match look() {
            None if started.elapsed() < time => std::thread::sleep(Duration::from_millis(5)),
            found => return found,
        }
    }
}

fn describe_end(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return match signal_name(signal) {
            Some(name) => format!("the worker was ended by signal {signal} ({name})"),
            None => format!("the worker was ended by signal {signal}"),
        };
    }
    match status.code() {
        Some(code) => format!("the worker ended with exit code {code}"),
        None => "the worker ended".to_owned(),
    }
}

/// The signals that end a process with a bug, or one in the way; their numbers are the same on all systems.
#[cfg(unix)]
const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bn_cases::{DType, ErrorClass, Observable, Tensor, TensorName};

    use crate::{
        Action, Dictionary, Input, LayerConfig, LayerError, LayerKind, Layout, Setting, Slot, StepAnswer,
    };

    fn through_a_pipe<T: Serialize + DeserializeOwned>(message: &T) -> T {
        let mut pipe = Vec::new();
        write_message(&mut pipe, message).unwrap();
        read_message(&mut &pipe[..]).unwrap().unwrap()
    }

    fn odd_numbers() -> Tensor {
        Tensor::from_bit_patterns(DType::F32, &[3], [0x7fc0_1234, 0x8000_0000, 1])
    }

    #[test]
    fn a_response_comes_through_with_every_bit() {
        let counter = Tensor::from_bit_patterns(DType::I64, &[], [7]);
        let tensors = vec![
            (Observable::Output.into(), odd_numbers()),
            (TensorName::new("block.inner", Observable::NumBatchesTracked), counter),
        ];
        let error = Some(LayerError::new(ErrorClass::GraphChanged, "changed"));
        let response = Response::Answered(vec![StepAnswer { error, tensors }]);
        assert_eq!(through_a_pipe(&response), response);
    }

    #[test]
    fn a_request_comes_through_with_its_layers_and_steps() {
        let at = || "block".to_owned();
        let input = Input {
            tensor: odd_numbers(),
            dtype: DType::F32,
            layout: Layout::Expanded,
            requires_grad: false,
        };
        let entries = vec![("weight".to_owned(), odd_numbers())];
        let from = Dictionary {
            saved: Some("it".to_owned()),
            without: vec!["bias".to_owned()],
            entries,
            version: 1,
        };
        let settings = vec![
            Setting::Momentum(None),
            Setting::Tensor(Slot::RunningVar, Some(odd_numbers())),
            Setting::Eps(1e-3),
        ];
        let request = Request {
            case: "pipe".to_owned(),
            layers: vec![LayerConfig {
                path: "block.inner".to_owned(),
                weight: Some(odd_numbers()),
                held_in: Some(DType::F64),
                ..LayerConfig::new(LayerKind::BatchNorm3d, 3, DType::Bf16)
            }],
            actions: vec![
                Action::Forward { at: at(), input, no_grad: true },
                Action::Backward { grad: odd_numbers(), layout: Layout::ChannelsLast },
                Action::Set { at: at(), settings },
                Action::LoadState { at: at(), from, strict: false },
            ],
        };
        assert_eq!(through_a_pipe(&request), request);
    }

    #[test]
    fn a_frame_that_ends_early_or_claims_too_much_is_an_error() {
        let mut pipe = Vec::new();
        write_message(&mut pipe, &PROTOCOL).unwrap();
        pipe.truncate(pipe.len() - 1);
        assert!(matches!(read_message::<u32>(&mut &pipe[..]), Err(WireError::Pipe(_))));
        assert!(matches!(read_message::<u32>(&mut &[255u8; 8][..]), Err(WireError::TooLarge(_))));
        assert!(matches!(read_message::<u32>(&mut &[][..]), Ok(None)));
    }
}
