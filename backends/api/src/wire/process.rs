//! One worker process: its pipes, each with a thread of its own, so that nothing it does can hold up the run.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{WireError, WorkerError, read_frame};

/// How many of a worker's last lines on standard error are kept for the report of a crash.
const LAST_WORDS: usize = 20;

/// How many bytes of each.
const LONGEST_WORD: usize = 2048;

/// How long a broken worker may take to end by itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long one that is told that there is nothing more to do may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What can be said of a worker once it has ended.
pub(super) struct Obituary {
    /// How it ended, and what it said last.
    pub text: String,
    /// Whether it ended by itself, and not well.
    pub fell: bool,
}

/// Why there is no frame.
pub(super) enum Silence {
    /// The time is over.
    Late,
    /// The pipe ended or holds something else.
    Wire(WireError),
}

pub(super) struct Process {
    child: Child,
    /// Whether it leads a process group, all of which is stopped with it.
    leads: bool,
    /// To the thread that writes its standard input.
    input: Option<Sender<Vec<u8>>>,
    /// From the one that reads its standard output.
    output: Receiver<Result<Vec<u8>, WireError>>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a process; where `leads`, in a process group of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command, leads: bool) -> Result<Self, WorkerError> {
        let program = command.get_program().to_string_lossy().into_owned();
        #[cfg(unix)]
        if leads {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| WorkerError::Start { program: program.clone(), error })?;
        let no_pipe = || {
            let error = std::io::Error::other("it has no pipe");
            WorkerError::Start { program: program.clone(), error }
        };
        let (input, pipe) = mpsc::channel::<Vec<u8>>();
        let mut stdin = child.stdin.take().ok_or_else(no_pipe)?;
        std::thread::spawn(move || {
            for frame in pipe {
                // That it does not listen shows in that it does not answer.
                if stdin.write_all(&frame).and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        // A worker that says more than it is asked waits until somebody reads it.
        let (frames, output) = mpsc::sync_channel(1);
        let mut stdout = BufReader::new(child.stdout.take().ok_or_else(no_pipe)?);
        std::thread::spawn(move || {
            loop {
                let frame = read_frame(&mut stdout).and_then(|frame| frame.ok_or(WireError::Closed));
                let is_last = frame.is_err();
                if frames.send(frame).is_err() || is_last {
                    return;
                }
            }
        });
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let heard = Arc::clone(&last_words);
        let stderr = child.stderr.take().ok_or_else(no_pipe)?;
        let listener = std::thread::spawn(move || listen(stderr, &heard));
        let input = Some(input);
        Ok(Process { child, leads, input, output, last_words, listener: Some(listener) })
    }

    /// Sends a frame. Whether it arrives shows in the answer.
    pub fn send(&self, frame: Vec<u8>) {
        if let Some(input) = &self.input {
            let _ = input.send(frame);
        }
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// When there is none, within the limit where there is one.
    pub fn receive(&self, limit: Option<Duration>) -> Result<Vec<u8>, Silence> {
        let gone = Silence::Wire(WireError::Closed);
        match limit {
            None => self.output.recv().map_err(|_| gone)?.map_err(Silence::Wire),
            Some(limit) => match self.output.recv_timeout(limit) {
                Ok(frame) => frame.map_err(Silence::Wire),
                Err(RecvTimeoutError::Timeout) => Err(Silence::Late),
                Err(RecvTimeoutError::Disconnected) => Err(gone),
            },
        }
    }

    /// Ends the process, which has broken down as `error` says, and says how it went. One that crashed needs a moment to
    /// be reaped, where `patient`; one that still runs after that is of no use.
    pub fn post_mortem(mut self, error: &dyn Display, patient: bool) -> Obituary {
        self.input = None;
        let patience = if patient { PATIENCE } else { Duration::ZERO };
        let ended = within(patience, || self.child.try_wait().ok().flatten());
        // What it started may live on.
        self.kill();
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
        let text = if words.is_empty() { how } else { format!("{how}; it last said: {}", words.join("\n")) };
        Obituary { text, fell: ended.is_some_and(|status| !status.success()) }
    }

    fn kill(&mut self) {
        #[cfg(unix)]
        if self.leads {
            let group = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends a healthy worker; wait for it, so that none is left behind.
        self.input = None;
        if within(FAREWELL, || self.child.try_wait().ok().flatten()).is_none() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Keeps the last lines of what it reads.
fn listen(mut from: impl Read, heard: &Mutex<VecDeque<String>>) {
    let mut line: Vec<u8> = Vec::new();
    let mut bytes = [0; 4096];
    let keep = |line: &mut Vec<u8>| {
        let Ok(mut heard) = heard.lock() else { return };
        if heard.len() == LAST_WORDS {
            heard.pop_front();
        }
        heard.push_back(String::from_utf8_lossy(line).into_owned());
        line.clear();
    };
    loop {
        let count = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for &byte in &bytes[..count] {
            match byte {
                b'\n' => keep(&mut line),
                _ if line.len() < LONGEST_WORD => line.push(byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        keep(&mut line);
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
