//! Before the first question.

use super::*;

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
