//! Each case on each backend as a test, for the programs that list, filter, distribute and repeat tests: `cargo test`,
//! `cargo nextest`. docs/ci/README.md says how to use it.
//!
//! Tests are called `BACKEND::CASE`. `BNCHECK_CASES` says which cases: `quick`, `full`, or filter terms as of `bncheck run`;
//! without it there are a few, so that this is a test of itself. `BNCHECK_BACKENDS` says which backends, `BNCHECK_ARGS` what
//! else `bncheck run` is told. What a case comes to is `bncheck`'s to say: one run of it for all tests of this process, or
//! for the one that it was started for.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::Value;

/// A case on a backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    backend: String,
    case: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.backend, self.case)
    }
}

impl Name {
    fn of(text: &str) -> Option<Self> {
        let (backend, case) = text.split_once("::")?;
        Some(Name { backend: backend.to_owned(), case: case.to_owned() })
    }
}

/// What the environment asks for.
struct Asked {
    cases: Vec<String>,
    /// All that are usable where it does not say.
    backends: Option<Vec<String>>,
    more: Vec<String>,
}

impl Asked {
    fn by_the_environment() -> Result<Self, String> {
        let words = |name: &str| match std::env::var(name) {
            Ok(text) => shlex::split(&text)
                .map(Some)
                .ok_or_else(|| format!("{name}: its quotes are not closed, or it ends with a backslash")),
            Err(_) => Ok(None),
        };
        let cases = words("BNCHECK_CASES")?.filter(|words| !words.is_empty());
        let few = || ["exact/means", "dtype=f32"].map(str::to_owned).to_vec();
        let alone = cases.is_none().then(|| vec!["reference".to_owned(), "candle".to_owned()]);
        let backends = words("BNCHECK_BACKENDS")?.map(|words| {
            let names = words.iter().flat_map(|word| word.split(','));
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        });
        Ok(Asked {
            backends: backends.or(alone),
            cases: match cases {
                Some(words) => match words.as_slice() {
                    [tier] if tier == "quick" || tier == "full" => vec!["--tier".to_owned(), tier.clone()],
                    _ => words,
                },
                None => few(),
            },
            more: words("BNCHECK_ARGS")?.unwrap_or_default(),
        })
    }

    /// All tests, each with whether its backend is absent.
    fn names(&self) -> Result<Vec<(Name, bool)>, String> {
        let mut list = vec!["list".to_owned()];
        list.extend(self.cases.iter().cloned());
        let cases = printed(&list)?;
        let backends = match &self.backends {
            Some(names) => names.iter().map(|name| (name.clone(), false)).collect(),
            None => self.usable()?,
        };
        let of = |(backend, absent): (String, bool)| {
            let name = move |case: &str| Name { backend: backend.clone(), case: case.to_owned() };
            cases.lines().map(move |case| (name(case), absent)).collect::<Vec<_>>()
        };
        Ok(backends.into_iter().flat_map(of).collect())
    }

    /// The backends that there are, each with whether it is absent.
    fn usable(&self) -> Result<Vec<(String, bool)>, String> {
        let mut doctor = ["doctor", "--format", "json"].map(str::to_owned).to_vec();
        if let Some(place) = self.more.iter().position(|word| word == "--config") {
            doctor.extend(self.more[place..].iter().take(2).cloned());
        }
        // What is missing is part of what it prints.
        let text = bncheck(&doctor)?.1;
        let found: Value = serde_json::from_str(&text).map_err(|error| format!("doctor: {error}"))?;
        let findings = found["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let backend = |finding: &Value| {
            let name = finding["what"].as_str()?.strip_prefix("backend ")?;
            Some((name.to_owned(), finding["ok"] != true))
        };
        Ok(findings.iter().filter_map(backend).collect())
    }
}

/// `bncheck`, wherever the tests are run.
fn program() -> PathBuf {
    let moved = std::env::var_os("NEXTEST_BIN_EXE_bncheck");
    moved.map_or_else(|| env!("CARGO_BIN_EXE_bncheck").into(), PathBuf::from)
}

/// Calls it; its exit code and what it prints, errors among it where there is nothing else.
fn bncheck(arguments: &[String]) -> Result<(Option<i32>, String), String> {
    let mut command = Command::new(program());
    // As from a plain shell.
    for name in ["CARGO", "CARGO_PKG_NAME", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let output =
        command.args(arguments).output().map_err(|error| format!("{}: {error}", program().display()))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.is_empty() {
        text = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    Ok((output.status.code(), text))
}

/// What it prints where it has to succeed.
fn printed(arguments: &[String]) -> Result<String, String> {
    match bncheck(arguments)? {
        (Some(0), text) => Ok(text),
        (_, text) => Err(text),
    }
}

/// A verdict with its reason.
#[derive(Debug, Clone, Deserialize)]
struct Said {
    case: String,
    backend: String,
    verdict: String,
    #[serde(default)]
    reason: Option<String>,
}

/// Of what `bncheck` prints as JSON no more is kept.
#[derive(Deserialize)]
struct Results {
    results: Vec<Said>,
}

impl Said {
    fn is_expected(&self) -> bool {
        matches!(self.verdict.as_str(), "pass" | "known" | "unsupported")
    }
}

/// The verdicts of a run with these arguments.
fn verdicts(arguments: &[String]) -> Result<HashMap<Name, Said>, String> {
    let (_, text) = bncheck(arguments)?;
    // What is no results is what is wrong.
    let results: Results = serde_json::from_str(&text).map_err(|_| text)?;
    let named = |said: Said| (Name { backend: said.backend.clone(), case: said.case.clone() }, said);
    Ok(results.results.into_iter().map(named).collect())
}

/// The tests of this process.
struct Tests {
    asked: Asked,
    /// Those that will be run, but for what is absent.
    due: Vec<Name>,
    /// Whether they are all that were asked for.
    all: bool,
    run: OnceLock<Result<HashMap<Name, Said>, String>>,
}

impl Tests {
    /// One run for all of them.
    fn run(&self) -> Result<HashMap<Name, Said>, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut by_backend: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in &self.due {
            by_backend.entry(&name.backend).or_default().push(&name.case);
        }
        let mut arguments = vec!["run".to_owned()];
        if self.all {
            arguments.extend(self.asked.cases.iter().cloned());
        } else {
            // As patterns, which may take a few more.
            let mut cases: Vec<&str> = by_backend.values().flatten().copied().collect();
            cases.sort_unstable();
            cases.dedup();
            arguments.extend(cases.into_iter().map(str::to_owned));
        }
        let names: Vec<&str> = by_backend.keys().copied().collect();
        arguments.extend(["--backend".to_owned(), names.join(","), "--format".to_owned(), "json".to_owned()]);
        arguments.extend(["--output".to_owned(), folder.path().display().to_string()]);
        arguments.extend(self.asked.more.iter().cloned());
        verdicts(&arguments)
    }

    fn replay(&self, name: &Name, format: &str) -> Vec<String> {
        let words = ["replay", &name.case, "--backend", &name.backend, "--format", format];
        words.iter().map(|&word| word.to_owned()).chain(self.asked.more.iter().cloned()).collect()
    }

    fn judge(&self, name: &Name) -> Result<(), Failed> {
        let known = match self.due.as_slice() {
            [] | [_] => None,
            _ => self.run.get_or_init(|| self.run()).as_ref()?.get(name).cloned(),
        };
        let alone = || verdicts(&self.replay(name, "json")).map(|mut all| all.remove(name));
        let said = known.map_or_else(alone, |said| Ok(Some(said)))?;
        let said = said.ok_or_else(|| format!("there is no result of {name}"))?;
        if said.is_expected() {
            return Ok(());
        }
        // In full, with every step and tensor; what a repetition finds may be another thing.
        let reason = said.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let again = bncheck(&self.replay(name, "human"))?.1;
        Err(format!("{}{reason}\n\n{again}", said.verdict).into())
    }
}

/// Whether a test will be run.
fn is_due(arguments: &Arguments, name: &str, ignored: bool) -> bool {
    let matches =
        |filter: &String| if arguments.exact { name == filter } else { name.contains(filter.as_str()) };
    arguments.filter.as_ref().is_none_or(matches)
        && !arguments.skip.iter().any(matches)
        && (arguments.include_ignored || arguments.ignored == ignored)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let asked = Asked::by_the_environment().and_then(|asked| {
        // Whoever runs each test in a process of its own need not wait for a list of all.
        let one =
            arguments.filter.as_deref().filter(|_| arguments.exact && !arguments.list).and_then(Name::of);
        let names = match one {
            Some(name) => vec![(name, false)],
            None => asked.names()?,
        };
        Ok((asked, names))
    });
    let (asked, names) = match asked {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{}", why.trim_end());
            return ExitCode::from(2);
        }
    };
    let is_run = |name: &Name, absent: bool| is_due(&arguments, &name.to_string(), absent);
    let due: Vec<Name> = names
        .iter()
        .filter(|(name, absent)| !absent && is_run(name, false))
        .map(|(name, _)| name.clone())
        .collect();
    let all = due.len() == names.iter().filter(|(_, absent)| !absent).count();
    let tests = Arc::new(Tests { asked, due, all, run: OnceLock::new() });
    let trial = |(name, absent): (Name, bool)| {
        let tests = Arc::clone(&tests);
        Trial::test(name.to_string(), move || tests.judge(&name)).with_ignored_flag(absent)
    };
    libtest_mimic::run(&arguments, names.into_iter().map(trial).collect()).exit_code()
}
