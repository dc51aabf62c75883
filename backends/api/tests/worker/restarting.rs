//! In the long run: restarts, limits, and the end.

use super::*;

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
