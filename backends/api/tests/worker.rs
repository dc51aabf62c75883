//! Workers that do not do what they should: what is said of each, to the person whose worker it is.
#![cfg(unix)]

use std::process::Command;

use bn_api::wire::{Hello, PROTOCOL, Worker, WorkerError, write_message};
use bn_api::{
    Action, BackendInfo, DType, LayerConfig, LayerKind, Outcome, Request, Responder, Response, StepAnswer,
};

/// A worker that is this shell script.
fn script(script: &str) -> Result<Worker, WorkerError> {
    let script = script.to_owned();
    Worker::start(move || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    })
}

/// Why the worker that is this shell script cannot be had.
fn refused(text: &str) -> String {
    match script(text) {
        Ok(_) => panic!("`{text}` greets"),
        Err(error) => error.to_string(),
    }
}

/// A frame as an argument of `printf`, which all shells read alike in octal.
fn octal<T: serde::Serialize>(message: &T) -> String {
    let mut frame = Vec::new();
    write_message(&mut frame, message).expect("a vector takes everything");
    frame.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"))
}

fn greeting(protocol: u32) -> String {
    let info = BackendInfo {
        name: "script".to_owned(),
        version: "script 1.0".to_owned(),
        about: "a shell script".to_owned(),
        unobservable: Vec::new(),
    };
    format!("printf '{}'", octal(&Hello { protocol, info }))
}

fn question() -> Request {
    let layer = LayerConfig::new(LayerKind::BatchNorm1d, 1, DType::F32);
    Request {
        case: "example".to_owned(),
        layers: vec![layer],
        actions: vec![Action::Train { at: String::new() }],
    }
}

/// How a worker that greets and then runs `script` breaks down when it is asked something.
fn broken(after_the_greeting: &str) -> (Outcome, String) {
    let mut worker = script(&format!("{}; {after_the_greeting}", greeting(PROTOCOL))).expect("it greets");
    match worker.respond(&question()) {
        Response::Broken { how, message } => (how, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_ends_at_once_is_reported_with_its_exit_code() {
    assert_eq!(refused("exit 3"), "sh did not greet: the worker ended with exit code 3");
}

#[test]
fn what_it_said_on_standard_error_is_part_of_the_report() {
    assert_eq!(
        refused("echo no device >&2; echo giving up >&2; exit 1"),
        "sh did not greet: the worker ended with exit code 1; it last said: no device\ngiving up"
    );
}

#[test]
fn of_a_long_complaint_the_end_is_kept() {
    let text = refused("i=0; while [ $i -lt 500 ]; do echo line $i >&2; i=$((i+1)); done; exit 1");
    assert!(text.ends_with("line 498\nline 499"), "{text}");
    assert!(text.lines().count() <= 20, "{text}");
}

#[test]
fn a_worker_that_is_killed_before_its_greeting_is_reported_with_the_signal() {
    assert_eq!(refused("kill -SEGV $$"), "sh did not greet: the worker was ended by signal 11 (SIGSEGV)");
}

#[test]
fn a_worker_that_prints_something_else_is_reported_with_what_is_wrong() {
    // The first four letters are read as a length: 1.8 GB, of which little comes.
    assert_eq!(
        refused("echo hello world"),
        "sh did not greet: the pipe broke: unexpected end of file; the worker ended with exit code 0"
    );
}

#[test]
fn a_worker_that_says_nothing_and_ends_well_is_reported_too() {
    assert_eq!(refused("true"), "sh did not greet: it said nothing; the worker ended with exit code 0");
}

#[test]
fn garbage_of_a_plausible_length_is_no_message() {
    let text = refused(r"printf '\003\000\000\000\377\377\377'; exec sleep 100");
    assert!(text.starts_with("sh did not greet: the frame is not a message of protocol"), "{text}");
    assert!(text.ends_with("the worker was stopped"), "{text}");
}

#[test]
fn a_frame_that_claims_too_much_is_not_waited_for() {
    let text = refused(r"printf '\377\377\377\377'; exec sleep 100");
    assert!(text.contains("a frame of 4294967295 bytes is larger than any message"), "{text}");
}

#[test]
fn a_worker_whose_own_child_lives_on_is_not_waited_for() {
    let start = std::time::Instant::now();
    assert_eq!(
        refused("sleep 30 > /dev/null & exit 4"),
        "sh did not greet: the worker ended with exit code 4"
    );
    assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let error = Worker::start(|| Command::new("/nowhere/bncheck-torch")).map(|_| ()).expect_err("no program");
    assert!(matches!(error, WorkerError::Start { .. }));
    let text = error.to_string();
    assert!(text.starts_with("cannot start /nowhere/bncheck-torch: No such file or directory"), "{text}");
}

#[test]
fn a_worker_of_another_version_is_refused_with_what_to_do() {
    assert_eq!(
        refused(&format!("{}; cat > /dev/null", greeting(PROTOCOL + 1))),
        format!(
            "sh speaks protocol {}, this bncheck {PROTOCOL}: build both from the same sources",
            PROTOCOL + 1
        )
    );
}

#[test]
fn a_worker_that_greets_is_known_by_its_greeting() {
    let worker = script(&format!("{}; cat > /dev/null", greeting(PROTOCOL))).expect("it greets");
    assert_eq!(worker.info().version, "script 1.0");
}

#[test]
fn a_worker_that_dies_over_a_question_has_crashed() {
    let (how, message) = broken("echo boom >&2; kill -ABRT $$");
    assert_eq!(how, Outcome::Crash);
    assert_eq!(message, "the worker was ended by signal 6 (SIGABRT); it last said: boom");
}

#[test]
fn a_worker_that_ends_quietly_over_a_question_has_crashed_too() {
    let (how, message) = broken("exit 0");
    assert_eq!(how, Outcome::Crash);
    assert!(message.ends_with("; the worker ended with exit code 0"), "{message}");
}

#[test]
fn a_worker_that_answers_garbage_is_stopped_and_has_crashed() {
    let (how, message) = broken(r"printf '\001\000\000\000\377'; exec sleep 100");
    assert_eq!(how, Outcome::Crash);
    assert!(message.contains("not a message of protocol"), "{message}");
    assert!(message.contains("the worker was stopped"), "{message}");
}

#[test]
fn after_a_crash_the_worker_is_started_again() {
    let folder = std::env::temp_dir().join(format!("bn-api-worker-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let flag = folder.join("crashed");
    let _ = std::fs::remove_file(&flag);
    let answer = Response::Answered(vec![StepAnswer::default(); 2]);
    let (flag_name, greeting, reply) = (flag.display(), greeting(PROTOCOL), octal(&answer));
    let mut worker = script(&format!(
        "{greeting}; if [ -e '{flag_name}' ]; then printf '{reply}'; cat > /dev/null; \
         else touch '{flag_name}'; kill -SEGV $$; fi"
    ))
    .expect("it greets");
    assert!(matches!(worker.respond(&question()), Response::Broken { how: Outcome::Crash, .. }));
    assert_eq!(worker.respond(&question()), answer);
    drop(worker);
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_worker_that_cannot_be_started_again_is_an_error() {
    let greeting = greeting(PROTOCOL);
    let started = std::sync::atomic::AtomicBool::new(false);
    let mut worker = Worker::start(move || {
        if started.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Command::new("/nowhere/worker");
        }
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{greeting}; exit 1")]);
        command
    })
    .expect("it greets");
    assert!(matches!(worker.respond(&question()), Response::Broken { how: Outcome::Crash, .. }));
    match worker.respond(&question()) {
        Response::Broken { how: Outcome::Error, message } => {
            assert!(message.starts_with("cannot start /nowhere/worker"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}
