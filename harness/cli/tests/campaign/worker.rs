//! The worker: the reference backend, which misbehaves when it is told to.

use std::io::{Stdin, Stdout, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, abort, exit};
use std::time::Duration;

use bn_api::wire::{Hello, Message, read_frame};
use bn_api::{DType, InProcess, Observable, Outcome, Responder, Response, StepAnswer, Tensor, TensorName};
use rustix::process::{Signal, getpid, kill_process, setsid};

use crate::kinds::{self, Draw, Kind};

/// The first argument.
pub const MISBEHAVE: &str = "misbehave";

/// What no sleep of a worker ends by itself.
const FOREVER: Duration = Duration::from_secs(100_000);

/// When it misbehaves, and how.
enum Plan {
    /// In this way, over the requests with these numbers.
    Alone(&'static Kind, Vec<u64>),
    /// As it is drawn.
    Mixture(Draw),
    /// It crashes over the first request, and does not start again, where this file is.
    Once(String),
    /// It is a process that a worker leaves behind.
    Child,
    /// The same, out of its worker's group, and for a while only.
    Daemon,
}

impl Plan {
    fn read(words: &[&str]) -> Option<Self> {
        Some(match *words {
            ["alone", kind, at] => {
                let at = at.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
                Plan::Alone(kinds::named(kind)?, at)
            }
            ["mixture", seed, late_ones] => {
                Plan::Mixture(Draw { seed: seed.parse().ok()?, late_ones: late_ones.parse().ok()? })
            }
            ["once", mark] => Plan::Once(mark.to_owned()),
            ["child"] => Plan::Child,
            ["daemon"] => Plan::Daemon,
            _ => return None,
        })
    }

    fn kind(&self, id: u64, case: &str) -> Option<&'static str> {
        match self {
            Plan::Alone(kind, at) => at.contains(&id).then_some(kind.name),
            Plan::Mixture(draw) => Some(draw.kind(case)?.name),
            Plan::Once(_) => Some("abort"),
            Plan::Child | Plan::Daemon => None,
        }
    }
}

/// Serves until the input ends, or worse. The first word is there for the process to be found by.
pub fn serve(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((Some(plan), mark)) = words.split_first().map(|(mark, words)| (Plan::read(words), *mark)) else {
        eprintln!("the worker's arguments are not known: {words:?}");
        return ExitCode::from(2);
    };
    match &plan {
        Plan::Child => {
            std::thread::sleep(FOREVER);
            return ExitCode::SUCCESS;
        }
        Plan::Daemon => {
            setsid().expect("it leads no group");
            std::thread::sleep(Duration::from_secs(3));
            return ExitCode::SUCCESS;
        }
        Plan::Once(mark) if std::path::Path::new(mark).exists() => {
            eprintln!("the license has expired");
            exit(7);
        }
        _ => {}
    }
    let worker = Worker {
        mark: mark.to_owned(),
        backend: Box::new(InProcess::new(bn_reference::Reference)),
        input: std::io::stdin(),
        output: std::io::stdout(),
    };
    worker.serve(&plan)
}

struct Worker {
    mark: String,
    backend: Box<dyn Responder>,
    input: Stdin,
    output: Stdout,
}

impl Worker {
    fn serve(mut self, plan: &Plan) -> ExitCode {
        let hello = self.hello(plan);
        self.say(&hello);
        if let Plan::Once(mark) = plan {
            std::fs::write(mark, "").expect("written");
        }
        let mut does_not_end = false;
        while let Some(frame) = read_frame(&mut self.input).expect("bncheck writes frames") {
            let Message::Request { id, request } =
                Message::decode(&frame).expect("bncheck's frames are right")
            else {
                panic!("not a request");
            };
            let kind = plan.kind(id, &request.case);
            let response = self.backend.respond(&request);
            match kind {
                Some(kind) => self.misbehave(kind, id, response),
                None => self.answer(id, response),
            }
            does_not_end |= kind == Some("does-not-end");
        }
        if does_not_end {
            std::thread::sleep(FOREVER);
        }
        ExitCode::SUCCESS
    }

    fn hello(&self, plan: &Plan) -> Vec<u8> {
        let mut hello = Hello::new(self.backend.info());
        "misbehaving".clone_into(&mut hello.name);
        if let Plan::Alone(Kind { name: "flood-of-words", .. }, _) = plan {
            hello.version = format!("1.0{CONTROL}");
            hello.about = format!("it{CONTROL}");
        }
        Message::Hello(hello).encode().expect("it is small")
    }

    fn say(&mut self, bytes: &[u8]) {
        // Nobody may listen any more.
        let _ = self.output.write_all(bytes).and_then(|()| self.output.flush());
    }

    fn answer(&mut self, id: u64, response: Response) {
        let frame = encoded(id, response);
        self.say(&frame);
    }

    /// Another process of this program, which has this one's pipes.
    fn leave(&self, what: &str) {
        let mut command = Command::new(std::env::current_exe().expect("it is there"));
        command.args([MISBEHAVE, &self.mark, what]);
        // Nobody waits for it.
        drop(command.spawn().expect("it can be started"));
    }

    /// Becomes a shell that runs this.
    fn shell(&self, script: &str) -> ! {
        let error = Command::new("sh").args(["-c", script, &self.mark]).exec();
        panic!("no shell: {error}");
    }

    fn misbehave(&mut self, kind: &str, id: u64, response: Response) {
        match kind {
            "abort" | "segfault" | "killed" | "panic" | "exit-0" | "exit-3" | "memory" | "stack" => end(kind),
            "flood-of-words" | "words-that-are-no-text" => last_words(kind),
            "hang" => {
                eprintln!("thinking");
                std::thread::sleep(FOREVER);
            }
            "stopped" => kill_process(getpid(), Signal::STOP).expect("it is ours"),
            "leaves-a-child-and-ends" => {
                self.leave("child");
                exit(4);
            }
            "leaves-a-daemon-and-ends" => {
                self.leave("daemon");
                exit(4);
            }
            "closes-its-output" => self.shell("exec >&-; cat > /dev/null; exec sleep 1000"),
            _ => match wrongly(kind, response.clone()) {
                Some(wrong) => self.answer(id, wrong),
                None => self.frames(kind, id, response),
            },
        }
    }

    /// Something in the place of the frame of the answer.
    fn frames(&mut self, kind: &str, id: u64, response: Response) {
        let right = encoded(id, response.clone());
        let half = &right[..right.len() / 2];
        match kind {
            "half-an-answer-and-exit" => {
                self.say(half);
                exit(0);
            }
            "half-an-answer-and-hang" => self.say_and_hang(half),
            "a-length-and-hang" => self.say_and_hang(&right[..4]),
            "drip" => {
                // Longer than any timeout of this test.
                let pause = Duration::from_secs(60) / right.len() as u32;
                for byte in &right {
                    std::thread::sleep(pause);
                    self.say(&[*byte]);
                }
            }
            "answers-and-ends" => {
                self.say(&right);
                exit(3);
            }
            "never-reads-again" => self.say_and_hang(&right),
            "closes-its-input" => {
                self.say(&right);
                self.shell("exec <&-; exec sleep 1000");
            }
            "garbage" => self.say(&garbage(id)),
            "text-before-the-answer" => self.say(&[b"loading weights of layer 3\n", &right[..]].concat()),
            "a-word-before-the-answer" => self.say(&[b"hi\n", &right[..]].concat()),
            "text-after-the-answer" => self.say(&[&right[..], b"done\n"].concat()),
            "too-large" => self.say(&[255; 64]),
            "larger-than-due" => {
                self.say(&framed(512 << 20, 16, b"{"));
                let zeros = vec![0; 1 << 20];
                for _ in 0..512 {
                    self.say(&zeros);
                }
            }
            "no-header" => self.say(&framed(100, 1 << 40, &[b'x'; 92])),
            "no-json" => self.say(&framed(20, 12, b"not any JSON")),
            "deep-json" => self.say(&framed(100_008, 100_000, &vec![b'['; 100_000])),
            "no-message" => {
                let header = br#"{"__metadata__":{"bncheck":"{\"reply\":{\"id\":1}}"}}"#;
                self.say(&framed(8 + header.len() as u32, header.len() as u64, header));
            }
            "greeting" => {
                let hello = Message::Hello(Hello::new(self.backend.info()));
                self.say(&hello.encode().expect("it is small"));
            }
            "other-request" => self.answer(id + 1000, response),
            "twice" => self.say(&[&right[..], &right[..]].concat()),
            "unknown-tensor" => {
                let wrong = replaced(&right, b"/output", b"/outptu");
                self.say(&wrong);
            }
            "slow-answer" => {
                for part in right.chunks(right.len() / 7 + 1) {
                    self.say(part);
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            "much-to-say" => {
                eprint!("{}", "I am working on it\n".repeat(100_000));
                self.say(&right);
            }
            "leaves-a-child" => {
                self.leave("child");
                self.say(&right);
            }
            "does-not-end" => self.say(&right),
            _ => panic!("no way to misbehave is called {kind}"),
        }
    }

    fn say_and_hang(&mut self, bytes: &[u8]) {
        self.say(bytes);
        std::thread::sleep(FOREVER);
    }
}

/// Moves a cursor, clears a terminal, sets its title, turns text round, rings.
pub const CONTROL: &str = "\u{1b}[2J\u{1b}]0;mine\u{7}\u{9b}31m\u{202e}\u{2066}\r\u{8}\0";

fn end(kind: &str) {
    match kind {
        "abort" => {
            eprintln!("out of luck");
            abort();
        }
        // The first one is for Rust's own handler, which looks for an overflow of the stack and gives up its place.
        "segfault" => loop {
            kill_process(getpid(), Signal::SEGV).expect("it is ours");
        },
        "killed" => kill_process(getpid(), Signal::KILL).expect("it is ours"),
        "panic" => panic!("out of luck"),
        "exit-0" => exit(0),
        "exit-3" => {
            eprintln!("giving up");
            exit(3);
        }
        "memory" => {
            let mut taken = Vec::new();
            loop {
                taken.push(vec![1_u8; 1 << 20]);
            }
        }
        _ => {
            // On a thread, as the main one's stack may be without a limit.
            let deep = std::thread::Builder::new().stack_size(1 << 18).spawn(|| deep(1));
            deep.expect("a thread").join().expect("it does not end well");
        }
    }
}

fn deep(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 32]);
    if depth == u64::MAX { 0 } else { deep(depth + 1) + here[7] }
}

fn last_words(kind: &str) {
    let mut stderr = std::io::stderr();
    if kind == "flood-of-words" {
        // Without an end of a line.
        let flood = format!("{CONTROL}word ").repeat(1 << 17);
        let _ = stderr.write_all(flood.as_bytes());
        let _ = stderr.write_all(format!("\nthat was all{CONTROL}").as_bytes());
        abort();
    }
    let _ = stderr.write_all(b"broken \xff\xfe words\n");
    exit(9);
}

/// A whole answer with something wrong in it.
fn wrongly(kind: &str, response: Response) -> Option<Response> {
    if kind == "long-complaint" {
        let message = format!("{}{CONTROL}", "woe ".repeat(1 << 17));
        return Some(Response::Broken { how: Outcome::Error, message });
    }
    let Response::Answered(mut steps) = response else { panic!("the reference answers all") };
    let output = TensorName::from(Observable::Output);
    let outputs = steps.iter_mut().flat_map(|step| &mut step.tensors);
    let outputs = outputs.filter(|(name, _)| *name == output).map(|(_, tensor)| tensor);
    match kind {
        "no-steps" => steps.clear(),
        "too-few-steps" => steps.truncate(steps.len() - 1),
        "too-many-steps" => steps.push(StepAnswer::default()),
        "wrong-shape" => outputs.for_each(|tensor| {
            let bytes = tensor.bytes().to_vec();
            *tensor = Tensor::from_bytes(tensor.dtype(), vec![tensor.len()], bytes).expect("as many");
        }),
        "absurd-shape" => outputs.for_each(|tensor| {
            *tensor = Tensor::from_bytes(tensor.dtype(), vec![1 << 40, 0], Vec::new()).expect("none");
        }),
        "wrong-dtype" => outputs.for_each(|tensor| {
            *tensor = Tensor::full(DType::I64, tensor.shape(), 0.0);
        }),
        "no-output" => steps.iter_mut().for_each(|step| step.tensors.retain(|(name, _)| *name != output)),
        _ => return None,
    }
    Some(Response::Answered(steps))
}

fn encoded(id: u64, response: Response) -> Vec<u8> {
    Message::Answer { id, response }.encode().expect("it is small")
}

/// A frame of this length with a header of that length, as far as the bytes go.
fn framed(length: u32, header: u64, bytes: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], &header.to_le_bytes(), bytes].concat()
}

/// Bytes of no meaning, the first of which are the length of a frame that may be.
fn garbage(id: u64) -> Vec<u8> {
    let bytes = (0..512).flat_map(|number| kinds::hash("garbage", id * 1000 + number).to_le_bytes());
    4096_u32.to_le_bytes().into_iter().chain(bytes).collect()
}

/// All places where bytes are others of the same length.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = bytes.to_vec();
    let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from));
    places.for_each(|at| replaced[at..at + to.len()].copy_from_slice(to));
    replaced
}
