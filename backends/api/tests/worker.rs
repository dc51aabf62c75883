//! Workers that do not do what they should: what is said of each, to the person whose worker it is.
#![cfg(unix)]

use std::process::Command;

use std::time::{Duration, Instant};

use bn_api::wire::{CANNOT_START, Hello, Limits, Message, PROTOCOL, Program, Stop, Worker, WorkerError};
use bn_api::{
    Action, BackendInfo, DType, LayerConfig, LayerKind, Outcome, Request, Responder, Response, StepAnswer,
};

/// Limits that no healthy worker of these tests comes near.
fn ample() -> Limits {
    let minute = Duration::from_secs(60);
    Limits { greeting: minute, answer: minute, memory: None, stop: Stop::default() }
}

fn shell(script: &str) -> Program {
    let script = script.to_owned();
    let command = move || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        command
    };
    Program { name: "sh".to_owned(), command: Box::new(command) }
}

/// A worker that is this shell script.
fn script(script: &str) -> Result<Worker, WorkerError> {
    Worker::start(ample(), shell(script))
}

/// Why the worker that is this shell script cannot be had.
fn refused(text: &str) -> String {
    match script(text) {
        Ok(_) => panic!("`{text}` greets"),
        Err(error) => error.to_string(),
    }
}

/// A frame as an argument of `printf`, which all shells read alike in octal.
fn octal(message: &Message) -> String {
    let frame = message.encode().expect("it is small");
    frame.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"))
}

fn hello() -> Hello {
    Hello::new(&BackendInfo {
        name: "script".to_owned(),
        version: "script 1.0".to_owned(),
        about: "a shell script".to_owned(),
        unobservable: Vec::new(),
    })
}

fn greeting(protocol: u32) -> String {
    format!("printf '{}'", octal(&Message::Hello(Hello { protocol, ..hello() })))
}

/// The right number of empty steps, as the answer to request `id`.
fn answer(id: u64) -> Message {
    Message::Answer { id, response: Response::Answered(vec![StepAnswer::default(); 2]) }
}

fn question() -> Request {
    let layer = LayerConfig::new(LayerKind::BatchNorm1d, 1, DType::F32);
    Request {
        case: "example".to_owned(),
        layers: vec![layer],
        actions: vec![Action::Train { at: String::new() }],
    }
}

/// Waits until a request begins to arrive.
const ASKED: &str = "head -c 1 > /dev/null";

/// How a worker breaks down when it is asked something.
fn breaks(worker: &mut Worker) -> (Outcome, String) {
    match worker.respond(&question()) {
        Response::Broken { how, message } => (how, message),
        other => panic!("{other:?}"),
    }
}

/// How a worker that greets and then runs `script` breaks down when it is asked something.
fn broken(after_the_greeting: &str) -> (Outcome, String) {
    breaks(&mut script(&format!("{}; {ASKED}; {after_the_greeting}", greeting(PROTOCOL))).expect("it greets"))
}

/// The same within limits.
fn broken_within(limits: Limits, after_the_greeting: &str) -> (Outcome, String) {
    let script = format!("{}; {ASKED}; {after_the_greeting}", greeting(PROTOCOL));
    breaks(&mut Worker::start(limits, shell(&script)).expect("it greets"))
}

/// `printf` of a frame with this header and these bytes behind it.
fn frame(header: &str, data: &str) -> String {
    let length = 8 + header.len() + data.len();
    let number =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"));
    let lengths = number(&(length as u32).to_le_bytes()) + &number(&(header.len() as u64).to_le_bytes());
    format!("printf '{lengths}'; printf '%s' '{header}{data}'")
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
    for text in ["hi", "hello", "hello world", "hello world, says a program that prints what it does"] {
        let begins = format!("sh did not greet: `{}", &text[..text.len().min(11)]);
        let refused = refused(&format!("echo '{text}'"));
        assert!(refused.starts_with(&begins), "{refused}");
        let ends = "` is not the beginning of a frame; is something else printed to standard output?; the worker \
                    ended with exit code 0";
        assert!(refused.ends_with(ends), "{refused}");
    }
}

#[test]
fn a_worker_that_says_nothing_and_ends_well_is_reported_too() {
    assert_eq!(refused("true"), "sh did not greet: it said nothing; the worker ended with exit code 0");
}

#[test]
fn garbage_of_a_plausible_length_is_no_message() {
    for frame in [
        r"\003\000\000\000\377\377\377",
        r"\012\000\000\000\002\000\000\000\000\000\000\000\377\377",
        r"\012\000\000\000\377\000\000\000\000\000\000\000{}",
    ] {
        let text = refused(&format!("printf '{frame}'; exec sleep 100"));
        assert!(text.starts_with("sh did not greet: the frame is not a message of protocol"), "{text}");
        assert!(text.ends_with("the worker was stopped"), "{text}");
    }
}

#[test]
fn a_worker_that_answers_before_it_is_asked_is_refused() {
    let text = refused(&format!("printf '{}'; cat > /dev/null", octal(&answer(1))));
    assert!(text.starts_with("sh did not greet: the message is an answer where a greeting is due"), "{text}");
}

#[test]
fn a_worker_that_hangs_before_its_greeting_is_not_waited_for() {
    let limits = Limits { greeting: Duration::from_millis(300), ..ample() };
    let started = Instant::now();
    let Err(error) = Worker::start(limits, shell("echo loading >&2; sleep 100")) else {
        panic!("it greets");
    };
    assert_eq!(
        error.to_string(),
        "sh did not greet: it said nothing within 0.3 s; the worker was stopped; it last said: loading"
    );
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}

#[test]
fn a_frame_that_claims_too_much_is_not_waited_for() {
    let text = refused(r"printf '\377\377\377\377'; exec sleep 100");
    assert!(text.contains("a frame of 4294967295 bytes is larger than any message"), "{text}");
}

#[test]
fn a_worker_whose_own_child_lives_on_is_not_waited_for() {
    let start = Instant::now();
    assert_eq!(
        refused("sleep 30 > /dev/null & exit 4"),
        "sh did not greet: the worker ended with exit code 4"
    );
    assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let command = Box::new(|| Command::new("/nowhere/bncheck-torch"));
    let program = Program { name: "/nowhere/bncheck-torch".to_owned(), command };
    let error = Worker::start(ample(), program).map(|_| ()).expect_err("no program");
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
fn a_worker_whose_answer_cannot_be_read_is_stopped_and_that_is_an_error() {
    let meta = r#""__metadata__":{"bncheck":"{\"answer\":{\"id\":1,\"steps\":[{},{}]}}"}"#;
    let tensor =
        |shape: &str, offsets: &str| format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}"#);
    let with = |tensors: &str, data: &str| frame(&format!("{{{meta},{tensors}}}"), data);
    let fine = tensor("[1]", "[0,4]");
    let other_version = Message::Hello(Hello { protocol: PROTOCOL + 1, ..hello() });
    for (says, why) in [
        (r"printf '\001\000\000\000\377'".to_owned(), "a frame of 1 bytes is too short"),
        (r"printf '\377\377\377\377'".to_owned(), "a frame of 4294967295 bytes is larger than any message"),
        ("echo 12 of 20 channels done".to_owned(), "`12 of 20 chan` is not the beginning of a frame"),
        (format!("printf '{}'", octal(&answer(2))), "the answer is to request 2, not to request 1"),
        (
            format!("printf '{}'", octal(&Message::Hello(hello()))),
            "the message is a greeting where an answer is due",
        ),
        (format!("printf '{}'", octal(&other_version)), "protocol 5, not 4"),
        (with(&format!(r#""1/outptu":{fine}"#), "four"), "no tensor is called `outptu`"),
        (with(&format!(r#""7/output":{fine}"#), "four"), "`7/output` is of none of the answer's 2 steps"),
        (with(&format!(r#""1/output":{fine},"1/output":{fine}"#), "four"), "`1/output` stands there twice"),
        (
            with(&format!(r#""1/output":{}"#, tensor("[2]", "[0,4]")), "four"),
            "4 bytes are no f32 tensor of shape [2]",
        ),
        (with(&format!(r#""1/output":{}"#, tensor("[1]", "[0,4]")), "too much"), "4 bytes are left over"),
        (
            with(&format!(r#""1/output":{}"#, tensor("[1]", "[4,8]")), "too much"),
            "are 4 to 8, where 0 to at most 8",
        ),
        (
            with(&format!(r#""1/output":{}"#, tensor("[1]", "[0,4]")), "few"),
            "are 0 to 4, where 0 to at most 3",
        ),
    ] {
        let (how, message) = broken(&format!("{says}; echo those were the words >&2; exec sleep 100"));
        assert_eq!(how, Outcome::Error, "{message}");
        assert!(message.contains(why), "no `{why}` in `{message}`");
        assert!(message.ends_with("the worker was stopped; it last said: those were the words"), "{message}");
    }
}

#[test]
fn a_worker_that_ends_in_the_middle_of_its_answer_has_crashed() {
    let whole = answer(1).encode().expect("it is small").len();
    for length in [1, 7, 20, whole - 1] {
        let (how, message) = broken(&format!("printf '{}' | head -c {length}; exit 0", octal(&answer(1))));
        assert_eq!(how, Outcome::Crash);
        assert!(message.ends_with("; the worker ended with exit code 0"), "{message}");
    }
}

#[test]
fn a_worker_that_hangs_is_stopped_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let alive = folder.path().join("alive");
    let limits = Limits { answer: Duration::from_millis(300), ..ample() };
    let started = Instant::now();
    // The child holds the pipes open and writes on.
    let child = format!("(while sleep 0.05; do date > '{}'; done) & sleep 100", alive.display());
    let (how, message) = broken_within(limits, &format!("echo thinking >&2; {child}"));
    assert_eq!(how, Outcome::Timeout);
    assert_eq!(message, "no answer within 0.3 s; the worker was stopped; it last said: thinking");
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
    let _ = std::fs::remove_file(&alive);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!alive.exists(), "its child lives on");
}

#[test]
fn a_worker_that_does_not_read_what_it_is_asked_is_late_however_much_that_is() {
    let limits = Limits { answer: Duration::from_millis(300), ..ample() };
    let mut worker =
        Worker::start(limits, shell(&format!("{}; exec sleep 100", greeting(PROTOCOL)))).expect("it greets");
    let large = bn_api::Tensor::full(DType::F64, &[1 << 20], 1.0);
    let layer =
        LayerConfig { weight: Some(large), ..LayerConfig::new(LayerKind::BatchNorm1d, 1 << 20, DType::F64) };
    let response = worker.respond(&Request { layers: vec![layer], ..question() });
    assert!(matches!(response, Response::Broken { how: Outcome::Timeout, .. }), "{response:?}");
}

#[test]
fn a_worker_that_answers_in_time_is_not_hurried() {
    let script = format!("{}; {ASKED}; printf '{}'; cat > /dev/null", greeting(PROTOCOL), octal(&answer(1)));
    let mut worker = Worker::start(ample(), shell(&script)).expect("it greets");
    assert_eq!(worker.respond(&question()), Response::Answered(vec![StepAnswer::default(); 2]));
}

#[test]
fn what_a_worker_says_that_it_lacks_it_is_not_asked() {
    let text =
        r#"{"protocol":4,"name":"it","version":"1","dtypes":["f64"],"lacks":{"reset":"it cannot reset"}}"#;
    let hello: Hello = serde_json::from_str(text).expect("a greeting");
    // It breaks at the first request.
    let script = format!("printf '{}'; head -c 1 > /dev/null; exit 1", octal(&Message::Hello(hello)));
    let mut worker = Worker::start(ample(), shell(&script)).expect("it greets");
    let reset = vec![Action::ResetRunningStats { at: String::new() }];
    let response = worker.respond(&Request { actions: reset, ..question() });
    assert_eq!(response, Response::Unsupported { reason: "it cannot reset".to_owned() });
    let response = worker.respond(&question());
    assert_eq!(response, Response::Unsupported { reason: "it computes with f64, not with f32".to_owned() });
    let wide = LayerConfig::new(LayerKind::BatchNorm1d, 1, DType::F64);
    let response = worker.respond(&Request { layers: vec![wide], ..question() });
    assert!(matches!(response, Response::Broken { how: Outcome::Crash, .. }), "{response:?}");
}

#[test]
fn a_worker_that_is_absent_is_asked_nothing_and_may_be_gone() {
    let why = "torch is not installed: pip install torch";
    let hello = Message::Hello(Hello { absent: Some(why.to_owned()), ..hello() });
    let mut worker = script(&format!("printf '{}'", octal(&hello))).expect("it greets");
    assert_eq!(worker.absent(), Some(why));
    for _ in 0..2 {
        assert_eq!(worker.respond(&question()), Response::Unsupported { reason: why.to_owned() });
    }
    assert_eq!(worker.finish(), Ok(()));
    let there = script(&format!("{}; cat > /dev/null", greeting(PROTOCOL))).expect("it greets");
    assert_eq!(there.absent(), None);
}

#[test]
fn a_line_without_an_end_on_standard_error_takes_no_memory() {
    let (_, message) = broken("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1");
    assert!(message.len() < 3000, "{} bytes", message.len());
}

#[test]
fn after_a_crash_the_worker_is_started_again() {
    let folder = std::env::temp_dir().join(format!("bn-api-worker-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let flag = folder.join("crashed");
    let _ = std::fs::remove_file(&flag);
    // Requests are counted on over the crash.
    let (flag_name, greeting, reply) = (flag.display(), greeting(PROTOCOL), octal(&answer(2)));
    let mut worker = script(&format!(
        "{greeting}; if [ -e '{flag_name}' ]; then {ASKED}; printf '{reply}'; cat > /dev/null; \
         else touch '{flag_name}'; kill -SEGV $$; fi"
    ))
    .expect("it greets");
    assert!(matches!(worker.respond(&question()), Response::Broken { how: Outcome::Crash, .. }));
    assert_eq!(worker.respond(&question()), Response::Answered(vec![StepAnswer::default(); 2]));
    drop(worker);
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_worker_that_cannot_be_started_again_is_an_error() {
    let greeting = greeting(PROTOCOL);
    let started = std::sync::atomic::AtomicBool::new(false);
    let command = move || {
        if started.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Command::new("/nowhere/worker");
        }
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{greeting}; exit 1")]);
        command
    };
    let program = Program { name: "/nowhere/worker".to_owned(), command: Box::new(command) };
    let mut worker = Worker::start(ample(), program).expect("it greets");
    assert!(matches!(worker.respond(&question()), Response::Broken { how: Outcome::Crash, .. }));
    match worker.respond(&question()) {
        Response::Broken { how: Outcome::Error, message } => {
            assert!(message.starts_with("cannot start /nowhere/worker"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_that_another_was_to_become_and_could_not_is_told_from_one_that_ends_early() {
    let error = script(&format!("echo no such file >&2; exit {CANNOT_START}")).map(|_| ()).expect_err("none");
    assert_eq!(error.to_string(), "cannot start sh: no such file");
}

#[test]
fn an_answer_larger_than_any_to_its_request_is_not_taken_in() {
    // A length of 512 MiB, and the beginning of a header.
    let (how, message) =
        broken("printf '\\000\\000\\000\\040\\020\\000\\000\\000\\000\\000\\000\\000{'; cat /dev/zero");
    assert_eq!(how, Outcome::Error);
    assert!(
        message.contains("a frame of 536870912 bytes is larger than an answer to this request can be"),
        "{message}"
    );
}

#[test]
fn what_is_said_after_an_answer_is_an_error_of_the_next_case_and_names_the_one_before() {
    let twice = octal(&answer(1));
    let mut worker =
        script(&format!("{}; {ASKED}; printf '{twice}{twice}'; exec cat > /dev/null", greeting(PROTOCOL)))
            .expect("it greets");
    assert!(matches!(worker.respond(&question()), Response::Answered(_)));
    // Until the second one has come as well.
    std::thread::sleep(Duration::from_millis(200));
    let (how, message) = breaks(&mut worker);
    assert_eq!(how, Outcome::Error);
    assert!(message.contains("that nothing asked for; the worker "), "{message}");
    assert!(
        message.ends_with("(this was after its answer to example, and before it was asked anything more)"),
        "{message}"
    );
}

#[test]
fn what_is_said_after_the_last_answer_is_noticed_at_the_end() {
    let (greeting, reply) = (greeting(PROTOCOL), octal(&answer(1)));
    for (after, why) in [
        ("echo bye", "`bye` is not the beginning of a frame"),
        (&format!("printf '{reply}'"), "that nothing asked for"),
    ] {
        let mut worker = script(&format!("{greeting}; {ASKED}; printf '{reply}'; cat > /dev/null; {after}"))
            .expect("it greets");
        assert!(matches!(worker.respond(&question()), Response::Answered(_)));
        let why_not = worker.finish().expect_err("it said more");
        assert!(why_not.starts_with("after its last answer it wrote something more: "), "{why_not}");
        assert!(why_not.contains(why), "{why_not}");
    }
    let mut quiet = script(&format!("{greeting}; {ASKED}; printf '{reply}'; cat > /dev/null; echo bye >&2"))
        .expect("it greets");
    assert!(matches!(quiet.respond(&question()), Response::Answered(_)));
    assert_eq!(quiet.finish(), Ok(()));
}

#[test]
fn nobody_waits_any_longer_than_until_it_is_said_that_all_stops() {
    let stop = Stop::default();
    let limits = Limits { stop: stop.clone(), ..ample() };
    let started = Instant::now();
    let script = format!("{}; exec sleep 100", greeting(PROTOCOL));
    let mut worker = Worker::start(limits, shell(&script)).expect("it greets");
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        stop.now();
    });
    assert!(matches!(worker.respond(&question()), Response::Broken { how: Outcome::Error, .. }));
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}

#[test]
fn one_that_ends_for_lack_of_memory_is_told_how_much_it_may_have() {
    let limits = Limits { memory: Some(64 << 20), ..ample() };
    let (_, message) = broken_within(limits, "echo memory allocation of 99 bytes failed >&2; exit 1");
    assert!(message.ends_with("(its memory is limited to 64 MiB; --memory changes that)"), "{message}");
}

#[test]
fn a_worker_that_does_not_start_again_some_times_is_not_started_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let starts = folder.path().join("starts");
    // It greets once.
    let script = format!(
        "echo >> '{0}'; if [ $(wc -l < '{0}') -gt 1 ]; then exec sleep 100; fi; {1}; {ASKED}; exit 1",
        starts.display(),
        greeting(PROTOCOL)
    );
    let limits = Limits { greeting: Duration::from_millis(500), ..ample() };
    let mut worker = Worker::start(limits, shell(&script)).expect("it greets");
    assert_eq!(breaks(&mut worker).0, Outcome::Crash);
    let late = "sh did not greet: it said nothing within 0.5 s; the worker was stopped";
    for _ in 0..3 {
        assert_eq!(breaks(&mut worker), (Outcome::Error, late.to_owned()));
    }
    for _ in 0..100 {
        let (how, message) = breaks(&mut worker);
        assert_eq!(how, Outcome::Error);
        assert_eq!(
            message,
            format!("{late}; as it did not start 3 times in a row, it is not started any more")
        );
    }
    assert_eq!(std::fs::read_to_string(&starts).expect("it was started").lines().count(), 4);
}

#[test]
fn one_that_starts_again_in_the_end_is_asked_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let starts = folder.path().join("starts");
    // It greets at every third start.
    let script = format!(
        "echo >> '{0}'; if [ $(($(wc -l < '{0}') % 3)) != 1 ]; then exit 4; fi; {1}; {ASKED}; exit 1",
        starts.display(),
        greeting(PROTOCOL)
    );
    let mut worker = Worker::start(ample(), shell(&script)).expect("it greets");
    for _ in 0..3 {
        assert_eq!(breaks(&mut worker).0, Outcome::Crash);
        assert_eq!(breaks(&mut worker).0, Outcome::Error);
        assert_eq!(breaks(&mut worker).0, Outcome::Error);
    }
}

#[test]
fn a_worker_that_closes_its_output_and_goes_on_has_not_crashed() {
    let (how, message) = broken("exec >&-; echo there >&2; exec sleep 100");
    assert_eq!(how, Outcome::Error);
    assert_eq!(message, "it closed its output; the worker was stopped; it last said: there");
}

#[test]
fn a_complaint_is_not_kept_at_any_length() {
    let message = "woe ".repeat(1 << 17);
    let response = Response::Broken { how: Outcome::Error, message };
    let complaint = octal(&Message::Answer { id: 1, response });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("complaint");
    std::fs::write(&path, complaint).expect("written");
    let (how, message) = broken(&format!("printf \"$(cat '{}')\"; cat > /dev/null", path.display()));
    assert_eq!(how, Outcome::Error);
    assert!(message.starts_with("woe woe ") && message.ends_with("woe … (524288 bytes in all)"), "{message}");
    assert!(message.len() < 9000, "{} bytes", message.len());
}

#[test]
fn what_a_worker_has_started_ends_with_it_when_there_is_nothing_more_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let alive = folder.path().join("alive");
    let script = format!(
        "(while sleep 0.05; do date > '{}'; done) & {}; cat > /dev/null",
        alive.display(),
        greeting(PROTOCOL)
    );
    let mut worker = Worker::start(ample(), shell(&script)).expect("it greets");
    let since = Instant::now();
    while !alive.exists() {
        assert!(since.elapsed().as_secs() < 20, "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let told = Instant::now();
    assert_eq!(worker.finish(), Ok(()));
    // It holds the pipes, and is not waited for.
    assert!(told.elapsed().as_secs_f64() < 4.0, "took {:?}", told.elapsed());
    let _ = std::fs::remove_file(&alive);
    std::thread::sleep(Duration::from_millis(300));
    assert!(!alive.exists(), "it lives on");
}
