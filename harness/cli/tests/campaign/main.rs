//! Workers that misbehave in every way that we could think of, and what comes of the run: each result is there once, the
//! others' are the same bits as without them, nothing hangs, and nothing is left behind.
//!
//! This program is the misbehaving worker as well (`campaign misbehave …`), so that it is wherever the test is. It has a
//! `main` of its own for that.
//!
//! `BNCHECK_CAMPAIGN` is over how many cases the mixture goes; with `BNCHECK_CAMPAIGN_TABLE` each verdict is printed with its
//! reason.

#[cfg(unix)]
mod alone;
#[cfg(unix)]
#[path = "../common/mod.rs"]
mod common;
#[cfg(unix)]
mod kinds;
#[cfg(unix)]
mod mixture;
#[cfg(unix)]
mod oracle;
#[cfg(unix)]
mod runs;
#[cfg(unix)]
mod terminal;
#[cfg(unix)]
mod worker;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    use libtest_mimic::{Arguments, Trial};
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, words @ ..] = &words[..]
        && first == worker::MISBEHAVE
    {
        return worker::serve(words);
    }
    let mut trials: Vec<Trial> = kinds::KINDS.iter().map(alone::trial).collect();
    trials.extend([
        test("a_program_that_cannot_be_started_again_is_given_up", alone::given_up),
        test("at_random_among_healthy_backends", mixture::side_by_side),
        test("at_random_one_case_after_the_other", mixture::one_after_the_other),
        test("a_misbehaving_oracle", oracle::misbehaves),
        test("what_a_worker_says_is_harmless_wherever_it_is_shown", terminal::harmless),
    ]);
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

#[cfg(unix)]
fn test(name: &str, run: fn()) -> libtest_mimic::Trial {
    libtest_mimic::Trial::test(name, move || {
        run();
        Ok(())
    })
}

#[cfg(not(unix))]
fn main() {}
