//! A worker that breaks down again and again: each time all that it had is given back. A program of its own, as threads and
//! files of other tests would be counted too.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::{Duration, Instant};

use bn_api::wire::{Hello, Limits, Message, Program, Stop, Worker};
use bn_api::{Action, BackendInfo, DType, LayerConfig, LayerKind, Outcome, Request, Responder, Response};

const RESTARTS: u32 = 1000;

fn octal(message: &Message) -> String {
    let frame = message.encode().expect("it is small");
    frame.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"))
}

/// What this process has: threads, open files, children, and memory in MiB.
fn possessions() -> (usize, usize, usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).expect("it is there").count();
    let own = std::process::id();
    let children = Command::new("ps").args(["-o", "pid=", "--ppid", &own.to_string()]).output();
    // ps is one itself.
    let children = String::from_utf8_lossy(&children.expect("ps is there").stdout).lines().count() - 1;
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let memory: usize = memory.trim().trim_end_matches(" kB").parse().expect("a number");
    (count("/proc/self/task"), count("/proc/self/fd"), children, memory / 1024)
}

#[test]
fn a_thousand_crashes_leave_no_threads_files_or_processes_behind_and_take_no_memory() {
    let info = BackendInfo {
        name: "script".to_owned(),
        version: "1".to_owned(),
        about: String::new(),
        unobservable: Vec::new(),
    };
    let greeting = octal(&Message::Hello(Hello::new(&info)));
    // The first ones leave a process behind that has their pipes.
    let folder = tempfile::tempdir().expect("a folder");
    let starts = folder.path().join("starts");
    let script = format!(
        "printf '{greeting}'; head -c 1 > /dev/null; echo >> '{0}'; echo out of luck >&2; \
         if [ $(wc -l < '{0}') -le 20 ]; then sleep 1000 & fi; kill -ABRT $$",
        starts.display()
    );
    let command = move || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    };
    let minute = Duration::from_secs(60);
    let limits = Limits { greeting: minute, answer: minute, memory: None, stop: Stop::default() };
    let program = Program { name: "sh".to_owned(), command: Box::new(command) };
    let mut worker = Worker::start(limits, program).expect("it greets");
    let request = Request {
        case: "example".to_owned(),
        layers: vec![LayerConfig::new(LayerKind::BatchNorm1d, 1, DType::F32)],
        actions: vec![Action::Train { at: String::new() }],
    };
    let mut crash = || {
        let response = worker.respond(&request);
        let Response::Broken { how: Outcome::Crash, message } = response else { panic!("{response:?}") };
        assert_eq!(message, "the worker was ended by signal 6 (SIGABRT); it last said: out of luck");
    };
    let started = Instant::now();
    (0..20).for_each(|_| crash());
    // Nobody waits until the processes that were left behind end.
    assert!(started.elapsed().as_secs() < 50, "took {:?}", started.elapsed());
    let (threads, files, children, memory) = possessions();
    let started = Instant::now();
    (0..RESTARTS).for_each(|_| crash());
    let took = started.elapsed();
    // A thread may need a moment to end.
    std::thread::sleep(Duration::from_millis(200));
    let now = possessions();
    println!("{RESTARTS} restarts in {took:.1?}: {:?}, then {now:?}", (threads, files, children, memory));
    assert!(
        now.0 <= threads && now.1 <= files && now.2 <= children,
        "{now:?} after {threads}, {files}, {children}"
    );
    assert!(now.3 <= memory + 4, "{} MiB after {memory}", now.3);
}
