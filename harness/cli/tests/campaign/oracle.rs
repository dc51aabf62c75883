//! An oracle that misbehaves.

use crate::common::{command, libtorch, program};
use crate::runs::{Campaign, Suite};

const SUITE: Suite = Suite { dtypes: &["f32"], shapes: &["[8, 3]"], seeds: 5 };

/// The worker of libtorch is another program here, which answers as the reference does until it misbehaves: nobody is
/// judged by an answer that did not come, and the run goes on.
pub fn misbehaves() {
    for (kind, words) in [
        ("abort", "(SIGABRT); it last said: out of luck"),
        ("exit-0", "it closed its output"),
        ("garbage", "the frame is not a message"),
        ("too-few-steps", ""),
        ("wrong-shape", ""),
        ("hang", "no answer within 4 s"),
    ] {
        let campaign = Campaign::over(&SUITE).with("beside", &["alone", "abort", "5"]);
        // Beside a copy of bncheck.
        let copy = campaign.path("bncheck");
        if std::fs::hard_link(program(), &copy).is_err() {
            std::fs::copy(program(), &copy).expect("copied");
        }
        let own = std::env::current_exe().expect("it is there");
        let script =
            format!("#!/bin/sh\nexec '{}' misbehave {} alone {kind} 2\n", own.display(), campaign.mark());
        let worker = campaign.path("bncheck-torch");
        std::fs::write(&worker, script).expect("written");
        let executable = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(&worker, executable).expect("executable");
        let mut run = command(&copy);
        run.arg("run").env("LIBTORCH", libtorch());
        let ran = campaign.run_by(run, &["reference", "candle"], &["--jobs", "1", "--timeout", "4"]);
        for (backend, ones) in ran.by_backend() {
            let verdicts: Vec<&str> = ones.iter().map(|one| one.verdict.as_str()).collect();
            let last = if backend == "beside" { "crash" } else { "pass" };
            assert_eq!(verdicts, ["pass", "suspect", "pass", "pass", last], "{kind}, {backend}: {ones:#?}");
            assert!(ones[1].reason.contains(words), "{kind}: {}", ones[1].reason);
        }
        assert_eq!(ran.ended.code, Some(1), "{kind}: {}", ran.ended.stdout);
        campaign.leaves_nothing_behind();
    }
}
