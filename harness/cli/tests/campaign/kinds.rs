//! The ways to misbehave, and what is to come of each.

/// A way to misbehave.
pub struct Kind {
    /// What it is called on the worker's command line.
    pub name: &'static str,
    /// What comes of it.
    pub outcome: Outcome,
    /// How the reason begins.
    pub begins: &'static str,
    /// What it says further on.
    pub says: &'static str,
    /// How often it is drawn among the others. Those that take a whole timeout are drawn less often, and those that leave
    /// something behind that nobody can find not at all.
    pub weight: u64,
}

/// What comes of misbehaving over a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This verdict on the case.
    Own(&'static str),
    /// The case passes, and the next one has the verdict: that something is wrong shows only when the worker is asked
    /// again. Where nothing more is asked, the case has the second one.
    Next(&'static str, &'static str),
}

use Outcome::{Next, Own};

const OFTEN: u64 = 12;
const SELDOM: u64 = 1;
const NEVER: u64 = 0;

const ABORTED: &str = "the worker was ended by signal 6 (SIGABRT)";
const LATE: &str = "no answer within ";
const NO_MESSAGE: &str = "the frame is not a message of protocol ";

const fn kind(
    name: &'static str,
    outcome: Outcome,
    begins: &'static str,
    says: &'static str,
    weight: u64,
) -> Kind {
    Kind { name, outcome, begins, says, weight }
}

/// All of them.
#[rustfmt::skip]
pub const KINDS: &[Kind] = &[
    // It ends.
    kind("abort", Own("crash"), ABORTED, "it last said: out of luck", OFTEN),
    kind("segfault", Own("crash"), "the worker was ended by signal 11 (SIGSEGV)", "", OFTEN),
    kind("killed", Own("crash"), "the worker was ended by signal 9 (SIGKILL)", "", OFTEN),
    kind("panic", Own("crash"), "the worker ended with exit code 101", "out of luck", OFTEN),
    kind("exit-0", Own("crash"), "it closed its output; the worker ended with exit code 0", "", OFTEN),
    kind("exit-3", Own("crash"), "the worker ended with exit code 3", "it last said: giving up", OFTEN),
    kind("half-an-answer-and-exit", Own("crash"), "the pipe broke: ", "the worker ended with exit code 0", OFTEN),
    kind("memory", Own("crash"), ABORTED, "its memory is limited to 64 MiB; --memory changes that", OFTEN),
    kind("stack", Own("crash"), ABORTED, "has overflowed its stack", OFTEN),
    kind("flood-of-words", Own("crash"), ABORTED, "that was all", OFTEN),
    kind("words-that-are-no-text", Own("crash"), "the worker ended with exit code 9", "broken \u{fffd}\u{fffd} words", OFTEN),
    kind("leaves-a-child-and-ends", Own("crash"), "the worker ended with exit code 4", "", OFTEN),
    kind("leaves-a-daemon-and-ends", Own("crash"), "the worker ended with exit code 4", "", NEVER),
    kind("answers-and-ends", Next("crash", "pass"), "the worker ended with exit code 3", "", OFTEN),
    // It says nothing more.
    kind("hang", Own("timeout"), LATE, "it last said: thinking", SELDOM),
    kind("half-an-answer-and-hang", Own("timeout"), LATE, "", SELDOM),
    kind("a-length-and-hang", Own("timeout"), LATE, "", SELDOM),
    kind("drip", Own("timeout"), LATE, "", SELDOM),
    kind("stopped", Own("timeout"), LATE, "", SELDOM),
    kind("closes-its-output", Own("error"), "it closed its output; the worker was stopped", "", SELDOM),
    kind("never-reads-again", Next("timeout", "pass"), LATE, "", SELDOM),
    kind("closes-its-input", Next("timeout", "pass"), LATE, "", SELDOM),
    // It says something else.
    kind("garbage", Own("error"), "", "a frame", OFTEN),
    kind("text-before-the-answer", Own("error"), "`loading", "is something else printed to standard output?", OFTEN),
    kind("a-word-before-the-answer", Own("error"), "`hi", "is something else printed to standard output?", OFTEN),
    kind("text-after-the-answer", Next("error", "error"), "", "`done", OFTEN),
    kind("too-large", Own("error"), "a frame of 4294967295 bytes is larger than any message", "", OFTEN),
    kind("larger-than-due", Own("error"), "a frame of 536870912 bytes is larger than an answer", "", OFTEN),
    kind("no-header", Own("error"), NO_MESSAGE, "its header of 1099511627776 bytes does not fit a frame of 100", OFTEN),
    kind("no-json", Own("error"), NO_MESSAGE, "in its header: expected ident", OFTEN),
    kind("deep-json", Own("error"), NO_MESSAGE, "", OFTEN),
    kind("no-message", Own("error"), NO_MESSAGE, "unknown variant `reply`", OFTEN),
    kind("greeting", Own("error"), "the message is a greeting where an answer is due", "", OFTEN),
    kind("other-request", Own("error"), "the answer is to request ", "not to request ", OFTEN),
    kind("twice", Next("error", "error"), "", "", OFTEN),
    kind("unknown-tensor", Own("error"), NO_MESSAGE, "no tensor is called `outptu`", OFTEN),
    kind("long-complaint", Own("error"), "woe woe woe", "", OFTEN),
    // It answers, and wrongly.
    kind("no-steps", Own("error"), "", " answers to ", OFTEN),
    kind("too-few-steps", Own("error"), "", " answers to ", OFTEN),
    kind("too-many-steps", Own("error"), "", " answers to ", OFTEN),
    kind("wrong-shape", Own("fail"), "", "", OFTEN),
    kind("absurd-shape", Own("fail"), "", "", OFTEN),
    kind("wrong-dtype", Own("fail"), "", "", OFTEN),
    kind("no-output", Own("fail"), "", "", OFTEN),
    // It answers rightly, and is a nuisance.
    kind("slow-answer", Own("pass"), "", "", OFTEN),
    kind("much-to-say", Own("pass"), "", "", OFTEN),
    kind("leaves-a-child", Own("pass"), "", "", OFTEN),
    kind("does-not-end", Own("pass"), "", "", NEVER),
];

/// The one of this name.
pub fn named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// How misbehaviour is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    /// Other numbers draw other kinds.
    pub seed: u64,
    /// Whether those are among them that show in the next case only.
    pub late_ones: bool,
}

impl Draw {
    /// What a worker does over a case, one time in five. It depends on the case's id alone, and not on what was asked
    /// before, or of which process.
    pub fn kind(self, case: &str) -> Option<&'static Kind> {
        let hash = hash(case, self.seed);
        if !hash.is_multiple_of(5) {
            return None;
        }
        let drawn = |kind: &&Kind| self.late_ones || matches!(kind.outcome, Own(_));
        let all: u64 = KINDS.iter().filter(drawn).map(|kind| kind.weight).sum();
        let mut at = (hash / 5) % all;
        KINDS.iter().filter(drawn).find(|kind| {
            let found = at < kind.weight;
            at = at.wrapping_sub(kind.weight);
            found
        })
    }
}

/// FNV-1a of the text and the seed, and what `SplitMix64` makes of it, as FNV's own last bits are not random enough.
pub fn hash(text: &str, seed: u64) -> u64 {
    let bytes = text.bytes().chain(seed.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
