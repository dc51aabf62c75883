//! Requests and answers over a pipe, for backends that live in a process of their own, in whatever language.
//!
//! `docs/protocol.md` describes it for those who implement the other end. In short: a frame is a length (4 bytes,
//! little-endian) and that many bytes in the layout of a safetensors file, whose metadata hold the message as JSON
//! and whose tensors are those of the message, as raw bits. The worker speaks first: [`Hello`], once. Then each
//! request on its standard input is answered by one answer on its standard output.

mod canonical;
mod container;
mod frame;
mod hello;
mod limits;
mod message;
mod pipes;
mod process;
mod serve;
mod worker;

use thiserror::Error;

pub use container::ContainerError;
pub use frame::{MAX_FRAME_BYTES, read_frame};
pub use hello::{Feature, Hello};
pub use limits::{CANNOT_START, Limits, Stop};
pub use message::Message;
pub use process::peak_memory;
pub use serve::{serve, serve_on};
pub use worker::{Program, Worker, WorkerError};

/// The version of the messages; both ends must have the same.
pub const PROTOCOL: u32 = 4;

/// Why a frame could not be read or written.
#[derive(Debug, Error)]
pub enum WireError {
    /// The pipe failed or ended in the middle.
    #[error("the pipe broke: {0}")]
    Pipe(#[from] std::io::Error),
    /// The pipe was closed where a message is due.
    #[error("it closed its output")]
    Closed,
    /// A frame claims to be larger than any can be.
    #[error("a frame of {0} bytes is larger than any message")]
    TooLarge(u64),
    /// A frame claims to be larger than any answer to what was asked.
    #[error(
        "a frame of {length} bytes is larger than an answer to this request can be, which has {largest} bytes at most"
    )]
    LargerThanDue {
        /// What it claims.
        length: u32,
        /// What it may.
        largest: u32,
    },
    /// Bytes that do not begin as a frame does.
    #[error("`{0}` is not the beginning of a frame; is something else printed to standard output?")]
    NotAFrame(String),
    /// What is in a frame is not in the layout of a safetensors file.
    #[error("the frame is not a message of protocol {PROTOCOL}: {0}")]
    Container(#[from] ContainerError),
    /// The message's text is not one of this protocol.
    #[error("the frame is not a message of protocol {PROTOCOL}: {0}")]
    Json(#[from] serde_json::Error),
    /// The message and its tensors do not go together.
    #[error("the frame is not a message of protocol {PROTOCOL}: {0}")]
    Mismatch(String),
    /// A message that is none of those that are due now.
    #[error("the message is {found} where {due} is due")]
    NotDue {
        /// What it is.
        found: &'static str,
        /// What should have come.
        due: &'static str,
    },
    /// A message that nothing asked for.
    #[error("a message of {length} bytes that nothing asked for")]
    Unasked {
        /// Its size.
        length: usize,
    },
    /// An answer to something else.
    #[error("the answer is to request {answered}, not to request {asked}")]
    OtherRequest {
        /// The number of the request.
        asked: u64,
        /// The number in the answer.
        answered: u64,
    },
    /// The other end speaks another version.
    #[error("protocol {0}, not {PROTOCOL}")]
    Protocol(u64),
}
