//! Over a question.

use super::*;

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
