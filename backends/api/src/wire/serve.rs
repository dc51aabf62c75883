//! A worker's end of the pipe.

#[cfg(unix)]
use std::io::BufReader;
use std::io::{Read, Write};

use super::message::{encode_answer, encode_hello};
use super::{Hello, Message, WireError, read_frame};
use crate::Responder;

/// How many bytes are read at once: what a pipe holds.
#[cfg(unix)]
const BUFFER: usize = 1 << 16;

/// Serves a backend on standard input and output until the input ends: a worker's whole life. Whatever else the program
/// prints has to go to standard error.
///
/// # Errors
/// When a pipe fails or a frame is not a request.
pub fn serve(responder: &mut dyn Responder) -> Result<(), WireError> {
    #[cfg(unix)]
    {
        use std::fs::File;
        use std::os::fd::AsFd;
        // Standard output as Rust has it writes a frame in two parts where there is a line feed among its bytes, and the other
        // end of the pipe is woken twice.
        let input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        let mut output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        serve_on(&mut BufReader::with_capacity(BUFFER, input), &mut output, responder)
    }
    #[cfg(not(unix))]
    serve_on(&mut std::io::stdin().lock(), &mut std::io::stdout().lock(), responder)
}

/// Serves a backend on these.
///
/// # Errors
/// When a pipe fails or a frame is not a request.
pub fn serve_on(
    input: &mut impl Read,
    output: &mut impl Write,
    responder: &mut dyn Responder,
) -> Result<(), WireError> {
    let mut say = |frame: Vec<u8>| -> Result<(), WireError> {
        output.write_all(&frame)?;
        Ok(output.flush()?)
    };
    say(encode_hello(&Hello::new(responder.info()))?)?;
    while let Some(frame) = read_frame(input)? {
        match Message::decode(&frame)? {
            Message::Request { id, request } => {
                let response = responder.respond(&request);
                say(encode_answer(id, &response, responder.nanos())?)?;
            }
            other => return Err(WireError::NotDue { found: other.kind(), due: "a request" }),
        }
    }
    Ok(())
}
