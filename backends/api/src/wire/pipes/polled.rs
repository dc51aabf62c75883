//! Pipes that are asked whether they can be read or written, by the thread that waits for an answer.

use std::io::{ErrorKind, Read, Result, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;

use super::Pipes;
use crate::wire::frame::{length_of, too_short};
use crate::wire::{MAX_FRAME_BYTES, WireError};

/// How many bytes are read at once: what a pipe holds.
const CHUNK: usize = 1 << 16;

pub(in super::super) struct Polled {
    /// Nothing where its input has ended.
    stdin: Option<ChildStdin>,
    /// The latest frame, as long as it has not taken all of it, and how much it has.
    waiting: Vec<u8>,
    taken: usize,
    /// Nothing where its output has ended, or somebody else reads it.
    stdout: Option<ChildStdout>,
    chunk: Vec<u8>,
    /// What has come of the next frame.
    arrived: Vec<u8>,
    /// How large that may be.
    largest: u32,
}

impl Polled {
    /// Writes as much as there is room for.
    fn push(&mut self) {
        while let Some(stdin) = self.stdin.as_mut().filter(|_| self.taken < self.waiting.len()) {
            match stdin.write(&self.waiting[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // That it does not listen shows in that it does not answer.
                Err(_) => self.stdin = None,
            }
        }
        (self.waiting, self.taken) = (Vec::new(), 0);
    }

    /// Reads what is there, up to a chunk. What fails is over.
    fn pull(&mut self) {
        let Some(stdout) = &mut self.stdout else { return };
        match stdout.read(&mut self.chunk) {
            Ok(0) => self.stdout = None,
            Ok(count) => self.arrived.extend_from_slice(&self.chunk[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => self.stdout = None,
        }
    }

    /// The frame that has come, or why none will.
    fn next(&mut self) -> Option<std::result::Result<Vec<u8>, WireError>> {
        let length = match length_of(&self.arrived, self.largest) {
            Ok(length) => length.map(|length| 4 + length as usize),
            Err(error) => return Some(Err(error)),
        };
        match length {
            Some(length) if self.arrived.len() >= length => {
                let rest = self.arrived.split_off(length);
                let mut frame = std::mem::replace(&mut self.arrived, rest);
                frame.drain(..4);
                Some(Ok(frame))
            }
            _ if self.stdout.is_some() => None,
            _ if self.arrived.is_empty() => Some(Err(WireError::Closed)),
            _ => Some(Err(too_short(&self.arrived))),
        }
    }

    /// Waits until something can be read or written, or for so long.
    fn look(&self, time: Duration) {
        let mut ends = Vec::with_capacity(2);
        ends.extend(self.stdout.as_ref().map(|stdout| PollFd::new(stdout, PollFlags::IN)));
        let stdin = self.stdin.as_ref().filter(|_| !self.waiting.is_empty());
        ends.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        // A time that cannot be said is longer than anybody waits.
        let time = Timespec::try_from(time).ok();
        // Whatever interrupts it, the caller looks again.
        let _ = poll(&mut ends, time.as_ref());
    }
}

impl Pipes for Polled {
    fn new(stdin: ChildStdin, stdout: ChildStdout) -> Result<Self> {
        ioctl_fionbio(&stdin, true)?;
        ioctl_fionbio(&stdout, true)?;
        Ok(Polled {
            stdin: Some(stdin),
            waiting: Vec::new(),
            taken: 0,
            stdout: Some(stdout),
            chunk: vec![0; CHUNK],
            arrived: Vec::new(),
            largest: MAX_FRAME_BYTES,
        })
    }

    fn send(&mut self, frame: Vec<u8>, largest_answer: u32) {
        self.largest = largest_answer;
        if self.waiting.is_empty() {
            self.waiting = frame;
        } else {
            self.waiting.extend_from_slice(&frame);
        }
        self.push();
    }

    fn end_input(&mut self) {
        self.push();
        self.stdin = None;
    }

    fn unasked(&mut self) -> Option<std::result::Result<Vec<u8>, WireError>> {
        self.pull();
        self.next()
    }

    fn wait(&mut self, time: Duration) -> Option<std::result::Result<Vec<u8>, WireError>> {
        let until = Instant::now() + time;
        loop {
            if let Some(frame) = self.next() {
                return Some(frame);
            }
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return None;
            }
            self.look(rest);
            self.push();
            self.pull();
        }
    }

    fn drain(&mut self, is_over: &Arc<AtomicBool>) {
        let Some(mut stdout) = self.stdout.take() else { return };
        let is_over = Arc::clone(is_over);
        let mut chunk = std::mem::take(&mut self.chunk);
        std::thread::spawn(move || {
            let _ = ioctl_fionbio(&stdout, false);
            while !is_over.load(Ordering::SeqCst) && !matches!(stdout.read(&mut chunk), Ok(0) | Err(_)) {}
        });
    }
}
