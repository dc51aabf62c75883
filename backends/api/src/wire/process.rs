//! One worker process, from its start to its end.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::pipes::{self, Pipes};
use super::{CANNOT_START, Stop, WireError, WorkerError};

/// How many of a worker's last lines on standard error are kept for the report of a crash.
const LAST_WORDS: usize = 20;

/// How many bytes of each.
const LONGEST_WORD: usize = 2048;

/// How long a broken worker may take to end by itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long one may take whose pipe has ended, as pipes do when a process ends: on a busy machine that may be a while
/// before it can be seen to have ended.
const LONG_PATIENCE: Duration = Duration::from_secs(3);

/// How long the rest of its output may take to arrive, once it has ended.
const REST: Duration = Duration::from_millis(250);

/// How long its last words may take to arrive.
const LISTENING: Duration = Duration::from_secs(2);

/// How long one that is told that there is nothing more to do may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often one that is waited for is left, to see whether there is a reason to stop.
const LOOK_UP: Duration = Duration::from_millis(50);

/// What can be said of a worker once it has ended.
pub(super) struct Obituary {
    /// How it ended, and what it said last.
    pub text: String,
    /// How it ended, where it did so by itself.
    pub status: Option<ExitStatus>,
    /// Why the program was not started at all, where it was not.
    pub not_started: Option<String>,
}

/// Why there is no frame.
pub(super) enum Silence {
    /// The time is over.
    Late,
    /// Nobody is to wait any longer.
    Stopped,
    /// The pipe ended or holds something else.
    Wire(WireError),
}

pub(super) struct Process {
    child: Child,
    pipes: pipes::Chosen,
    last_words: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    /// Whether it is over, and nothing that still comes through its pipes is to be read.
    over: Arc<AtomicBool>,
}

impl Process {
    /// Starts a process, in a process group of its own, all of which is stopped with it. `program` is what errors call it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command, program: &str) -> Result<Self, WorkerError> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned
            .map_err(|error| WorkerError::Start { program: program.to_owned(), error: error.to_string() })?;
        let no_pipe =
            || WorkerError::Start { program: program.to_owned(), error: "it has no pipe".to_owned() };
        let stdin = child.stdin.take().ok_or_else(no_pipe)?;
        let stdout = child.stdout.take().ok_or_else(no_pipe)?;
        let pipes = pipes::Chosen::new(stdin, stdout)
            .map_err(|error| WorkerError::Start { program: program.to_owned(), error: error.to_string() })?;
        let over = Arc::new(AtomicBool::new(false));
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let heard = Arc::clone(&last_words);
        let stderr = child.stderr.take().ok_or_else(no_pipe)?;
        let is_over = Arc::clone(&over);
        let listener = Some(std::thread::spawn(move || listen(stderr, &heard, &is_over)));
        Ok(Process { child, pipes, last_words, listener, over })
    }

    /// Sends a frame, the answer to which may have so many bytes. Whether it arrives shows in the answer.
    pub fn send(&mut self, frame: Vec<u8>, largest_answer: u32) {
        self.pipes.send(frame, largest_answer);
    }

    /// The most memory that it has held so far, in bytes, where the system says it.
    pub fn peak_memory(&self) -> Option<u64> {
        peak_memory(&self.child.id().to_string())
    }

    /// What it has said, or how its output ended, without being asked.
    pub fn unasked(&mut self) -> Option<Result<Vec<u8>, WireError>> {
        self.pipes.unasked()
    }

    /// Waits for the next frame, as long as there is a process that may send it.
    ///
    /// # Errors
    /// When there is none within the limit, or nobody is to wait.
    pub fn receive(&mut self, limit: Duration, stop: &Stop) -> Result<Vec<u8>, Silence> {
        let asked = Instant::now();
        let mut ended = None;
        loop {
            let rest = limit.saturating_sub(asked.elapsed());
            match self.pipes.wait(rest.min(LOOK_UP)) {
                Some(frame) => return frame.map_err(Silence::Wire),
                None if stop.is_now() => return Err(Silence::Stopped),
                None if rest <= LOOK_UP => return Err(Silence::Late),
                None => {}
            }
            // A process that it has started may hold its output open; what it said itself has come soon.
            if self.has_ended() && ended.get_or_insert_with(Instant::now).elapsed() > REST {
                return Err(Silence::Wire(WireError::Closed));
            }
        }
    }

    /// Tells it that there is nothing more to do, and waits for its end.
    ///
    /// # Errors
    /// What it says instead of ending quietly.
    pub fn farewell(mut self) -> Result<(), WireError> {
        self.pipes.end_input();
        match self.receive(FAREWELL, &Stop::default()) {
            Ok(frame) => Err(WireError::Unasked { length: frame.len() }),
            Err(Silence::Wire(WireError::Closed) | Silence::Late | Silence::Stopped) => Ok(()),
            Err(Silence::Wire(error)) => Err(error),
        }
    }

    /// Ends the process, of which there is no answer within its time.
    pub fn stop(self, why: &dyn Display) -> Obituary {
        self.post_mortem(why, Duration::ZERO)
    }

    /// Ends the process, which has broken down as `error` says, and says how it went. One that crashed needs a moment
    /// until that is seen, all the more where its pipe has ended; one that still runs after that is of no use.
    pub fn broken(self, error: &dyn Display, pipe_ended: bool) -> Obituary {
        self.post_mortem(error, if pipe_ended { LONG_PATIENCE } else { PATIENCE })
    }

    fn post_mortem(mut self, error: &dyn Display, patience: Duration) -> Obituary {
        self.pipes.end_input();
        self.pipes.drain(&self.over);
        let by_itself = within(patience, || self.has_ended().then_some(())).is_some();
        let status = self.end().filter(|_| by_itself);
        let how = match status {
            // A good end is no explanation.
            Some(status) if status.success() => format!("{error}; {}", describe_end(status)),
            Some(status) => describe_end(status),
            None => format!("{error}; the worker was stopped"),
        };
        // Its standard error may stay open in a process that it started.
        if let Some(listener) = self.listener.take() {
            let _ = within(LISTENING, || listener.is_finished().then_some(()));
        }
        self.over.store(true, Ordering::SeqCst);
        let words: Vec<String> =
            self.last_words.lock().map(|words| words.iter().cloned().collect()).unwrap_or_default();
        let cannot_start = status.and_then(|status| status.code()) == Some(CANNOT_START);
        let not_started = cannot_start.then(|| words.join("\n"));
        let text = if words.is_empty() { how } else { format!("{how}; it last said: {}", words.join("\n")) };
        Obituary { text, status, not_started }
    }

    /// Whether it has ended, by itself or not. As long as its end is not waited for, no other process can have its number.
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    fn has_ended(&mut self) -> bool {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(Pid::from_child(&self.child)), options), Ok(None))
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it with all that it has started in its group, which may live on after it.
    fn end(&mut self) -> Option<ExitStatus> {
        #[cfg(unix)]
        {
            let group = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends a healthy worker; wait for it, so that none is left behind.
        self.pipes.end_input();
        if !self.over.load(Ordering::SeqCst) {
            self.pipes.drain(&self.over);
            within(FAREWELL, || self.has_ended().then_some(()));
            self.end();
            self.over.store(true, Ordering::SeqCst);
        }
    }
}

/// The most memory that a process has held so far, in bytes, where the system says it: by its number, or `self`.
pub fn peak_memory(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Keeps the last lines of what it reads, as long as anything is of interest.
fn listen(mut from: impl Read, heard: &Mutex<VecDeque<String>>, is_over: &AtomicBool) {
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
    while !is_over.load(Ordering::SeqCst) {
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

/// What `look` finds, tried until it finds something or the time is over: at once, and then less and less often.
fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        match look() {
            None if started.elapsed() < time => std::thread::sleep(pause),
            found => return found,
        }
        pause = (pause * 2).min(LOOK_UP / 5);
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
