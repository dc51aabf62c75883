//! Pipes each of which has a thread of its own, for systems that cannot be asked whether one can be read.

use std::io::{BufReader, Read, Result, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::Pipes;
use crate::wire::frame::read_frame_within;
use crate::wire::{MAX_FRAME_BYTES, WireError};

pub(in super::super) struct Threaded {
    /// To the thread that writes its standard input.
    input: Option<Sender<Vec<u8>>>,
    /// From the one that reads its standard output.
    output: Receiver<std::result::Result<Vec<u8>, WireError>>,
    /// How large the next frame may be.
    largest: Arc<AtomicU32>,
    /// Whether nothing that still comes is to be kept.
    drains: Arc<AtomicBool>,
}

impl Pipes for Threaded {
    fn new(mut stdin: ChildStdin, stdout: ChildStdout) -> Result<Self> {
        let (input, frames) = mpsc::channel::<Vec<u8>>();
        std::thread::spawn(move || {
            for frame in frames {
                // That it does not listen shows in that it does not answer.
                if stdin.write_all(&frame).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        // A worker that says more than it is asked waits until somebody reads it.
        let (frames, output) = mpsc::sync_channel(1);
        let largest = Arc::new(AtomicU32::new(MAX_FRAME_BYTES));
        let drains = Arc::new(AtomicBool::new(false));
        let (may_have, is_drained) = (Arc::clone(&largest), Arc::clone(&drains));
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let frame = read_frame_within(&mut stdout, &|| may_have.load(Ordering::SeqCst));
                let frame = frame.and_then(|frame| frame.ok_or(WireError::Closed));
                let is_last = frame.is_err();
                if is_drained.load(Ordering::SeqCst) || frames.send(frame).is_err() || is_last {
                    break;
                }
            }
            let mut chunk = [0; 1 << 13];
            while !matches!(stdout.read(&mut chunk), Ok(0) | Err(_)) {}
        });
        Ok(Threaded { input: Some(input), output, largest, drains })
    }

    fn send(&mut self, frame: Vec<u8>, largest_answer: u32) {
        self.largest.store(largest_answer, Ordering::SeqCst);
        if let Some(input) = &self.input {
            let _ = input.send(frame);
        }
    }

    fn end_input(&mut self) {
        self.input = None;
    }

    fn unasked(&mut self) -> Option<std::result::Result<Vec<u8>, WireError>> {
        self.output.try_recv().ok()
    }

    fn wait(&mut self, time: Duration) -> Option<std::result::Result<Vec<u8>, WireError>> {
        match self.output.recv_timeout(time) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Disconnected) => Some(Err(WireError::Closed)),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }

    fn drain(&mut self, _is_over: &Arc<AtomicBool>) {
        self.drains.store(true, Ordering::SeqCst);
        // One that waits to hand over a frame goes on.
        let _ = self.output.try_recv();
    }
}
