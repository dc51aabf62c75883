//! The protocol of workers: whatever comes through a pipe is a message or an error, and what is a message is written
//! as the same message again.
//!
//! An input is a stream of frames, or a frame without its length. What begins with `!` is a message's text, the entries
//! of the header for its tensors, and their bytes, with a NUL between the three: the lengths, which a changed byte would
//! make wrong, are put in front here.

use std::fmt::Write as _;

use bn_api::wire::{Message, WireError, read_frame, serve_on};
use bn_api::{BackendInfo, Request, Responder, Response};

/// Reads frames.
///
/// # Panics
/// When that goes wrong.
pub fn frames(data: &[u8]) {
    let assembled = data.strip_prefix(b"!").map(assembled);
    let mut stream = assembled.as_deref().unwrap_or(data);
    loop {
        let before = stream.len();
        match read_frame(&mut stream) {
            Ok(Some(frame)) => {
                assert!(frame.len() + 4 + stream.len() == before, "a frame is as long as it says");
                decode(&frame);
            }
            Ok(None) => {
                assert!(stream.is_empty(), "frames end where the stream does");
                break;
            }
            Err(error) => {
                said(&error);
                break;
            }
        }
    }
    if assembled.is_none() {
        decode(data);
    }
    let mut nobody = Nobody(BackendInfo {
        name: "nobody".to_owned(),
        version: "1".to_owned(),
        about: String::new(),
        unobservable: Vec::new(),
    });
    let mut answers = Vec::new();
    if let Err(error) = serve_on(&mut assembled.as_deref().unwrap_or(data), &mut answers, &mut nobody) {
        said(&error);
    }
    let mut answers = answers.as_slice();
    while let Some(frame) = read_frame(&mut answers).expect("a worker writes frames") {
        Message::decode(&frame).expect("a worker writes messages");
    }
}

fn said(error: &WireError) {
    assert!(!error.to_string().is_empty(), "an error says what is wrong");
}

fn decode(frame: &[u8]) {
    let message = match Message::decode(frame) {
        Ok(message) => message,
        Err(error) => return said(&error),
    };
    let written = message.encode().expect("what was in a frame fits into one");
    let mut stream = written.as_slice();
    let frame = read_frame(&mut stream).expect("what is written can be read").expect("it is there");
    let again = Message::decode(&frame).unwrap_or_else(|error| panic!("{error}: {message:?}"));
    assert_eq!(again, message, "what is written says the same");
}

/// A frame around a text, the entries of tensors and their bytes.
fn assembled(data: &[u8]) -> Vec<u8> {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (message, entries) = (text(), text());
    let header = format!("{{\"__metadata__\":{{\"bncheck\":\"{}\"}}{entries}}}", escaped(&message));
    let mut frame = (header.len() as u64).to_le_bytes().to_vec();
    frame.extend_from_slice(header.as_bytes());
    frame.extend_from_slice(parts.next().unwrap_or_default());
    let mut stream = u32::try_from(frame.len()).expect("an input is small").to_le_bytes().to_vec();
    stream.append(&mut frame);
    stream
}

/// A text within a string of JSON.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\\' => escaped.extend(['\\', char]),
            '\0'..='\x1f' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(char));
            }
            char => escaped.push(char),
        }
    }
    escaped
}

/// A backend that has nothing to say.
struct Nobody(BackendInfo);

impl Responder for Nobody {
    fn info(&self) -> &BackendInfo {
        &self.0
    }

    fn respond(&mut self, request: &Request) -> Response {
        Response::Unsupported { reason: format!("{} layers", request.layers.len()) }
    }
}
