//! Workers that do not do what they should: what is said of each, to the person whose worker it is.
#![cfg(unix)]

mod answering;
mod greeting;
mod restarting;

use std::process::Command;
use std::time::{Duration, Instant};

use bn_api::wire::{CANNOT_START, Hello, Limits, Message, PROTOCOL, Program, Stop, Worker, WorkerError};
use bn_api::{
    Action, BackendInfo, DType, LayerConfig, LayerKind, Outcome, Request, Responder, Response, StepAnswer,
};

/// Limits that no healthy worker of these tests comes near.
fn ample() -> Limits {
    let minute = Duration::from_secs(60);
    Limits { greeting: minute, answer: minute, memory: None, stop: Stop::default() }
}

fn shell(script: &str) -> Program {
    let script = script.to_owned();
    let command = move || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    };
    Program { name: "sh".to_owned(), command: Box::new(command) }
}

/// A worker that is this shell script.
fn script(script: &str) -> Result<Worker, WorkerError> {
    Worker::start(ample(), shell(script))
}

/// Why the worker that is this shell script cannot be had.
fn refused(text: &str) -> String {
    match script(text) {
        Ok(_) => panic!("`{text}` greets"),
        Err(error) => error.to_string(),
    }
}

/// A frame as an argument of `printf`, which all shells read alike in octal.
fn octal(message: &Message) -> String {
    let frame = message.encode().expect("it is small");
    frame.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"))
}

fn hello() -> Hello {
    Hello::new(&BackendInfo {
        name: "script".to_owned(),
        version: "script 1.0".to_owned(),
        about: "a shell script".to_owned(),
        unobservable: Vec::new(),
    })
}

fn greeting(protocol: u32) -> String {
    format!("printf '{}'", octal(&Message::Hello(Hello { protocol, ..hello() })))
}

/// The right number of empty steps, as the answer to request `id`.
fn answer(id: u64) -> Message {
    Message::Answer { id, response: Response::Answered(vec![StepAnswer::default(); 2]) }
}

fn question() -> Request {
    let layer = LayerConfig::new(LayerKind::BatchNorm1d, 1, DType::F32);
    Request {
        case: "example".to_owned(),
        layers: vec![layer],
        actions: vec![Action::Train { at: String::new() }],
    }
}

/// Waits until a request begins to arrive.
const ASKED: &str = "head -c 1 > /dev/null";

/// How a worker breaks down when it is asked something.
fn breaks(worker: &mut Worker) -> (Outcome, String) {
    match worker.respond(&question()) {
        Response::Broken { how, message } => (how, message),
        other => panic!("{other:?}"),
    }
}

/// How a worker that greets and then runs `script` breaks down when it is asked something.
fn broken(after_the_greeting: &str) -> (Outcome, String) {
    breaks(&mut script(&format!("{}; {ASKED}; {after_the_greeting}", greeting(PROTOCOL))).expect("it greets"))
}

/// The same within limits.
fn broken_within(limits: Limits, after_the_greeting: &str) -> (Outcome, String) {
    let script = format!("{}; {ASKED}; {after_the_greeting}", greeting(PROTOCOL));
    breaks(&mut Worker::start(limits, shell(&script)).expect("it greets"))
}

/// `printf` of a frame with this header and these bytes behind it.
fn frame(header: &str, data: &str) -> String {
    let length = 8 + header.len() + data.len();
    let number =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"));
    let lengths = number(&(length as u32).to_le_bytes()) + &number(&(header.len() as u64).to_le_bytes());
    format!("printf '{lengths}'; printf '%s' '{header}{data}'")
}
